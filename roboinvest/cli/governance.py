"""Governance at the command line: what meetings decided, what came of it, and holding one.

Where a daemon runs it holds the meetings: a command makes one due, and the daemon looks within a
minute. Where none runs a meeting goes by rules and by what the last run left, and sets only what is
kept in files and binds from the next start.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_facts, print_json, print_table
from roboinvest.cli.settings import clock_in, folder_of, person, settings_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.oversight.meetings import MeetingRow, MeetingRows

app = typer.Typer(help="Meetings: what they decided, and what came of it.", no_args_is_help=True)
_NONE: Final = "No meeting was held in this data folder yet."


@app.command()
def hold(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Hold today's meeting now, if it was not held; a daemon that runs holds it itself."""
    folder, clock = folder_of(config, data_dir), clock_in(config, data_dir)
    if not folder.root.is_dir():
        _nothing_ran(folder, as_json)
        return
    _refuse_replay(folder)
    running = folder.holder() is not None
    today = clock.now().date()
    told = _minutes(folder, today)
    was_held = told is not None and told["done_at"] is not None
    if running and not was_held:
        text = _make_due(folder, clock.now())
    elif running or was_held:
        text = f"the meeting of {today} was held already; the next is tomorrow"
    else:
        folder.hold()
        try:
            missing = asyncio.run(_hold(folder, config, data_dir))
        finally:
            folder.release()
        why = f"what it set binds when a daemon starts; {'; '.join(missing)}"
        text, told = f"the meeting of {today} was held by rules; {why}", _minutes(folder, today)
    if as_json:
        print_json({"running": running, "text": text, "meeting": told})
        return
    console().print(text, markup=False)
    if told is not None:
        _print(told)


