"""Agents are listed, shown, activated, rolled back and put away by a person who types."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.governance.file import FILE_NAME
from roboinvest.runtime.governance.verify import verify
from tests.fakes.clocks import ManualClock
from tests.fakes.processes import Ended, environment
from tests.fakes.revisions import AGENT, agent_house, an_artifact

# Commands as they are registered, also where they are not yet; one process for those of one test,
# because to import the program takes longer than to run most of them.
PROGRAM: Final = """
import contextlib, io, json, sys
from roboinvest.cli import agents, main
if not any(group.name == "agents" for group in main.app.registered_groups):
    main.app.add_typer(agents.app, name="agents")
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.run_program(["agents", *json.loads(line)])
    print(json.dumps([int(code), out.getvalue(), err.getvalue()]), flush=True)
"""


class Typist:
    """A person at a keyboard, in one place."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=place, env=environment(USER="ada"), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def agents(self, *arguments: object) -> Ended:
        """Type `roboinvest agents` with arguments."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(each) for each in arguments]) + "\n")
        self._process.stdin.flush()
        code, out, err = json.loads(self._process.stdout.readline())
        return Ended(code=code, out=out, err=err, took_s=0.0)

    def value(self, *arguments: object) -> Any:
        """Type it with --json, and return the value; a refusal fails the test."""
        ended = self.agents(*arguments, "--json")
        assert ended.code == 0, ended.err
        return ended.value()

    def active(self) -> str | None:
        """Return what `agents ls` says is active."""
        (row,) = self.value("ls")["agents"]
        found: str | None = row["active"]
        return found

    def leave(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Typist]:
    """Return a person who types where there is no data folder yet."""
    typist = Typist(tmp_path)
    yield typist
    typist.leave()


@pytest.fixture
def two(ada: Typist) -> tuple[Revision, Revision]:
    """Return two installed revisions; nothing is active."""
    clock = ManualClock(SystemClock().now())
    with agent_house(ada.place / "data", clock) as house:
        first = house.installed(an_artifact(1))
        second = house.installed(an_artifact(2, Capability.MARKET_DATA), first.revision_id)
    return first, second


def test_a_place_without_agents_says_so_and_makes_nothing(ada: Typist) -> None:
    assert ada.agents("ls").out == "No agent has a revision yet.\n"
    assert ada.value("ls") == {"agents": []}
    for command in (("show", AGENT), ("history", AGENT)):
        ended = ada.agents(*command)
        assert ended.code == 2
        assert "no agent has a revision here yet" in ended.refusal()
    assert not (ada.place / "data").exists()


def test_a_day_with_an_agent(ada: Typist, two: tuple[Revision, Revision]) -> None:
    first, second = two
    for revision in two:
        done = ada.agents("activate", AGENT, revision.short, "--reason", "it is [b]good[/b]")
        assert (done.code, done.err) == (0, "")
        assert "it is [b]good[/b]" in done.out
    assert ada.active() == second.revision_id

    again = ada.agents("rollback", AGENT, second.short, "--reason", "back")
    assert again.code == 5
    assert "already stands at" in again.refusal()
    assert ada.value("rollback", AGENT, "--reason", "worse")["after"] == first.revision_id
    assert ada.active() == first.revision_id

    flapping = ada.agents("activate", AGENT, second.short, "--reason", "no, better")
    assert flapping.code == 5
    assert "promotion_flapping_detected" in flapping.refusal()
    forced = ada.value("activate", AGENT, second.short, "--reason", "sure", "--force")
    assert forced["forced"] is True

    put = ada.value("quarantine", AGENT, "--reason", "strange orders")
    assert (put["revision_id"], put["state"]) == (second.revision_id, "quarantined")
    assert ada.active() is None
    assert ada.agents("activate", AGENT, second.short, "--reason", "x", "--force").code == 5
    assert ada.agents("release", AGENT, "--reason", "explained").out == (
        f"{AGENT} {second.short}: quarantined -> installed\n"
    )
    assert ada.value("retire", AGENT, second.short, "--reason", "old")["state"] == "retired"
    assert verify(ada.place / "data" / FILE_NAME).is_whole

    history = ada.value("history", AGENT)
    assert [move["kind"] for move in history["moves"]] == [
        "activated", "activated", "rolled_back", "activated", "quarantined",
    ]  # fmt: skip
    assert {move["by"] for move in history["moves"]} == {"ada"}
    words = ada.agents("history", AGENT).out
    assert "the governor was overridden: sure" in words


def test_a_revision_is_shown_with_what_it_may_and_what_it_lacks(
    ada: Typist, two: tuple[Revision, Revision]
) -> None:
    shown = ada.value("show", AGENT, two[1].short)
    assert shown["capabilities"] == ["MarketData"]
    assert shown["gates"] == ["evaluator", "shadow", "static"]
    assert (shown["lacks"], shown["damage"], shown["rejects"]) == ([], None, 0)
    assert any(line.startswith("code/strategy.py (") for line in shown["files"])
    assert "MarketData" in ada.agents("show", AGENT, two[1].short).out
    newest = ada.value("show", AGENT)
    assert newest["revision_id"] == two[1].revision_id


def test_a_changed_file_is_shown_by_its_name_and_is_not_activated(
    ada: Typist, two: tuple[Revision, Revision]
) -> None:
    id_ = two[0].revision_id
    path = ada.place / "data" / "agents" / AGENT / id_ / "code" / "strategy.py"
    path.chmod(0o600)
    path.write_text("evil")
    shown = ada.agents("show", AGENT, id_, "--json")
    assert shown.code == 1
    assert "code/strategy.py" in shown.value()["damage"]
    refused = ada.agents("activate", AGENT, id_, "--reason", "x", "--force")
    assert refused.code == 5
    assert "code/strategy.py of revision" in refused.refusal()
    assert ada.active() is None


MISSING: Final = (
    (("activate", AGENT, "zzz", "--reason", "x"), "'zzz' means 0 revisions of scout"),
    (("activate", AGENT, "", "--reason", "x"), "'' means 0 revisions"),
    (("activate", "nobody", "abc", "--reason", "x"), "there is no agent 'nobody'"),
    (("rollback", "nobody", "--reason", "x"), "there is no agent 'nobody'"),
    (("quarantine", AGENT, "--reason", "x"), "active means 0 revisions"),
    (("release", AGENT, "--reason", "x"), "quarantined means 0 revisions"),
    (("retire", AGENT, "--reason", "x"), "active means 0 revisions"),
    (("show", "nobody"), "there is no agent 'nobody'"),
    (("history", "nobody"), "there is no agent 'nobody'"),
)


@pytest.mark.usefixtures("two")
def test_what_is_not_there_is_said_in_one_sentence(ada: Typist) -> None:
    for arguments, word in MISSING:
        ended = ada.agents(*arguments)
        assert ended.code == 2
        assert word in ended.refusal()


def test_a_change_needs_a_reason(ada: Typist, two: tuple[Revision, Revision]) -> None:
    assert ada.agents("activate", AGENT, two[0].short).code == 2
    blank = ada.agents("activate", AGENT, two[0].short, "--reason", " ")
    assert blank.code == 2
    assert "needs a reason" in blank.refusal()
    assert ada.active() is None
