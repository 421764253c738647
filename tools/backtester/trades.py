"""From executions to round trips, and to the trades that the house's ledger books.

A round trip is a whole entry order with all its exits; the ledger's trades are lots. Both come to
the same money. Where shares were split on the way, quantities and prices are on the scale of the
exit, as the ledger keeps them.

The bar of the exit counts for `mae` and `mfe` with the exit's price alone: what the bar did before
and after cannot be told apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.ledger import Ledger, Trade
from roboinvest.core.market.bars import Floats, from_ns
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import HOUSE_AGENT, HOUSE_REVISION, Fill, Leg, to_tick
from tools.backtester.contract import Cause, Played, RoundTrip, SimFill, Stage

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Splits:
    """The splits of one symbol."""

    rows: list[int]  # before whose open they apply: the first on or after their ex-date
    actions: list[CorporateAction]

    def factor(self, after: int, until: int) -> Decimal:
        """Return how many shares one share of row `after` is in row `until`."""
        factor = ONE
        for action in self.actions[bisect_right(self.rows, after) : bisect_right(self.rows, until)]:
            factor *= action.ratio
        return factor


def round_trips(played: Played, stage: Stage) -> tuple[RoundTrip, ...]:
    """Return every entry that was filled and how it ended, by exit; open ones last.

    `kindest_pnl` takes the kindest price of each ambiguous exit, at the fees that were paid.
    """
    splits = splits_of(stage)
    entries: dict[int, list[SimFill]] = {}
    for fill in (*played.fills, *played.at_end):
        entries.setdefault(fill.entry, []).append(fill)
    trips = [
        _round_trip(fills, stage.parts[fills[0].symbol].bars, splits[fills[0].symbol])
        for fills in entries.values()
    ]
    return tuple(sorted(trips, key=lambda trip: (trip.is_open, trip.exit_at, trip.entry)))


def ledger_trades(played: Played, stage: Stage) -> tuple[Trade, ...]:
    """Return the round trips of lots as the house's ledger books them, in the order they closed."""
    return tuple(LotBook(stage).take(played.fills))


class LotBook:
    """The house's ledger over a run's executions, on the scale of each day."""

    def __init__(self, stage: Stage) -> None:
        """Take the run whose splits count."""
        self._ledger = Ledger()
        self._splits = splits_of(stage)
        self._applied = dict.fromkeys(self._splits, 0)
        self._taken = 0

    def take(self, fills: Iterable[SimFill]) -> list[Trade]:
        """Book further executions, in the order they happened; return the trades they closed."""
        trades = list[Trade]()
        for fill in fills:
            known = self._splits[fill.symbol]
            due = bisect_right(known.rows, fill.row)
            for action in known.actions[self._applied[fill.symbol] : due]:
                self._ledger.apply_action(action)
            self._applied[fill.symbol] = due
            trades += self._ledger.apply_fill(ledger_fill(fill, self._taken), fill.stop)
            self._taken += 1
        return trades


def ledger_fill(fill: SimFill, number: int) -> Fill:
    """Return an execution as the ledger takes it; `number` makes its name unique in the run."""
    order = f"sim-{fill.entry}"
    if fill.leg is not Leg.ENTRY:
        order = f"{order}-{fill.leg}-{fill.signal_row}"
    return Fill(
        execution_id=f"{order}-{number}",
        client_order_id=order,
        agent_id=HOUSE_AGENT,
        revision_id=HOUSE_REVISION,
        symbol=fill.symbol,
        leg=fill.leg,
        qty=fill.qty,
        price=fill.price,
        commission=fill.fee,
        slippage_bps=0.0,  # the ledger does not look at it
        filled_at=from_ns(fill.at),
    )