@app.command()
def ls(
    everything: Annotated[bool, typer.Option("--all", help="Not the newest 50 only.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, the newest first, with what came of them."""
    from meta_agents.meeting.minutes import decision_facts

    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    held: tuple[MeetingRow, ...] = ()
    if not _has_file(folder):
        found, standing = [], "no decision was made yet"
    else:
        with _rows(folder) as rows:
            found = [decision_facts(each) for each in rows.newest(10_000 if everything else 50)]
            standing, held = rows.calibration().text, rows.meetings(1)
    if as_json:
        print_json({"running": running, "decisions": found, "calibration": standing})
        return
    columns = ("id", "kind", "what", "level", "state", "deadline", "verdict", "why")
    empty = _NONE
    if held:
        empty = f"The meeting of {held[0].day} decided nothing, nor did any before it."
    print_table("Decisions (UTC)", columns, [_row(each) for each in found], empty=empty)
    if held:
        console().print(f"{standing[0].upper()}{standing[1:]}.", markup=False)
    if held and not running:
        console().print("No daemon runs: this is what the last run left.", markup=False)


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(help="YYYY-MM-DD, or a decision. Default: the last meeting.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a meeting, or one decision, whole."""
    from meta_agents.meeting.minutes import decision_facts
    from roboinvest.core.errors import BadInput

    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    day = _day(name)
    if name is not None and day is None:
        if not _has_file(folder):
            raise BadInput(f"there is no decision {name[:80]!a}; {_NONE.lower()}")
        with _rows(folder) as rows:
            told: dict[str, Any] | None = decision_facts(rows.get(name))
    else:
        told = _minutes(folder, day)
        if told is None and day is not None:
            raise BadInput(f"no meeting was held on {day}; see governance ls")
    if as_json:
        what = "meeting" if name is None or day is not None else "decision"
        print_json({"running": running, what: told})
    elif told is None:
        console().print(_NONE)
    elif "decisions" in told:
        _print(told)
    else:
        print_facts({key: _line(value) for key, value in told.items()})


@app.command()
def undo(
    name: Annotated[str, typer.Argument(help="As `governance ls` has it.")],
    who: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Who wants it. Default: who is logged in."),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a decision undone: what was set is set back, what was asked for is withdrawn."""
    from meta_agents.meeting.settling import require_person
    from roboinvest.core.errors import BadInput

    folder = folder_of(config, data_dir)
    running = folder.holder() is not None
    by = require_person(who or person())
    if not _has_file(folder):
        raise BadInput(f"there is no decision {name[:80]!a}; {_NONE.lower()}")
    with _rows(folder) as rows:
        rows.ask_undo(name, by)
    when = "within minutes" if running else "when it runs again"
    text = f"{by} asked for {name} to be undone; the daemon does it {when}"
    if as_json:
        print_json({"running": running, "text": text})
    else:
        console().print(text, markup=False)


async def _hold(folder: DataFolder, config: Path | None, data_dir: Path | None) -> tuple[str, ...]:
    """Hold a meeting on a folder that no daemon holds; return what it could not do, and why."""
    import structlog

    from meta_agents.meeting.alone import meeting_alone
    from roboinvest.app.governing_alone import alone
    from roboinvest.runtime.configuration.policies import clock_of, inbox_rules
    from roboinvest.runtime.in_flight import InFlight

    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    settings, in_flight = settings_of(config, data_dir), InFlight()
    clock = clock_of(settings)
    async with alone(settings, folder, clock=clock, in_flight=in_flight) as house:
        with meeting_alone(
            folder.root,
            folder.reports,
            folder.logs / "roboinvest.jsonl",
            rules=inbox_rules(settings),
            clock=clock,
            in_flight=in_flight,
            hands=house.hands,
            measures=house.measures,
        ) as (meeting, _):
            await meeting.hold(clock.now())
        return house.missing


def _nothing_ran(folder: DataFolder, as_json: bool) -> None:
    text = f"no daemon has run on {folder.root}, so there is nothing to hold a meeting on"
    if as_json:
        print_json({"running": False, "text": text, "meeting": None})
    else:
        console().print(f"{text}; start one with: roboinvest run", markup=False)


def _refuse_replay(folder: DataFolder) -> None:
    """Hold none for a replay: what it would decide is of another day than the market's."""
    from roboinvest.core.errors import Refused

    if folder.stamped().get("mode") == "replay":
        raise Refused(
            f"{folder.root} holds a replay, and its days are over: no meeting is held of it; see "
            "roboinvest report daily"
        )


def _make_due(folder: DataFolder, now: datetime) -> str:
    """Let the daemon's next look at its cadence find the meeting due."""
    from meta_agents.governance_meeting import NAME

    with _rows(folder) as rows:
        if rows.make_due(NAME, now):
            return "the daemon was asked for today's meeting; it holds it within minutes"
    return "the daemon holds its first meeting by itself, within minutes of its start"


def _minutes(folder: DataFolder, day: date | None) -> dict[str, Any] | None:
    """Return a meeting as it stands in the file; the last one without a day."""
    from meta_agents.meeting.minutes import minutes

    if not _has_file(folder):
        return None
    with _rows(folder) as rows:
        if day is None:
            newest = rows.meetings(1)
            found = newest[0] if newest else None
        else:
            found = rows.meeting(day)
        if found is None:
            return None
        return minutes(found, rows.of_day(found.day), rows.refused(found.day), rows.calibration())


def _has_file(folder: DataFolder) -> bool:
    from roboinvest.runtime.oversight.file import FILE_NAME

    return (folder.root / FILE_NAME).exists()


def _rows(folder: DataFolder) -> AbstractContextManager[MeetingRows]:
    from meta_agents.meeting.alone import rows_in

    return rows_in(folder.root)


def _day(name: str | None) -> date | None:
    try:
        return None if name is None else date.fromisoformat(name)
    except ValueError:
        return None


def _row(told: dict[str, Any]) -> tuple[Any, ...]:
    from rich.markup import escape

    return (
        told["decision_id"],
        told["decision_type"],
        escape(told["description"]),
        told["level"],
        told["state"],
        told["deadline"][:16].replace("T", " "),
        told["verdict"],
        escape(told["score_reason"] or told["reason"]),
    )


def _print(told: dict[str, Any]) -> None:
    """Write a meeting for a person."""
    out = console()
    out.print(
        f"\nMeeting of {told['date']}, answered by {told['source'] or 'nobody'}", markup=False
    )
    if told["reason"]:
        out.print(told["reason"], markup=False)
    columns = ("id", "kind", "what", "level", "state", "deadline", "verdict", "why")
    rows = [_row(each) for each in told["decisions"]]
    print_table("Decided", columns, rows, empty="Nothing was decided.")
    for each in told["refused"]:
        out.print(f"refused: {each['reason']}  ({each['wish'][:120]})", markup=False)
    out.print(told["calibration"]["text"], markup=False)


def _line(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value
