"""`data import`, `data check` and `data ls`: bars into the store, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roboinvest.cli import data_fetch
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import folder_of
from roboinvest.core.errors import BadInput
from roboinvest.core.records import to_plain

app = typer.Typer(help="Bars: fetch, import, check, list.", no_args_is_help=True)
app.command("fetch")(data_fetch.fetch)
SHOWN = 200  # findings a person is shown; --json has them all

FileArgument = Annotated[Path, typer.Argument(help="A parquet or CSV file of bars.")]
SymbolOption = Annotated[
    str | None, typer.Option("--symbol", help="What a file without a symbol column holds.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Which source, where a file holds several.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="A column under another name, such as close=Last. Repeatable."),
]
ActionsOption = Annotated[
    Path | None, typer.Option("--actions", help="Splits and dividends (adjustment factors, CSV).")
]


@app.command("check")
def check(
    file: FileArgument,
    symbol: SymbolOption = None,
    columns: MapOption = None,
    actions: ActionsOption = None,
    config: ConfigOption = None,  # noqa: ARG001 every command takes it
    data_dir: DataDirOption = None,  # noqa: ARG001 every command takes it
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a file of bars; exit 1 when something is."""
    from tools.bars.actions import read_actions
    from tools.bars.check import check_file
    from tools.calendar import ExchangeCalendar

    calendar = ExchangeCalendar()
    report = check_file(
        file,
        calendar=calendar,
        symbol=symbol,
        actions=read_actions(actions, calendar) if actions else (),
        mapping=_mapping(columns),
    )
    if as_json:
        print_json(report.as_dict())
    else:
        out = console()
        aside = (
            f"{report.quarantined} would be quarantined" if report.findings else "nothing is wrong"
        )
        out.print(f"{file}: {report.rows} rows, {aside}", markup=False)
        for found in report.findings[:SHOWN]:
            when = found.ts.isoformat() if found.ts else "no time"
            fate = "quarantined" if found.quarantined else "reported"
            line = f"  {found.symbol} {when} {found.reason.value} ({fate}): {found.detail}"
            out.print(line, markup=False)
        if len(report.findings) > SHOWN:
            more = len(report.findings) - SHOWN
            console().print(f"... and {more} more findings; --json has them all", markup=False)
    if report.findings:
        raise typer.Exit(ExitCode.FOUND)


@app.command("import")
def import_bars(
    file: FileArgument,
    symbol: SymbolOption = None,
    source: SourceOption = None,
    columns: MapOption = None,
    actions: ActionsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the good bars of a file into the store; bad ones are set aside with a reason."""
    from tools.bars.actions import keep_actions
    from tools.bars.store import BarStore
    from tools.bars.table import read_table

    folder = folder_of(config, data_dir)
    table = read_table(file, mapping=_mapping(columns), symbol=symbol)
    folder.create()  # once the file has been read: a refusal leaves nothing behind
    imported = BarStore(folder.bars).add(table.only(source))
    kept = keep_actions(folder.bars, actions) if actions else 0
    if as_json:
        series = [to_plain(each) for each in imported]
        print_json({"path": str(file), "series": series, "actions": kept})
        return
    rows = [
        (each.symbol, each.timeframe, each.rows, each.added, each.replaced, each.quarantined)
        for each in imported
    ]
    headings = ("symbol", "timeframe", "Rows", "Added", "Replaced", "Quarantined")
    print_table(f"Imported {file}", headings, rows, empty=f"{file} has no rows.")
    if kept:
        console().print(f"{kept} rows of splits and dividends are kept beside the bars")


@app.command("ls")
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List the bars in the store."""
    from tools.bars.store import BarStore

    found = BarStore(folder_of(config, data_dir).bars).ls()
    if as_json:
        print_json({"series": [to_plain(each) for each in found]})
        return
    rows = [
        (
            each.symbol,
            each.timeframe,
            each.source,
            each.rows,
            each.quarantined,
            f"{each.first:%Y-%m-%d %H:%M}",
            f"{each.last:%Y-%m-%d %H:%M}",
        )
        for each in found
    ]
    headings = ("symbol", "timeframe", "source", "Rows", "Aside", "first", "last")
    print_table("Bars", headings, rows, empty="The store is empty; fill it: roboinvest data import")


def _mapping(columns: list[str] | None) -> dict[str, str] | None:
    """Return what --map said: our name of a column -> theirs."""
    mapping = dict[str, str]()
    for pair in columns or ():
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise BadInput(f"--map {pair} is no pair; write it as close=Last")
        mapping[ours] = theirs
    return mapping or None
