"""Rules that turn an analysis into advice: what to do, what it should change, how that is measured.

Each rule rests on figures that are in the analysis, says how much it expects, and names the hourly
figure by which it will be judged. What did not help lately is not advised again. Advice never
raises a limit and never moves money: what it says of trading is to do less of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.advice import Advice, Aim
from roboinvest.core.oversight.analysis import TRADES_OVER, Analysis, MetricView, better
from roboinvest.core.oversight.spans import Bottleneck, SpanKind
from roboinvest.core.oversight.trade_groups import TradeGroup

MOST_A_REVIEW: Final = 5
LASTS: Final = timedelta(days=7)  # for somebody to take it
WATCH: Final = timedelta(hours=48)  # before and after
BOTTLENECK_SHARE: Final = 0.4
BOTTLENECK_GAIN: Final = 0.25  # of its seconds
BOTTLENECK_SPANS: Final = 30.0  # lately; fewer say little of what it usually takes
FAILED_FRAC: Final = 0.2
FAILED_CALLS: Final = 10  # in the hour
LOSING_TRADES: Final = 20
_REMEDY: Final = {
    SpanKind.TIME: "have its code looked at: it works more than it waits",
    SpanKind.QUEUE: "begin it sooner or less often: it waits for its turn",
    SpanKind.LOCK: "let it hold the lock for less: it waits for others",
    SpanKind.IO: "read and write less, or keep what was read: it waits for disk or network",
    SpanKind.MODEL: "shorten its prompt or give it a faster model: it waits for a model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    rule: str
    subject: str
    text: str
    evidence: str
    metric: str
    aim: Aim
    expected: float
    expected_text: str


def advise(
    analysis: Analysis, *, rests: Collection[tuple[str, str]], new_id: Callable[[], str]
) -> tuple[Advice, ...]:
    """Return what follows from an analysis, the most urgent first.

    Args:
        analysis: of one review.
        rests: (rule, subject) of advice that is pending, or that did not help lately.
        new_id: names advice.
    """
    drafts = [each for each in _drafts(analysis) if (each.rule, each.subject) not in rests]
    return tuple(_made(each, analysis.at, new_id()) for each in drafts[:MOST_A_REVIEW])


def _drafts(analysis: Analysis) -> Iterator[_Draft]:
    views = {view.metric: view for view in analysis.metrics}
    for metric in analysis.regressions:
        yield _regression(views[metric])
    for view in analysis.metrics:
        if view.metric.startswith(f"{hourly.LLM_FAILED}/"):
            yield from _failing_task(view)
    for group in analysis.by_agent or ():
        yield from _losing(group)
    for found in analysis.bottlenecks:
        yield from _bottleneck(found, {view.metric for view in analysis.metrics})


def _regression(view: MetricView) -> _Draft:
    found = view.against_last_week
    before, after = found.before or 0.0, found.after or 0.0
    is_low = better(view.metric) == "lower"
    return _Draft(
        rule="regression",
        subject=view.metric,
        text=f"Look what was changed since last week: {view.metric} got worse; if a change did it, "
        "roll it back.",
        evidence=f"{before:.4g} in the same hours last week, {after:.4g} now (95 % interval of the "
        f"change {found.low or 0.0:+.4g} to {found.high or 0.0:+.4g}, {found.n_after} hours)",
        metric=view.metric,
        aim=Aim.LOWER if is_low else Aim.HIGHER,
        expected=before - after,
        expected_text=f"{view.metric} back at {before:.4g}",
    )


def _failing_task(view: MetricView) -> Iterator[_Draft]:
    if view.newest > FAILED_FRAC and view.newest_n >= FAILED_CALLS:
        task = view.metric.partition("/")[2]
        yield _Draft(
            rule="failing task",
            subject=task,
            text=f"Have {task} answered by its rule until its model answers again.",
            evidence=f"{view.newest:.0%} of {view.newest_n} calls failed in the newest hour",
            metric=view.metric,
            aim=Aim.LOWER,
            expected=-view.newest,
            expected_text="no failed calls, and no money spent on them",
        )


def _losing(group: TradeGroup) -> Iterator[_Draft]:
    mean = group.expectancy
    if mean is None or group.trades < LOSING_TRADES or mean.high >= 0.0:
        return
    an_hour = -group.pnl_usd / (TRADES_OVER / timedelta(hours=1))
    yield _Draft(
        rule="losing agent",
        subject=group.name,
        text=f"Let {group.name} risk less, or pause it, until it earns on paper again.",
        evidence=f"{group.trades} round trips came to {mean.value:+.2f} USD each (95 % interval "
        f"{mean.low:+.2f} to {mean.high:+.2f})",
        metric=hourly.of(hourly.PNL, group.name),
        aim=Aim.HIGHER,
        expected=an_hour,
        expected_text=f"{an_hour:.2f} USD less lost an hour, where it stops altogether",
    )


def _bottleneck(found: Bottleneck, known: Collection[str]) -> Iterator[_Draft]:
    place = found.place
    metric = hourly.of(hourly.SPAN_MEAN, place.service, place.kind)
    if found.share < BOTTLENECK_SHARE or place.count < BOTTLENECK_SPANS:
        return
    if metric not in known:  # nothing to judge it by
        return
    gain = BOTTLENECK_GAIN * place.mean_s
    yield _Draft(
        rule="bottleneck",
        subject=f"{place.service}/{place.name}/{place.kind}",
        text=f"{place.name or place.service}: {_REMEDY[place.kind]}.",
        evidence=f"{found.share:.0%} of all time that is on record, {place.mean_s * 1000:.3g} ms a "
        f"time, 5 % take {place.p95_s * 1000:.3g} ms and more",
        metric=metric,
        aim=Aim.LOWER,
        expected=-gain,
        expected_text=f"{gain * 1000:.3g} ms less a time",
    )


def _made(draft: _Draft, at: datetime, advice_id: str) -> Advice:
    return Advice(
        advice_id=advice_id,
        rule=draft.rule,
        subject=draft.subject,
        text=draft.text,
        evidence=draft.evidence,
        metric=draft.metric,
        aim=draft.aim,
        expected=draft.expected,
        expected_text=draft.expected_text,
        watch_s=WATCH.total_seconds(),
        made_at=at,
        deadline=at + LASTS,
    )
