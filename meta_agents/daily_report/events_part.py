"""What happened on the day: alerts, healing, changes, incidents, and what a person has to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeVar

from meta_agents.daily_report.document import (
    AdviceEntry,
    AlertEntry,
    ChangeEntry,
    HealEntry,
    Healing,
    Incident,
    ToDo,
    Unknowns,
)
from meta_agents.daily_report.facts import DayFacts
from roboinvest.core.events import Severity
from roboinvest.core.oversight.advice import Advice
from roboinvest.core.oversight.healing_record import HealAttempt, Rung, Verdict
from roboinvest.core.records import TickRecord
from roboinvest.runtime.alerting.next_steps import next_steps
from roboinvest.runtime.alerting.values import RANK, Alert

MOST: Final = 100  # entries of a list
MOST_TRIED: Final = 6  # of one incident
_GRAVE: Final = frozenset({Severity.CRITICAL, Severity.HIGH})
EntryT = TypeVar("EntryT")
_HALT: Final = "halt"  # key of the alert of a halt
_QUIET: Final = ("proposal.", "outcome.")  # rows of the audit log that change nothing by themselves
_SILENT_TICKS: Final = 5.0  # times the usual distance of two ticks
_SILENT_LEAST: Final = timedelta(minutes=10)


def alerts_part(
    facts: DayFacts, unknown: Unknowns, left_out: dict[str, int]
) -> tuple[AlertEntry, ...] | None:
    """Return the alerts that were open at some time of the day, the worst first."""
    unknown.unless("alerts", facts.alerts, facts.missing.get("alerts", ""))
    if facts.alerts is None:
        return None
    found = sorted(_of_the_day(facts), key=lambda alert: (RANK[alert.severity], alert.raised_at))
    return tuple(
        AlertEntry(
            key=alert.key,
            severity=alert.severity,
            kind=alert.kind,
            message=alert.message,
            since=alert.raised_at,
            until=alert.resolved_at,
            count=alert.count,
            recovered_by=alert.resolution,
            follows_from=alert.caused_by,
            acknowledged_by=alert.acknowledged_by,
        )
        for alert in _cut(found, "alerts", left_out)
    )


def healing_part(facts: DayFacts, unknown: Unknowns, left_out: dict[str, int]) -> Healing | None:
    """Return what healing did, by what was measured and not by what was reported."""
    unknown.unless("healing", facts.attempts, facts.missing.get("attempts", ""))
    if facts.attempts is None:
        return None
    found = [each for each in facts.attempts if each.at in facts.house]
    counts = {verdict: sum(each.verdict is verdict for each in found) for verdict in Verdict}
    return Healing(
        attempts=len(found),
        healed=counts[Verdict.HEALED],
        not_healed=counts[Verdict.NOT_HEALED],
        refused=counts[Verdict.REFUSED],
        unknown=counts[Verdict.UNKNOWN],
        not_measured_yet=sum(each.verdict is None for each in found),
        entries=tuple(
            HealEntry(
                agent=each.agent,
                cause=each.cause.words,
                rung=each.rung.words,
                action=each.action,
                at=each.at,
                metric=each.expected.metric,
                before=each.metric_before,
                after=each.metric_after,
                verdict=_verdict(each),
                reason=each.reason,
            )
            for each in _cut(found[::-1], "healing.entries", left_out)
        ),
    )


def changes_part(
    facts: DayFacts, unknown: Unknowns, left_out: dict[str, int]
) -> tuple[ChangeEntry, ...] | None:
    """Return what was changed, and what was measured of changes, oldest first."""
    unknown.unless("changes", facts.audit, facts.missing.get("audit", ""))
    if facts.audit is None:
        return None
    found = [
        ChangeEntry(
            at=row.entry.at,
            what=row.entry.kind,
            subject=row.entry.subject,
            who=row.entry.who,
            why=row.entry.why,
            effect=None,
            undo=row.entry.undo,
        )
        for row in facts.audit
        if not row.entry.kind.startswith(_QUIET)
    ]
    for told in facts.outcomes or ():
        effect = told.effect
        found.append(
            ChangeEntry(
                at=told.at,
                what=f"measured: {told.outcome}",
                subject=told.target,
                who=told.told_by.value,
                why=told.lesson or told.hypothesis,
                effect=None
                if effect is None
                else f"{effect.mean:+.4g} (95 % interval {effect.low:+.4g} to {effect.high:+.4g}, "
                f"n {effect.n})",
                undo=None,
            )
        )
    found.sort(key=lambda each: each.at)
    return tuple(_cut(found, "changes", left_out))


def advice_part(
    facts: DayFacts, unknown: Unknowns, left_out: dict[str, int]
) -> tuple[AdviceEntry, ...] | None:
    """Return recommendations that are open, or were made, taken or measured on the day."""
    unknown.unless("advice", facts.advice, facts.missing.get("advice", ""))
    if facts.advice is None:
        return None
    known = {each.advice_id: each for each in (*(facts.open_advice or ()), *facts.advice)}
    return tuple(
        AdviceEntry(
            text=each.text,
            evidence=each.evidence,
            metric=each.metric,
            expected=each.expected_text,
            deadline=each.deadline,
            state=each.state.value,
            effect=effect_in_words(each),
            verdict=each.verdict or None,
        )
        for each in _cut(list(known.values()), "advice", left_out)
    )


def effect_in_words(advice: Advice) -> str | None:
    """Return what advice did, as measured; None where nothing was measured."""
    effect = advice.effect
    if effect is None:
        return None
    if effect.change is None or effect.low is None or effect.high is None:
        return effect.reason
    return (
        f"{effect.before:.4g} became {effect.after:.4g}, {effect.change:+.4g} (95 % interval "
        f"{effect.low:+.4g} to {effect.high:+.4g}, {effect.n_before} and {effect.n_after} hours)"
    )


def incidents_part(facts: DayFacts, left_out: dict[str, int]) -> tuple[Incident, ...]:
    """Return what went wrong, the worst first: grave alerts at their root, and silent ticks."""
    attempts = facts.attempts or ()
    found = [
        Incident(
            what=alert.message,
            severity=alert.severity,
            since=alert.raised_at,
            until=alert.resolved_at,
            tried=_tried(alert, attempts, facts.house.end),
            ended_by=alert.resolution,
        )
        for alert in _of_the_day(facts)
        if alert.severity in _GRAVE and alert.caused_by is None
    ]
    found += [_silence(*gap) for gap in silent_stretches(facts.ticks or ())]
    found.sort(key=lambda each: (each.until is not None, RANK[each.severity], each.since))
    return tuple(_cut(found, "incidents", left_out))


def silent_stretches(ticks: Sequence[TickRecord]) -> list[tuple[datetime, datetime]]:
    """Return where ticks are missing within a session: longer than five times the usual distance.

    The first tick of a session after a late start is not seen here: there is nothing before it.
    """
    pairs = [
        (before.at, after.at)
        for before, after in pairwise(ticks)
        if before.session_day == after.session_day
    ]
    if not pairs:
        return []
    apart = sorted(after - before for before, after in pairs)
    limit = max(apart[len(apart) // 2] * _SILENT_TICKS, _SILENT_LEAST)
    return [(before, after) for before, after in pairs if after - before > limit]


def needs_person(facts: DayFacts) -> tuple[ToDo, ...]:
    """Return what only a person can do, the most urgent first; as of now, whatever the day."""
    return (*_halt(facts), *_alarms(facts), *_governance(facts), *_proposals(facts))


def _halt(facts: DayFacts) -> Iterable[ToDo]:
    if facts.halt is not None:
        yield ToDo(
            urgency="now",
            text=f"Trading is halted ({facts.halt.level}) by {facts.halt.by}: "
            f"{facts.halt.reason or 'no reason given'}. Look why, and lift it when that is over.",
            since=facts.halt.at,
            command="roboinvest resume",
        )


def _alarms(facts: DayFacts) -> Iterable[ToDo]:
    roots = [
        alert
        for alert in facts.alerts or ()
        if alert.is_open and alert.caused_by is None and alert.acknowledged_at is None
    ]
    steps = next_steps({each.key: each.caused_by for each in facts.alerts or () if each.is_open})
    for alert in sorted(roots, key=lambda alert: (RANK[alert.severity], alert.raised_at)):
        if alert.severity in _GRAVE and alert.key != _HALT:  # of a halt there is more to tell
            step, _, command = steps[alert.key].partition(": roboinvest ")
            yield ToDo(
                urgency="now" if alert.severity is Severity.CRITICAL else "today",
                text=f"{step[0].upper()}{step[1:]} ({alert.severity}: {alert.message})",
                since=alert.raised_at,
                command=f"roboinvest {command}" if command else None,
            )
    for each in facts.attempts or ():
        is_ours = each.at in facts.house
        if is_ours and each.rung is Rung.ESCALATE and each.verdict is not Verdict.HEALED:
            yield ToDo(
                urgency="now",
                text=f"Healing gave {each.agent} up ({each.cause.words}): "
                f"{each.reason or each.action}",
                since=each.at,
                command="roboinvest health",
            )


def _governance(facts: DayFacts) -> Iterable[ToDo]:
    line = facts.status.governance if facts.status else None
    if line is None:
        return
    if line.audit_whole is False:
        yield ToDo(
            urgency="now",
            text=f"The audit log is not what was written: {line.audit_fault}",
            since=None,
            command="roboinvest audit verify",
        )
    for agent in line.quarantined:
        yield ToDo(
            urgency="today",
            text=f"{agent} is quarantined; look why, and release or retire it",
            since=None,
            command=None,
        )


def _proposals(facts: DayFacts) -> Iterable[ToDo]:
    for each in sorted(facts.waiting or (), key=lambda each: each.expires_at):
        yield ToDo(
            urgency="today",
            text=f"Decide by {each.expires_at:%Y-%m-%d %H:%M} UTC on {each.kind} of "
            f"{each.subject} ({each.source}): {each.why}",
            since=each.filed_at,
            command=f"roboinvest approvals show {each.proposal_id}",
        )


def _of_the_day(facts: DayFacts) -> list[Alert]:
    start, end = facts.house.start, facts.house.end
    return [
        alert
        for alert in facts.alerts or ()
        if alert.raised_at < end and (alert.resolved_at is None or alert.resolved_at >= start)
    ]


def _tried(alert: Alert, attempts: Sequence[HealAttempt], end: datetime) -> tuple[str, ...]:
    """Return what healing tried while an alert was open on agents that it names."""
    until = alert.resolved_at or end
    return tuple(
        f"{_clock(each.at, alert)} {each.rung.words} of {each.agent}: {_verdict(each)}"
        + (f", {each.reason}" if each.reason else "")
        for each in attempts
        if alert.raised_at <= each.at <= until and _names(alert, each)
    )[-MOST_TRIED:]


def _clock(at: datetime, alert: Alert) -> str:
    same_day = at.date() == alert.raised_at.date()
    return f"{at:%H:%M}" if same_day else f"{at:%Y-%m-%d %H:%M}"


def _names(alert: Alert, attempt: HealAttempt) -> bool:
    words = alert.key.replace("/", ".").replace(":", ".").split(".")
    return attempt.agent in words or attempt.measured in words or alert.key.endswith(attempt.agent)


def _verdict(attempt: HealAttempt) -> str:
    return "not measured yet" if attempt.verdict is None else attempt.verdict.words


def _silence(since: datetime, until: datetime) -> Incident:
    minutes = (until - since).total_seconds() / 60
    return Incident(
        what=f"no tick for {minutes:.0f} min while the exchange was open",
        severity=Severity.HIGH,
        since=since,
        until=until,
        tried=(),
        ended_by="the next tick",
    )


def _cut(found: Sequence[EntryT], name: str, left_out: dict[str, int]) -> Sequence[EntryT]:
    if len(found) > MOST:
        left_out[name] = len(found) - MOST
    return found[:MOST]
