"""Curves over the days of a run: equity with its benchmark, drawdown, moving figures, exposure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from markupsafe import Markup

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.grid import UNITS_PER_USD
from tools.backtester.contract import BacktestResult
from tools.backtester.report.charts.picture import Chart, Picture
from tools.backtester.report.charts.scale import FULL, Scale, day_ticks, path, scale_of, thinned
from tools.backtester.report.measures.costs import exposure_by_bar
from tools.backtester.report.measures.curves import (
    daily_exposure,
    daily_usd,
    day_places,
    days_of,
    moving_sharpe,
    under_water,
)
from tools.backtester.report.words import number, percent

LINES: Final = ("a", "b", "c", "d", "e", "f")  # styles of a comparison's lines


def equity_chart(result: BacktestResult) -> Chart:
    """Return equity at every bar's close beside the benchmark at every day's."""
    n = len(result.days)
    places = np.concatenate(([0.0], day_places(result) / max(n, 1)))
    cash = daily_usd(result.daily_equity)[0]
    equity = np.concatenate(([cash], result.played.equity / UNITS_PER_USD))
    kept = daily_usd(result.benchmark)
    scale = scale_of(equity, kept, may_log=True)
    picture = Picture(
        name="equity",
        title="Equity and buy and hold",
        text=f"The strategy went from {cash:,.0f} to {equity[-1]:,.0f} USD, lowest "
        f"{equity.min():,.0f}, highest {equity.max():,.0f}. Buy and hold ended at "
        f"{kept[-1]:,.0f} USD.",
        height=280,
        scale=scale,
    )
    picture.levels()
    picture.marks(day_ticks(days_of(result)))
    picture.curve(f"M0 {scale.places(equity[:1])[0]}h{FULL}", "base")
    picture.curve(_line(np.linspace(0.0, 1.0, n + 1), kept, scale), "line bench")
    picture.curve(_line(np.clip(places, 0.0, 1.0), equity, scale), "line main")
    return picture.chart()


def under_water_chart(result: BacktestResult) -> Chart:
    """Return how far daily equity was below its former peak, filled from zero down."""
    falls = -under_water(daily_usd(result.daily_equity))
    kept = -under_water(daily_usd(result.benchmark))
    scale = scale_of(falls, kept, include=(0.0, -0.01))
    picture = Picture(
        name="water",
        title="Drawdown",
        text=f"Deepest drawdown {percent(-float(falls.min()))}, of buy and hold "
        f"{percent(-float(kept.min()))}; at the end {percent(-float(falls[-1]))} below the peak.",
        height=140,
        scale=scale,
    )
    picture.levels(suffix=" %", factor=100, wanted=3)
    picture.marks(day_ticks(days_of(result)))
    steps = np.linspace(0.0, 1.0, len(falls))
    picture.curve(_area(steps, falls, scale), "area loss")
    picture.curve(_line(steps, falls, scale), "line down")
    picture.curve(_line(steps, kept, scale), "line bench")
    return picture.chart()


def sharpe_chart(result: BacktestResult) -> tuple[int, Chart] | None:
    """Return the window in days and the moving Sharpe ratio; None where the run is too short."""
    moving, kept = moving_sharpe(result.daily_equity), moving_sharpe(result.benchmark)
    if moving is None or not np.isfinite(moving[1]).any():
        return None
    window, ratios = moving
    other = kept[1] if kept is not None else np.full(len(ratios), np.nan)
    scale = scale_of(ratios, other, include=(0.0,))
    finite = ratios[np.isfinite(ratios)]
    picture = Picture(
        name="sharpe",
        title=f"Sharpe ratio over {window} days",
        text=f"Between {number(float(finite.min()))} and {number(float(finite.max()))}, at the "
        f"end {number(float(finite[-1]))}; above 0 in {percent(float(np.mean(finite > 0)), 0)} "
        "of the windows.",
        height=180,
        scale=scale,
    )
    picture.levels(wanted=4)
    picture.marks(day_ticks(days_of(result), 7))
    steps = np.arange(1, len(ratios) + 1) / len(ratios)
    picture.curve(_line(steps, other, scale), "line bench")
    picture.curve(_line(steps, ratios, scale), "line main")
    return window, picture.chart()


def exposure_chart(result: BacktestResult) -> Chart:
    """Return the gross value of positions over equity: the mean of each day, and its highest."""
    mean, highest = daily_exposure(result)
    scale = scale_of(mean, highest, include=(0.0, 0.1))
    held = exposure_by_bar(result)[1]
    most = float(highest.max()) if len(highest) else None
    picture = Picture(
        name="exposure",
        title="Exposure",
        text=f"A position was held at {percent(held, 0)} of the bars' closes; the most was "
        f"{percent(most, 0)} of equity.",
        height=120,
        scale=scale,
    )
    picture.levels(suffix=" %", factor=100, wanted=3)
    picture.marks(day_ticks(days_of(result)))
    edges = np.repeat(np.arange(len(mean) + 1), 2)[1:-1] / max(len(mean), 1)
    picture.curve(_area(edges, np.repeat(mean, 2), scale), "area main")
    picture.curve(_line(edges, np.repeat(highest, 2), scale), "line bench")
    return picture.chart()


def returns_chart(
    name: str, title: str, curves: Sequence[tuple[str, Sequence[date], Ints]]
) -> Chart:
    """Return several daily curves (label, days, units) as returns since the start, by date.

    At most as many as there are `LINES`; styles follow the order.
    """
    growth = [daily_usd(units) / daily_usd(units)[0] - 1.0 for _, _, units in curves]
    days = sorted({day for _, each, _ in curves for day in each})
    scale = scale_of(*growth, include=(0.0,))
    ends = (
        f"{label} {percent(float(g[-1]), signed=True)}"
        for (label, _, _), g in zip(curves, growth, strict=True)
    )
    picture = Picture(name=name, title=title, text="; ".join(ends) + ".", height=300, scale=scale)
    picture.levels(suffix=" %", factor=100)
    picture.marks(day_ticks(days))
    row = {day: number for number, day in enumerate(days)}
    for style, (_, own, _), curve in zip(LINES, curves, growth, strict=False):
        places = np.array([row[own[0]], *(row[day] + 1 for day in own)]) / len(days)
        picture.curve(_line(places, curve, scale), f"line {style}")
    return picture.chart()


def spark(units: Ints) -> Markup:
    """Return a small equity curve without axes, for a cell of a table."""
    curve = daily_usd(units)
    scale = scale_of(curve)
    first = scale.places(curve[:1])[0]
    data = _line(np.linspace(0.0, 1.0, len(curve)), curve, scale, columns=120)
    return Markup(  # noqa: S704 figures alone
        f'<svg class="spark" viewBox="0 0 {FULL} {FULL}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path class="zero" d="M0 {first}h{FULL}"/>'
        f'<path class="line main" d="{data}"/></svg>'
    )


def _line(places: Floats, values: Floats, scale: Scale, columns: int = FULL) -> str:
    """Return path data of a curve, broken where it has no value."""
    gaps = np.flatnonzero(np.diff(np.isfinite(values).astype(np.int8))) + 1
    parts = []
    for part_x, part_y in zip(np.split(places, gaps), np.split(values, gaps), strict=True):
        if np.isfinite(part_y).any():
            x, y = thinned(part_x, part_y, columns)
            parts.append(path(x * FULL // columns, scale.places(y)))
    return "".join(parts)


def _area(places: Floats, values: Floats, scale: Scale) -> str:
    """Return path data of the area between a curve and zero."""
    x, y = thinned(places, values)
    if not len(x):
        return ""
    zero = int(scale.places(np.zeros(1))[0])
    whole_x = np.concatenate((x[:1], x, x[-1:]))
    whole_y = np.concatenate(([zero], scale.places(y), [zero]))
    return path(whole_x, whole_y) + "z"
