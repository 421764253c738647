"""Cheats in the data: bars, prices, news and a choice of symbols that know later days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import Condition, above, below, crosses_above, every
from roboinvest.core.strategy import Calculator, Scan, Strategy
from tests.leak_corpus.kit import Case, Pair, a_session, daily, on, play, strategy, walk
from tools.backtester.contract import Played, Request
from tools.backtester.leaks.check import Beside
from tools.backtester.leaks.detectors.data import Feed

_MINUTE_NS: Final = 60_000_000_000
_DAYS: Final = {"slow": sma(20), "fast": sma(5)}


def _scores(bars: SessionBars) -> tuple[Ints, Floats]:
    """Return when news came out, in the session, and how good it was."""
    chance = np.random.default_rng(21)
    days, first = np.unique(bars.day, return_index=True)
    minutes = chance.integers(60, 300, len(days))
    return bars.opens[first] + minutes * _MINUTE_NS, chance.normal(0.0, 1.0, len(days))


def _by_news(known_at: Ints, *, honest: bool) -> Callable[[Floats], Strategy]:
    """Return how to build a strategy on news: by when they came out, or by their date."""

    def build(values: Floats) -> Strategy:
        def score(bars: SessionBars) -> Floats:
            at = bars.closes_at if honest else bars.ends
            newest = np.searchsorted(known_at, at, side="right") - 1
            return np.where(newest >= 0, values[np.maximum(newest, 0)], np.nan)

        columns = {"news": Calculator(name="news", warm_up=0, compute=score)}
        return strategy("news", columns, Scan(long=above("news", 0.5)))

    return build


def _news(*, honest: bool) -> Case:
    bars = walk()
    known_at, values = _scores(bars)
    build = _by_news(known_at, honest=honest)
    feed = Feed(name="news", known_at=known_at, values=values, build=build)
    return on(bars, build(values), beside=Beside(feeds=(feed,)))


def _chosen(day: date) -> Case:
    bars = {"AAA": walk(2, sessions=6), "BBB": walk(3, symbol="BBB", sessions=6)}
    made = strategy("chosen", {"slow": sma(10)}, Scan(long=crosses_above("close", "slow")))
    return on(bars, made, beside=Beside(universe_as_of=dict.fromkeys(bars, day)))


def _on_adjusted(when: Condition) -> Case:
    return on(
        walk(5, price=12.0), strategy("cheap", _DAYS, Scan(long=when)), adjusted=frozenset({"AAA"})
    )


def _split(bars: SessionBars, row: int, *, raw: bool) -> tuple[SessionBars, CorporateAction]:
    """Return bars around a split of four for one, raw or adjusted, and the split."""
    day = date.fromordinal(int(bars.day[row]))
    action = CorporateAction(
        symbol=bars.symbol, kind=ActionKind.SPLIT, ex_date=day, ratio=Decimal(4)
    )
    if not raw:
        return bars, action
    times = np.where(bars.day < bars.day[row], 4.0, 1.0)
    prices = {name: getattr(bars, name) * times for name in ("open", "high", "low", "close")}
    return replace(bars, volume=bars.volume / times, **prices), action


def _with_a_split(*, raw: bool, adjusted: bool) -> Case:
    bars, action = _split(walk(6), 5 * 78, raw=raw)
    made = strategy("split", _DAYS, Scan(long=crosses_above("fast", "slow")))
    case = on(bars, made, adjusted=frozenset({"AAA"}) if adjusted else frozenset())
    return replace(case, request=replace(case.request, actions=(action,)))


def _crossing(bars: SessionBars) -> Case:
    return on(bars, strategy("cross", _DAYS, Scan(long=crosses_above("fast", "slow"))))


def _coarse(*, early: bool) -> Case:
    """Bars of a quarter of an hour, given as bars of five minutes, or as what they are."""
    bars = walk(7, bars=26, every=15, sessions=20)
    if early:
        return _crossing(replace(bars, closes_at=bars.ts + 5 * _MINUTE_NS))
    made = strategy("cross", _DAYS, Scan(long=crosses_above("fast", "slow")))
    return on(bars, made, timeframe=Timeframe.MINUTES_15)


def _of_days(*, early: bool) -> Case:
    """Day bars that say they closed at noon."""
    bars = daily(9, days=200)
    made = strategy("days", _DAYS, Scan(long=crosses_above("fast", "slow")))
    case = on(replace(bars, closes_at=bars.closes_at - 180 * _MINUTE_NS) if early else bars, made)
    return _daily_terms(case)


def _daily_terms(case: Case) -> Case:
    plan = case.request.strategy.plan({})
    made = strategy(
        "days", plan.columns, plan.scan, replace(plan.execution, flat_before_close_min=None)
    )
    return replace(case, request=replace(case.request, strategy=made, timeframe=Timeframe.DAY))


def _in_order(*, twice: bool) -> Case:
    bars = walk(10)
    rows = np.arange(len(bars))
    if twice:
        rows = np.sort(np.append(rows, 300))
    return _crossing(bars.rows(rows))  # type: ignore[arg-type]


def _filled_early(request: Request) -> Played:
    """Fill entries at the low of their bar, as a lab once did at the range's edge."""
    played, bars = play(request), request.bars["AAA"]
    fills = tuple(
        replace(fill, price=Decimal(repr(float(bars.low[fill.row]))) * Decimal("0.998"))
        if fill.qty > 0
        else fill
        for fill in played.fills
    )
    return replace(played, fills=fills)


