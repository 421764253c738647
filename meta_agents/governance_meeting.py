"""The daily meeting: it reads, wishes, lets the house decide, has it done, and is held to it.

A day has one meeting, whatever restarts. Until it has decided, a meeting that dies is held again;
from then on only what it decided is carried on. Whoever answers, a model or a rule, decides
nothing: wishes pass the doors of `judging`, and each step needs the word that the policy names.
When the meeting fails, or nobody answers, nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from meta_agents.meeting.advised import AdviceTaken
from meta_agents.meeting.agreements import Agreements
from meta_agents.meeting.execution import Executor
from meta_agents.meeting.facts import (
    LogDigest,
    MeetingFacts,
    OpenProposal,
    PastDecision,
    ReportFacts,
    digest_of,
)
from meta_agents.meeting.judging import MOST, House, Judged, judged
from meta_agents.meeting.minutes import minutes
from meta_agents.meeting.ports import Delegates, Hand, LogRecords, Measures, Reports, Shows
from meta_agents.meeting.question import MEETING
from meta_agents.meeting.settling import Settling, require_person
from roboinvest.core.errors import BadInput, RoboInvestError, TryLater
from roboinvest.core.oversight.decisions import UNDER_WAY, Act, DecisionState, Knob
from roboinvest.core.oversight.scoring import Verdict
from roboinvest.core.ports import Clock, LanguageModel
from roboinvest.core.records import canonical_json
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRow, MeetingRows, RefusedRow
from roboinvest.runtime.oversight.threads import Threads

NAME: Final = "governance_meeting"  # of its cadence
EVERY: Final = timedelta(hours=24)
ASK_S: Final = 120.0  # that an answer may take, beside the task's own deadline
SILENT: Final = "silent"  # the source of a meeting where nobody answered
LATELY: Final = timedelta(days=30)  # in which what was found wrong is not tried again
MAX_PAST: Final = 30
_LOOKED_BACK: Final = 500  # decisions
ResultT = TypeVar("ResultT")


class Meeting:
    """Holds meetings, and carries on what they decided."""

    def __init__(
        self,
        rows: MeetingRows,
        agreements: Agreements,
        model: LanguageModel,
        *,
        reports: Reports,
        log: LogRecords,
        measures: Measures,
        hands: Mapping[Act, Hand],
        delegates: Delegates | None,
        agents: frozenset[str],
        shows: Shows,
        clock: Clock,
        threads: Threads,
        advised: AdviceTaken | None = None,
    ) -> None:
        """Take the parts.

        Args:
            rows: of the Overseer's file.
            agreements: the inbox.
            model: answers, or its rules do.
            reports: the daily report.
            log: its new part.
            measures: the house's books.
            hands: what can be set here; an action that is not there cannot be done here.
            delegates: who takes requests.
            agents: of which something may be requested.
            shows: where a frontend looks.
            clock: the run's own.
            threads: for files.
            advised: marks advice that was taken; None: nobody gives any.
        """
        self._advised = advised
        self._rows, self._agreements, self._model = rows, agreements, model
        self._reports, self._log, self._measures = reports, log, measures
        self._hands, self._agents, self._shows = dict(hands), agents, shows
        self._clock, self._threads = clock, threads
        more: Any = {"clock": clock, "threads": threads}
        self._settling = Settling(rows, agreements, self._hands, measures, **more)
        self._executor = Executor(rows, agreements, self._hands, delegates, **more)
        self._logger = structlog.get_logger("roboinvest.governance")

    async def hold(self, now: datetime) -> MeetingRow:
        """Hold the meeting of a day, or carry on the one that was held; return it.

        Raises:
            TryLater: a file is away; nothing is lost, and the same call goes on later.
        """
        day = now.date()
        name = f"m{day:%Y%m%d}"
        await self._settling.score_due(now)
        meeting = await self._do(partial(self._rows.begin, day, name, now))
        if meeting.decided_at is None:
            await self._decide(meeting, now)
        await self.follow_up(now)
        await self._do(partial(self._rows.finish, day, self._clock.now()))
        return await self._shown(day_of=now)

    async def follow_up(self, now: datetime) -> None:
        """Carry on what is decided and not settled, undo what is asked for, score what is due.

        To be called every few minutes: a veto hour ends between meetings.

        Raises:
            TryLater: a file is away.
            RoboInvestError: one of them could not be carried on; all others were.
        """
        troubles: list[RoboInvestError] = []
        for row in await self._do(self._rows.under_way):
            try:
                await (self._advance(row) if row.undo_by is None else self._undo(row))
            except RoboInvestError as error:  # what cannot be done now holds up nothing else
                troubles.append(error)
        if self._advised is not None:
            await self._advised.look()
        await self._settling.score_due(now)
        if troubles:
            raise troubles[0]

    async def undo(self, decision_id: str, *, by: str) -> str:
        """Undo a decision for a person; return what came of it, in words.

        Raises:
            BadInput: there is no such decision, or no name.
            Refused: the name is one of the house.
            TryLater: a file is away; the wish is kept, and followed up.
        """
        person = require_person(by)
        await self._do(partial(self._rows.ask_undo, decision_id, person))
        return await self._undo(await self._do(partial(self._rows.get, decision_id)))

    async def _advance(self, row: DecisionRow) -> None:
        await self._executor.advance(row.decision.decision_id, self._settling.keep_baseline)

    async def _undo(self, row: DecisionRow) -> str:
        """Undo a decision; one that is being done is finished first, and the wish stays."""
        if row.state is DecisionState.EXECUTING:
            await self._advance(row)
            row = await self._do(partial(self._rows.get, row.decision.decision_id))
        if row.state is DecisionState.EXECUTING:
            return f"{row.decision.decision_id} is being done; it is undone once that is over"
        return await self._settling.undo(row)

    async def _decide(self, meeting: MeetingRow, now: datetime) -> None:
        facts, mark = await self._facts(now)
        texts, source, reason = await self._asked(facts, meeting.meeting_id)
        found = await self._judged(texts, facts, meeting.meeting_id)
        refused = [
            RefusedRow(
                number=each.number,
                wish=each.wish,
                reason=each.reason,
                nobody=each.nobody,
                level=None if each.level is None else int(each.level),
            )
            for each in found.refused
        ]
        decide = partial(
            self._rows.decide,
            *(meeting.day, found.decisions, refused),
            source=source,
            reason=reason,
            facts=_read(facts),
            log_mark=mark,
            now=self._clock.now(),
        )
        await self._do(decide)
        self._logger.info(
            "meeting_decided",
            meeting=meeting.meeting_id,
            source=source,
            decisions=len(found.decisions),
            refused=len(refused),
        )

    async def _asked(self, facts: MeetingFacts, name: str) -> tuple[tuple[str, ...], str, str]:
        """Return the wishes, who answered, and why it was not the model."""
        try:
            async with asyncio.timeout(ASK_S) as deadline:
                answer = await self._model.ask(MEETING, facts, about=name)
        except TimeoutError:
            if not deadline.expired():
                raise
            return (), SILENT, f"nobody answered within {ASK_S:g} s"
        except TryLater as error:
            return (), SILENT, str(error)
        return answer.output.texts, answer.source, answer.reason

    async def _judged(self, texts: tuple[str, ...], facts: MeetingFacts, name: str) -> Judged:
        rows = await self._do(partial(self._rows.newest, _LOOKED_BACK))
        trial = [each for each in rows if _is_on_trial(each)]
        lately = [each for each in rows if facts.now - each.decision.made_at <= LATELY]
        house = House(
            meeting_id=name,
            now=facts.now,
            knobs=facts.knobs,
            agents=frozenset(facts.agents),
            metrics=facts.metrics,
            wanted=frozenset(each.decision.fingerprint for each in trial),
            on_trial=frozenset((each.decision.act, each.decision.subject) for each in trial),
            failed=frozenset(each.decision.fingerprint for each in lately if _has_failed(each)),
            room=facts.room,
        )
        return judged(texts, house)

    async def _facts(self, now: datetime) -> tuple[MeetingFacts, str | None]:
        """Return all that is before the meeting, and how far the log was read."""
        log, mark = await self._log_part()
        rows = await self._do(partial(self._rows.newest, _LOOKED_BACK))
        waiting = await self._agreements.waiting()
        today = sum(each.day == now.date() for each in rows)
        knobs = await self._knobs()
        known = self._agents | {each.subject for each in knobs}
        facts = MeetingFacts(
            day=f"{now:%Y-%m-%d}",
            now=now,
            report=await self._report(),
            log=log,
            knobs=knobs,
            agents=tuple(sorted(self._agents)),
            metrics=await self._measures.metrics(),
            proposals=tuple(
                OpenProposal(kind=each.proposal.kind, level=int(each.level), state=each.state.value)
                for each in waiting
            ),
            past=tuple(_past(each, known) for each in rows[:MAX_PAST]),
            calibration=await self._do(self._rows.calibration),
            room=max(MOST - today, 0),
        )
        return facts, mark

    async def _log_part(self) -> tuple[LogDigest, str | None]:
        mark = await self._do(self._rows.log_mark)
        try:
            part = await self._log.since(mark)
        except TryLater as error:
            self._logger.warning("meeting_without_log", reason=str(error))
            return digest_of(()), mark
        return digest_of(part.records, self._agents, skipped=part.skipped), part.mark

    async def _report(self) -> ReportFacts | None:
        try:
            return await self._reports.newest()
        except (BadInput, TryLater) as error:
            self._logger.warning("meeting_without_report", reason=str(error))
            return None

    async def _knobs(self) -> tuple[Knob, ...]:
        """Return what can be set now; a hand that is away offers nothing."""
        found: dict[tuple[Act, str], Knob] = {}
        for hand in dict.fromkeys(self._hands.values()):
            try:
                offered = await hand.knobs()
            except RoboInvestError as error:
                self._logger.warning("hand_is_away", reason=str(error))
                continue
            found.update({(each.act, each.subject): each for each in offered})
        return tuple(each for (act, _), each in sorted(found.items()) if act in self._hands)

    async def _shown(self, *, day_of: datetime) -> MeetingRow:
        """Show a frontend what the day's meeting came to; return it."""
        day = day_of.date()
        meeting = await self._do(partial(self._rows.meeting, day))
        if meeting is None:
            raise BadInput(f"the meeting of {day} is not in the file")
        told = minutes(
            meeting,
            await self._do(partial(self._rows.of_day, day)),
            await self._do(partial(self._rows.refused, day)),
            await self._do(self._rows.calibration),
        )
        try:
            await self._shows.show(f"meeting_{day}", canonical_json(told))
        except TryLater as error:
            self._logger.warning("meeting_not_shown", reason=str(error))
        return meeting

    async def _do(self, work: Callable[[], ResultT]) -> ResultT:
        return await self._threads.do("meetings", work)


