"""Cheats that know the future of another symbol, or that only one symbol feels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.peers import ratio_zscore
from roboinvest.core.quant.conditions import Condition, above, below
from roboinvest.core.strategy import Calculator, Moment, Scan, ScanCall
from tests.leak_corpus.kit import (
    Case,
    Column,
    Pair,
    back,
    daily,
    forth,
    on,
    strategy,
    walk,
    with_arrays,
)

_HOUR_NS: Final = 3_600_000_000_000


def _pair_of_walks(*, thinned: bool = False) -> dict[str, SessionBars]:
    first, second = walk(2, sessions=8), walk(3, symbol="BBB", sessions=8, price=50.0)
    if thinned:  # the other symbol trades in four bars of five
        second = second.rows(np.flatnonzero(np.arange(len(second)) % 5 != 2))  # type: ignore[arg-type]
    return {"AAA": first, "BBB": second}


def _together(
    column: Column, *, thinned: bool = False, warm_up: int = 0, when: Condition | None = None
) -> Case:
    columns = {"mine": Calculator(name="mine", warm_up=warm_up, compute=column)}
    made = strategy("peers", columns, Scan(long=when or above("mine", 0.0)), symbols=2)
    return on(_pair_of_walks(thinned=thinned), made)


def _other(bars: SessionBars) -> SessionBars:
    return next(iter(bars.others.values()))


def _last_of(bars: SessionBars, values: Floats, *, ahead: int = 0) -> Floats:
    """Return the other's last value by each close, or the `ahead` one after it."""
    theirs = _other(bars)
    seen = np.searchsorted(theirs.closes_at, bars.closes_at, side="right") - 1 + ahead
    known = (seen >= 0) & (seen < len(theirs))
    return np.where(known, values[np.clip(seen, 0, max(len(theirs) - 1, 0))], np.nan)


def _leads(bars: SessionBars) -> Floats:
    theirs = _other(bars)
    if not len(theirs):
        return np.full(len(bars), np.nan)
    return _last_of(bars, theirs.close, ahead=1) - _last_of(bars, theirs.close)


def _led(bars: SessionBars) -> Floats:
    theirs = _other(bars)
    if not len(theirs):
        return np.full(len(bars), np.nan)
    return _last_of(bars, theirs.close) - _last_of(bars, back(theirs.close))


def _row_by_row(bars: SessionBars) -> Floats:
    """The other symbol's bar of the same number, which is later where it has fewer bars."""
    theirs, column = _other(bars).close, np.full(len(bars), np.nan)
    shared = min(len(theirs), len(bars))
    column[:shared] = theirs[:shared]
    return column - back(column)


def _highest(bars: SessionBars) -> Floats:
    """Buy while the other symbol is far below the high it will make that day."""
    theirs = _other(bars)
    days, high = np.unique(theirs.day), []
    high = [theirs.high[theirs.day == day].max() for day in days]
    at = np.clip(np.searchsorted(days, bars.day), 0, max(len(days) - 1, 0))
    tops = np.array(high)[at] if high else np.full(len(bars), np.nan)
    return tops / _last_of(bars, theirs.close) - 1.006


def _highest_so_far(bars: SessionBars) -> Floats:
    theirs = _other(bars)
    tops = np.full(len(theirs), np.nan)
    for row in range(len(theirs)):
        same = row > 0 and theirs.day[row] == theirs.day[row - 1]
        tops[row] = max(tops[row - 1], theirs.high[row]) if same else theirs.high[row]
    return _last_of(bars, tops / theirs.close) - 1.004


def _ratio_of_the_sample(bars: SessionBars) -> Floats:
    ratio = np.log(bars.close / _last_of(bars, _other(bars).close))
    column: Floats = -1.0 - (ratio - np.nanmean(ratio)) / (np.nanstd(ratio) + 1e-12)
    return column


def _for_one(bars: SessionBars) -> Floats:
    """Look ahead for one symbol of two."""
    honest = bars.close - back(bars.close)
    return forth(bars.close) - bars.close if bars.symbol == "BBB" else honest


