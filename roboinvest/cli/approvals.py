"""The inbox at the command line: what waits for a person, one by one, with its diff.

Nothing is approved that was not shown: at a terminal it is shown and asked for; without one the
digest has to be given, which stands at the end of what `show` says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.approval_words import facts_of, lines_of, print_lines, row_of
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import print_json, print_table
from roboinvest.cli.settings import person, settings_of

if TYPE_CHECKING:
    from datetime import datetime

    from roboinvest.core.approvals import Filed
    from roboinvest.core.proposals import Proposal
    from roboinvest.runtime.governance.inbox import Inbox

app = typer.Typer(
    help="What waits for a person: see it, and say yes or no.", invoke_without_command=True
)
NameArgument = Annotated[str, typer.Argument(help="As `approvals ls` has it.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who decides. Default: who is logged in.")
]
DigestOption = Annotated[
    str | None, typer.Option("--digest", help="Of what was looked at: its first 12 digits or more.")
]
SHORTEST_DIGEST: Final = 12
EDITABLE: Final = (
    *("why", "cause", "evidence", "before", "after", "diff", "cost_usd", "risk", "undo"),
    *("capabilities", "paths", "expires_at"),
)
_QUESTION: Final = "[a]pprove [e]dit [r]eject [s]nooze [n]ext [q]uit: "


@app.callback()
def one_by_one(
    context: typer.Context,
    who: AsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show what waits for a person, one by one, and ask."""
    if context.invoked_subcommand is not None:
        return
    _require_terminal("approvals are given by a person; list them with: roboinvest approvals ls")
    with _opened(config, data_dir) as (inbox, _):
        waiting = [] if inbox is None else [each.proposal.proposal_id for each in _open(inbox)]
        if not waiting or inbox is None:
            print_lines(["Nothing waits for a person."])
            return
        for number, name in enumerate(waiting, 1):
            print_lines([f"\n{number} of {len(waiting)}"])
            if not _decided(inbox, name, who or person()):
                return


