"""The daily meeting in a whole house: what it decides is done, kept, undone, scored, or refused.

Days pass under virtual time; the house is killed by nothing here and ends in order. What is looked
at is what is in force: the books of the account, the ledger, the services, the files.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.lowered_limits import LoweredLimit, lowered_json
from roboinvest.core.oversight.decisions import Act, DecisionState
from roboinvest.core.oversight.scoring import Verdict
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.governance.file import FILE_NAME as GOVERNANCE
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.file import FILE_NAME
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import ServiceState
from roboinvest.trading.lowered_limits import DOCUMENT
from tests.fakes import llm_days
from tests.fakes.clocks import START, ManualClock
from tests.fakes.governed import (
    Life,
    approve,
    ask_undo,
    decisions_in,
    lived,
    make_due,
    refused_in,
)
from tests.fakes.wishes import a_wish, lower_limit, quarantine, raise_cap, request

FIVE_ACTS = [
    lower_limit("10"),
    raise_cap("0.20"),
    lower_limit(None, action="lock_entries", subject="ALFA"),
    quarantine("retention"),
    a_wish(subject="healing", amount="400", metric="error_share", expected=-0.01),
]
HOSTILE: list[tuple[dict[str, Any], str]] = [
    (lower_limit("900"), "adds risk"),
    (lower_limit("0.9", subject="max_position_frac"), "adds risk"),
    (lower_limit("1", subject="price_collar_frac"), "there is no"),
    (lower_limit("0"), "at least 2"),
    (a_wish(action="change_kill_switch", subject="HALT", amount=None, topic="off"), "never by a"),
    (a_wish(action="change_audit_log", subject="audit", amount=None, topic="empty"), "never by a"),
    (a_wish(action="change_evaluator", subject="pbo", amount=None, topic="skip"), "never by a"),
    (a_wish(action="change_secrets", subject="keys", amount=None, topic="print"), "never by a"),
    (raise_cap("1000000000"), "amount"),
    (raise_cap("999"), "lies between"),
    (a_wish(action="wire_money", subject="all"), "no action"),
    (a_wish(action="set_track_priority", amount="9"), "there is no set_track_priority"),
    (a_wish(subject="health", amount="604800", metric="error_share", expected=-0.1), "lies betwe"),
    (quarantine("trading"), "there is no quarantine_agent of trading"),
    (quarantine("control"), "there is no quarantine_agent of control"),
    (quarantine("gate_watch"), "there is no quarantine_agent of gate_watch"),
    ({"decision_type": "risk_management", "level": 0}, "it is no decision"),
]


def limits_of(life: Life) -> RiskLimits:
    assert life.house is not None
    return life.house.floor.reins.limits.now


def locks_of(life: Life) -> list[str]:
    assert life.house is not None
    assert life.house.floor.runner is not None
    return [lock.name for lock in life.house.floor.runner.books.account.locks.locks]


async def cap_of(life: Life) -> Decimal:
    assert life.ledger is not None
    standing = await life.ledger.standing(life.clock.now())
    return next(each.cap_usd for each in standing.caps if each.cap == "day")


def state_of(life: Life, name: str) -> ServiceState:
    assert life.house is not None
    return next(each.state for each in life.house.services() if each.name == name)


def healing_interval_of(life: Life) -> float:
    assert life.house is not None
    assert life.house.oversight is not None
    healer = life.house.oversight._healer
    assert healer is not None
    return healer.interval_s


async def in_force(life: Life) -> tuple[Any, ...]:
    return (
        limits_of(life).max_trades_per_day,
        await cap_of(life),
        locks_of(life),
        state_of(life, "retention"),
        healing_interval_of(life),
    )


SET = (10, Decimal("0.20"), ["governance:ALFA"], ServiceState.QUARANTINED, 400.0)
AS_BEFORE: tuple[Any, ...] = (20, Decimal("0.10"), [], ServiceState.RUNNING, 300.0)


@pytest.mark.campaign
def test_what_is_decided_is_in_force_kept_over_a_restart_and_undone_for_a_person(
    tmp_path: Path,
) -> None:
    seen: list[tuple[Any, ...]] = []

    async def look(life: Life) -> None:
        await life.until(1.4)
        seen.append(await in_force(life))
        status = life.status()
        assert [each["name"] for each in status["lowered_limits"]] == ["max_trades_per_day"]
        assert "governance:ALFA" in [each["name"] for each in status["locks"]]
        assert set(life.alerts()) == {"lock.governance:ALFA"}, "who was put away is not ill"

    async def undo(life: Life) -> None:
        await life.until(0.7)
        seen.append(await in_force(life))
        for row in decisions_in(tmp_path).values():
            ask_undo(tmp_path, row.decision.decision_id, "ann")
        await life.until(2.0)
        seen.append(await in_force(life))

    first = lived(tmp_path, 1.5, FIVE_ACTS, beside=look)
    assert {row.state for row in decisions_in(tmp_path).values()} == {DecisionState.DONE}
    kinds = {row.decision.kind.value for row in decisions_in(tmp_path).values()}
    assert kinds == {"risk_management", "resource_allocation"}
    second = lived(tmp_path, 2.1, beside=undo, began_h=1.5)

    assert seen == [SET, SET, AS_BEFORE]
    assert [life.outcome and life.outcome.exit_code for life in (first, second)] == [0, 0]
    states = {key[0]: row.state for key, row in decisions_in(tmp_path).items()}
    assert set(states.values()) == {DecisionState.UNDONE}, states
    kinds_in_audit = audit_kinds(tmp_path)
    assert kinds_in_audit.count("governance.undone") == 5


def audit_kinds(folder: Path) -> list[str]:
    with sqlite3.connect(f"file:{folder / GOVERNANCE}?mode=ro", uri=True) as db:
        found = [kind for (kind,) in db.execute("SELECT kind FROM audit ORDER BY number")]
    db.close()
    return found


def test_what_is_hostile_or_absurd_is_refused_and_recorded_and_changes_nothing(
    tmp_path: Path,
) -> None:
    seen: list[tuple[Any, ...]] = []

    async def look(life: Life) -> None:
        await life.until(0.1)
        seen.append(await in_force(life))

    lived(tmp_path, 0.11, [wish for wish, _ in HOSTILE], beside=look)
    assert seen == [AS_BEFORE]
    assert decisions_in(tmp_path) == {}
    refused = {row.number: row.reason for row in refused_in(tmp_path)}
    assert len(refused) == len(HOSTILE)
    for number, (_, part) in enumerate(HOSTILE, 1):
        assert part in refused[number], (number, refused[number])
    levels = [row.level for row in refused_in(tmp_path)]
    assert levels.count(4) == 6
    shown = json.loads(next((tmp_path / "reports" / "governance").iterdir()).read_text())
    assert len(shown["refused"]) == len(HOSTILE)


@pytest.mark.campaign
def test_the_other_kinds_become_requests_and_the_ceiling_is_a_persons(tmp_path: Path) -> None:
    ceiling = raise_cap("5", action="set_llm_ceiling", approval_required=True)
    wishes = [
        request("request_prompt", "system_improvement", "trading"),
        request("request_code", "code_optimization", "trading"),
        request("request_agent", "new_agent", "range-calm", metric="expectancy_r", expected=0.1),
        ceiling,
        a_wish(subject="healing", amount="400", metric="error_share", expected=-0.01,
               approval_required=True),
    ]  # fmt: skip
    seen: list[tuple[Any, ...]] = []

    async def agree(life: Life) -> None:
        await life.until(1.4)
        assert healing_interval_of(life) == 300.0, "it waits for a person, however long"
        for key in ((Act.SET_LLM_CEILING, "llm_day"), (Act.SET_INTERVAL, "healing")):
            approve(life, decisions_in(tmp_path)[key].reference, "ann")
        await life.until(1.55)
        seen.append(await in_force(life))

    lived(tmp_path, 1.6, wishes, beside=agree)
    found = {key[0]: row for key, row in decisions_in(tmp_path).items()}
    assert seen == [(*AS_BEFORE[:-1], 400.0)]
    assert found[Act.SET_INTERVAL].state is DecisionState.DONE
    assert found[Act.SET_INTERVAL].decision.level == 3
    assert found[Act.SET_LLM_CEILING].state is DecisionState.REQUESTED
    assert "by hand" in found[Act.SET_LLM_CEILING].reason
    asked = {Act.REQUEST_PROMPT, Act.REQUEST_CODE, Act.REQUEST_AGENT}
    assert {found[act].state for act in asked} == {DecisionState.REQUESTED}
    assert {found[act].decision.kind.value for act in found} >= {
        "system_improvement", "code_optimization", "new_agent", "resource_allocation",
    }  # fmt: skip


@pytest.mark.campaign
def test_a_decision_is_scored_at_its_deadline_whatever_restarts_between(tmp_path: Path) -> None:
    """The cap really moves from 0.10 to 0.20, and the ledger says so hour by hour."""
    good = raise_cap("0.20", metric="llm_cap_usd", expected=0.1, deadline_days=1, confidence=0.9)
    wrong = a_wish(
        subject="healing", amount="400", metric="llm_cap_usd", expected=-0.1, deadline_days=1
    )
    blind = lower_limit("10", deadline_days=1)
    lived(tmp_path, 0.05, [])
    make_due(tmp_path)  # as `governance hold` does
    lived(tmp_path, 1.3, [good, blind, wrong], began_h=10.0)
    assert {row.verdict for row in decisions_in(tmp_path).values()} == {None}
    make_due(tmp_path)
    life = lived(tmp_path, 0.2, began_h=36.0)
    rows = decisions_in(tmp_path)
    assert {row.state for row in rows.values()} == {DecisionState.DONE}
    cap, limit = rows[Act.SET_LLM_CAP, "llm_day"], rows[Act.SET_LIMIT, "max_trades_per_day"]
    assert cap.verdict is Verdict.RIGHT, cap.score_reason
    assert cap.effect is not None
    assert cap.effect.mean == pytest.approx(0.1, abs=0.01)
    assert rows[Act.SET_INTERVAL, "healing"].verdict is Verdict.WRONG
    assert limit.verdict is None, "its market has a time of its own: a week is waited for figures"
    (facts,) = life.model.saw
    assert (facts.calibration.scored, facts.calibration.right) == (2, 1)
    assert facts.calibration.brier is None, "twenty are needed"
    past = {each.subject: each.verdict for each in facts.past}
    assert past == {"llm_day": "right", "healing": "wrong", "max_trades_per_day": None}


@pytest.mark.campaign
def test_a_damaged_file_of_the_overseer_is_an_alert_and_no_limit_is_widened(
    tmp_path: Path,
) -> None:
    seen: list[Any] = []

    lived(tmp_path, 1.5, FIVE_ACTS)
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 500)
    (tmp_path / f"{FILE_NAME}-wal").unlink(missing_ok=True)

    async def look_without(life: Life) -> None:
        await life.until(0.7)
        assert life.house is not None
        seen.append((limits_of(life), locks_of(life)))
        seen.append(life.alerts())

    life = lived(tmp_path, 0.8, beside=look_without, began_h=1.5)
    limits, locks = seen[0]
    assert (limits.max_trades_per_day, locks) == (10, ["governance:ALFA"])
    assert "overseer.file" in seen[1]
    assert life.outcome is not None
    assert (life.outcome.exit_code, life.outcome.summary is not None) == (0, True)
    own = life.house and life.house.floor.limits
    for field in fields(RiskLimits):
        before, after = getattr(own, field.name), getattr(limits, field.name)
        assert after == before or after < before, field.name


@pytest.mark.campaign
def test_a_replay_goes_by_nothing_that_was_set(tmp_path: Path) -> None:
    bars = llm_days.write_days(tmp_path)
    plain = llm_days.lived(llm_days.settings_of(tmp_path / "plain", bars, None))
    assert plain.outcome.summary is not None
    tuned = tmp_path / "tuned"
    lowered = LoweredLimit(
        name="max_order_usd", value=Decimal(2_500), own=Decimal(25_000), by="x", why="", at=START
    )

    async def set_it() -> None:
        store = await Store.open(
            DataFolder(tuned).database, in_flight=InFlight(), clock=ManualClock()
        )
        await store.put_document(DOCUMENT, lowered_json([lowered]))
        await store.close()

    tuned.mkdir()
    asyncio.run(set_it())
    again = llm_days.lived(llm_days.settings_of(tuned, bars, None))
    assert again.summary["decision_digest"] == plain.summary["decision_digest"]
    assert again.summary["fills"] == plain.summary["fills"] > 0
    assert not (tuned / "reports" / "governance").exists()
