"""`explain`: why it did that, and why it did not trade. It only reads, with a daemon or without."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import settings_of

if TYPE_CHECKING:
    from rich.console import Console

    from roboinvest.core.ports import Calendar
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.trading.explain.page import Row
    from roboinvest.trading.explain.story import Story

WIDTH: Final = 100  # columns
LEAST_WIDTH: Final = 40
_WHAT = "A tick id, a time, last, TICK/SYMBOL, a symbol, or a client order id."


def explain(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=_WHAT)] = "last",
    full: Annotated[
        bool, typer.Option("--full", help="Show prompts, replies, all features and limits.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why it did that, or why it did not trade."""
    from roboinvest.trading.explain.page import page_of

    story = asyncio.run(_told(what, settings_of(config, data_dir)))
    if as_json:
        print_json(story.model_dump(mode="json"))
        return
    _show(page_of(story, full=full))


async def _told(what: str, settings: Settings) -> Story:
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.redaction import Redactor
    from roboinvest.runtime.storage.reads import StoreReader
    from roboinvest.trading.explain.sources import RecordFiles
    from roboinvest.trading.explain.telling import Explainer

    def calendar() -> Calendar:
        from tools.calendar import ExchangeCalendar

        return ExchangeCalendar()

    folder, in_flight = DataFolder(settings.data_dir), InFlight()
    secrets = load_secrets(os.environ, settings.llm.variables())
    reader = await StoreReader.open_read_only(folder.database, in_flight=in_flight)
    try:
        explainer = Explainer(
            reader,
            RecordFiles(folder.journal, folder.llm, in_flight=in_flight),
            calendar=calendar,
            redact=Redactor(secrets.texts()).whole,
        )
        return await explainer.explain(what)
    finally:
        await reader.close()


def _show(rows: Sequence[Row]) -> None:
    """Print the rows, names to the left, wrapped; nothing in them is taken for markup."""
    out = console()
    width = max(min(WIDTH, out.width), LEAST_WIDTH)
    indent = max((len(row.name) for row in rows), default=0) + 2
    for row in rows:
        if row.is_heading:
            _print(out, "", row.text, width=width, indent=0, style="bold")
            out.print()
        elif row.is_block:
            out.print(f"{row.name}:", markup=False, style="bold")
            for line in row.text.split("\n"):
                _print(out, "", line, width=width, indent=2)
        else:
            _print(out, row.name, row.text, width=width, indent=indent)


def _print(out: Console, name: str, text: str, *, width: int, indent: int, style: str = "") -> None:
    """Print a text within `width` columns, its lines below each other, `name` before the first."""
    from rich.text import Text

    lines = Text(text, style=style).wrap(out, width - indent) or [Text("")]
    for number, line in enumerate(lines):
        lead = Text(f"{'' if number else name:<{indent}}", style="bold")
        line.rstrip()
        out.print(lead + line if line else line)
