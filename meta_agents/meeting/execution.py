"""Doing what was decided, step by step, so that a kill at any of them loses and doubles nothing.

Each step is written down before it is taken. Nothing is called done because a hand said so: what
stands there is looked up. What was agreed to is what is done, also where a person agreed to another
value than was asked for; and what a value does to risk is judged again at that moment.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from meta_agents.delegations import (
    CodeRequest,
    CodeWork,
    Delegation,
    DelegationState,
    DesignRequest,
    PromptRequest,
)
from meta_agents.meeting.agreements import WHO, Agreements, is_agreed
from meta_agents.meeting.ports import Delegates, Hand, Order
from roboinvest.core.approvals import Filed, ProposalState
from roboinvest.core.errors import BadInput, NeedsApproval, Refused, TryLater
from roboinvest.core.oversight.decisions import (
    Act,
    Decision,
    DecisionState,
    ValueForm,
    level_for,
    terms_of,
)
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Level
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRows
from roboinvest.runtime.oversight.threads import Threads

PUT_S: Final = 30.0  # that a hand may take
MOST_TRIES: Final = 3
BeforeDoing = Callable[[DecisionRow], Awaitable[None]]
_OVER: Final[Mapping[ProposalState, DecisionState]] = {
    ProposalState.REJECTED: DecisionState.REJECTED,
    ProposalState.EXPIRED: DecisionState.LAPSED,
    ProposalState.WITHDRAWN: DecisionState.LAPSED,
}


class Executor:
    """Carries decisions out."""

    def __init__(
        self,
        rows: MeetingRows,
        agreements: Agreements,
        hands: Mapping[Act, Hand],
        delegates: Delegates | None,
        *,
        clock: Clock,
        threads: Threads,
    ) -> None:
        """Take the hands that are there; None: nobody takes requests."""
        self._rows, self._agreements = rows, agreements
        self._hands, self._delegates = dict(hands), delegates
        self._clock, self._threads = clock, threads

    async def advance(self, name: str, before_doing: BeforeDoing) -> None:
        """Take a decision as far as it goes now.

        Args:
            name: of the decision.
            before_doing: awaited just before anything is changed.

        Raises:
            TryLater: a file is away; the same call may go on later.
        """
        for _ in DecisionState:
            row = await self._row(name)
            await self._step(row, before_doing)
            if (await self._row(name)).state is row.state:
                return

    async def _step(self, row: DecisionRow, before_doing: BeforeDoing) -> None:
        is_request = terms_of(row.decision.act).form is ValueForm.WORDS
        match row.state:
            case DecisionState.DECIDED if is_request:
                await self._request(row)
            case DecisionState.DECIDED:
                await self._file(row)
            case DecisionState.WAITING:
                await self._ask(row, before_doing)
            case DecisionState.EXECUTING:
                await self._go_on(row)
            case _:
                return

    async def _request(self, row: DecisionRow) -> None:
        if self._delegates is None:
            await self._move(row, DecisionState.FAILED, "nobody here takes requests")
            return
        try:
            done = await _asked(self._delegates, row.decision)
        except (Refused, BadInput) as error:
            await self._move(row, DecisionState.FAILED, str(error))
            return
        if done.state is DelegationState.REFUSED:
            await self._move(row, DecisionState.FAILED, done.text)
        else:
            to = DecisionState.REQUESTED
            await self._move(row, to, done.text, reference=done.reference)

    async def _file(self, row: DecisionRow) -> None:
        try:
            filed = await self._agreements.file(row.decision, self._clock.now())
        except (Refused, BadInput) as error:
            await self._move(row, DecisionState.FAILED, str(error))
            return
        name = filed.proposal.proposal_id
        why = f"it needs {filed.level.name}, and lies in the inbox as {name}"
        await self._move(row, DecisionState.WAITING, why, reference=name)

    async def _ask(self, row: DecisionRow, before_doing: BeforeDoing) -> None:
        filed = await self._agreements.find(row.decision.decision_id)
        if filed is None:
            await self._move(row, DecisionState.FAILED, "its proposal is gone from the inbox")
        elif filed.state in _OVER:
            await self._move(row, _OVER[filed.state], filed.reason or f"it was {filed.state}")
        elif filed.state is ProposalState.OPEN:
            return
        elif row.decision.is_by_hand:
            why = "it is agreed to, and a person has to do it by hand; nothing was changed here"
            await self._move(row, DecisionState.REQUESTED, why)
        elif filed.state is ProposalState.USED:
            await self._move(row, DecisionState.FAILED, "somebody else has used its approval")
        else:
            await self._begin(row, filed, before_doing)

    async def _begin(self, row: DecisionRow, filed: Filed, before_doing: BeforeDoing) -> None:
        """Write down that it is being done, with the value that was agreed to."""
        value = filed.proposal.after or row.decision.after
        why = await self._objection(row.decision, filed, value)
        if why is not None:
            await self._move(row, DecisionState.FAILED, why)
            return
        await before_doing(row)
        changed = value if value != row.decision.after else None
        await self._move(row, DecisionState.EXECUTING, "it is being done", value=changed)

    async def _objection(self, decision: Decision, filed: Filed, value: str) -> str | None:
        """Return why it may not be done now."""
        hand = self._hands.get(decision.act)
        standing = None if hand is None else await hand.standing(decision.subject)
        if hand is None or standing is None:
            return f"nobody can do this here: there is no {decision.act} of {decision.subject}"
        try:
            level = level_for(
                *(decision.act, decision.subject, standing, value),
                asks_person=decision.approval_required,
            )
        except BadInput as error:
            return str(error)
        if level is Level.L4:
            return f"{decision.act} of {decision.subject} to {value} would add risk"
        if not is_agreed(filed, max(level, decision.level)):
            return f"{decision.act} of {decision.subject} needs a person, and none has agreed"
        return None

    async def _go_on(self, row: DecisionRow) -> None:
        """Use the approval up if that was not done, and do it."""
        hand = self._hands.get(row.decision.act)
        standing = None if hand is None else await hand.standing(row.decision.subject)
        filed = await self._agreements.find(row.decision.decision_id)
        if hand is None or standing is None or filed is None:
            await self._move(row, DecisionState.FAILED, "nobody can do this here any more")
            return
        if filed.state is not ProposalState.USED:
            try:
                await self._agreements.use(filed, standing)
            except (Refused, NeedsApproval, BadInput) as error:
                await self._move(row, DecisionState.FAILED, str(error))
                return
        if standing == row.after:
            await self._move(row, DecisionState.DONE, f"{row.decision.subject} is at {row.after}")
            return
        tries = await self._threads.do(
            "meetings", partial(self._rows.tried, row.decision.decision_id)
        )
        if tries > MOST_TRIES:
            unchanged = standing == row.decision.before
            to = DecisionState.FAILED if unchanged else DecisionState.UNKNOWN
            await self._move(row, to, f"after {MOST_TRIES} tries it is at {standing}")
            return
        await self._put(row, hand)

    async def _put(self, row: DecisionRow, hand: Hand) -> None:
        refusal = await put(hand, self._order(row, row.after, WHO))
        standing = await hand.standing(row.decision.subject)
        if standing == row.after:
            await self._move(row, DecisionState.DONE, f"{row.decision.subject} is at {standing}")
        elif refusal is not None and refusal.is_final and standing == row.decision.before:
            await self._move(row, DecisionState.FAILED, refusal.why)
        else:
            why = "it was asked for" if refusal is None else refusal.why
            await self._move(row, DecisionState.EXECUTING, f"{why}; it is at {standing} now")

    def _order(self, row: DecisionRow, value: str, by: str) -> Order:
        decision = row.decision
        return Order(
            decision_id=decision.decision_id,
            act=decision.act,
            subject=decision.subject,
            value=value,
            why=f"governance {decision.decision_id}: {decision.description}",
            by=by,
            at=self._clock.now(),
        )

    async def _row(self, name: str) -> DecisionRow:
        return await self._threads.do("meetings", partial(self._rows.get, name))

    async def _move(
        self,
        row: DecisionRow,
        to: DecisionState,
        reason: str,
        *,
        reference: str | None = None,
        value: str | None = None,
    ) -> None:
        now: datetime = self._clock.now()
        move = partial(
            self._rows.move,
            *(row.decision.decision_id, to, reason),
            now=now,
            reference=reference,
            value=value,
        )
        await self._threads.do("meetings", move)


class Refusal:
    """Why a hand did not do it."""

    def __init__(self, why: str, *, is_final: bool) -> None:
        self.why, self.is_final = why, is_final


async def put(hand: Hand, order: Order) -> Refusal | None:
    """Have a hand set something; None: it returned, which says nothing yet."""
    try:
        async with asyncio.timeout(PUT_S) as deadline:
            await hand.put(order)
    except (Refused, NeedsApproval, BadInput) as error:
        return Refusal(str(error), is_final=True)
    except TryLater as error:
        return Refusal(str(error), is_final=False)
    except TimeoutError:
        if not deadline.expired():
            raise
        return Refusal(f"it took more than {PUT_S:g} s", is_final=False)
    return None


async def _asked(delegates: Delegates, decision: Decision) -> Delegation:
    """Hand a request to whoever it is for, under the decision's name."""
    topic = str(json.loads(decision.after))
    finding = f"{decision.description}; {decision.hypothesis}"
    asks, name = decision.approval_required, decision.decision_id
    match decision.act:
        case Act.REQUEST_CODE:
            word = topic.partition(":")[0].strip()
            work = CodeWork(word) if word in set(CodeWork) else CodeWork.OPTIMISE
            code = CodeRequest(
                agent=decision.subject,
                work=work,
                topic=topic,
                finding=finding,
                approval_required=asks,
            )
            return await delegates.code(code, name)
        case Act.REQUEST_PROMPT:
            words = PromptRequest(
                prompt=decision.subject,
                agent=decision.subject,
                topic=topic,
                finding=finding,
                approval_required=asks,
            )
            return await delegates.prompt(words, name)
        case _:
            design = DesignRequest(
                agent=decision.subject, topic=topic, finding=finding, approval_required=asks
            )
            return await delegates.design(design, name)
