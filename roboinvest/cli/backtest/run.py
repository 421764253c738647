"""`backtest run` and `backtest leak-check`: one strategy on one set of bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.backtest.options import (
    ActionsOption,
    BarsOption,
    CashOption,
    CostsOption,
    FromOption,
    LimitsOption,
    ParamOption,
    ShortOption,
    SourceOption,
    StrategyArgument,
    SymbolsOption,
    TimeframeOption,
    ToOption,
    asked_of,
)
from roboinvest.cli.backtest.walking import walked_forward
from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from roboinvest.app.backtests import Asked, Judged
    from tools.backtester.engine import Executor
    from tools.backtester.leaks.findings import LeakReport

_SEED: Final = 7  # of where the bars are cut: the same check finds the same
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", help="Also write a report: a .html, .json or .csv file."),
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="auto, simulator or kernel; they agree to the cent.")
]
WalkForwardOption = Annotated[
    int | None,
    typer.Option("--walk-forward", help="Choose the parameters anew in so many folds, too."),
]


def run(
    strategy: StrategyArgument,
    bars: BarsOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    param: ParamOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    cash: CashOption = None,
    costs: CostsOption = None,
    limits: LimitsOption = False,
    short: ShortOption = False,
    walk_forward: WalkForwardOption = None,
    executor: ExecutorOption = "auto",
    report: ReportOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a strategy on recorded bars, check it for leaks, and say what chance would have made."""
    played_by = _executor(executor)
    if report is not None:
        _check_report(report)
    asked = asked_of(
        strategy,
        bars=bars,
        source=source,
        symbols=symbols,
        timeframe=timeframe,
        param=param,
        first=first,
        last=last,
        actions=actions,
        cash=cash,
        costs=costs,
        limits=limits,
        short=short,
    )
    from roboinvest.app.backtests import BacktestDesk
    from tools.backtester.report.json_form import json_report
    from tools.backtester.report.summary import summary_lines

    with BacktestDesk(settings_of(config, data_dir)) as desk, desk.book() as book:
        walked = None
        if walk_forward is not None:
            walked = walked_forward(desk, asked, book, folds=walk_forward, quiet=as_json)
        judged = desk.run(asked, book, executor=played_by, walked=walked, report=report)
    if report is not None:
        write_report(report, judged)
    if as_json:
        print_json({"number": judged.run, **json_report(judged.result, judged.evidence)})
        return
    for line in (*summary_lines(judged.result, judged.evidence), "", *judged.words):
        console().print(line, markup=False)
    where = f"; report {report}" if report is not None else ""
    console().print(f"Run {judged.run} in the book: backtest show {judged.run}{where}")


def leak_check(
    strategy: StrategyArgument,
    bars: BarsOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    param: ParamOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look hard for knowledge of the future; exit 1 when a detector suspects any."""
    asked = asked_of(
        strategy,
        bars=bars,
        source=source,
        symbols=symbols,
        timeframe=timeframe,
        param=param,
        first=first,
        last=last,
        actions=actions,
        short=True,
    )
    found = _leaks_of(asked, config, data_dir)
    if as_json:
        print_json(_plain_leaks(found))
    else:
        for line in found.sentences():
            console().print(line, markup=False)
        console().print(f"{found.strategy}: {found.verdict}", markup=False)
    if found.suspected:
        raise typer.Exit(ExitCode.FOUND)


def _leaks_of(asked: Asked, config: Path | None, data_dir: Path | None) -> LeakReport:
    import numpy as np

    from roboinvest.app.backtests import BacktestDesk
    from tools.backtester.engine import run_backtest
    from tools.backtester.judge import check_leaks
    from tools.backtester.leaks.effort import THOROUGH

    with BacktestDesk(settings_of(config, data_dir)) as desk:
        result = run_backtest(desk.request(asked))
        rng, source = np.random.default_rng(_SEED), desk.shelf.source_of(asked.strategy)
        return check_leaks(result, rng=rng, source=source, effort=THOROUGH)


def _plain_leaks(found: LeakReport) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "verdict": found.verdict.value,
        "caught_by": [each.value for each in found.caught_by],
        "findings": [
            {"detector": each.detector.value, "verdict": each.verdict.value, "text": each.text}
            for each in found.findings
        ],
    }


def write_report(path: Path, judged: Judged) -> None:
    """Write a report in the form that its name asks for, whole or not at all.

    Raises:
        BadSettings: it cannot be written.
    """
    from roboinvest.runtime.folder import replace_file
    from tools.backtester.report.csv_form import csv_trades
    from tools.backtester.report.html_page import html_report
    from tools.backtester.report.json_form import json_report, json_text

    if path.suffix == ".html":
        text = html_report(judged.result, judged.evidence)
    elif path.suffix == ".csv":
        text = csv_trades(judged.result)
    else:
        text = json_text(json_report(judged.result, judged.evidence))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}); give --report a place where it can"
        ) from error


def _check_report(path: Path) -> None:
    if path.suffix not in (".html", ".json", ".csv"):
        raise BadInput(f"--report {path} has no form we write; end it in .html, .json or .csv")


def _executor(text: str) -> Executor:
    match text:
        case "auto" | "simulator" | "kernel":
            return text
    raise BadInput(f"--executor {text} is none; give auto, simulator or kernel")