def _rule_for_one(bars: SessionBars) -> Floats:
    rise = bars.close - back(bars.close)
    return rise if bars.symbol == "BBB" else -rise


def _alone(column: Column) -> Case:
    """Return a strategy for which each symbol stands alone, on two of them."""
    columns = {"mine": Calculator(name="mine", warm_up=0, compute=column)}
    return on(_pair_of_walks(), strategy("each", columns, Scan(long=above("mine", 0.0))))


def _through_the_bars(now: Any) -> bool:
    theirs = now.bars.others["BBB" if now.symbol == "AAA" else "AAA"]
    at = int(np.searchsorted(theirs.ts, now.bars.closes_at[now.row]))
    return bool(at < len(theirs) and theirs.close[at] > theirs.open[at])


def _by_its_moment(now: Moment) -> bool:
    other = "BBB" if now.symbol == "AAA" else "AAA"
    return now.other(other) > now.other(other, 1)


def _called(call: ScanCall) -> Case:
    return on(_pair_of_walks(thinned=True), strategy("called", {}, call, symbols=2))


def _with_a_day(*, early: bool) -> Case:
    """An hour after the open, the day bar of the index is there; or when the day is over."""
    index = daily(4, symbol="SPX", days=12)
    if early:
        index = replace(index, closes_at=index.opens + _HOUR_NS)
    columns = {
        "trend": Calculator(
            name="trend",
            warm_up=0,
            compute=lambda bars: (
                _last_of(bars, _other(bars).close - _other(bars).open)
                if bars.symbol != "SPX"
                else np.full(len(bars), np.nan)
            ),
        )
    }
    made = strategy("day", columns, Scan(long=above("trend", 0.0)), symbols=2)
    return on({"AAA": walk(2), "SPX": index}, made)


def _twin_index(*, early: bool) -> Case:
    """An index that moves as the symbol does; early: stamped a bar before its time."""
    bars = walk(2, sessions=15)
    chance = np.random.default_rng(8)
    noise = np.exp(chance.normal(0.0, 1e-4, len(bars)))
    index = replace(bars, symbol="ETF", close=np.round(bars.close * noise, 2), others={})
    if early:
        later = {
            name: np.append(getattr(index, name)[1:], getattr(index, name)[-1:])
            for name in ("open", "high", "low", "close", "volume")
        }
        index = with_arrays(index, **later)

    def moved(each: SessionBars) -> Floats:
        if each.symbol == "ETF":
            return np.full(len(each), np.nan)
        theirs = _other(each).close
        lead = _last_of(each, theirs) / each.close - 1.0
        return lead - 5e-4

    columns = {"lead": Calculator(name="lead", warm_up=0, compute=moved)}
    made = strategy("index", columns, Scan(long=above("lead", 0.0)), symbols=2)
    return on({"AAA": bars, "ETF": index}, made)


PAIRS: Final = (
    Pair(
        name="another symbol's next bar",
        cheat=lambda: _together(_leads),
        honest=lambda: _together(_led),
    ),
    Pair(
        name="another symbol by row",
        cheat=lambda: _together(_row_by_row, thinned=True),
        honest=lambda: _together(_led, thinned=True),
    ),
    Pair(
        name="another symbol's high of the day",
        cheat=lambda: _together(_highest),
        honest=lambda: _together(_highest_so_far),
    ),
    Pair(
        name="ratio over the whole sample",
        cheat=lambda: _together(_ratio_of_the_sample),
        honest=lambda: _together(ratio_zscore(60).compute, warm_up=61, when=below("mine", -1.5)),
    ),
    Pair(
        name="only for one symbol",
        cheat=lambda: _alone(_for_one),
        honest=lambda: _alone(_rule_for_one),
    ),
    Pair(
        name="another symbol through now.bars",
        cheat=lambda: _called(_through_the_bars),
        honest=lambda: _called(_by_its_moment),
    ),
    Pair(
        name="a day bar in the morning",
        cheat=lambda: _with_a_day(early=True),
        honest=lambda: _with_a_day(early=False),
    ),
    Pair(
        name="an index stamped a bar early",
        cheat=lambda: _twin_index(early=True),
        honest=lambda: _twin_index(early=False),
    ),
)
