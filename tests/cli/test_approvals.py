"""The inbox at the command line: shown before it is approved, harmless whatever it says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.cli.approval_words import spelled_out
from roboinvest.cli.approvals import app
from roboinvest.core.approvals import InboxRules, ProposalState
from roboinvest.core.proposals import Proposal, ProposalKind
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from tests.fakes.governance import a_code_edit, a_proposal
from tests.fakes.processes import REPOSITORY, environment
from tests.fakes.typed import Typed, typed


class Desk:
    """A data folder with proposals of now, and commands about it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.now: datetime = SystemClock().now()

    def open(self) -> GovernanceFile:
        """Open the file."""
        return GovernanceFile.open(self.data / FILE_NAME, SystemClock())

    def file(self, proposal: Proposal) -> Proposal:
        """File a proposal; return it."""
        with self.open() as file:
            Inbox(file, InboxRules(), SystemClock()).propose(proposal)
        return proposal

    def times(self) -> dict[str, Any]:
        """Return the times of a proposal that is made now."""
        return {"made_at": self.now, "expires_at": self.now + timedelta(days=2)}

    def state(self, name: str = "p0") -> ProposalState:
        """Return how far a proposal came."""
        with self.open() as file:
            return Inbox(file, InboxRules(), SystemClock()).get(name).state

    def type(self, *arguments: object, answers: str | None = None) -> Typed:
        """Type a command about this folder."""
        return typed(app, *arguments, "--data-dir", self.data, answers=answers)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a data folder in which p0 waits for a person."""
    found = Desk(tmp_path / "data")
    found.file(a_proposal(**found.times()))
    return found


def test_nothing_is_made_where_nothing_was_proposed(tmp_path: Path) -> None:
    empty = Desk(tmp_path / "data")
    assert empty.type("ls").out == "Nothing waits for a word.\n"
    assert empty.type("ls", "--json").value() == {"proposals": [], "unreadable": []}
    assert empty.type("show", "p0").code == 2
    assert not (tmp_path / "data").exists()


def test_what_waits_is_listed_and_shown_whole(desk: Desk) -> None:
    listed = desk.type("ls")
    assert (listed.code, listed.err) == (0, "")
    assert "p0" in listed.out
    assert "steward" in listed.out
    shown = desk.type("show", "p0").out
    for part in ('"5"', '"10"', "5 USD a day are lost", "12 of 20 days", "roboinvest llm budget"):
        assert part in shown
    facts = desk.type("show", "p0", "--json").value()
    assert (facts["level"], facts["direction"], facts["state"]) == ("L3", "more", "open")
    assert facts["digest"] in shown
    (only,) = desk.type("ls", "--json").value()["proposals"]
    assert only == facts


def test_approving_needs_a_terminal_or_the_digest_of_what_was_seen(desk: Desk) -> None:
    refused = desk.type("approve", "p0", "--as", "ann")
    assert refused.code == 5
    assert "there is no terminal to ask at; look at it with approvals show p0" in refused.err
    digest = desk.type("show", "p0", "--json").value()["digest"]
    for wrong in ("", digest[:11], "0" * 64):
        assert desk.type("approve", "p0", "--as", "ann", "--digest", wrong).code == 5
    assert desk.state() is ProposalState.OPEN
    done = desk.type("approve", "p0", "--as", "ann", "--digest", digest[:12])
    assert (done.code, done.err) == (0, "")
    assert "5 USD a day are lost" in done.out  # shown all the same
    assert desk.state() is ProposalState.APPROVED
    assert desk.type("approve", "p0", "--as", "bob", "--digest", digest).code == 5


def test_at_a_terminal_it_is_shown_and_asked_for(desk: Desk) -> None:
    no = desk.type("approve", "p0", "--as", "ann", answers="y\n")
    assert "Nothing was approved." in no.out
    assert desk.state() is ProposalState.OPEN
    yes = desk.type("approve", "p0", "--as", "ann", answers="yes\n")
    assert yes.out.index("5 USD a day are lost") < yes.out.index('Type "yes"')
    assert desk.state() is ProposalState.APPROVED


def test_what_proposes_does_not_approve_by_the_command(desk: Desk) -> None:
    digest = desk.type("show", "p0", "--json").value()["digest"]
    refused = desk.type("approve", "p0", "--as", "Steward", "--digest", digest)
    assert refused.code == 5
    assert "another person" in refused.err


def test_a_rejection_keeps_its_reason(desk: Desk) -> None:
    assert desk.type("reject", "p0", "--as", "ann").code == 2
    done = desk.type("reject", "p0", "--as", "ann", "--reason", "too dear", "--json").value()
    assert (done["state"], done["reason"]) == ("rejected", "too dear")
    assert desk.type("ls", "--json").value()["proposals"] == []
    assert len(desk.type("ls", "--all", "--json").value()["proposals"]) == 1


def test_a_snooze_ends(desk: Desk) -> None:
    done = desk.type("snooze", "p0", "--as", "ann", "--hours", 2, "--json").value()
    assert done["snoozed_until"] is not None
    assert desk.type("snooze", "p0", "--as", "ann", "--hours", 100).code == 2
    assert "Nothing waits for a person." in desk.type(answers="").out


def test_an_edit_is_checked_anew_and_voids_what_was_approved(desk: Desk, tmp_path: Path) -> None:
    digest = desk.type("show", "p0", "--json").value()["digest"]
    desk.type("approve", "p0", "--as", "ann", "--digest", digest)
    file = tmp_path / "edit.json"
    for content, code in {
        "{": 2,
        "[]": 2,
        '{"level": "L0"}': 2,
        '{"who": "ann"}': 2,
        '{"proposal_id": "p5"}': 2,
        '{"after": "-5"}': 2,
        '{"capabilities": ["Godmode"]}': 2,
        '{"capabilities": ["NetworkAccess"]}': 5,
        '{"paths": ["roboinvest/core/risk.py"]}': 5,
    }.items():
        file.write_text(content)
        refused = desk.type("edit", "p0", "--file", file, "--as", "ann")
        assert refused.code == code, (content, refused.err)
        assert refused.err.count("\n") == 1
    assert desk.state() is ProposalState.APPROVED
    file.write_text(json.dumps({"after": '"7"'}))
    done = desk.type("edit", "p0", "--file", file, "--as", "ann", "--json").value()
    assert (done["version"], done["state"], done["after"]) == (2, "open", '"7"')
    assert done["digest"] != digest
    assert desk.type("approve", "p0", "--as", "ann", "--digest", digest).code == 5


HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x1b[8mhidden\x1b[0m\r\x08\x9b31m "
    "\u202egnp.exe\u2066 \u200b\u2060 [bold red]fake[/] [link=http://evil]x[/link] :bomb: "
)


def test_hostile_text_is_shown_harmlessly(desk: Desk) -> None:
    words = {"why": f"raise {HOSTILE}", "risk": f"none {HOSTILE}", "evidence": (HOSTILE,)}
    diff = f"+x = 1  # {HOSTILE}\n+\u0430 = 2\n+# :bomb: [red]x[/red]\u2028+y = 3"
    proposal = a_code_edit(1, diff=diff, who="other", cause=HOSTILE, **words, **desk.times())
    desk.file(proposal)
    for answer in (
        desk.type("ls"),
        desk.type("show", "p1"),
        desk.type("ls", "--json"),
        desk.type("show", "p1", "--json"),
        desk.type(answers="n\nn\n"),
        desk.type("reject", "p1", "--as", "ann", "--reason", HOSTILE),
    ):
        assert answer.code == 0, answer.err
        for line in answer.out.splitlines():
            assert line.isprintable(), ascii(line)
        assert not set("\x1b\x07\x08\x9b\u202e\u2066\u200b\r\u2028\u0430") & set(answer.out)
    shown = desk.type("show", "p1").out
    assert "| +\\u0430 = 2" in shown
    assert "| +# :bomb: [red]x[/red]\\u2028+y = 3" in shown
    assert "characters of this diff are not plain ASCII" in shown
    assert "[bold red]fake[/]" in shown


def test_markup_in_a_list_is_text(desk: Desk) -> None:
    desk.file(a_proposal(1, who="[red]boss[/red]", **desk.times()))
    assert "[red]boss[/red]" in desk.type("ls").out


def test_letters_of_code_are_ascii_or_spelled_out() -> None:
    assert spelled_out("a\tb") == "a    b"
    assert spelled_out("\x1b\u202e\U0001f600\ud800") == "\\x1b\\u202e\\U0001f600\\ud800"
    assert spelled_out("it's \\n") == "it's \\n"


def test_one_by_one_refuses_politely_without_a_terminal(desk: Desk) -> None:
    refused = desk.type()
    assert refused.code == 5
    assert refused.err == (
        "roboinvest: there is no terminal to ask at; approvals are given by a person; list them "
        "with: roboinvest approvals ls\n"
    )


def test_one_by_one_shows_and_asks_until_each_is_dealt_with(desk: Desk, tmp_path: Path) -> None:
    edit = tmp_path / "edit.json"
    edit.write_text('{"after": "\\"8\\""}')
    for number, who in enumerate(("b", "c", "d"), 1):
        desk.file(a_proposal(number, who=who, **desk.times()))
    answers = f"what\ne\n{edit}\na\nr\n\nr\nno use\ns\nx\ns\n3\nq\n"
    done = desk.type("--as", "ann", answers=answers)
    assert (done.code, done.err) == (0, "")
    assert "one of a, e, r, s, n, q" in done.out
    assert "nothing was done: a rejection needs a reason" in done.out
    assert "nothing was done: 'x' is no number of hours" in done.out
    assert "4 of 4" in done.out
    states = [desk.state(f"p{number}") for number in range(4)]
    assert states == [
        ProposalState.APPROVED,
        ProposalState.REJECTED,
        ProposalState.OPEN,
        ProposalState.OPEN,
    ]
    assert '"8"' in desk.type("show", "p0").out
    again = desk.type("--as", "ann", answers="")  # the end of what is typed is the end
    assert "1 of 1" in again.out


def test_the_diff_stands_before_the_question(desk: Desk) -> None:
    desk.file(a_code_edit(1, who="other", **desk.times()))
    out = desk.type(answers="n\nn\n").out
    assert out.index("| +fast = 12") < out.rindex("[a]pprove")


def test_what_needs_a_person_comes_first(desk: Desk) -> None:
    label = {"kind": ProposalKind.PROMPT_LABEL, "before": '"a"', "after": '"b"', "who": "other"}
    desk.file(a_proposal(1, **label, **desk.times()))
    out = desk.type(answers="n\nn\n").out
    assert out.index("p0:") < out.index("p1:")
    assert "goes ahead at" in out


SCRIPT = "import sys; from roboinvest.cli.approvals import app; app(args=sys.argv[1:])"


def test_a_real_terminal_is_asked(desk: Desk) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "--as", "ann", "--data-dir", str(desk.data)],
            cwd=REPOSITORY,
            env=environment(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(ours, b"a\n")
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (process.returncode, err) == (0, "")
    assert "p0 approved" in out
    assert desk.state() is ProposalState.APPROVED
