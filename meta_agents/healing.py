"""The Healer: pulls one rung at a time, and believes nothing but the metric measured again.

An attempt is written down before it acts, and it acts at most once: what a killed process left
half done is not done again but measured. Between the action and its deadline nobody waits; the
file does, over restarts. Where the file cannot be written nothing is pulled. In a replay it only
says what it would have done. Deliberately absent: a way to resolve an alert of an agent, which only
the agent's recovery does, and any time after which something counts as healed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import structlog

from meta_agents.healing_ports import HealPort, Order
from meta_agents.healing_times import AttemptTimes
from roboinvest.core.errors import BadInput, BadSettings, NeedsApproval, Refused, TryLater
from roboinvest.core.events import AlertRaised, Event, Severity
from roboinvest.core.oversight.healing_record import (
    ActionEnd,
    Expected,
    HealAttempt,
    Reading,
    Rung,
    Verdict,
    verdict_of,
)
from roboinvest.core.oversight.ladder import (
    TERMS,
    Case,
    Climb,
    Sick,
    Trait,
    climb,
    deadline_of,
    is_storm,
    triage,
)
from roboinvest.core.oversight.learned import Learned, learn
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext, in_words

INTERVAL_S: Final = 300.0
ACTION_S: Final = 30.0  # that a port has
MEMORY: Final = timedelta(days=180)  # of attempts that are learned from
_FILE: Final = "overseer.db"  # names the alert on our own file
_LEAST_WAIT_S: Final = 1.0
_ResultT = TypeVar("_ResultT")
_DOWNWARDS: Final = frozenset({Rung.QUARANTINE, Rung.HALT_TRADING, Rung.ESCALATE})


class Ward(Protocol):
    """What the Overseer knows of agents."""

    def sick(self) -> Sequence[Sick] | None:
        """Return who is not well, by the last health pass; None: nobody looked lately."""

    def measure(self, agent: str, metric: str, since: datetime) -> Reading | None:
        """Return a metric now, from what happened since; None: it cannot be measured."""

    def traits(self, agent: str) -> frozenset[Trait]:
        """Return what holds for an agent, and for the house."""


class Journal(Protocol):
    """The audit log, as far as healing tells it."""

    async def begun(self, order: Order, metric: str, value: float) -> None:
        """Tell what is about to be done."""

    async def ended(self, order: Order, end: ActionEnd, words: str) -> None:
        """Tell how it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one pass came to."""

    settled: tuple[HealAttempt, ...] = ()  # measured again
    begun: tuple[HealAttempt, ...] = ()  # pulled, or refused
    waiting: Mapping[str, str]  # why nothing more was done now, by agent


@dataclass(frozen=True, slots=True)
class _Call(Generic[_ResultT]):
    """How a call of a port ended."""

    end: ActionEnd
    said: _ResultT | None
    error: str  # in words; "": none


class Healer:
    """A service; `heal_once` is one pass."""

    name: Final = "healing"

    def __init__(
        self,
        ward: Ward,
        ports: Mapping[Rung, HealPort],
        attempts: HealAttempts,
        *,
        journal: Journal,
        threads: Threads,
        clock: Clock,
        new_id: Callable[[], str],
        publish: Callable[[Event], None],
        left_open: Iterable[str] = (),
        observes_only: bool = False,
        interval_s: float = INTERVAL_S,
        action_s: float = ACTION_S,
    ) -> None:
        """Take the parts.

        Args:
            ward: knows who is sick, and measures.
            ports: what stands behind each rung; one that is missing refuses.
            attempts: the file.
            journal: hears of what changes the state of the house.
            threads: for the file.
            clock: the house's own.
            new_id: names attempts; the name is handed to ports and to the inbox.
            publish: hears of ladders that ended, and of a file that is away.
            left_open: agents whose alert an earlier process raised, and nothing resolved.
            observes_only: a replay: nothing is pulled, and nothing is written.
            interval_s: between two passes; it may be changed at any time.
            action_s: that a port has to act.
        """
        self._ward, self._ports, self._attempts = ward, ports, attempts
        self._journal, self._threads, self._clock = journal, threads, clock
        self._new_id = new_id
        self._observes_only = observes_only
        self.interval_s, self._action_s = interval_s, action_s
        self._wake = asyncio.Event()
        self._alerts = StandingAlerts(
            "heal.", kind="agent", over="it is well again", publish=publish
        )
        self._ended = dict.fromkeys(left_open, "")  # ladders that came to their end, by agent
        self._alerts.resume(self._ended)
        self._times = AttemptTimes(clock)
        self._log = structlog.get_logger("roboinvest.healing")
        self.passes = 0

    def hear(self, event: Event) -> None:
        """Take note of a fact: a critical alert is not left until the next pass is due."""
        if isinstance(event, AlertRaised) and event.severity is Severity.CRITICAL:
            self._wake.set()

    def look_again(self) -> None:
        """Take note of a health pass: the alert of a ladder ends as soon as its agent is well."""
        sick = self._ward.sick() if self._ended else None
        if sick is not None and self._ended.keys() - {case.agent for case in triage(sick)}:
            self._wake.set()

    async def run(self, ctx: ServiceContext) -> None:
        """Heal at once, then at each interval, deadline and critical alert, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        ctx.ready()
        while True:
            self._wake.clear()
            if loop.time() >= due:
                missed = int((loop.time() - due) // self.interval_s)
                due += (missed + 1) * self.interval_s
                self.passes += 1
            await self.heal_once(beat=ctx.beat)
            ctx.beat()
            wait_s = max(min(due - loop.time(), self._until_deadline_s()), _LEAST_WAIT_S)
            ctx.idle(wait_s)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time for the next look

    async def heal_once(self, beat: Callable[[], None] = lambda: None) -> Round:
        """Measure what is due, then pull the next rung of each case; return what that came to.

        Where the file is away, or a row of it cannot be read, nothing is pulled, an alert stands,
        and the next pass tries again.
        """
        try:
            found = await self._pass(beat)
        except (TryLater, BadSettings, BadInput) as error:
            self._log.warning("healing_rests", why=str(error))
            text = f"healing rests, and nothing is pulled: {error}"
            self._alerts.tell({**self._ended, _FILE: text}, self._clock.now())
            return Round(waiting={_FILE: text})
        self._alerts.tell(self._ended, self._clock.now())
        return found

    async def _pass(self, beat: Callable[[], None]) -> Round:
        now = self._clock.now()
        sick = self._ward.sick()
        if sick is None:
            return Round(waiting={})
        cases = triage(sick)
        if self._observes_only:
            return self._observed(cases, now)
        still_open = await self._file("open attempts", self._attempts.open)
        settled = [await self._settle(each) for each in self._times.due(still_open)]
        begun: list[HealAttempt] = []
        waiting: dict[str, str] = {}
        since = partial(self._attempts.since, now - MEMORY)
        known = self._times.all_of_today(await self._file("attempts", since)) if cases else []
        learned = learn(known, now)
        for case in cases:
            made, waiting[case.agent] = await self._climb(case, known, learned)
            begun += made
            beat()
        ill = {case.agent for case in cases}
        self._ended = {agent: why for agent, why in self._ended.items() if agent in ill}
        return Round(settled=tuple(settled), begun=tuple(begun), waiting=waiting)

    def _observed(self, cases: Sequence[Case], now: datetime) -> Round:
        """Return what would be done in a life, and do nothing."""
        told = {}
        for case in cases:
            found = climb(case, (), learn((), now), now, self._ward.traits(case.agent))
            told[case.agent] = f"a replay is only watched; {found.rung or found.why} would follow"
        return Round(waiting=told)

    async def _climb(
        self, case: Case, known: list[HealAttempt], learned: Learned
    ) -> tuple[list[HealAttempt], str]:
        """Pull the next rung of a case; one that is refused is passed over at once.

        What is pulled is added to `known`.
        """
        begun: list[HealAttempt] = []
        for _ in Rung:
            now = self._clock.now()
            reading = self._ward.measure(case.measured, case.metric, now - timedelta(seconds=1))
            if reading is not None and reading.observations and reading.value <= case.limit:
                return begun, f"{case.metric} of {case.measured} is well by now; nothing is pulled"
            found, why = self._found(case, known, learned, now)
            if found.rung is None:
                if found.ends:
                    self._ended[case.agent] = f"{case.agent} ({case.reason}): {why}"
                return begun, why
            value = case.value if reading is None else reading.value
            attempt = await self._pull(case, found.rung, found.why, value)
            begun.append(attempt)
            known.append(attempt)
            if attempt.verdict is not Verdict.REFUSED:
                when = f"{attempt.deadline:%H:%M:%S} UTC"
                return begun, f"{attempt.rung.words} is measured again at {when}"
        return begun, "every rung was refused"

    def _found(
        self, case: Case, known: Sequence[HealAttempt], learned: Learned, now: datetime
    ) -> tuple[Climb, str]:
        traits = self._ward.traits(case.agent)
        if is_storm(known, now):
            traits |= {Trait.STORM}
        found = climb(case, known, learned, now, traits)
        return found, "; ".join((found.why, *found.passed))

    async def _pull(self, case: Case, rung: Rung, precondition: str, value: float) -> HealAttempt:
        """Write an attempt down, then act."""
        now = self._clock.now()
        deadline = deadline_of(rung, case, now)
        text = (
            f"{case.metric} of {case.measured} goes from {value:.4g} to {case.limit:.4g} or less "
            f"by {deadline:%Y-%m-%d %H:%M:%S} UTC"
        )
        attempt = HealAttempt(
            attempt_id=self._new_id(),
            agent=case.agent,
            measured=case.measured,
            cause=case.cause,
            rung=rung,
            systemic=case.systemic,
            precondition=precondition,
            action=f"{rung.words} of {case.agent}",
            action_end=ActionEnd.UNDER_WAY,
            expected=Expected(metric=case.metric, target=case.limit, text=text),
            at=now,
            deadline=deadline,
            metric_before=value,
        )
        await self._file("an attempt", partial(self._attempts.begin, attempt))
        self._times.began(attempt)
        order = _order(attempt, case.reason)
        end, words = await self._acted(order, attempt)
        self._log.info(
            "heal_pulled", agent=case.agent, rung=rung, cause=case.cause, end=end, said=words
        )
        record = partial(self._attempts.acted, attempt.attempt_id, end, words)
        await self._file("an attempt", record)
        if end is ActionEnd.REFUSED:
            return await self._close(attempt, Verdict.REFUSED, words, None)
        return attempt

    async def _acted(self, order: Order, attempt: HealAttempt) -> tuple[ActionEnd, str]:
        """Let the port act, and return how that ended, whatever it does."""
        port = self._ports.get(order.rung)
        if port is None:
            return ActionEnd.REFUSED, f"nobody stands behind {order.rung.words} in this house"
        asked = await self._called(port.refusal(order))
        if asked.end is not ActionEnd.RETURNED:  # it could not even be asked
            return ActionEnd.REFUSED, f"nothing was done: {asked.error}"
        if asked.said is not None:
            return ActionEnd.REFUSED, asked.said
        if not TERMS[order.rung].changes_state:
            return _told(await self._called(port.act(order)))
        begun = await self._called(
            self._journal.begun(order, attempt.expected.metric, attempt.metric_before)
        )
        if begun.end is not ActionEnd.RETURNED and order.rung not in _DOWNWARDS:
            return ActionEnd.REFUSED, f"nothing was done: the audit log is away: {begun.error}"
        end, words = _told(await self._called(port.act(order)))
        ended = await self._called(self._journal.ended(order, end, words))
        if ended.end is not ActionEnd.RETURNED:
            words = f"{words}; the audit log was not told: {ended.error}"
        return end, words

    async def _called(self, work: Awaitable[_ResultT]) -> _Call[_ResultT]:
        """Return how a call ended, and what it said; no error of a port ends the Healer."""
        try:
            async with asyncio.timeout(self._action_s):
                # gathered, because a port may raise anything and only its own attempt pays for it
                (said,) = await asyncio.gather(work, return_exceptions=True)
        except TimeoutError:
            return _Call(ActionEnd.HUNG, None, f"it did not return within {self._action_s:g} s")
        if isinstance(said, (Refused, NeedsApproval)):
            return _Call(ActionEnd.REFUSED, None, str(said))
        if isinstance(said, BaseException):
            return _Call(ActionEnd.FAILED, None, in_words(said))
        return _Call(ActionEnd.RETURNED, said, "")

    async def _settle(self, attempt: HealAttempt) -> HealAttempt:
        """Measure again, and close an attempt."""
        since = self._times.of_today(attempt)
        reading = self._ward.measure(attempt.measured, attempt.expected.metric, since.at)
        port = self._ports.get(attempt.rung)
        happened = None
        if port is not None:
            happened = (await self._called(port.happened(_order(attempt, attempt.action)))).said
        verdict, reason = verdict_of(since, reading, happened)
        if self._times.is_from_the_future(attempt):
            verdict, reason = Verdict.UNKNOWN, f"the clock was set back before it; {reason}"
        after = None if reading is None else reading.value
        return await self._close(attempt, verdict, reason, after)

    async def _close(
        self, attempt: HealAttempt, verdict: Verdict, reason: str, after: float | None
    ) -> HealAttempt:
        at = self._clock.now()
        settle = partial(
            self._attempts.settle, attempt.attempt_id, verdict, reason, metric_after=after, at=at
        )
        await self._file("an attempt", settle)
        self._times.closed(attempt.attempt_id)
        self._log.info(
            "heal_measured",
            agent=attempt.agent,
            rung=attempt.rung,
            verdict=verdict,
            reason=reason,
        )
        return await self._file("an attempt", partial(self._attempts.get, attempt.attempt_id))

    async def _file(self, what: str, work: Callable[[], _ResultT]) -> _ResultT:
        return await self._threads.do(f"reading or writing {what}", work)

    def _until_deadline_s(self) -> float:
        return self._times.until_next_s(self.interval_s)


def _told(call: _Call[str]) -> tuple[ActionEnd, str]:
    return call.end, call.said or call.error or "it returned, and said nothing"


def _order(attempt: HealAttempt, reason: str) -> Order:
    return Order(
        attempt_id=attempt.attempt_id,
        agent=attempt.agent,
        cause=attempt.cause,
        rung=attempt.rung,
        reason=reason,
        at=attempt.at,
    )
