"""The digest: at most 40 lines for somebody who was woken up.

First what is wrong and since when, what was tried, and what to do; the rest fits below or is left
out. Colour and width are nobody's business here: a line has 100 characters at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Final

from meta_agents.daily_report.days import APART
from meta_agents.daily_report.document import DailyReport, Incident, ToDo
from roboinvest.core.events import Severity
from roboinvest.core.text.counting import counted

MAX_LINES: Final = 40
WIDTH: Final = 100
_MOST_WRONG: Final = 3  # each takes up to four lines
_MOST_TO_DO: Final = 3  # each takes up to three lines
_MOST_ADVISED: Final = 2
_LESSER: Final = frozenset({Severity.MEDIUM, Severity.LOW})


def digest_text(report: DailyReport) -> str:
    """Return the digest, one line after the other, with a line break at its end."""
    lines = [part for line in _lines(report) for part in _fitted(line)]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], "... the rest stands in the HTML and the JSON."]
    return "\n".join(lines) + "\n"


def _lines(report: DailyReport) -> Iterator[str]:
    state = "" if report.complete else f", so far ({_at(report.as_of)} UTC)"
    yield f"RoboInvest, {report.date} ({report.zone}){state}, {report.mode or 'no run'}"
    yield report.headline
    if not report.running:
        yield "No daemon was running when this was made."
    if report.mode in APART and (report.incidents or report.needs_person):
        yield "Times of trouble are the machine's; the market of this run has a time of its own."
    yield ""
    yield "WHAT IS WRONG"
    yield from _wrong(report)
    yield "WHAT YOU MUST DO"
    yield from _to_do(report.needs_person)
    yield "TRADING"
    yield from _trading(report)
    yield "THE HOUSE"
    yield from _house(report)
    if report.recommendations:
        yield "ADVICE"
        for text in report.recommendations[:_MOST_ADVISED]:
            yield f"  {text}"


def _wrong(report: DailyReport) -> Iterator[str]:
    lasting = [each for each in report.incidents if each.until is None]
    over = [each for each in report.incidents if each.until is not None]
    if not lasting:
        checked = "" if report.alerts is not None else f" ({report.unknown.get('alerts')})"
        yield f"  nothing grave is open{checked}"
    for each in lasting[:_MOST_WRONG]:
        yield f"  {each.severity}: {each.what}"
        yield f"    since {_at(each.since)} UTC; {_tried(each)}"
    if len(lasting) > _MOST_WRONG:
        yield f"  and {len(lasting) - _MOST_WRONG} more"
    if lesser := lesser_alerts(report):
        yield f"  less grave and open: {lesser}; see: roboinvest alerts ls"
    for each in over[: max(_MOST_WRONG - len(lasting), 1)]:
        until = "" if each.until is None else f"{each.until:%H:%M}"
        yield f"  over: {each.what} ({_at(each.since)} to {until}; {each.ended_by or 'ended'})"


def lesser_alerts(report: DailyReport) -> int:
    """Return how many alerts are open that are no incident, children left out."""
    return sum(
        each.until is None and each.follows_from is None and each.severity in _LESSER
        for each in report.alerts or ()
    )


def _tried(incident: Incident) -> str:
    return f"tried: {incident.tried[-1]}" if incident.tried else "nothing was tried"


def _to_do(to_do: Sequence[ToDo]) -> Iterator[str]:
    if not to_do:
        yield "  nothing"
    for each in to_do[:_MOST_TO_DO]:
        since = "" if each.since is None else f", since {_at(each.since)}"
        yield f"  {each.urgency}{since}: {each.text}"
        if each.command:
            yield f"    {each.command}"
    if len(to_do) > _MOST_TO_DO:
        yield f"  and {len(to_do) - _MOST_TO_DO} more: roboinvest report daily --html FILE"


def _trading(report: DailyReport) -> Iterator[str]:
    found = report.trading_result
    if found.result_usd is None or found.total_return is None:
        yield f"  no result: {report.unknown.get('trading_result.total_return', 'not known')}"
        return
    kept = found.day.total_return
    beside = (
        f"buy and hold {kept:+.2%}"
        if kept is not None
        else f"buy and hold not known: {report.unknown.get('trading_result.day.total_return')}"
    )
    yield f"  {found.result_usd:+,.2f} USD ({found.total_return:+.2%}); {beside}"
    if found.since_start_return is not None and found.since_start.total_return is not None:
        yield (
            f"  since the start {found.since_start_return:+.2%}; "
            f"buy and hold {found.since_start.total_return:+.2%}"
        )
    rate = found.win_rate
    won = (
        f", {rate.value:.0%} won (95 % interval {rate.low:.0%} to {rate.high:.0%})" if rate else ""
    )
    trips, fills = counted(found.round_trips or 0, "round trip"), counted(found.fills or 0, "fill")
    yield f"  {trips}{won}, {fills}"


def _house(report: DailyReport) -> Iterator[str]:
    health, metrics = report.system_health, report.performance_metrics
    if health.total_agents is None:
        yield f"  agents: not known ({report.unknown.get('system_health.total_agents')})"
    else:
        bad = [
            f"{count} {word}"
            for word, count in (
                ("offline", health.offline_agents),
                ("failing", health.failing_agents),
                ("degraded", health.degraded_agents),
            )
            if count
        ]
        worse = f", {', '.join(bad)}" if bad else ""
        yield f"  agents: {health.healthy_agents} of {health.total_agents} healthy{worse}"
    if metrics.avg_success_rate is not None:
        yield f"  calls that went well: {metrics.avg_success_rate:.1%}"
    healing = report.healing
    if healing is not None:
        yield f"  healing: {healing.attempts} attempts, {healing.healed} healed"
    elif report.incidents:
        yield f"  healing: not known ({report.unknown.get('healing')})"
    if report.changes:
        yield f"  changes: {len(report.changes)}"
    if report.llm_spend is not None and report.llm_spend.calls:
        yield f"  models: {report.llm_spend.cost_usd:.4f} USD, {report.llm_spend.calls} calls"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _fitted(line: str) -> list[str]:
    """Return a line on two at most, the second one further in."""
    inside = " " * (len(line) - len(line.lstrip()))
    return wrap(
        line.strip(),
        WIDTH,
        initial_indent=inside,
        subsequent_indent=f"{inside}    ",
        max_lines=2,
        placeholder=" ...",
    ) or [""]
