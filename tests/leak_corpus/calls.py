"""Cheats in the calls of a scan or an exit: they reach behind their moment."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, Final

import numpy as np

from roboinvest.core.quant.calculators.session import (
    opening_range_high,
    opening_range_low,
    session_high,
    session_low,
    session_vwap,
)
from roboinvest.core.strategy import Calculator, Entry, Held, Moment
from tests.leak_corpus.kit import HOW, Pair, a_session, back, by_call, forth

_VWAP: Final = {"vwap": session_vwap()}
_RANGE: Final = {"high_30": opening_range_high(30), "low_30": opening_range_low(30)}
_SO_FAR: Final = {"so_far": session_high(), "lowest": session_low()}
_TOMORROW: Final = {
    "ahead": Calculator(name="ahead", warm_up=0, compute=lambda bars: forth(bars.low)),
    "top": Calculator(
        name="top",
        warm_up=0,
        compute=lambda bars: a_session(bars, lambda rows: bars.high[rows].max()),
    ),
}
_YESTERDAY: Final = {
    "behind": Calculator(name="behind", warm_up=1, compute=lambda bars: back(bars.low))
}


def _rising(now: Moment) -> bool:
    return now("close") > now("close", 3)


def _next_close(now: Any) -> bool:
    following = now.bars.close[now.row + 1 : now.row + 2]
    return bool(len(following) and following[0] > now("close"))


def _next_column(now: Any) -> bool:
    closes = now.columns["close"]
    return bool(now.row + 1 < len(closes) and closes[now.row + 1] > closes[now.row])


def _over_vwap(now: Moment) -> bool:
    return now("close") > now("vwap") and now("close", 1) <= now("vwap", 1)


def _last_close_of_all(now: Any) -> bool:
    return bool(now.columns["close"][-1] > 1.01 * now("close"))


def _by_another_name(now: Moment) -> bool:
    bars = getattr(now, "ba" + "rs", None)
    row = getattr(now, "ro" + "w", 0)
    return bool(bars is not None and row + 2 < len(bars) and bars.high[row + 2] > now("high"))


def _breaks_out(now: Moment) -> bool:
    return now("close") > now("high_30") and now("close", 1) <= now("high_30", 1)


def _before_the_tape_ends(now: Any) -> bool:
    return len(now.bars) - now.row > 100 and _rising(now)


def _before_the_session_ends(now: Moment) -> bool:
    return now("minutes_left") > 60 and _rising(now)


def _through_the_frame(now: Moment) -> bool:
    frame = inspect.currentframe()
    while frame is not None and "stops" not in frame.f_locals:
        frame = frame.f_back
    if frame is None:
        return False
    bars, row = frame.f_locals["bars"], frame.f_locals["row"]
    return bool(row + 1 < len(bars) and bars.close[row + 1] > bars.close[row])


def _fast_reversion(now: Moment) -> bool:
    """Three falling bars in a row, and under VWAP: bought for a bar."""
    falls = now("close") < now("close", 1) < now("close", 2) < now("close", 3)
    return falls and now("close") < now("vwap")


def _stop_under_what_comes(now: Moment) -> Entry | None:
    if not _rising(now) or not now("ahead") > 0.99 * now("close"):
        return None
    return Entry(stop=min(now("ahead"), now("close")) - 0.02)


def _stop_under_what_was(now: Moment) -> Entry | None:
    if not _rising(now):
        return None
    return Entry(stop=min(now("behind"), now("low")) - 0.05)


def _target_at_the_top(now: Moment) -> Entry | None:
    far = now("top") > 1.004 * now("close")
    return Entry(target=now("top") - 0.01) if far else None


def _target_at_the_range(now: Moment) -> Entry | None:
    inside = now("high_30") > 1.002 * now("close")
    return Entry(target=now("high_30")) if inside else None


def _leaves_at_the_top(now: Any, held: Held) -> bool:
    return bool(now("high") >= now.bars.high[now.bars.day == now.bars.day[now.row]].max())


def _leaves_on_a_new_high(now: Moment, held: Held) -> bool:
    return now("high") >= now("so_far") and now("close") > held.entry_price


def _leaves_before_the_stop(now: Moment, held: Held) -> bool:
    return held.stop is not None and now("ahead") <= held.stop


def _leaves_near_the_stop(now: Moment, held: Held) -> bool:
    return held.stop is not None and now("low") <= held.stop * 1.002


def _seldom(now: Any) -> bool:
    """Peek once in a session only, when the first hour is over."""
    if now("minutes_open") != 60.0:
        return _rising(now) and now("minutes_open") == 120.0
    day = now.bars.day == now.bars.day[now.row]
    return bool(now.bars.close[day][-1] > now("close"))


def _at_two_times(now: Moment) -> bool:
    return now("minutes_open") in (60.0, 120.0) and _rising(now)


class _Peeking:
    """A call that is an object, and remembers the bars it once got hold of."""

    def __call__(self, now: Any) -> bool:
        self.bars = now.bars
        ahead = np.searchsorted(self.bars.closes_at, self.bars.closes_at[now.row], side="right")
        return bool(ahead < len(self.bars) and self.bars.open[ahead] < self.bars.close[ahead])


class _Waiting:
    """A call that is an object with a setting."""

    def __init__(self, bars: int) -> None:
        self.bars_back = bars

    def __call__(self, now: Moment) -> bool:
        return now("close") > now("high", self.bars_back)


PAIRS: Final = (
    Pair(name="next close through now.bars", cheat=by_call(_next_close), honest=by_call(_rising)),
    Pair(
        name="next close through now.columns",
        cheat=by_call(_next_column),
        honest=by_call(_over_vwap, columns=_VWAP),
    ),
    Pair(
        name="negative index: the tape's last close",
        cheat=by_call(_last_close_of_all),
        honest=by_call(_fast_reversion, columns=_VWAP, how=replace(HOW, max_bars=1)),
    ),
    Pair(
        name="attributes by composed names",
        cheat=by_call(_by_another_name),
        honest=by_call(_breaks_out, columns=_RANGE),
    ),
    Pair(
        name="length of the tape",
        cheat=by_call(_before_the_tape_ends),
        honest=by_call(_before_the_session_ends),
    ),
    Pair(
        name="bars through the caller's frame",
        cheat=by_call(_through_the_frame),
        honest=by_call(lambda now: now("close") > now("open")),
    ),
    Pair(name="once a session only", cheat=by_call(_seldom), honest=by_call(_at_two_times)),
    Pair(
        name="a call that is an object",
        cheat=by_call(_Peeking()),
        honest=by_call(_Waiting(4)),
    ),
    Pair(
        name="stop under the next low",
        cheat=by_call(_stop_under_what_comes, columns=_TOMORROW),
        honest=by_call(_stop_under_what_was, columns=_YESTERDAY),
    ),
    Pair(
        name="target at the day's extreme",
        cheat=by_call(_target_at_the_top, columns=_TOMORROW),
        honest=by_call(_target_at_the_range, columns=_RANGE),
    ),
    Pair(
        name="exit at the day's extreme",
        cheat=by_call(_rising, how=replace(HOW, exit=_leaves_at_the_top)),
        honest=by_call(_rising, columns=_SO_FAR, how=replace(HOW, exit=_leaves_on_a_new_high)),
    ),
    Pair(
        name="exit knows the bar that stops it",
        cheat=by_call(_rising, columns=_TOMORROW, how=replace(HOW, exit=_leaves_before_the_stop)),
        honest=by_call(_rising, how=replace(HOW, exit=_leaves_near_the_stop)),
    ),
)
