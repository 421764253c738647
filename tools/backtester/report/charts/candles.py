"""A trade on its candles: where it went in and out, and the levels that it stood between."""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import Final

import numpy as np

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from tools.backtester.contract import RoundTrip
from tools.backtester.report.charts.picture import Chart, Picture
from tools.backtester.report.charts.scale import FULL, Scale, Tick, scale_of
from tools.backtester.report.measures.chosen import Candles, ChosenTrade
from tools.backtester.report.words import MONTHS, exchange_time, price, usd

_BODY: Final = 0.64  # of a candle's room
_FAR: Final = 1.0  # heights of the window by which a level may stretch the picture
_MARKS: Final = 4


def trade_chart(number: int, chosen: ChosenTrade, bars: SessionBars, timeframe: Timeframe) -> Chart:
    """Return the picture of a chosen trade; `number` makes its name."""
    trip, candles = chosen.trip, chosen.candles
    side = "Long" if trip.qty > 0 else "Short"
    scale = _scale(candles, trip)
    picture = Picture(
        name=f"trade{number}",
        title=f"{side} {trip.symbol}, the {chosen.why} trade",
        text=f"Entry at {price(trip.entry_price)}, exit at {price(trip.exit_price)}, "
        f"{usd(trip.pnl, signed=True)}.",
        height=220,
        scale=scale,
    )
    picture.levels(wanted=4)
    picture.marks(_ticks(candles, bars, timeframe))
    _draw_candles(picture, candles)
    _draw_levels(picture, candles, trip)
    into, out = ("up", "down") if trip.qty > 0 else ("down", "up")
    _mark(picture, candles.place(trip.entry_row), trip.entry_price, into, "in")
    _mark(picture, candles.place(trip.exit_row), trip.exit_price, out, "out")
    return picture.chart()


def levels_out_of_sight(chosen: ChosenTrade) -> list[str]:
    """Return the levels that the picture has no room for, each with its price."""
    scale, trip = _scale(chosen.candles, chosen.trip), chosen.trip
    return [
        f"{name} {price(level)}"
        for name, level in (("stop", trip.stop), ("target", trip.target))
        if level is not None and not scale.low <= float(level) <= scale.high
    ]


def _scale(candles: Candles, trip: RoundTrip) -> Scale:
    low, high = float(candles.low.min()), float(candles.high.max())
    room = (high - low) * _FAR
    near = [
        float(level)
        for level in (trip.stop, trip.target)
        if level is not None and low - room <= level <= high + room
    ]
    fills = [float(trip.entry_price), float(trip.exit_price)]
    return scale_of(candles.low, candles.high, include=(*near, *fills), room=0.08)


def _draw_candles(picture: Picture, candles: Candles) -> None:
    """Draw wicks, then bodies: hollow where the price rose, full where it fell."""
    room = FULL / len(candles)
    wide = max(round(room * _BODY), 1)
    tops = picture.scale.places(np.maximum(candles.open, candles.close))
    feet = picture.scale.places(np.minimum(candles.open, candles.close))
    highs, lows = picture.scale.places(candles.high), picture.scale.places(candles.low)
    middles = np.rint((np.arange(len(candles)) + 0.5) * room).astype(np.int64)
    wicks, rose, fell = list[str](), list[str](), list[str]()
    for i, middle in enumerate(middles):
        wicks.append(f"M{middle} {highs[i]}V{tops[i]}M{middle} {feet[i]}V{lows[i]}")
        body = f"M{middle - wide // 2} {tops[i]}h{wide}v{feet[i] - tops[i]}h-{wide}z"
        (rose if candles.close[i] >= candles.open[i] else fell).append(body)
    picture.curve("".join(wicks), "wick")
    picture.curve("".join(rose), "rose")
    picture.curve("".join(fell), "fell")


def _draw_levels(picture: Picture, candles: Candles, trip: RoundTrip) -> None:
    left, right = candles.place(trip.entry_row), candles.place(trip.exit_row)
    half = 0.5 / len(candles)
    x = round((left - half) * FULL)
    width = max(round((right - left + 2 * half) * FULL), 1)
    for level, kind in ((trip.stop, "stop"), (trip.target, "target")):
        if level is not None and picture.scale.low <= float(level) <= picture.scale.high:
            y = picture.scale.places(np.array([float(level)]))[0]
            picture.curve(f"M{x} {y}h{width}", kind)


def _mark(picture: Picture, place: float, level: Decimal, points: str, kind: str) -> None:
    """Set a triangle at a fill: it points up for a purchase and down for a sale."""
    y = picture.scale.place(float(level))
    shape = "M0 1l6 10h-12z" if points == "up" else "M0-1l6-10h-12z"
    label = "Entry" if kind == "in" else "Exit"
    text = escape(f"{label} {price(level)}")
    picture.over.append(
        f'<svg class="mark {kind}" x="{place * 100:.2f}%" y="{y:.1f}%"><title>{text}</title>'
        f'<path d="{shape}"/></svg>'
    )


def _ticks(candles: Candles, bars: SessionBars, timeframe: Timeframe) -> list[Tick]:
    """Return a few times along the bottom; the day where it changes, else the minute."""
    n = len(candles)
    ticks, before = [], None
    for number in range(min(_MARKS, n)):
        at = number * n // min(_MARKS, n)
        row = candles.first_row + at * candles.bundle
        when = exchange_time(int(bars.ts[row]))
        day = f"{when.day} {MONTHS[when.month - 1]}"
        if timeframe is Timeframe.DAY:
            text = day if number else f"{day} {when.year}"
        else:
            text = f"{when:%H:%M}" if day == before else f"{day} {when:%H:%M}"
        ticks.append(Tick(at=100 * (at + 0.5) / n, text=text, is_minor=number % 2 == 1))
        before = day
    return ticks
