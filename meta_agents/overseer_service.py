"""The health service: looks at everybody every minute, and hands on what it found.

What it found goes to healing, to the alert board and into health.json. A report that cannot be
written is told, and the next look comes all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from heapq import nsmallest
from pathlib import Path
from typing import Final, Protocol

import structlog

from meta_agents.one_trouble import in_words
from meta_agents.overseer import DOWN, HealthPass, Overseer
from meta_agents.overseer_alerts import PREFIX, HealthAlerts
from meta_agents.overseer_evidence import FAILURES
from meta_agents.overseer_machine import FOLDER
from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.oversight.causes import Diagnosis
from roboinvest.core.oversight.health import AgentHealth, Status
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.reports.health import (
    MOST_LISTED,
    AgentLine,
    agent_line,
    health_report,
    last_sequence,
    worst_first,
    write_health,
)
from roboinvest.runtime.reports.writer import ALERT_KEY as REPORTS_KEY
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.supervision.service import in_words as in_line

INTERVAL_S: Final = 60.0
READINGS: Final = 3  # of the machine, between two looks: a trend is drawn through them
SENSES: Final = "senses"  # names the alert on what we cannot feel
UNWRITABLE: Final = "health.unwritable"
_FAILURES: Final = 2  # in a row: by then the folder itself is known to be the root, if it is


# By agent: the line of a report, and what it was made of (None: it is made anew each time).
_Lines = dict[str, tuple[tuple[object, ...] | None, AgentLine]]


class Ward(Protocol):
    """What healing takes of a look."""

    def take(
        self,
        at: datetime,
        healths: Mapping[str, AgentHealth],
        causes: Mapping[str, Diagnosis],
        roots: Mapping[str, str],
    ) -> None:
        """Take what was found."""


class HealthService:
    """The service; `look_once` is one look."""

    name: Final = "health"

    def __init__(
        self,
        overseer: Overseer,
        *,
        measure: Callable[[], Awaitable[None]],
        ward: Ward,
        alerts: HealthAlerts,
        reports: Path,
        threads: Threads,
        publish: Callable[[Event], None],
        tried: Callable[[], Mapping[str, str]] = dict,
        looked: Callable[[], None] = lambda: None,
        interval_s: float = INTERVAL_S,
        was_blind: bool = False,
        was_unwritable: bool = False,
    ) -> None:
        """Take the parts.

        Args:
            overseer: looks.
            measure: takes readings of the machine.
            ward: healing's view of the last look.
            alerts: tells of it.
            reports: the folder of health.json.
            threads: for what blocks.
            publish: hears that the report cannot be written.
            tried: what healing did last, by agent, in words.
            looked: hears that a look was handed on.
            interval_s: between two looks; it may be changed at any time.
            was_blind: whether an earlier process left that alert open.
            was_unwritable: the same of the report.
        """
        self._overseer, self._measure, self._ward = overseer, measure, ward
        self._alerts, self._reports, self._threads = alerts, reports, threads
        self._publish, self._tried, self.interval_s = publish, tried, interval_s
        self._looked = looked
        self._unwritten = _FAILURES if was_unwritable else 0  # reports in a row
        self._sequence: int | None = None  # of the last report; None: none was written yet
        self._lines: _Lines = {}  # of the last report
        self._unread = ""  # why the machine could not be read just now
        self._blindness = StandingAlerts(
            f"{self.name}.", kind="system", over="every sense works again", publish=publish
        )
        self._blindness.resume([SENSES] if was_blind else [])
        self._log = structlog.get_logger("roboinvest.health")
        self.passes = 0

    async def run(self, ctx: ServiceContext) -> None:
        """Look at each interval, until cancelled; the machine is read more often."""
        ctx.ready()
        readings = 0
        async for _ in ctx.every(lambda: self.interval_s / READINGS):
            await self._measured()
            if readings % READINGS == 0:
                await self.look_once()
                self.passes += 1
            readings += 1

    async def look_once(self) -> HealthPass:
        """Look at everybody once, and hand on what was found."""
        found = await self._overseer.look()
        await asyncio.sleep(0)  # of thousands it takes some milliseconds to hand on what was found
        self._ward.take(found.at, _to_heal(found), found.causes, found.roots)
        self._alerts.tell(found, self._overseer.terms)
        self._tell_blindness(found.at)
        self._looked()
        await self._write(found)
        return found

    async def _measured(self) -> None:
        """Take a reading; one that fails leaves us blind on the machine, and on nobody else."""
        # gathered, because a reading may raise anything, and is no reason to look at nobody
        (error,) = await asyncio.gather(self._measure(), return_exceptions=True)
        self._unread = "" if error is None else in_line(error)

    def _tell_blindness(self, at: datetime) -> None:
        blind = [*self._overseer.blind, *([self._unread] if self._unread else [])]
        text = f"the Overseer is blind in part: {'; '.join(blind)}; everybody else is looked at"
        self._blindness.tell({SENSES: text} if blind else {}, at)

    async def _write(self, found: HealthPass) -> None:
        tried, before = dict(self._tried()), self._lines
        work = partial(_written, self._reports, found, tried, self._sequence, before)
        try:
            self._sequence, self._lines = await self._threads.do("writing the health report", work)
        except (OSError, TryLater) as error:
            self._unwritten += 1
            if self._unwritten == _FAILURES:
                self._tell_of(f"health.json is not written: {in_words(error)}", found)
            return
        if self._unwritten >= _FAILURES:
            text = "health.json is written again"
            self._publish(AlertResolved(at=found.at, key=UNWRITABLE, message=text))
        self._unwritten = 0

    def _tell_of(self, text: str, found: HealthPass) -> None:
        self._log.warning("health_not_written", trouble=text)
        folder = found.healths.get(FOLDER)
        is_below = folder is not None and folder.status in DOWN
        self._publish(
            AlertRaised(
                at=found.at,
                key=UNWRITABLE,
                severity=Severity.MEDIUM,
                kind="system",
                message=text,
                caused_by=PREFIX + FOLDER if is_below else REPORTS_KEY,
            )
        )


def _to_heal(found: HealthPass) -> Mapping[str, AgentHealth]:
    """Return those that healing looks at.

    A service that failed lately and runs again was healed by its supervisor; one restart more
    would only take the credit for it.
    """
    left_out = {
        name
        for name in found.causes
        if (findings := found.healths[name].findings)
        and all(finding.what == f"gauge {FAILURES}" for finding in findings)
    }
    if not left_out:
        return found.healths
    return {name: each for name, each in found.healths.items() if name not in left_out}


def _written(
    reports: Path, found: HealthPass, tried: Mapping[str, str], before: int | None, known: _Lines
) -> tuple[int, _Lines]:
    """Write the report, and return its number and its lines, with what each is made of.

    `before` is the number of the last report (None: look), and `known` its lines: most agents are
    today as they were a minute ago, and a line that says the same is not made again.
    """
    lines: _Lines = {}
    for each in _listed(found):
        name, made_of = each.name, _made_of(found, each, tried)
        last = known.get(name)
        if made_of is not None and last is not None and last[0] == made_of:
            lines[name] = last
        else:
            card, root = found.cards[name], found.roots.get(name)
            lines[name] = made_of, agent_line(card, each, because_of=root, tried=tried.get(name))
    counts = {status.value: count for status, count in found.statuses.items()}
    number = (last_sequence(reports) if before is None else before) + 1
    report = health_report(found.at, (line for _, line in lines.values()), counts=counts)
    write_health(reports, report.model_copy(update={"sequence": number}))
    return number, lines


def _made_of(
    found: HealthPass, health: AgentHealth, tried: Mapping[str, str]
) -> tuple[object, ...] | None:
    """Return all that a line says; None: it counts something, and what was counted fades."""
    name, signs = health.name, health.signs
    if signs.counter_rows[0]:
        return None
    about = found.cards[name], health.status, health.reasons, health.since
    latency = signs.latency
    paces = None if latency is None else (latency.p50_s, latency.p95_s)
    figures = signs.calls, signs.failed, paces
    return *about, *figures, found.roots.get(name), tried.get(name)


def _listed(found: HealthPass) -> list[AgentHealth]:
    """Return the worst, and so many that the list is full: never all of thousands sorted at once.

    A sort keeps the interpreter to itself from its beginning to its end, whatever thread it is in.
    """
    unwell = [found.healths[name] for name in found.causes]
    if len(unwell) < MOST_LISTED:
        well = (each for each in found.healths.values() if each.status is Status.HEALTHY)
        unwell += nsmallest(
            MOST_LISTED - len(unwell), well, key=lambda each: (each.since, each.name)
        )
    return nsmallest(
        MOST_LISTED,
        unwell,
        key=lambda each: worst_first(each.status.value, each.since, each.name),
    )
