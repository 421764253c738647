"""What came of decisions: measured at their deadline, kept, and undone when somebody asks for it.

A verdict comes from two samples of the house's own books and from nothing that anybody says. What
was never made is not judged. An undoing is a person's: it may add risk, since it goes back to what
stood there before, and no further.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from meta_agents.meeting.agreements import HOUSE_NAMES, WHO, Agreements
from meta_agents.meeting.execution import put
from meta_agents.meeting.ports import Hand, Measures, Order
from roboinvest.core.approvals import ProposalState, same_name
from roboinvest.core.audit import AuditEntry
from roboinvest.core.change_outcomes import ChangeOutcome, Outcome, Teller
from roboinvest.core.errors import BadInput, BadSettings, Refused
from roboinvest.core.oversight.decisions import Act, DecisionState
from roboinvest.core.oversight.scoring import Metric, Score, Verdict, outcome_of, score
from roboinvest.core.ports import Clock
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRows
from roboinvest.runtime.oversight.threads import Threads

LATEST: Final = timedelta(days=7)  # after a deadline, for a measurement that is not there yet


class Settling:
    """Scores and undoes."""

    def __init__(
        self,
        rows: MeetingRows,
        agreements: Agreements,
        hands: dict[Act, Hand],
        measures: Measures,
        *,
        clock: Clock,
        threads: Threads,
    ) -> None:
        """Take the books of the meeting, and whoever measures."""
        self._rows, self._agreements, self._hands = rows, agreements, hands
        self._measures, self._clock, self._threads = measures, clock, threads
        self._log = structlog.get_logger("roboinvest.governance")

    async def keep_baseline(self, row: DecisionRow) -> None:
        """Measure what a decision is about, before it is done."""
        decision, now = row.decision, self._clock.now()
        since = now - (decision.deadline - decision.made_at)
        sample = await self._measures.sample(decision.metric, decision.subject, since, now)
        if sample is not None:
            keep = partial(self._rows.set_baseline, decision.decision_id, sample)
            await self._threads.do("meetings", keep)

    async def score_due(self, now: datetime) -> int:
        """Score what is past its deadline; return how many those are.

        Raises:
            TryLater: a file or the books are away; nothing is lost.
        """
        due = await self._threads.do("meetings", partial(self._rows.due, now))
        metrics = {each.name: each for each in await self._measures.metrics()} if due else {}
        done = 0
        for row in due:
            try:
                found = await self._scored(row, now)
            except (BadInput, BadSettings) as error:  # its books; those of others may be whole
                self._log.warning(
                    "decision_not_scored", decision=row.decision.decision_id, trouble=str(error)
                )
                continue
            if found.verdict is Verdict.UNKNOWN and self._may_come(row, found, now):
                continue
            await self._learn(row, found, metrics.get(row.decision.metric), now)
            keep = partial(self._rows.score, row.decision.decision_id, found, now)
            await self._threads.do("meetings", keep)
            done += 1
        return done

    async def _scored(self, row: DecisionRow, now: datetime) -> Score:
        decision = row.decision
        made_at = await self._made_at(row)
        if made_at is None:
            why = f"it was never made: it is {row.state}"
            return Score(verdict=Verdict.UNKNOWN, effect=None, reason=why)
        before = row.baseline
        if before is None:
            span = decision.deadline - decision.made_at
            before = await self._sample(row, made_at - span, made_at)
        after = await self._sample(row, made_at, min(decision.deadline, now))
        return score(decision.expected, before, after)

    async def _sample(self, row: DecisionRow, since: datetime, until: datetime):  # type: ignore[no-untyped-def]
        decision = row.decision
        return await self._measures.sample(decision.metric, decision.subject, since, until)

    async def _made_at(self, row: DecisionRow) -> datetime | None:
        """Return when it took effect; None: it did not, as far as the house knows."""
        if row.state is DecisionState.DONE:
            return row.executed_at
        if row.state is DecisionState.REQUESTED and row.reference and not row.decision.is_by_hand:
            filed = await self._agreements.find(row.reference)
            if filed is not None and filed.state is ProposalState.USED:
                return filed.filed_at
        return None

    def _may_come(self, row: DecisionRow, found: Score, now: datetime) -> bool:
        """Return whether observations are still missing that may come."""
        is_made = row.state is DecisionState.DONE and found.effect is None
        return is_made and now < row.decision.deadline + LATEST

    async def _learn(
        self, row: DecisionRow, found: Score, metric: Metric | None, now: datetime
    ) -> None:
        """Tell those who propose next; an unknown effect teaches nothing."""
        if found.effect is None or metric is None:
            return
        outcome = outcome_of(found, metric, row.decision.expected)
        if outcome is not None:
            await self._agreements.learn(_outcome(row, found, outcome, now))

    async def undo(self, row: DecisionRow) -> str:
        """Undo what somebody asked to be undone; return what came of it, in words.

        Raises:
            TryLater: a file is away; it is tried again.
        """
        match row.state:
            case DecisionState.DECIDED | DecisionState.WAITING | DecisionState.REQUESTED:
                why = await self._withdrawn(row)
            case DecisionState.DONE | DecisionState.UNKNOWN:
                why = await self._set_back(row)
            case _:
                why = f"there is nothing to undo: it is {row.state}"
        if why is None:
            return f"{row.decision.decision_id} is undone"
        over = partial(self._rows.undo_over, row.decision.decision_id, f"not undone: {why}")
        await self._threads.do("meetings", over)
        return why

    async def _withdrawn(self, row: DecisionRow) -> str | None:
        name = row.reference
        if row.state is DecisionState.DECIDED:
            return "it is not filed yet; ask again in a minute"
        try:
            await self._agreements.withdraw(name)
        except (Refused, BadInput) as error:
            return str(error)
        await self._undone(row, "its proposal was withdrawn")
        return None

    async def _set_back(self, row: DecisionRow) -> str | None:
        decision = row.decision
        hand = self._hands.get(decision.act)
        standing = None if hand is None else await hand.standing(decision.subject)
        if hand is None or decision.before is None or standing is None:
            return "nobody here can set it back"
        if standing == row.after != decision.before:
            order = Order(
                decision_id=decision.decision_id,
                act=decision.act,
                subject=decision.subject,
                value=decision.before,
                why=f"undo of governance {decision.decision_id}, for {row.undo_by}",
                by=row.undo_by or WHO,
                at=self._clock.now(),
            )
            refusal = await put(hand, order)
            standing = await hand.standing(decision.subject)
            if refusal is not None and refusal.is_final:
                return refusal.why
        if standing != decision.before:
            return f"it is at {standing}, and neither what was set nor what stood there before"
        await self._undone(row, f"it is back at {standing}")
        return None

    async def _undone(self, row: DecisionRow, words: str) -> None:
        decision, now, by = row.decision, self._clock.now(), row.undo_by or WHO
        await self._agreements.tell(
            AuditEntry(
                kind="governance.undone",
                subject=decision.subject,
                who=by,
                why=f"{decision.decision_id} ({decision.description}): {words}",
                before=row.after,
                after=decision.before,
                undo=None,
                at=now,
            )
        )
        if row.state is DecisionState.DONE:
            lesson = Score(verdict=Verdict.UNKNOWN, effect=None, reason=f"{by} had it undone")
            await self._agreements.learn(_outcome(row, lesson, Outcome.REVERSED, now))
        name, to = decision.decision_id, DecisionState.UNDONE
        move = partial(self._rows.move, *(name, to, f"{words}, for {by}"), now=now)
        await self._threads.do("meetings", move)


def require_person(name: str) -> str:
    """Return the name of who asks for an undoing, cleaned.

    Raises:
        BadInput: it is empty.
        Refused: it is a part of the house.
    """
    person = clean(name, 80)
    if not person:
        raise BadInput("an undoing needs the name of a person; give --as NAME")
    if same_name(person) in HOUSE_NAMES:
        raise Refused(f"{person} cannot ask for an undoing; a person has to")
    return person


def _outcome(row: DecisionRow, found: Score, outcome: Outcome, now: datetime) -> ChangeOutcome:
    """Return what is kept; its words are ours, so that a model may be shown them."""
    decision, baseline = row.decision, row.baseline
    known = f"{baseline.mean:.4g} of {baseline.n}" if baseline is not None else "none"
    days = None
    if outcome is Outcome.REVERSED and row.executed_at is not None:
        days = max((now - row.executed_at).total_seconds() / 86_400, 0.0)
    return ChangeOutcome(
        fingerprint=decision.fingerprint,
        kind=decision.act,
        target=decision.subject,
        cause="",
        hypothesis=f"{decision.description}: {decision.metric} {decision.expected:+g}",
        evidence_before=f"{decision.metric}: {known}",
        effect=found.effect,
        outcome=outcome,
        lesson=found.reason,
        told_by=Teller.HOUSE,
        source=f"{WHO}:{decision.decision_id}" + (":undone" if days is not None else ""),
        days_until_reversal=days,
        at=now,
    )