@app.command()
def ls(
    everything: Annotated[bool, typer.Option("--all", help="Decided ones, too.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for a word, or for its use."""
    with _opened(config, data_dir) as (inbox, now):
        found = () if inbox is None else inbox.listed(everything=everything)
        faults = () if inbox is None else inbox.unreadable()
        if as_json:
            print_json(
                {"proposals": [facts_of(each) for each in found], "unreadable": list(faults)}
            )
            return
        columns = ("name", "kind", "subject", "level", "state", "who", "expires", "why")
        rows = [row_of(each, now) for each in found]
        print_table("Proposals", columns, rows, empty="Nothing waits for a word.")
        print_lines(list(faults), stderr=True)


@app.command()
def show(
    name: NameArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a proposal whole, with its diff and its digest."""
    with _wanted(config, data_dir) as (inbox, now):
        filed = inbox.get(name)
        if as_json:
            print_json(facts_of(filed))
        else:
            print_lines(lines_of(filed, now))


@app.command()
def approve(
    name: NameArgument,
    digest: DigestOption = None,
    who: AsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say yes to a proposal; it is shown first. The word holds for a day, for one use."""
    with _wanted(config, data_dir) as (inbox, now):
        filed = inbox.get(name)
        if not as_json:
            print_lines(lines_of(filed, now))
        if digest is None:
            _require_terminal(f"look at it with approvals show {name}, and give --digest")
            if _asked('Type "yes" to approve it: ') != "yes":
                print_lines(["Nothing was approved."])
                return
        else:
            _require_seen(filed, digest)
        done = inbox.approve(name, filed.proposal.digest, by=who or person())
        _say(done, "approved", as_json)


@app.command()
def edit(
    name: NameArgument,
    file: Annotated[
        Path, typer.Option("--file", help="JSON with what shall be otherwise; - for stdin.")
    ],
    who: AsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put another version in its place; it is checked anew, and what was approved is void."""
    with _wanted(config, data_dir) as (inbox, _):
        filed = inbox.get(name)
        text = sys.stdin.read() if str(file) == "-" else _content(file)
        done = _edited(inbox, filed, text, who or person())
        _say(done, f"is version {done.version} now, and waits for a word", as_json)


@app.command()
def reject(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; the next proposal learns it.")],
    who: AsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say no, also to what was approved and not used yet."""
    with _wanted(config, data_dir) as (inbox, _):
        _say(inbox.reject(name, by=who or person(), reason=reason), "rejected", as_json)


@app.command()
def snooze(
    name: NameArgument,
    hours: Annotated[float, typer.Option(min=0.1, max=336, help="From now.")] = 4,
    who: AsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a proposal off; it expires all the same."""
    with _wanted(config, data_dir) as (inbox, now):
        _say(_snoozed(inbox, name, hours, now, who or person()), "put off", as_json)


@contextmanager
def _opened(config: Path | None, data_dir: Path | None) -> Iterator[tuple[Inbox | None, datetime]]:
    """Open the inbox of a folder; None where nothing was proposed yet, and nothing is made."""
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.policies import inbox_rules
    from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
    from roboinvest.runtime.governance.inbox import Inbox

    settings, clock = settings_of(config, data_dir), SystemClock()
    path = settings.data_dir / FILE_NAME
    if not path.exists():
        yield None, clock.now()
        return
    with GovernanceFile.open(path, clock) as file:
        yield Inbox(file, inbox_rules(settings), clock), clock.now()
        if file.unanchored is not None:
            print_lines([f"what was written is in no anchor: {file.unanchored}"], stderr=True)


@contextmanager
def _wanted(config: Path | None, data_dir: Path | None) -> Iterator[tuple[Inbox, datetime]]:
    from roboinvest.core.errors import BadInput

    with _opened(config, data_dir) as (inbox, now):
        if inbox is None:
            raise BadInput("nothing was proposed in this data folder yet; see approvals ls")
        yield inbox, now


def _open(inbox: Inbox) -> list[Filed]:
    """Return what a person may decide now, what needs one first."""
    from roboinvest.core.approvals import ProposalState
    from roboinvest.runtime.clock import SystemClock

    now = SystemClock().now()
    found = [
        each
        for each in inbox.listed()
        if each.state is ProposalState.OPEN and not each.is_snoozed(now)
    ]
    return sorted(found, key=lambda each: (-each.level, each.proposal.expires_at))


def _decided(inbox: Inbox, name: str, who: str) -> bool:
    """Show a proposal and ask until it is dealt with; return whether to go on to the next."""
    from roboinvest.core.errors import RoboInvestError
    from roboinvest.runtime.clock import SystemClock

    while True:
        filed = inbox.get(name)
        print_lines(lines_of(filed, SystemClock().now()))
        answer = _asked(_QUESTION)
        if answer is None or answer in ("q", "quit"):
            return False
        if answer in ("n", "next"):
            return True
        try:
            if _answered(inbox, filed, answer, who):
                return True
        except RoboInvestError as error:
            print_lines([f"nothing was done: {error}"])


def _answered(inbox: Inbox, filed: Filed, answer: str, who: str) -> bool:
    """Do what was answered; return whether the proposal is dealt with."""
    from roboinvest.runtime.clock import SystemClock

    name = filed.proposal.proposal_id
    match answer:
        case "a" | "approve":
            done = inbox.approve(name, filed.proposal.digest, by=who)
            words = "approved"
        case "r" | "reject":
            done = inbox.reject(name, by=who, reason=_asked("Why: ") or "")
            words = "rejected"
        case "s" | "snooze":
            hours = _hours(_asked("For how many hours: ") or "")
            done = _snoozed(inbox, name, hours, SystemClock().now(), who)
            words = "put off"
        case "e" | "edit":
            print_lines([f"a JSON object with some of: {', '.join(EDITABLE)}"])
            _edited(inbox, filed, _content(Path(_asked("In which file: ") or "")), who)
            return False
        case _:
            print_lines(["one of a, e, r, s, n, q"])
            return False
    _say(done, words, as_json=False)
    return True


def _edited(inbox: Inbox, filed: Filed, text: str, who: str) -> Filed:
    return inbox.edit(
        filed.proposal.proposal_id, filed.proposal.digest, _version(filed.proposal, text), by=who
    )


def _version(proposal: Proposal, text: str) -> Proposal:
    """Return a proposal with what a person wants otherwise, checked anew."""
    from roboinvest.core.errors import BadInput
    from roboinvest.core.proposals import content_of, proposal_of

    try:
        changes: Any = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the edit is no JSON: {error}") from error
    if not isinstance(changes, dict) or not changes.keys() <= set(EDITABLE):
        raise BadInput(f"an edit is a JSON object with some of: {', '.join(EDITABLE)}")
    return proposal_of(json.dumps({**json.loads(content_of(proposal)), **changes}))


def _snoozed(inbox: Inbox, name: str, hours: float, now: datetime, who: str) -> Filed:
    from datetime import timedelta

    return inbox.snooze(name, by=who, until=now + timedelta(hours=hours))


def _hours(text: str) -> float:
    from roboinvest.core.errors import BadInput

    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 336:
        raise BadInput(f"{text[:20]!a} is no number of hours between 0 and 336")
    return hours


def _say(filed: Filed, words: str, as_json: bool) -> None:
    if as_json:
        print_json(facts_of(filed))
        return
    print_lines([f"{filed.proposal.proposal_id} {words} ({filed.state})"])


def _asked(question: str) -> str | None:
    """Return what is typed, or None at the end of it."""
    sys.stdout.write(question)
    sys.stdout.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None


def _content(path: Path) -> str:
    from roboinvest.core.errors import BadInput

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error


def _require_seen(filed: Filed, digest: str) -> None:
    from roboinvest.core.errors import Refused

    is_given = len(digest) >= SHORTEST_DIGEST and filed.proposal.digest.startswith(digest.lower())
    if not is_given:
        raise Refused(
            f"{filed.proposal.proposal_id} has the digest {filed.proposal.digest}, and {digest!a} "
            f"are not its first {SHORTEST_DIGEST} digits or more; look at it again"
        )


def _require_terminal(otherwise: str) -> None:
    from roboinvest.core.errors import NeedsApproval

    if not sys.stdin.isatty():
        raise NeedsApproval(f"there is no terminal to ask at; {otherwise}")