def _filled_in_the_signals_bar(request: Request) -> Played:
    """Fill entries in the bar that decided them."""
    played = play(request)
    fills = tuple(
        replace(fill, row=fill.signal_row, at=int(request.bars["AAA"].closes_at[fill.signal_row]))
        if fill.qty > 0
        else fill
        for fill in played.fills
    )
    return replace(played, fills=fills)


def _breakouts() -> Case:
    """The opening-range breakout, by the high of the bars that closed in the first half-hour."""

    def high(bars: SessionBars) -> Floats:
        opening = bars.closes_at <= bars.opens + 30 * _MINUTE_NS
        top = np.where(opening, bars.high, -np.inf)
        column = a_session(bars, lambda rows: np.maximum.accumulate(top[rows]))
        return np.where(opening, np.nan, column)

    columns = {"top": Calculator(name="top", warm_up=0, compute=high)}
    return on(walk(), strategy("orb", columns, Scan(long=crosses_above("close", "top"))))


PAIRS: Final = (
    Pair(
        name="news before its time",
        cheat=lambda: _news(honest=False),
        honest=lambda: _news(honest=True),
    ),
    Pair(
        name="survivors",
        cheat=lambda: _chosen(date(2024, 6, 1)),
        honest=lambda: _chosen(date(2023, 6, 1)),
    ),
    Pair(
        name="price level known by a later split",
        cheat=lambda: _on_adjusted(every(below("close", 12.2), crosses_above("fast", "slow"))),
        honest=lambda: _on_adjusted(crosses_above("fast", "slow")),
    ),
    Pair(
        name="adjusted, and split once more",
        cheat=lambda: _with_a_split(raw=False, adjusted=True),
        honest=lambda: _with_a_split(raw=True, adjusted=False),
    ),
    Pair(
        name="said to be raw, but adjusted",
        cheat=lambda: _with_a_split(raw=False, adjusted=False),
        honest=lambda: _crossing(walk(6)),
    ),
    Pair(
        name="resampled bars closing early",
        cheat=lambda: _coarse(early=True),
        honest=lambda: _coarse(early=False),
    ),
    Pair(
        name="day bars known at noon",
        cheat=lambda: _of_days(early=True),
        honest=lambda: _of_days(early=False),
    ),
    Pair(
        name="a bar twice",
        cheat=lambda: _in_order(twice=True),
        honest=lambda: _in_order(twice=False),
    ),
    Pair(
        name="entries at prices the bar never saw",
        cheat=lambda: replace(_breakouts(), play=_filled_early),
        honest=_breakouts,
    ),
    Pair(
        name="entries in the bar that decided them",
        cheat=lambda: replace(_breakouts(), play=_filled_in_the_signals_bar),
        honest=lambda: _crossing(walk(11)),
    ),
)
