"""What it came to: of all trading, and of a day.

`report daily` answers from what the last run left where no daemon runs, and makes a report that is
missing. A folder that cannot be written costs the file and not the answer.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli import look
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import settings_of

if TYPE_CHECKING:
    from datetime import date

    from meta_agents.daily_report.document import DailyReport
    from roboinvest.core.events import Event
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.redaction import Redactor

app = typer.Typer(help="Say what trading came to, or a day.", invoke_without_command=True)
_DEADLINE_S = 60.0  # for one book, or one page


@app.callback()
def report(
    context: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what trading came to; `report daily` says what a day was like."""
    if context.invoked_subcommand is None:
        look.report(config=config, data_dir=data_dir, as_json=as_json)


@app.command()
def daily(
    day: Annotated[
        str | None, typer.Option("--date", help="YYYY-MM-DD, exchange day. Default: the newest.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="The digest; as without it.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the page to a file.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong, since when, what was tried and what to do; then the rest of the day."""
    from meta_agents.daily_report.digest import digest_text
    from meta_agents.daily_report.html import html_page
    from roboinvest.core.errors import BadInput, BadSettings
    from roboinvest.runtime.folder import DataFolder, replace_file

    if as_json and as_text:
        raise BadInput("--json and --text are both given; give one")
    settings = settings_of(config, data_dir)
    folder = DataFolder(settings.data_dir)
    running = folder.holder() is not None
    found = asyncio.run(_found(folder, settings, _day(day)))
    if found is None:
        _nothing_yet(folder, running=running, as_json=as_json)
        return
    if html is not None:
        try:
            replace_file(html.absolute(), html_page(found).encode())
        except OSError as error:
            raise BadSettings(
                f"{html} cannot be written ({error.strerror}); give --html another place"
            ) from error
    if as_json:
        print_json(found.model_dump(mode="json") | {"running": running})
    elif html is None or as_text:
        typer.echo(digest_text(found), nl=False)
    else:
        console().print(f"written to {html}", markup=False)


async def _found(folder: DataFolder, settings: Settings, day: date | None) -> DailyReport | None:
    """Return the report, kept if it was not yet; None where nothing has run."""
    from meta_agents.daily_report.archive import ReportArchive
    from meta_agents.daily_report.books import HouseBooks
    from meta_agents.daily_report.builder import harmless
    from meta_agents.daily_report.days import day_of
    from meta_agents.daily_report.service import DailyReports
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.oversight.threads import Threads

    clock, in_flight, redactor = clock_of(settings), InFlight(), _redactor_of(settings)
    with ThreadPoolExecutor(1) as pool:
        threads = Threads(pool, in_flight, deadline_s=_DEADLINE_S)
        books = HouseBooks(folder, clock=clock, in_flight=in_flight, threads=threads)
        reports = DailyReports(
            books,
            ReportArchive(folder.reports),
            redactor=redactor,
            clock=clock,
            threads=threads,
            publish=_to_nobody,
        )
        if await books.first_day() is None:
            return None
        chosen = day if day is not None else day_of(await books.run_now())
        found = await reports.report(chosen)
        try:
            await reports.keep(found)
        except (OSError, TryLater) as error:
            text = f"the report is not kept: {error}; look at the folder and its disk"
            console(stderr=True).print(text, markup=False)
        return harmless(found, redactor)


def _to_nobody(event: Event) -> None:
    """Drop an event: a command has no bus, and says what is wrong itself."""


def _redactor_of(settings: Settings) -> Redactor:
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.redaction import Redactor

    variables = (*settings.llm.variables(), *settings.notify.variables())
    secrets = load_secrets(os.environ, variables)
    return Redactor((*secrets.texts(), *settings.notify.secret_texts()))


def _day(text: str | None) -> date | None:
    from datetime import date

    from roboinvest.core.errors import BadInput

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"--date is {text[:40]!r}; write it as 2026-01-05") from error


def _nothing_yet(folder: DataFolder, *, running: bool, as_json: bool) -> None:
    if as_json:
        print_json({"running": running, "data_dir": str(folder.root), "date": None})
        return
    word = "a daemon is starting" if running else "no daemon has run"
    console().print(f"{word} on {folder.root}; start one with: roboinvest run", markup=False)
