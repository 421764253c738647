"""One ask with one model: look-ups, an answer, at most one repair; each attempt is paid once.

Money before words: what a request can cost at most is reserved durably before it is sent, and
settled by what the provider counted. A request that was cancelled is left to `Cuts`, which charges
its reservation; so does the next start, if this process does not live to do it. Repeated is only
what was certainly not billed, once, and only if the wait that the server asks for is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from roboinvest.core.errors import BadReply, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.records import plain_json
from roboinvest.core.tasks import Task
from roboinvest.runtime.llm.filled_form import filled_in
from roboinvest.runtime.llm.provider import (
    ChatRequest,
    Message,
    NoReply,
    Reply,
    ToolCall,
    Trouble,
)
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import CallFacts, Denied, Spent

LONGEST_WAIT_S: Final = 5.0  # before what was not billed is sent again
FIRST_WAIT_S: Final = 0.5
MAX_LOOKED_UP: Final = 8_000  # characters of what a tool found
_AGAIN: Final = frozenset({Trouble.CONNECTION, Trouble.RATE})


@dataclass(slots=True)
class Asked:
    """One ask as it goes on: who asks, and what it came to so far."""

    ask_id: str
    task: Task[Any, Any]
    inputs: Any
    about: str
    cost_usd: Decimal = Decimal(0)
    attempts: int = 0
    unsettled: list[tuple[CallFacts, Spent]] = field(default_factory=list)  # heard, not yet paid
    looked_up: list[str] = field(default_factory=list)

    async def settle(self, ledger: SpendLedger, cut: Callable[[str, str], None]) -> None:
        """Pay what was heard; what cannot be written now is charged later, as reserved."""
        while self.unsettled:
            call, spent = self.unsettled.pop()
            try:
                await ledger.settle(call.call_id, spent)
            except TryLater:
                cut(call.call_id, "its settlement could not be written")
            except asyncio.CancelledError:
                cut(call.call_id, "cancelled while it was settled")  # it is, unless that failed
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A valid form, and the output that the task reads from it."""

    form: BaseModel
    output: Any
    repaired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The model answered twice, and neither answer can be used."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """There is no answer from this model."""

    reason: str
    trouble: Trouble | None = None  # None: it was not asked


Ending = Filled | Unreadable | Silent


class Conversation:
    """Talks with the model of one seat."""

    def __init__(
        self,
        seat: Seat,
        asked: Asked,
        *,
        ledger: SpendLedger,
        clock: Clock,
        new_id: Callable[[], str],
        redact: Callable[[str], str],
        fence: Callable[[str], str],
        cut: Callable[[str, str], None],
    ) -> None:
        """Take the parts.

        Args:
            seat: of the model.
            asked: the ask that this serves.
            ledger: pays.
            clock: measures.
            new_id: names each call.
            redact: takes secrets out of what is recorded.
            fence: wraps what strangers wrote.
            cut: takes calls that were cancelled, and why, to be charged later.
        """
        self._seat, self._asked = seat, asked
        self._ledger, self._clock = ledger, clock
        self._new_id, self._redact = new_id, redact
        self._fence, self._cut = fence, cut

    async def hold(self, request: ChatRequest) -> Ending:
        """Return what came of it; raises nothing but CancelledError."""
        answer = await self._answer(request)
        if isinstance(answer, Silent):
            return answer
        request, reply = answer
        try:
            return self._taken(request, reply, repaired=False)
        except BadReply as why:
            again = replace(request, messages=(*request.messages, *_repair(reply, why)), tools=())
        repair = await self._send(again, "repair")
        if isinstance(repair, Silent):
            if repair.trouble is None:
                self._seat.breaker.failed(Trouble.GARBAGE)
            return Unreadable(reason=f"unreadable, and not repaired: {repair.reason}")
        try:
            return self._taken(again, repair, repaired=True)
        except BadReply as why:
            self._seat.breaker.failed(Trouble.GARBAGE)
            return Unreadable(reason=f"unreadable twice: {why}")

    def _taken(self, request: ChatRequest, reply: Reply, *, repaired: bool) -> Filled:
        form = self._without_secrets(filled_in(request.form, reply))
        output = self._asked.task.read(self._asked.inputs, form)
        self._seat.breaker.succeeded()
        return Filled(form=form, output=output, repaired=repaired)

    def _without_secrets(self, form: BaseModel) -> BaseModel:
        """Return the form as it may be kept, shown and acted on: models repeat what they see.

        Raises:
            BadReply: it is no valid form any more.
        """
        said = form.model_dump(mode="json")
        kept = _each_text(said, self._redact)
        if kept == said:
            return form
        try:
            return type(form).model_validate_json(plain_json(kept))
        except ValidationError as error:
            raise BadReply("the answer holds something like a key; leave it out") from error

    async def _answer(self, request: ChatRequest) -> tuple[ChatRequest, Reply] | Silent:
        """Return the request with all look-ups, and the reply that asks for none any more."""
        for _ in range(self._asked.task.limits.tool_rounds if request.tools else 0):
            reply = await self._send(request, "look-up")
            if isinstance(reply, Silent):
                return reply
            if not reply.tool_calls:
                return request, reply
            turns = await self._look_up(reply)
            request = replace(request, messages=(*request.messages, *turns))
        request = replace(request, tools=())
        reply = await self._send(request, "answer")
        return reply if isinstance(reply, Silent) else (request, reply)

    async def _look_up(self, reply: Reply) -> Sequence[Message]:
        found = [await self._found(call) for call in reply.tool_calls]
        asked = Message(speaker="assistant", text=reply.text, tool_calls=reply.tool_calls)
        return (asked, *found)

    async def _found(self, call: ToolCall) -> Message:
        """Return what a tool says; one that is not on the list is not called."""
        tool = next((t for t in self._asked.task.tools if t.name == call.name), None)
        self._asked.looked_up.append(call.name if tool else f"refused: {call.name[:40]!r}")
        if tool is None:
            names = ", ".join(each.name for each in self._asked.task.tools)
            return _tool_says(call, f"There is no such tool; there are {names}.")
        try:
            text = await tool.look_up(tool.form.model_validate(call.arguments))
        except (ValidationError, TryLater) as error:
            kind = "not valid arguments" if isinstance(error, ValidationError) else "away for now"
            return _tool_says(call, f"{tool.name}: {kind}.")
        return _tool_says(call, self._fence(text[:MAX_LOOKED_UP]))

    async def _send(self, request: ChatRequest, purpose: str) -> Reply | Silent:
        """Send a request; once more where the first was certainly not billed."""
        said = await self._pay_and_send(request, purpose)
        if isinstance(said, NoReply) and said.trouble in _AGAIN and not said.was_sent:
            wait_s = FIRST_WAIT_S if said.retry_after_s is None else said.retry_after_s
            if wait_s <= LONGEST_WAIT_S:
                await asyncio.sleep(wait_s)
                said = await self._pay_and_send(request, purpose)
        if isinstance(said, NoReply):
            self._seat.breaker.failed(said.trouble, retry_after_s=said.retry_after_s)
            return Silent(reason=said.text, trouble=said.trouble)
        return said

    async def _pay_and_send(self, request: ChatRequest, purpose: str) -> Reply | NoReply | Silent:
        await self._asked.settle(self._ledger, self._cut)
        call = self._call(request, purpose)
        try:
            reserved = await self._ledger.reserve(call)
        except TryLater as error:
            return Silent(reason=f"the spend ledger takes nothing: {error}")
        if isinstance(reserved, Denied):
            return Silent(reason=reserved.text)
        self._asked.attempts += 1
        began = self._clock.monotonic()
        try:
            said = await self._seat.provider.complete(request)
        except asyncio.CancelledError:
            self._asked.cost_usd += call.reserved_usd
            self._cut(call.call_id, "cancelled at its deadline")
            raise
        took_ms = (self._clock.monotonic() - began) * 1000
        spent = self._spent(said, took_ms, _told(request))
        self._asked.unsettled.append((call, spent))
        self._asked.cost_usd += call.reserved_usd if spent.cost_usd is None else spent.cost_usd
        return said

    def _call(self, request: ChatRequest, purpose: str) -> CallFacts:
        asked = self._asked
        return CallFacts(
            call_id=self._new_id(),
            ask_id=asked.ask_id,
            at=self._clock.now(),
            agent=asked.task.agent,
            task=asked.task.name,
            about=asked.about,
            model=self._seat.provider.model,
            purpose=purpose,
            reserved_usd=self._seat.most_usd(request),
        )

    def _spent(self, said: Reply | NoReply, took_ms: float, told: str) -> Spent:
        """Return what a call cost: as counted, all that was reserved where nobody counted, or 0."""
        usage = said.usage if isinstance(said, Reply) else None
        cost: Decimal | None = None  # all that was reserved
        failure = None
        if isinstance(said, NoReply):
            failure = f"{said.trouble}: {said.text}"
            cost = None if said.was_sent else Decimal(0)
        elif usage is not None:
            cost = self._seat.price.cost(
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.output_tokens,
            )
        return Spent(
            cost_usd=cost,
            usage=usage,
            latency_ms=took_ms,
            failure=failure,
            prompt=self._redact(told),
            reply=self._redact(said.text if isinstance(said, Reply) else ""),
        )


def _each_text(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 a JSON tree
    """Return a JSON tree with every text in it changed; the names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _each_text(part, change) for name, part in value.items()}
    return [_each_text(part, change) for part in value] if isinstance(value, list) else value


def _repair(reply: Reply, why: BadReply) -> tuple[Message, Message]:
    said = Message(speaker="assistant", text=reply.text or "(nothing)")
    ask = f"That cannot be used: {why}. Answer again with the JSON object of the form alone."
    return said, Message(speaker="user", text=ask)


def _tool_says(call: ToolCall, text: str) -> Message:
    return Message(speaker="tool", text=text, answers=call.call_id)


def _told(request: ChatRequest) -> str:
    return "\n\n".join(f"[{message.speaker}]\n{message.text}" for message in request.messages)
