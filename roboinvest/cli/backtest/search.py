"""`backtest sweep`: many values of a strategy's parameters, and what the best of them is worth."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json, print_table
from roboinvest.cli.settings import settings_of
from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from roboinvest.app.backtests import Asked, BacktestDesk
    from tools.backtester.contract import Request
    from tools.backtester.search.pool import Pool
    from tools.backtester.search.space import Objective, Space
    from tools.backtester.search.sweep import SweepTable

SHOWN: Final = 15  # rows that a person is shown; --json has them all
OverOption = Annotated[
    list[str] | None,
    typer.Option("--over", help="A range, as fast=5:50:5 or fast=5,10,20; may be repeated."),
]
TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", min=1, help="Let optuna choose so many, in place of the whole grid."),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes. Default: as many as pay off.")
]
ObjectiveOption = Annotated[
    str, typer.Option("--objective", help="sharpe, return or return_over_drawdown.")
]
HeatOption = Annotated[
    Path | None, typer.Option("--heat-map", help="Write an .svg of the first two ranges.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of optuna's choices.")]
FreshOption = Annotated[
    bool, typer.Option("--again", help="Play also what the run book holds already.")
]


def sweep(
    strategy: StrategyArgument,
    over: OverOption = None,
    trials: TrialsOption = None,
    objective: ObjectiveOption = "sharpe",
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
    jobs: JobsOption = None,
    seed: SeedOption = 7,
    heat_map: HeatOption = None,
    again: FreshOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try many values, count every one, and say what the best is worth after so many tries."""
    aim = _objective(objective)
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
    ways = _Ways(over=tuple(over or ()), trials=trials, seed=seed, jobs=jobs, again=again)
    table = _swept(asked, ways, aim, config, data_dir, quiet=as_json)
    if heat_map is not None:
        _write_heat_map(heat_map, table)
    _show(table, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """How a space is walked through."""

    over: tuple[str, ...]
    trials: int | None
    seed: int
    jobs: int | None
    again: bool


def _swept(
    asked: Asked,
    ways: _Ways,
    aim: Objective,
    config: Path | None,
    data_dir: Path | None,
    *,
    quiet: bool,
) -> SweepTable:
    from roboinvest.app.backtests import BacktestDesk
    from roboinvest.app.strategies import parameters
    from tools.backtester.run_book.notes import LIBRARY
    from tools.backtester.search.sweep import run_sweep

    with contextlib.ExitStack() as stack:
        desk = stack.enter_context(BacktestDesk(settings_of(config, data_dir)))
        request, file = desk.request(asked), desk.shelf.place_of(asked.strategy)
        fixed = {name: request.values[name] for name in parameters(asked.params)}
        space = _space(request, parameters(ways.over), fixed, trials=ways.trials, seed=ways.seed)
        book = stack.enter_context(desk.book())
        pool = stack.enter_context(_pool(desk, request, asked.strategy, space, ways.jobs))
        progress = stack.enter_context(_progress(quiet=quiet))
        return run_sweep(
            request,
            space,
            pool=pool,
            book=book,
            clock=desk.clock,
            progress=progress,
            resume=not ways.again,
            objective=aim,
            file=file or LIBRARY,
        )


def _space(
    request: Request,
    ranges: dict[str, str],
    fixed: dict[str, int | float],
    *,
    trials: int | None,
    seed: int,
) -> Space:
    from tools.backtester.search.grid import grid_of
    from tools.backtester.search.tpe import tpe_of

    if trials is not None:
        return tpe_of(request.strategy, ranges or None, fixed, trials=trials, seed=seed)
    if not ranges:
        names = ", ".join(param.name for param in request.strategy.params) or "none"
        raise BadInput(
            f"{request.strategy.stamp} has the parameters {names} and --over names none; write "
            "--over fast=5:50:5, or give --trials"
        )
    return grid_of(request.strategy, ranges, fixed)


@contextlib.contextmanager
def _pool(
    desk: BacktestDesk, request: Request, strategy: str, space: Space, jobs: int | None
) -> Iterator[Pool]:
    """Yield where combinations are played: here, or in processes where these pay off."""
    from tools.backtester.search.engine_play import EnginePlay, EngineRecipe
    from tools.backtester.search.pool import InProcess, LocalProcesses, pays_for_processes

    rows = sum(len(each) for each in request.bars.values())
    if jobs == 1 or (jobs is None and not pays_for_processes(rows, space.size)):
        yield InProcess(request, EnginePlay())
        return
    with LocalProcesses(
        request,
        EngineRecipe.of(request, desk.shelf.boxed(strategy) or strategy),
        scratch=desk.folder / "backtests",
        clock=desk.clock,
        workers=jobs,
    ) as pool:
        yield pool


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int, float | None], None] | None]:
    """Yield what hears how far a search is, and shows it with the time that is left."""
    if quiet:
        yield None
        return
    from rich.progress import Progress, TimeElapsedColumn

    out = console(stderr=True)
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("trying", total=None)

        def heard(done: int, total: int, left_s: float | None) -> None:
            text = "trying" if left_s is None else f"trying, {left_s:.0f} s left"
            bar.update(task, completed=done, total=total, description=text)

        yield heard


def _write_heat_map(path: Path, table: SweepTable) -> None:
    from roboinvest.runtime.folder import replace_file
    from tools.backtester.search.heat_map import heat_map_of, heat_map_svg

    if len(table.searched) < 2:
        raise BadInput("a heat map needs two ranges; name two with --over")
    heat = heat_map_of(table.rows, table.searched[0], table.searched[1], table.objective.value)
    replace_file(path, heat_map_svg(heat).encode())


def _show(table: SweepTable, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(table))
        return
    print_table(
        f"{table.strategy}, by {table.objective}",
        (*table.searched, "Score", "Return", "Drawdown", "Trades", "Run"),
        (
            (
                *(row.values[name] for name in table.searched),
                "-" if row.score is None else f"{row.score:.4f}",
                f"{row.figures.total_return:+.2%}",
                f"{row.figures.max_drawdown:.2%}",
                row.figures.trades,
                row.run_id,
            )
            for row in table.rows[:SHOWN]
        ),
        empty="No combination could be played.",
    )
    out = console()
    if len(table.rows) > SHOWN:
        out.print(f"... and {len(table.rows) - SHOWN} more; --json has them all")
    for unplayed in (*table.refused[:3], *table.failed[:3]):
        out.print(f"not played: {unplayed.why}", markup=False)
    for line in table.words:
        out.print(line, markup=False)


def _plain(table: SweepTable) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    return {
        "sweep": table.sweep,
        "strategy": table.strategy,
        "objective": table.objective.value,
        "trials": table.trials,
        "deflated_sharpe": None if table.deflated is None else table.deflated.probability,
        "best": None if table.best is None else dict(table.best),
        "rows": [
            {
                "run": row.run_id,
                "values": dict(row.values),
                "score": row.score,
                "figures": to_plain(row.figures),
            }
            for row in table.rows
        ],
        "refused": [to_plain(each) for each in table.refused],
        "failed": [to_plain(each) for each in table.failed],
        "words": list(table.words),
    }


def _objective(text: str) -> Objective:
    from tools.backtester.search.space import Objective

    try:
        return Objective(text)
    except ValueError:
        known = ", ".join(Objective)
        raise BadInput(f"--objective {text} is none; give one of {known}") from None
