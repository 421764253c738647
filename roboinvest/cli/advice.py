"""Advice of the PerformanceAnalystAgent at the command line: what is open, and saying it was taken.

What a meeting did is marked by the meeting. What a person did, the house cannot see: it is said
here, and from then on the figure that the advice names is watched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import clock_in, folder_of, person

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from roboinvest.runtime.oversight.file import OverseerFile

app = typer.Typer(help="What is advised, and whether it helped.", no_args_is_help=True)
_NONE: Final = "Nothing is advised."
_DAYS: Final = 30  # of advice that is over


@app.command()
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List advice of the last 30 days, oldest first, with what came of it."""
    from datetime import timedelta

    from rich.markup import escape

    from roboinvest.core.records import to_plain
    from roboinvest.runtime.oversight.analyst_tables import AdviceBook
    from roboinvest.runtime.oversight.file import FILE_NAME

    folder, now = folder_of(config, data_dir), clock_in(config, data_dir).now()
    found = []
    if (folder.root / FILE_NAME).exists():
        with _opened(folder.root) as file:
            book = AdviceBook(file)
            over = book.touched(now - timedelta(days=_DAYS), now + timedelta(days=1))
            known = {each.advice_id: each for each in (*over, *book.pending())}
            found = sorted(known.values(), key=lambda each: (each.made_at, each.advice_id))
    if as_json:
        print_json({"advice": to_plain(found)})
        return
    rows = [
        (
            each.advice_id,
            escape(each.text),
            escape(each.expected_text),
            each.state.value,
            escape(each.taken_by),
            each.verdict,
        )
        for each in found
    ]
    print_table("Advice", ("id", "what", "expected", "state", "by", "came to"), rows, empty=_NONE)


@app.command()
def take(
    name: Annotated[str, typer.Argument(help="As `advice ls` has it.")],
    who: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who did it. Default: who is here.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that advice was followed; its figure is watched from now on."""
    from meta_agents.meeting.settling import require_person
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.oversight.analyst_tables import AdviceBook
    from roboinvest.runtime.oversight.file import FILE_NAME

    folder, by = folder_of(config, data_dir), require_person(who or person())
    if not (folder.root / FILE_NAME).exists():
        raise BadInput(f"there is no advice {name[:80]!a}; nothing was ever advised here")
    with _opened(folder.root) as file:
        book = AdviceBook(file)
        book.take(name, by=by, at=clock_in(config, data_dir).now())
        advice = book.get(name)
    text = (
        f"{by} took {name}; {advice.metric} is watched until {advice.deadline:%Y-%m-%d %H:%M} UTC"
    )
    if as_json:
        print_json({"text": text})
    else:
        console().print(text, markup=False)


def _opened(root: Path) -> AbstractContextManager[OverseerFile]:
    from roboinvest.runtime.oversight.analyst_tables import SCHEMA
    from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile

    return OverseerFile.open(root / FILE_NAME, schemas=[SCHEMA])
