"""Round trips in groups: how many won, and what one of them came to, each with its interval.

The share of wins has Wilson's interval from the first trade on. The mean has one by the stationary
bootstrap, and none below ten trades: a mean of three trades is an anecdote, and is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from numpy.random import Generator

from roboinvest.core.ledger import Trade
from roboinvest.core.performance import Proportion, wilson_interval
from roboinvest.core.statistics.intervals import FEWEST, Interval, interval, mean_statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOutcome:
    """What one entry came to, once nothing of it is left open."""

    entry_order_id: str
    agent_id: str
    symbol: str
    pnl_usd: float  # after commission, all parts of it
    opened_at: datetime  # UTC
    closed_at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeGroup:
    """Trades that have something in common."""

    name: str
    trades: int
    pnl_usd: float
    win_rate: Proportion | None  # None: no trade
    expectancy: Interval | None  # USD a trade; None: see `reason`
    reason: str  # why there is no expectancy; "" where there is one


def outcomes_of(trades: Iterable[Trade]) -> tuple[TradeOutcome, ...]:
    """Return what each entry came to, in the order in which they were closed.

    An entry of which something is still open is left out, and so is one whose last part ended
    outside of what is given.
    """
    parts: dict[str, list[Trade]] = {}
    for trade in trades:
        parts.setdefault(trade.entry_order_id, []).append(trade)
    closed = (group for group in parts.values() if any(trade.closes_entry for trade in group))
    found = (
        TradeOutcome(
            entry_order_id=group[0].entry_order_id,
            agent_id=group[0].agent_id,
            symbol=group[0].symbol,
            pnl_usd=float(sum(trade.pnl for trade in group)),
            opened_at=min(trade.opened_at for trade in group),
            closed_at=max(trade.closed_at for trade in group),
        )
        for group in closed
    )
    return tuple(sorted(found, key=lambda each: (each.closed_at, each.entry_order_id)))


def summary_of(name: str, outcomes: Sequence[TradeOutcome], rng: Generator) -> TradeGroup:
    """Return the figures of one group."""
    profits = [each.pnl_usd for each in outcomes]
    mean = interval(profits, mean_statistic, rng)
    if mean is not None:
        reason = ""
    elif len(profits) < FEWEST:
        reason = f"too few: {len(profits)} round trips, and a mean takes {FEWEST}"
    else:
        reason = "the round trips do not differ"
    return TradeGroup(
        name=name,
        trades=len(profits),
        pnl_usd=sum(profits),
        win_rate=wilson_interval(sum(profit > 0.0 for profit in profits), len(profits)),
        expectancy=mean,
        reason=reason,
    )


def grouped(
    outcomes: Iterable[TradeOutcome], name_of: Callable[[TradeOutcome], str], rng: Generator
) -> tuple[TradeGroup, ...]:
    """Return the figures of each group, the largest first."""
    groups: dict[str, list[TradeOutcome]] = {}
    for each in outcomes:
        groups.setdefault(name_of(each), []).append(each)
    found = (summary_of(name, members, rng) for name, members in sorted(groups.items()))
    return tuple(sorted(found, key=lambda group: (-group.trades, group.name)))
