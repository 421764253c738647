"""From a declared distance or column to the price that an order carries.

Levels are absolute and tick-sized from the moment of the signal on (F2). What is no price, or lies
on the wrong side of the close, is refused with the bar it happened at: an order that a broker would
refuse must not look like a quiet day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints, from_ns
from roboinvest.core.market.grid import from_units, price_units, tick_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import SUB_PENNY_TICK, TICK_SIZE
from roboinvest.core.strategy import AtColumn, Execution, Multiple, Percent, Reward

Signs = NDArray[np.int8]
Level = Percent | Multiple | AtColumn | Reward | None


@dataclass(frozen=True, slots=True)
class Levels:
    """The entries of a column, and the levels that belong to them."""

    bars: SessionBars
    columns: dict[str, Floats]
    at: NDArray[np.intp]  # (k,) rows with an entry
    sides: Signs  # (k,)
    close: Floats  # (k,)

    def of(self, how: Execution, stops: Floats, targets: Floats) -> tuple[Ints, Ints, Ints]:
        """Return stop, target and trail of all rows, in units; 0 where there is none."""
        stop = self._chosen(stops, self._stop(how))
        target = self._chosen(targets, self._target(how, stop))
        trail = self._distance(how.trail)
        if how.trail is not None and how.stop is None:
            stop = np.where(np.isnan(stop), self.close - self.sides * trail, stop)
        return (
            self._column("stop", stop, -1),
            self._column("target", target, 1),
            self._spread(tick_units(np.nan_to_num(trail, nan=0.0))),
        )

    def _stop(self, how: Execution) -> Floats:
        if isinstance(how.stop, AtColumn):
            return self._needed("stop", self.columns[how.stop.of][self.at])
        return self.close - self.sides * self._distance(how.stop)

    def _target(self, how: Execution, stop: Floats) -> Floats:
        if isinstance(how.target, AtColumn):
            return self._needed("target", self.columns[how.target.of][self.at])
        if isinstance(how.target, Reward):
            return self.close + self.sides * how.target.times * np.abs(self.close - stop)
        return self.close + self.sides * self._distance(how.target)

    def _distance(self, level: Level) -> Floats:
        """Return distances in USD, a tick at least; NaN where none is declared."""
        if isinstance(level, Percent):
            return np.maximum(self.close * level.frac, self._tick())
        if isinstance(level, Multiple):
            far = self._needed("distance", self.columns[level.of][self.at] * level.times)
            return np.maximum(far, self._tick())
        return np.full(len(self.at), np.nan)

    def _tick(self) -> Floats:
        return np.where(self.close >= 1.0, float(TICK_SIZE), float(SUB_PENNY_TICK))

    def _needed(self, name: str, values: Floats) -> Floats:
        """Return declared values, of which each must be there."""
        if np.isfinite(values).all():
            return values
        at = int(np.argmax(~np.isfinite(values)))
        raise BadInput(
            f"the {name} of the entry at {when(self.bars, int(self.at[at]))} is {values[at]}; "
            "enter only where the column it stands on has a value"
        )

    def _chosen(self, given: Floats, declared: Floats) -> Floats:
        if not len(given):
            return declared
        mine = given[self.at]
        return np.where(np.isnan(mine), declared, mine)

    def _column(self, name: str, prices: Floats, way: int) -> Ints:
        """Return a level for every row; `way` is +1 for one in favour of the position."""
        there = np.isfinite(prices)
        units = tick_units(np.where(there, prices, 0.0))
        ahead = (units - price_units(self.close)) * self.sides * way
        wrong = there & ((units <= 0) | (ahead <= 0))
        if wrong.any():
            at = int(np.argmax(wrong))
            side = "above" if self.sides[at] * way > 0 else "below"
            raise BadInput(
                f"the {name} of the entry at {when(self.bars, int(self.at[at]))} is "
                f"{from_units(int(units[at]))} with the close at {self.close[at]:g}; "
                f"it must be {side} it"
            )
        return self._spread(units)

    def _spread(self, units: Ints) -> Ints:
        spread = np.zeros(len(self.bars), np.int64)
        if units.any():  # what nobody writes to takes no memory
            spread[self.at] = units
        return spread


def when(bars: SessionBars, row: int) -> str:
    """Return a bar as a person reads of it."""
    return f"{bars.symbol} {from_ns(bars.ts[row]):%Y-%m-%d %H:%M} UTC"
