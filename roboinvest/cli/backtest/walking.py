"""Walk-forward from the command line: folds, and which parameters are chosen anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roboinvest.cli.output import console
from roboinvest.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roboinvest.app.backtests import Asked, BacktestDesk
    from roboinvest.core.strategy import Param
    from tools.backtester.run_book.book import RunBook
    from tools.backtester.search.walk_forward import WalkForwardResult

TRAIN_PART: Final = 0.5  # of the days, before the first test
MOST_PARAMETERS: Final = 3  # chosen at once: half, once and twice the default of each


def walked_forward(
    desk: BacktestDesk, asked: Asked, book: RunBook, *, folds: int, quiet: bool
) -> WalkForwardResult:
    """Return a walk-forward over a coarse grid of the strategy's own parameters.

    Raises:
        BadInput: there are too few days for the folds, or nothing to choose.
    """
    from roboinvest.core.statistics.folds import walk_forward as folds_of
    from tools.backtester.search.engine_play import EnginePlay
    from tools.backtester.search.grid import grid_of
    from tools.backtester.search.jobs import days_of
    from tools.backtester.search.walk_forward import best, walk_forward

    request = desk.request(asked)
    days = len(days_of(request.bars, request.first))
    fixed = {pair.partition("=")[0].strip() for pair in asked.params}
    ranges = coarse(request.strategy.params, fixed)
    given = {name: request.values[name] for name in fixed}
    if not ranges:
        raise BadInput(
            f"{request.strategy.stamp} has no parameter left to choose; leave --walk-forward out"
        )
    steps = folds_of(days, folds=folds, train=int(days * TRAIN_PART), anchored=True, embargo=1)
    if not quiet:
        said = ", ".join(f"{name} {text}" for name, text in ranges.items())
        console(stderr=True).print(f"choosing in {folds} folds: {said}", markup=False)
    return walk_forward(
        request,
        grid_of(request.strategy, ranges, given),
        steps,
        choose=best,
        play=EnginePlay(is_quick=False),
        book=book,
        clock=desk.clock,
    )


def coarse(params: Sequence[Param], fixed: set[str]) -> dict[str, str]:
    """Return the ranges of the first parameters that are free, as the command line has them."""
    from tools.backtester.search.grid import coarse_axes

    axes = coarse_axes(params, MOST_PARAMETERS, fixed)
    return {name: ",".join(str(value) for value in values) for name, values in axes.items()}