def _is_on_trial(row: DecisionRow) -> bool:
    made = (*UNDER_WAY, DecisionState.DONE, DecisionState.REQUESTED)
    return row.verdict is None and row.state in made


def _has_failed(row: DecisionRow) -> bool:
    ends = (DecisionState.UNDONE, DecisionState.REJECTED)
    return row.verdict is Verdict.WRONG or row.state in ends


def _past(row: DecisionRow, known: Collection[str]) -> PastDecision:
    """Return a decision as the next meeting sees it: a name that a model made up is not told."""
    subject = row.decision.subject
    return PastDecision(
        act=row.decision.act,
        subject=subject if subject in known else "a new one",
        state=row.state.value,
        verdict=None if row.verdict is None else row.verdict.value,
        effect=None if row.effect is None else row.effect.mean,
    )


def _read(facts: MeetingFacts) -> str:
    """Return what was read, in figures."""
    log = facts.log
    return canonical_json(
        {
            "report": None if facts.report is None else facts.report.date,
            "log_lines": log.lines,
            "log_skipped": log.skipped,
            "log_levels": dict(log.levels),
            "proposals": len(facts.proposals),
            "settings": len(facts.knobs),
            "past_decisions": len(facts.past),
            "calibration": facts.calibration.text,
        }
    )
