"""`backtest strategies` and `backtest report-all`: the library, and all of it on the same bars."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roboinvest.cli.backtest.book import comparison_cells
from roboinvest.cli.backtest.options import (
    ActionsOption,
    BarsOption,
    CostsOption,
    FromOption,
    SourceOption,
    SymbolsOption,
    TimeframeOption,
    ToOption,
    asked_of,
)
from roboinvest.cli.backtest.run import write_report
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput
from roboinvest.core.records import to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roboinvest.app.backtests import Asked, BacktestDesk, Judged
    from tools.backtester.report.comparison import CompareRow

OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the reports. Default: backtests/ in the data folder."),
]


def strategies(as_json: JsonOption = False) -> None:
    """List the strategies of the library."""
    from tools.strategies.shelf import describe

    found = describe()
    if as_json:
        print_json(found)
        return
    print_table(
        "Strategies",
        ("name", "timeframe", "Symbols", "idea"),
        ((each["name"], each["timeframe"], each["symbols"], each["idea"]) for each in found),
        empty="The library is empty.",
    )


def report_all(
    bars: BarsOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    costs: CostsOption = None,
    out: OutOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every strategy of the library that suits the bars, and write a report of each."""
    began = time.perf_counter()
    from roboinvest.app.backtests import BacktestDesk

    desk = BacktestDesk(settings_of(config, data_dir))
    asked = asked_of(
        "",
        bars=bars,
        source=source,
        symbols=symbols,
        timeframe=timeframe,
        param=None,
        first=first,
        last=last,
        actions=actions,
        costs=costs,
        short=True,
    )
    folder = out or desk.folder / "backtests"
    rows, left_out = _reported(desk, asked, folder)
    if as_json:
        print_json([to_plain(row) for row in rows])
        return
    print_table(
        f"{len(rows)} strategies",
        ("strategy", "Return", "Sharpe", "Drawdown", "Trades", "warnings"),
        (comparison_cells(row) for row in rows),
        empty="No strategy of the library suits these bars.",
    )
    names = ", ".join(left_out) or "none"
    console().print(f"left out, for other bars: {names}", markup=False)
    took_s = time.perf_counter() - began
    console().print(f"reports in {folder}, {took_s:.0f} s", markup=False)


def _reported(
    desk: BacktestDesk, asked: Asked, folder: Path
) -> tuple[Sequence[CompareRow], list[str]]:
    """Write a report of each strategy and one of all; return the rows, and who was left out."""
    from roboinvest.app.backtests import suiting
    from roboinvest.runtime.folder import replace_file
    from tools.backtester.report.comparison import compare_rows, html_comparison
    from tools.strategies.shelf import strategies as library

    fits = suiting(library(), desk.bars(asked))
    judged: list[Judged] = []
    left_out = [each.name for each in fits[False]]
    folder.mkdir(parents=True, exist_ok=True)
    with desk.book() as book:
        for each in fits[True]:
            page = folder / f"{each.name}.html"
            try:
                one = desk.run(replace(asked, strategy=each.name), book, report=page)
            except BadInput as error:
                console(stderr=True).print(f"{each.name}: {error}", markup=False)
                left_out.append(each.name)
                continue
            write_report(page, one)
            judged.append(one)
    results, evidence = [one.result for one in judged], [one.evidence for one in judged]
    files = [f"{one.result.request.strategy.name}.html" for one in judged]
    if results:
        replace_file(
            folder / "index.html", html_comparison(results, evidence, files=files).encode()
        )
    return compare_rows(results, evidence), left_out
