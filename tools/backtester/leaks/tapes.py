"""Tapes to try a strategy on: cut short, cut out, going on differently, on another scale.

Every tape made here is one that a market could have printed, so an honest strategy behaves on it as
on the real one: its past is the same. All arrays are read-only; a strategy that writes into its
bars fails instead of changing the run for those after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.session_bars import SessionBars

Tape = Mapping[str, SessionBars]  # by symbol, each without others beside it
PRICES: Final = ("open", "high", "low", "close")
ARRAYS: Final = ("ts", "closes_at", "day", *PRICES, "volume", "opens", "ends")
_LEAST: Final = 0.01  # USD, of an invented price
_WEEK_NS: Final = 7 * 86_400_000_000_000


class Going(StrEnum):
    """How a tape goes on after a cut."""

    MIRRORED = "moves the other way"
    SHUFFLED = "goes on with the same bars in another order"
    THINNED = "goes on with bars missing and ends earlier"
    LONGER = "goes on for longer"
    SCALED = "goes on at a multiple of its price and volume"
    EXTREME = "goes on with extreme bars"


def read_only(tape: Tape) -> dict[str, SessionBars]:
    """Return views that cannot be written to, without others."""
    return {symbol: _arrays(bars, slice(None)) for symbol, bars in tape.items()}


def until(tape: Tape, instant: int) -> dict[str, SessionBars]:
    """Return what had closed at `instant` (ns since the epoch)."""
    return {symbol: _arrays(bars, slice(0, closed(bars, instant))) for symbol, bars in tape.items()}


def between(tape: Tape, first: int, last: int) -> dict[str, SessionBars]:
    """Return the bars that opened at `first` or later and had closed at `last`."""
    return {
        symbol: _arrays(
            bars, slice(int(np.searchsorted(bars.ts, first)), max(closed(bars, last), 0))
        )
        for symbol, bars in tape.items()
    }


def closed(bars: SessionBars, instant: int) -> int:
    """Return how many bars had closed at `instant`."""
    return int(np.searchsorted(bars.closes_at, instant, side="right"))


def going_on(
    tape: Tape,
    instant: int,
    how: Going,
    rng: np.random.Generator,
    *,
    but: str | None = None,
) -> dict[str, SessionBars]:
    """Return a tape that is the same up to `instant`; the symbol `but` stays as it is after it."""
    return {
        symbol: bars if symbol == but else _gone_on(bars, closed(bars, instant), how, rng)
        for symbol, bars in tape.items()
    }


def other_world(tape: Tape, rng: np.random.Generator) -> dict[str, SessionBars]:
    """Return other prices and volumes at the same times, from the first bar on."""
    return {symbol: _frozen(_reordered(bars, 0, rng)) for symbol, bars in tape.items()}


def rescaled(tape: Tape, times: float, symbols: frozenset[str]) -> dict[str, SessionBars]:
    """Return the tape with the prices of some symbols multiplied, volumes divided."""
    return {
        symbol: _frozen(_times(bars, np.ones(len(bars), np.bool_), times, 1.0 / times))
        if symbol in symbols
        else bars
        for symbol, bars in tape.items()
    }


def _gone_on(bars: SessionBars, known: int, how: Going, rng: np.random.Generator) -> SessionBars:
    if known >= len(bars):
        return bars
    match how:
        case Going.MIRRORED:
            return _frozen(_mirrored(bars, known))
        case Going.SHUFFLED:
            return _frozen(_reordered(bars, known, rng))
        case Going.THINNED:
            return _thinned(bars, known, rng)
        case Going.LONGER:
            return _longer(bars, known)
        case Going.SCALED:
            return _frozen(_times(bars, np.arange(len(bars)) >= known, 3.0, 7.0))
        case Going.EXTREME:
            return _frozen(_with_extremes(bars, known, rng))


def _mirrored(bars: SessionBars, known: int) -> SessionBars:
    """Return the future with every move turned round, about the last known close."""
    around = float(bars.close[known - 1]) if known else float(bars.open[0])
    turned = {name: getattr(bars, name).copy() for name in PRICES}
    for name, source in zip(PRICES, ("open", "low", "high", "close"), strict=True):
        turned[name][known:] = _priced(around * around / getattr(bars, source)[known:])
    return _with(bars, turned)


def _reordered(bars: SessionBars, known: int, rng: np.random.Generator) -> SessionBars:
    """Return the future's bars in another order, each with its own move and volume."""
    before = np.concatenate(([bars.open[0]], bars.close[:-1]))
    order = known + rng.permutation(len(bars) - known)
    start = float(bars.close[known - 1]) if known else float(bars.open[0])
    closes = start * np.cumprod((bars.close / before)[order])
    bases = np.concatenate(([start], closes[:-1]))
    turned = {name: getattr(bars, name).copy() for name in (*PRICES, "volume")}
    for name in PRICES:
        turned[name][known:] = _priced(bases * (getattr(bars, name) / before)[order])
    turned["volume"][known:] = bars.volume[order]
    return _with(bars, turned)


def _thinned(bars: SessionBars, known: int, rng: np.random.Generator) -> SessionBars:
    keep = np.ones(len(bars), np.bool_)
    keep[known:] = rng.random(len(bars) - known) < 0.6
    keep[known + 2 * (len(bars) - known) // 3 + 1 :] = False
    return _arrays(bars, keep)


def _longer(bars: SessionBars, known: int) -> SessionBars:
    """Return the tape with its future once more behind it, whole weeks later."""
    weeks = int(bars.ts[-1] - bars.ts[known]) // _WEEK_NS + 1
    moved = {"day": weeks * 7} | dict.fromkeys(
        ("ts", "closes_at", "opens", "ends"), weeks * _WEEK_NS
    )
    longer = {
        name: np.concatenate(
            (getattr(bars, name), getattr(bars, name)[known:] + moved.get(name, 0))
        )
        for name in ARRAYS
    }
    return _frozen(_with(bars, longer))


def _times(bars: SessionBars, rows: Flags, price: float, volume: float) -> SessionBars:
    scaled = {
        name: np.where(rows, getattr(bars, name) * price, getattr(bars, name)) for name in PRICES
    }
    traded = np.where(rows, bars.volume * volume, bars.volume)
    return _with(bars, {**scaled, "volume": traded})


def _with_extremes(bars: SessionBars, known: int, rng: np.random.Generator) -> SessionBars:
    """Return a future in which single bars reach far up and far down."""
    high, low, volume = bars.high.copy(), bars.low.copy(), bars.volume.copy()
    far = known + rng.choice(len(bars) - known, size=min(3, len(bars) - known), replace=False)
    high[far] *= 4.0
    low[far] = _priced(low[far] / 4.0)
    volume[far] *= 50.0
    return _with(bars, {"high": high, "low": low, "volume": volume})


def _with(bars: SessionBars, arrays: Mapping[str, NDArray[Any]]) -> SessionBars:
    made = {name: arrays.get(name, getattr(bars, name)) for name in ARRAYS}
    return SessionBars(symbol=bars.symbol, **made)


def _priced(prices: Floats) -> Floats:
    return np.maximum(np.round(prices, 4), _LEAST)


def _arrays(bars: SessionBars, rows: slice | Flags) -> SessionBars:
    cut = {name: getattr(bars, name)[rows] for name in ARRAYS}
    return _frozen(SessionBars(symbol=bars.symbol, **cut))


def _frozen(bars: SessionBars) -> SessionBars:
    views = {name: getattr(bars, name).view() for name in ARRAYS}
    for view in views.values():
        view.flags.writeable = False
    return SessionBars(symbol=bars.symbol, **views)
