"""`backtest ls`, `show`, `compare` and `holdout`: what the run book knows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.backtest.options import (
    ActionsOption,
    BarsOption,
    FromOption,
    SourceOption,
    StrategyArgument,
    SymbolsOption,
    TimeframeOption,
    ToOption,
    asked_of,
    day_of,
)
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_facts, print_json, print_table
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from tools.backtester.report.comparison import CompareRow
    from tools.backtester.run_book.book import RunBook
    from tools.backtester.run_book.values import Run

holdout = typer.Typer(help="Days that a strategy may look at once.", no_args_is_help=True)
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Newest runs to list.")]
NameOption = Annotated[str | None, typer.Option("--strategy", help="Of this strategy only.")]


def ls(
    limit: LimitOption = 20,
    strategy: NameOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List past runs, the newest first."""
    with _book(config, data_dir) as book:
        runs = book.runs(limit, strategy)
    if as_json:
        print_json([_plain(run) for run in runs])
        return
    print_table(
        "Runs",
        ("run", "strategy", "symbols", "days", "Return", "Sharpe", "Trades"),
        (_row(run) for run in runs),
        empty="No run yet: roboinvest backtest run STRATEGY --bars PATH",
    )


def show(
    number: Annotated[int, typer.Argument(help="A run's number (backtest ls).")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a past run, and how many were tried beside it."""
    with _book(config, data_dir) as book:
        run, standing = book.run(number), book.standing(number)
    facts = {**_plain(run), "trials": standing.trials, "words": list(standing.words)}
    if as_json:
        print_json(facts)
    else:
        values = ", ".join(f"{name}={value}" for name, value in run.note.values.items())
        print_facts({**facts, "values": values, "words": " ".join(standing.words)})


def compare(
    strategies: Annotated[list[str], typer.Argument(help="Two or more strategies.")],
    bars: BarsOption = None,
    source: SourceOption = None,
    symbols: SymbolsOption = None,
    timeframe: TimeframeOption = None,
    first: FromOption = None,
    last: ToOption = None,
    actions: ActionsOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run several strategies on the same bars and put their figures side by side."""
    if len(strategies) < 2:
        raise BadInput(f"{len(strategies)} strategy cannot be compared; name two or more")
    asked = [
        asked_of(
            name,
            bars=bars,
            source=source,
            symbols=symbols,
            timeframe=timeframe,
            param=None,
            first=first,
            last=last,
            actions=actions,
        )
        for name in strategies
    ]
    from roboinvest.app.backtests import BacktestDesk
    from roboinvest.core.records import to_plain
    from tools.backtester.report.comparison import compare_rows

    with BacktestDesk(settings_of(config, data_dir)) as desk, desk.book() as book:
        judged = [desk.run(each, book) for each in asked]
    rows = compare_rows([each.result for each in judged], [each.evidence for each in judged])
    if as_json:
        print_json([to_plain(row) for row in rows])
        return
    print_table(
        "The same bars",
        ("strategy", "Return", "Sharpe", "Drawdown", "Trades", "warnings"),
        (comparison_cells(row) for row in rows),
        empty="nothing to compare",
    )


def comparison_cells(row: CompareRow) -> tuple[str, ...]:
    """Return a row of a comparison as a person reads it."""
    shown = {each.definition.name: each.text for each in row.figures}
    serious = ", ".join(dict.fromkeys(notice.name for notice in row.serious)) or "none"
    figures = (shown[name] for name in ("total_return", "sharpe", "max_drawdown", "trades"))
    return (row.strategy, *figures, serious)


@holdout.command("lock")
def lock(
    strategy: StrategyArgument,
    first: Annotated[str, typer.Option("--from", help="First day that is locked: 2011-03-01.")],
    symbols: Annotated[str, typer.Option("--symbols", help="Tickers, with commas.")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Lock days away from a strategy and all its versions, until `open`."""
    from roboinvest.app.backtests import BacktestDesk
    from tools.backtester.run_book.values import Kin

    day = day_of("--from", first)
    names = [name.strip().upper() for name in symbols.split(",") if name.strip()]
    if day is None or not names:
        raise BadInput(f"--symbols {symbols!r} names none; write them as SPY,AAPL")
    with BacktestDesk(settings_of(config, data_dir)) as desk, desk.book() as book:
        found = desk.shelf.find(strategy)
        book.lock_holdout(book.lineage_of(Kin.of(found)), names, day)
    console().print(
        f"{found.name} and what is made of it may not see {', '.join(names)} from {day} on; "
        "open it once for each version: backtest holdout open",
        markup=False,
    )


@holdout.command("open")
def open_holdout(
    strategy: StrategyArgument, config: ConfigOption = None, data_dir: DataDirOption = None
) -> None:
    """Let this version of a strategy see its locked days, once."""
    from roboinvest.app.backtests import BacktestDesk
    from tools.backtester.run_book.values import Kin

    with BacktestDesk(settings_of(config, data_dir)) as desk, desk.book() as book:
        found = desk.shelf.find(strategy)
        lineage = book.lineage_of(Kin.of(found))
        opening = book.open_holdout(lineage, found.version, found.fingerprint)
    console().print(
        f"{found.stamp} may see its holdout now, with one run; it is opening {opening.number} of "
        "its line, and each one makes the next worth less",
        markup=False,
    )


@holdout.command("ls")
def list_holdouts(
    strategy: StrategyArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is locked away from a strategy."""
    from roboinvest.app.backtests import BacktestDesk
    from roboinvest.core.records import to_plain
    from tools.backtester.run_book.values import Kin

    with BacktestDesk(settings_of(config, data_dir)) as desk, _book(config, data_dir) as book:
        lineage = book.known_lineage(Kin.of(desk.shelf.find(strategy)))
        locked = () if lineage is None else book.holdout(lineage)
    if as_json:
        print_json([to_plain(each) for each in locked])
        return
    print_table(
        "Locked",
        ("symbol", "from", "opened for"),
        ((each.symbol, each.from_day, ", ".join(each.openings) or "nobody") for each in locked),
        empty="Nothing is locked: backtest holdout lock STRATEGY --from DATE --symbols A,B",
    )


def _book(config: Path | None, data_dir: Path | None) -> RunBook:
    from roboinvest.app.backtests import BacktestDesk

    desk = BacktestDesk(settings_of(config, data_dir))
    book = desk.look()
    if book is None:
        raise BadInput(
            f"{desk.folder} has no run book yet; run something: roboinvest backtest run STRATEGY"
        )
    return book


def _plain(run: Run) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    note = run.note
    return {
        "run": run.id,
        "at": run.at.isoformat(),
        "strategy": f"{note.strategy}@{note.version}",
        "file": note.file,
        "values": dict(note.values),
        "symbols": list(note.symbols),
        "timeframe": note.timeframe.value,
        "first": note.first.isoformat(),
        "last": note.last.isoformat(),
        "executor": note.executor,
        "figures": to_plain(note.figures),
        "lineage": run.lineage,
        "in_holdout": run.in_holdout,
        "digest": note.digest,
        "report": note.report or None,
    }


def _row(run: Run) -> tuple[object, ...]:
    note, figures = run.note, run.note.figures
    span = f"{_short(note.first)} to {_short(note.last)}"
    daily = figures.sharpe
    sharpe = None if daily is None else f"{daily * 252**0.5:.2f}"
    return (
        run.id,
        f"{note.strategy}@{note.version}",
        ",".join(note.symbols),
        span,
        _percent(figures.total_return),
        sharpe,
        figures.trades,
    )


def _short(day: date) -> str:
    return day.isoformat()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2%}"
