"""What costs do to a result: the same wishes at none, once, twice and three times the costs.

All costs are multiplied, slippage and fees; the break-even asks for slippage alone, with fees as
they are. The wishes are the same, the sizes follow the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.fills import FillRules
from tools.backtester.contract import Stage, Terms
from tools.backtester.run_book.values import RunFigures
from tools.backtester.search.jobs import PlayMany

TIMES: Final = (0, 1, 2, 3)
MOST_BPS: Final = Decimal(1000)  # slippage beyond which no break-even is looked for
_CLOSE_ENOUGH: Final = Decimal("0.01")  # bps


@dataclass(frozen=True, slots=True, kw_only=True)
class AtCost:
    """A run at so many times the costs."""

    times: int
    slippage_bps: Decimal
    figures: RunFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSensitivity:
    """How much of a result is left as costs grow."""

    rows: tuple[AtCost, ...]
    break_even_bps: Decimal | None  # slippage a side at which nothing is earned; None: see words
    words: str  # for people


def cost_sensitivity(
    stage: Stage,
    terms: Terms,
    *,
    play: PlayMany,
    times: Sequence[int] = TIMES,
    break_even: bool = True,
) -> CostSensitivity:
    """Return a run at several costs, and the slippage at which it earns nothing, if asked for.

    Raises:
        BadInput: a multiple is negative or raises slippage to the whole price.
    """
    rows = list[AtCost]()
    for each in times:
        rules = _multiplied(terms.rules, each)
        figures = _figures(stage, replace(terms, rules=rules), play)
        rows.append(AtCost(times=each, slippage_bps=rules.slippage_bps, figures=figures))
    found, words = _break_even(stage, terms, play) if break_even else (None, "it was not asked for")
    return CostSensitivity(rows=tuple(rows), break_even_bps=found, words=words)


def _multiplied(rules: FillRules, times: int) -> FillRules:
    if times < 0 or rules.slippage_bps * times >= 10_000:
        raise BadInput(
            f"costs times {times} make a slippage of {rules.slippage_bps * times} bps; give "
            "multiples of 0 or more that stay below 10000 bps"
        )
    return replace(
        rules,
        slippage_bps=rules.slippage_bps * times,
        commission_per_share_usd=rules.commission_per_share_usd * times,
        sec_fee_rate=rules.sec_fee_rate * times,
        taf_per_share_usd=rules.taf_per_share_usd * times,
        taf_cap_usd=rules.taf_cap_usd * times,
    )


def _break_even(stage: Stage, terms: Terms, play: PlayMany) -> tuple[Decimal | None, str]:
    """Return the slippage at which the run earns nothing, by halving, and what it means."""

    def earns(bps: Decimal) -> bool:
        rules = replace(terms.rules, slippage_bps=bps)
        return _figures(stage, replace(terms, rules=rules), play).total_return > 0.0

    low, high = Decimal(0), MOST_BPS
    if not earns(low):
        return None, "it earns nothing even without slippage"
    if earns(high):
        return (
            None,
            f"it earns even at {MOST_BPS} bps of slippage a side; that is hardly believable",
        )
    while high - low > _CLOSE_ENOUGH:
        middle = (low + high) / 2
        low, high = (middle, high) if earns(middle) else (low, middle)
    found = low.quantize(_CLOSE_ENOUGH)
    return found, f"it earns nothing from {found} bps of slippage a side on"


def _figures(stage: Stage, terms: Terms, play: PlayMany) -> RunFigures:
    (figures,) = play([stage], terms)
    return figures
