"""What the hours say: trends, comparisons with the week before, costs; values and pure functions.

A figure that cannot be given is None and has its reason. Nothing here decides what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.spans import Bottleneck, PlaceSummary
from roboinvest.core.oversight.trade_groups import TradeGroup
from roboinvest.core.oversight.trends import Difference, Trend, difference, trend

HourRow = tuple[datetime, float, int]  # begin of the hour, value, observations
TREND_OVER: Final = timedelta(hours=48)
TRADES_OVER: Final = timedelta(days=30)
COMPARED: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
WORSE_FRAC: Final = 0.15  # of the mean of last week: less is not called a regression
MOST_METRICS: Final = 120  # that are analysed in one go
_LOWER_IS_BETTER: Final = (
    *(hourly.LATENCY, hourly.AGENT_LATENCY, hourly.LLM_LATENCY, hourly.LLM_FAILED),
    *(hourly.SPAN_MEAN, hourly.COST_PER_DECISION, hourly.COST_PER_INSIGHT, hourly.GAUGE),
)
_HIGHER_IS_BETTER: Final = (hourly.SUCCESS, hourly.AGENT_SUCCESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricView:
    """One hourly figure: now, its trend, and beside the same hours a week ago."""

    metric: str
    newest: float
    newest_n: int  # observations behind it
    newest_at: datetime  # begin of its hour, UTC
    hours: int  # that the trend rests on
    trend: Trend
    against_last_week: Difference
    is_regression: bool  # worse than last week, beyond chance and beyond 15 %


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """What one decision or insight cost in models, over the hours that were looked at."""

    usd: float | None
    of: float  # decisions or insights
    reason: str  # why there is no figure; "" where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What one review came to."""

    at: datetime  # UTC
    metrics: tuple[MetricView, ...]
    regressions: tuple[str, ...]  # metrics, the worst first
    bottlenecks: tuple[Bottleneck, ...]
    bottlenecks_reason: str  # why there are none; "" where there are
    places: tuple[PlaceSummary, ...]  # by service and kind
    per_decision: UnitCost
    per_insight: UnitCost
    by_agent: tuple[TradeGroup, ...] | None
    by_regime: tuple[TradeGroup, ...] | None
    by_hour: tuple[TradeGroup, ...] | None  # of the exchange's clock, at the entry
    trades_reason: str  # why there are none; "" where there are


def view_of(metric: str, rows: Sequence[HourRow], now: datetime) -> MetricView | None:
    """Return the view of a metric; None where nothing was noted in the last two days."""
    lately = [row for row in rows if row[0] >= now - TREND_OVER]
    if not lately:
        return None
    start = lately[0][0]
    hours = [(at - start).total_seconds() / 3600.0 for at, _, _ in lately]
    compared = _against_last_week(rows, now)
    return MetricView(
        metric=metric,
        newest=lately[-1][1],
        newest_n=lately[-1][2],
        newest_at=lately[-1][0],
        hours=len(lately),
        trend=trend(hours, [value for _, value, _ in lately]),
        against_last_week=compared,
        is_regression=_is_worse(metric, compared),
    )


def views_of(figures: Mapping[str, Sequence[HourRow]], now: datetime) -> tuple[MetricView, ...]:
    """Return the views of the metrics that say whether things go well, `MOST_METRICS` at most."""
    wanted = [name for name in sorted(figures) if better(name) is not None][:MOST_METRICS]
    return tuple(view for name in wanted if (view := view_of(name, figures[name], now)) is not None)


def better(metric: str) -> str | None:
    """Return "lower" or "higher", whichever is better; None where neither is."""
    base = metric.partition("/")[0]
    if base in _LOWER_IS_BETTER:
        return "lower"
    return "higher" if base in _HIGHER_IS_BETTER else None


def regressions_of(views: Iterable[MetricView]) -> tuple[str, ...]:
    """Return the metrics that are worse than last week, by how much of itself each lost."""
    found = [view for view in views if view.is_regression]
    return tuple(view.metric for view in sorted(found, key=lambda view: -_relative(view)))


def unit_cost(
    cost: Sequence[HourRow], units: Sequence[HourRow], what: str, *, since: datetime
) -> UnitCost:
    """Return what one of something cost from an instant on.

    Only hours count in which both were noted: a cost without its decisions is no price.
    """
    paid = {at: value for at, value, _ in cost if at >= since}
    made = {at: value for at, value, _ in units if at >= since}
    shared = paid.keys() & made.keys()
    if not shared:
        return UnitCost(usd=None, of=0.0, reason=f"no hour is on record with costs and {what}")
    count = sum(made[at] for at in shared)
    if count <= 0.0:
        return UnitCost(usd=None, of=0.0, reason=f"there were no {what}")
    return UnitCost(usd=sum(paid[at] for at in shared) / count, of=count, reason="")


def _against_last_week(rows: Sequence[HourRow], now: datetime) -> Difference:
    """Compare the last day with the same hours a week before; hours that one side lacks are out."""
    values = {at: value for at, value, _ in rows}
    pairs = [
        (values[at - WEEK], value)
        for at, value in sorted(values.items())
        if now - COMPARED <= at and at - WEEK in values
    ]
    return difference([old for old, _ in pairs], [new for _, new in pairs])


def _is_worse(metric: str, found: Difference) -> bool:
    side = better(metric)
    if side is None or not found.is_seen or found.change is None or not found.before:
        return False
    worse = found.change if side == "lower" else -found.change
    return worse > WORSE_FRAC * abs(found.before)


def _relative(view: MetricView) -> float:
    found = view.against_last_week
    return abs(found.change or 0.0) / (abs(found.before or 0.0) or 1.0)
