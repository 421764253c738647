"""The comparison of two runs in words a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from roboinvest.cli.output import console, print_facts, print_table

if TYPE_CHECKING:
    from roboinvest.core.performance import Proportion
    from roboinvest.runtime.llm.hindsight.comparison import Cell, Comparison, Differences
    from roboinvest.runtime.llm.hindsight.decay import Decay

NO_SUCH_DAYS = "no such days in this range"
CELL_COLUMNS = (
    *("inputs", "days", "Sessions", "Ticks", "BUY", "SELL", "HOLD", "By model", "Return"),
    *("Mean/tick", "Ratio/tick", "Trades", "Won"),
)
SHARE_COLUMNS = ("days", "action", "Taken", "Differs", "Share", "95 % interval")
CONTROL = (
    "The days after the cut-off are the control: what differs there is not memory, but the "
    "disguise, and a model that answers the same question in several ways."
)


def show(found: Comparison, cost_usd: Decimal) -> None:
    """Print the four cells, the differences and the decay ratios."""
    out = console()
    out.print(found.contamination.text, markup=False)
    print_table("Results", CELL_COLUMNS, _cells(found), empty="Nothing was lived through.")
    print_table(
        "Decisions that differ in disguise", SHARE_COLUMNS, _differing(found), empty=NO_SUCH_DAYS
    )
    print_facts(
        {
            "agreement until": _agreement(found.differences_before),
            "agreement after": _agreement(found.differences_after),
            "decay in disguise": _said(found.decay_in_disguise),
            "the same, after": _said(found.control),
            "decay at the cut-off": _said(found.decay_after_cutoff),
            "definition": found.definition,
            "cost": f"{cost_usd:.6f} USD",
        }
    )
    for line in _warnings(found):
        out.print(line, markup=False)


def _cells(found: Comparison) -> Iterator[tuple[object, ...]]:
    named: tuple[tuple[str, str, Cell | None], ...] = (
        ("true", "until the cut-off", found.true_before),
        ("disguised", "until the cut-off", found.disguised_before),
        ("true", "after it", found.true_after),
        ("disguised", "after it", found.disguised_after),
    )
    for inputs, days, cell in named:
        if cell is None:
            continue
        yield (
            inputs,
            days,
            cell.sessions,
            cell.ticks,
            *cell.decisions.values(),
            cell.by_model,
            f"{cell.total_return:+.3%}",
            None if cell.mean_tick is None else f"{cell.mean_tick:+.2e}",
            None if cell.ratio_tick is None else f"{cell.ratio_tick:+.4f}",
            cell.trades,
            cell.wins,
        )


def _differing(found: Comparison) -> Iterator[tuple[object, ...]]:
    sides = (("until the cut-off", found.differences_before), ("after it", found.differences_after))
    for days, side in sides:
        for action, share in side.by_action.items() if side is not None else ():
            part, interval = _share(share.share)
            yield days, action, share.count, share.differing, part, interval


def _share(share: Proportion | None) -> tuple[str | None, str | None]:
    if share is None:
        return None, None
    return f"{share.value:.0%}", f"{share.low:.0%} to {share.high:.0%}"


def _agreement(side: Differences | None) -> str:
    if side is None:
        return NO_SUCH_DAYS
    whole, interval = _share(side.agreement)
    if whole is None:
        return "no decision was made by a model in both runs"
    acting, _ = _share(side.acting)
    return (
        f"{whole} of {side.compared} decisions ({interval}); {acting or 'none'} of those in which "
        "either run bought or sold"
    )


def _said(figure: Decay | None) -> str:
    return NO_SUCH_DAYS if figure is None else figure.text


def _warnings(found: Comparison) -> Iterator[str]:
    sides = [s for s in (found.differences_before, found.differences_after) if s is not None]
    left_out, compared = sum(s.left_out for s in sides), sum(s.compared for s in sides)
    if not compared:
        yield "No model answered in both runs: these figures say nothing about its memory."
    elif left_out:
        yield (
            f"{left_out} of {left_out + compared} decisions were made by rules in one of the runs "
            "at least (see `roboinvest llm spend`), and are not compared."
        )
    if found.differences_after is not None:
        yield CONTROL
