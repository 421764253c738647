"""What a daemon says and does about its governance file, and that it trades whatever lies there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.approvals import InboxRules
from roboinvest.core.proposals import Proposal
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from tests.fakes.governance import a_proposal
from tests.fakes.processes import Daemon, Ended, roboinvest
from tests.fakes.revisions import AGENT, agent_house, an_artifact
from tests.fakes.tampering import Row, rewritten
from tests.fakes.upkeep import file_of

QUICK = {
    "ROBOINVEST_GOVERNANCE__SWEEP_INTERVAL_S": "1",
    "ROBOINVEST_GOVERNANCE__AUDIT_INTERVAL_S": "10",
    "ROBOINVEST_MEMORY__CHROMA": "off",
}
TICKS_MEANWHILE = 5


@pytest.fixture(scope="module")
def asked() -> Proposal:
    """Return what a person is asked."""
    now = SystemClock().now()
    return a_proposal(made_at=now, expires_at=now + timedelta(days=1))


@pytest.fixture(scope="module")
def daemon(asked: Proposal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a daemon on a folder with an agent that has a past, and a proposal that waits."""
    place = tmp_path_factory.mktemp("kept")
    data = place / "data"
    arguments = ("run", "--speed", 600, "--seed", 7)
    with Daemon(data, *arguments, cwd=place, env=QUICK) as running:
        running.until_ready()
        with agent_house(data) as house:
            first = house.installed(an_artifact(1))
            house.activate(first)
            house.activate(house.installed(an_artifact(2), first.revision_id))
        with GovernanceFile.open(file_of(data), SystemClock()) as file:
            Inbox(file, InboxRules(), SystemClock()).propose(asked)
        yield running


def ask(daemon: Daemon, *command: object) -> Ended:
    return roboinvest(*command, "--data-dir", daemon.data, cwd=daemon.data.parent)


def line_of(daemon: Daemon) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (daemon.report("system_status") or {}).get("governance") or {}
    return found


def alert(daemon: Daemon, key: str) -> Mapping[str, Any] | None:
    """Return an alert that is open, by the end of its key."""
    alerts = (daemon.report("alerts") or {}).get("alerts", ())
    found = (each for each in alerts if each["key"] == f"governance.{key}")
    return next((each for each in found if each["resolved_at"] is None), None)


def _rows_in_words(daemon: Daemon) -> bool:
    rows = line_of(daemon).get("audit_rows")
    return f"{rows} rows, whole" in ask(daemon, "status").out


def trades_on(daemon: Daemon) -> None:
    """See ticks go on, and no service fail."""
    daemon.until_tick(daemon.until_tick(1) + TICKS_MEANWHILE)
    status = daemon.report("system_status") or {}
    assert status["trading_state"] == "READY"
    lines = status["services"]
    assert all((line["state"], line["restarts"]) == ("running", 0) for line in lines)


def edited(path: Path, who: str) -> str:
    """Change who did what row 2 tells, digests left as they are; return who it was."""
    was = list[str]()

    def edit(rows: list[Row]) -> list[Row]:
        was.append(str(rows[1][3]))
        rows[1][3] = who
        return rows

    rewritten(path, edit)
    return was[0]


def test_status_shows_what_waits_and_whether_the_log_is_whole(daemon: Daemon) -> None:
    daemon.until(lambda: line_of(daemon).get("proposals_waiting") == {"L3": 1}, "a question")
    found = line_of(daemon)
    assert (found["state"], found["audit_whole"]) == ("kept", True)
    assert found["audit_rows"] > 10
    question = daemon.until(lambda: alert(daemon, "question.p0"), "its alert")
    assert "roboinvest approvals show p0" in question["message"]
    assert "1 of L3 waiting: roboinvest approvals" in ask(daemon, "status").out
    daemon.until(lambda: _rows_in_words(daemon), "as many rows in words as in the report")
    assert daemon.until_event("audit_anchor")["number"] > 0


@pytest.mark.alone
@pytest.mark.campaign
def test_a_broken_log_stops_promotions_and_approvals_and_nothing_else(
    daemon: Daemon, asked: Proposal
) -> None:
    daemon.until(lambda: line_of(daemon).get("audit_whole"), "a first verification")
    path = file_of(daemon.data)
    who = edited(path, "nobody")
    broken = daemon.until(lambda: alert(daemon, "audit.broken"), "the alert")
    assert broken["severity"] == "critical"
    assert "row 2 was edited" in broken["message"]
    trades_on(daemon)
    assert "BROKEN: row 2 was edited" in ask(daemon, "status").out
    for refused in (
        ask(daemon, "approvals", "approve", "p0", "--digest", asked.digest, "--json"),
        ask(daemon, "agents", "rollback", AGENT, "--reason", "worse", "--json"),
    ):
        assert refused.code == 5
        assert "row 2 was edited" in refused.refusal()
    checks = {each["name"]: each for each in ask(daemon, "doctor", "--json").value()["checks"]}
    assert checks["audit"]["grade"] == "fail"
    assert "row 2 was edited" in checks["audit"]["fact"]
    assert ask(daemon, "agents", "quarantine", AGENT, "--reason", "worse").code == 0
    daemon.until(lambda: line_of(daemon).get("quarantined") == [AGENT], "the quarantine")
    edited(path, who)
    daemon.until(lambda: alert(daemon, "audit.broken") is None or None, "the log is whole again")
    assert ask(daemon, "approvals", "approve", "p0", "--digest", asked.digest, "--json").code == 0
    daemon.until(lambda: alert(daemon, "question.p0") is None or None, "the question is answered")


@pytest.mark.alone
@pytest.mark.campaign
def test_a_damaged_file_is_told_while_trading_goes_on_and_a_copy_heals_it(daemon: Daemon) -> None:
    path = file_of(daemon.data)
    good = path.with_name("good.db")
    daemon.until(lambda: line_of(daemon).get("audit_whole"), "a verification")
    path.rename(good)
    path.write_bytes(b"\xa5" * 50_000)
    told = daemon.until(lambda: alert(daemon, "upkeep.file"), "the alert")
    assert told["severity"] == "high"
    assert "is damaged" in told["message"]
    trades_on(daemon)
    words = ask(daemon, "status").out
    assert "degraded" in words
    good.rename(path)
    daemon.until(lambda: alert(daemon, "upkeep.file") is None or None, "it is healed")
    daemon.until(lambda: line_of(daemon).get("state") == "kept" or None, "it is kept again")
    trades_on(daemon)
