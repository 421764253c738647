"""The same wishes, played by backtesting.py.

Where its rules are ours it is an oracle: somebody else wrote it. It gets the very signal arrays, as
numbers, and decides at each close in the order of `core.strategy`.

    rule                     backtesting.py                      ours                     compared
    market order             next bar's open                     F1 the same              yes
    stop and target          absolute, set with the order        F2 the same              yes
    entry's own bar          its stop and target count in it     F3 the same              yes
    open beyond a level      fills at the open                   F3 the same              yes
    both levels in a bar     stop                                F3 the same              yes
    a limit that is touched  fills                               F4 as FRICTIONLESS says  yes
    exit and a level in one  the exit, at the open               F3 the same              yes
    commission               any function of size and price      F6 per share, in cents   yes
    open past the target,    the stop                            F3 the target: the open  no, such
      stop touched later                                         comes before the low     wishes go
    row 0                    never asked                         decides                  no
    too little cash          the order goes, whole               F7 what cash can buy     no
    spread                   on the entry alone                  F6 slippage both sides   no
    volume                   no limit                            F5 a share of it         no
    limits, fees on sales    none                                F6, core.risk            no
    trailing stop            a class of its own, by ATR          core.strategy            no
    end of the run           open trades are left out            at_end                   no
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pandas as pd

from roboinvest.core.market.grid import UNITS_PER_USD
from tools.backtester.contract import Part

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class OracleTrade:
    """A closed round trip, as both sides can tell it."""

    entry_row: int
    exit_row: int
    shares: int  # signed
    entry_price: float
    exit_price: float
    fees: float  # both sides


def play_oracle(
    part: Part, shares: int, cash: float, *, max_bars: int | None, per_share: Decimal
) -> tuple[list[OracleTrade], float]:
    """Return the closed trades of a run, by exit, and the equity at its end."""
    bars = part.bars
    frame = pd.DataFrame(
        {
            "Open": bars.open,
            "High": bars.high,
            "Low": bars.low,
            "Close": bars.close,
            "Volume": bars.volume,
        },
        index=pd.to_datetime(bars.ts),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what is left open, and of its plots
        from backtesting import Backtest

        run = Backtest(
            frame,
            _strategy(part, shares, max_bars),
            cash=cash,
            commission=lambda size, price: _commission(abs(size), per_share),
        )
        found = run.run()
    trades = [
        OracleTrade(
            entry_row=int(row.EntryBar),
            exit_row=int(row.ExitBar),
            shares=int(row.Size),
            entry_price=float(row.EntryPrice),
            exit_price=float(row.ExitPrice),
            fees=float(row.Commission),
        )
        for row in found["_trades"].itertuples()
    ]
    return sorted(trades, key=lambda one: (one.exit_row, one.entry_row)), found["Equity Final [$]"]


def _commission(shares: float, per_share: Decimal) -> float:
    return float((per_share * int(shares)).quantize(CENT, rounding=ROUND_CEILING))


def _strategy(part: Part, shares: int, max_bars: int | None) -> type[Any]:
    from backtesting import Strategy

    signals = part.signals
    stops, targets = (column / UNITS_PER_USD for column in (signals.stop, signals.target))

    class Wishes(Strategy):  # type: ignore[misc]
        """Wants what the arrays want."""

        def init(self) -> None:
            """Compute nothing."""

        def next(self) -> None:
            """Decide at a close."""
            row = len(self.data) - 1
            if self.position:
                held = row - self.trades[0].entry_bar + 1
                is_over = max_bars is not None and held >= max_bars
                if signals.late[row] or is_over or signals.leave[row]:
                    self.position.close()
            elif signals.entry[row]:
                send = self.buy if signals.entry[row] > 0 else self.sell
                send(size=shares, sl=stops[row] or None, tp=targets[row] or None)

    return Wishes