def _round_trip(fills: Sequence[SimFill], bars: SessionBars, splits: Splits) -> RoundTrip:
    first, last = fills[0], fills[-1]
    bought = [fill for fill in fills if fill.leg is Leg.ENTRY]
    left = [fill for fill in fills if fill.leg is not Leg.ENTRY]
    scale = splits.factor(first.row, last.row) if splits.rows else ONE
    fees = sum((fill.fee for fill in fills), ZERO)
    pnl = -sum((fill.qty * fill.price for fill in fills), ZERO) - fees
    qty, entry_price = _mean(bought, last.row, splits)
    entry, exit_price = float(entry_price), _mean(left, last.row, splits)[1]
    worst, best = _extremes(bars, splits, first, last, float(exit_price))
    way = 1 if first.qty > 0 else -1
    if way < 0:
        worst, best = best, worst
    doubtful = [fill for fill in left if fill.ambiguous]
    return RoundTrip(
        symbol=first.symbol,
        entry=first.entry,
        qty=qty,
        signal_row=first.signal_row,
        entry_row=first.row,
        exit_row=last.row,
        entry_at=first.at,
        exit_at=last.at,
        entry_price=entry_price,
        exit_price=exit_price,
        stop=_scaled(first.stop, scale),
        target=_scaled(first.target, scale),
        fees=fees,
        pnl=pnl,
        r_multiple=_r_multiple(bought, pnl),
        cause=last.cause,
        mae=min((worst - entry) * way, 0.0),
        mfe=max((best - entry) * way, 0.0),
        ambiguous=bool(doubtful),
        kindest_pnl=pnl + _kindness(doubtful),
        is_open=last.cause is Cause.END,
    )


def _mean(fills: Iterable[SimFill], row: int, splits: Splits) -> tuple[Decimal, Decimal]:
    """Return signed shares on the scale of `row`, and their mean price."""
    qty = value = ZERO
    for fill in fills:
        qty += fill.qty if not splits.rows else fill.qty * splits.factor(fill.row, row)
        value += fill.qty * fill.price
    return qty, value / qty


def _extremes(
    bars: SessionBars, splits: Splits, first: SimFill, last: SimFill, exit_price: float
) -> tuple[float, float]:
    """Return the lowest and the highest price while held, on the scale of the exit."""
    end = last.row + (last.cause is Cause.END)
    if first.row >= end:
        return exit_price, exit_price
    low, high = bars.low[first.row : end], bars.high[first.row : end]
    if splits.rows:
        scale = _scales(splits, first.row, end, last.row)
        low, high = low / scale, high / scale
    return min(float(low.min()), exit_price), max(float(high.max()), exit_price)


def _scales(splits: Splits, first: int, end: int, until: int) -> Floats:
    scale = np.ones(end - first)
    for row, action in zip(splits.rows, splits.actions, strict=True):
        if row <= until:
            scale[: max(row - first, 0)] *= float(action.ratio)
    return scale


def _r_multiple(bought: Iterable[SimFill], pnl: Decimal) -> float | None:
    """Return the profit over what the stop put at risk; None without a stop."""
    risk = sum(
        (abs(fill.price - fill.stop) * abs(fill.qty) for fill in bought if fill.stop is not None),
        ZERO,
    )
    return float(pnl / risk) if risk else None


def _kindness(doubtful: Iterable[SimFill]) -> Decimal:
    """Return how much more the kindest exits would have brought."""
    return sum(
        (fill.qty * (fill.price - fill.kindest) for fill in doubtful if fill.kindest is not None),
        ZERO,
    )


def _scaled(level: Decimal | None, scale: Decimal) -> Decimal | None:
    return level if level is None or scale == 1 else to_tick(level / scale)


def splits_of(stage: Stage) -> Mapping[str, Splits]:
    """Return the splits of each symbol, oldest first."""
    found: dict[str, Splits] = {}
    for symbol, part in stage.parts.items():
        own = sorted(
            (int(np.searchsorted(part.bars.day, action.ex_date.toordinal())), number)
            for number, action in enumerate(stage.actions)
            if action.kind is ActionKind.SPLIT and action.symbol == symbol
        )
        actions = [stage.actions[number] for _, number in own]
        found[symbol] = Splits([row for row, _ in own], actions)
    return found
