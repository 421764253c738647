"""The one door to language models: typed, budgeted, recorded, and never waited for too long.

What a caller can rely on: an answer within the task's deadline, whoever gives it; an output that is
the model's only if its reply was valid; every call paid out of one ledger; and a record of all of
it. The models of a role are asked in order; one that is away, resting or too dear is passed over,
and after the last the task's rule answers. A model that answers nonsense twice is believed in
nothing: the task's safe output stands in, and the next model is not paid for the same question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError

from roboinvest.core.errors import BadReply, BadSettings, RoboInvestError, TryLater
from roboinvest.core.ports import Clock
from roboinvest.core.records import canonical_json, plain_json
from roboinvest.core.tasks import RULES, SAFE, Answer, Task
from roboinvest.runtime.llm.conversation import Asked, Conversation, Ending, Filled, Silent
from roboinvest.runtime.llm.cuts import Cuts
from roboinvest.runtime.llm.provider import ChatRequest, Trouble
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import AskFacts
from roboinvest.runtime.llm.tape import Tape, Taped, key_of
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.versions import PromptVersion

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
MAX_REASON: Final = 400  # characters of what the record says
REPAIRED: Final = "repaired once"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """What an ask came to."""

    source: str
    output: Any
    reason: str = ""
    form: Mapping[str, Any] | None = None


class LlmGateway:
    """A `LanguageModel` over the models of a house."""

    def __init__(
        self,
        chains: Mapping[str, Sequence[Seat]],
        *,
        ledger: SpendLedger,
        prompts: PromptRegistry,
        tape: Tape,
        cuts: Cuts,
        clock: Clock,
        new_id: Callable[[], str],
        marker: Callable[[], str],
        redact: Callable[[str], str],
        max_concurrent: int,
        deadline_s: float | None = None,
    ) -> None:
        """Take the parts.

        Args:
            chains: the models of each role, best first.
            ledger: pays and records.
            prompts: what tasks say to models.
            tape: recorded answers.
            cuts: charges what was cancelled.
            clock: measures.
            new_id: names asks and calls, each anew.
            marker: draws a delimiter that no text can know.
            redact: takes secrets out of what is recorded.
            max_concurrent: calls under way at once.
            deadline_s: seconds that stand in for the tasks' own, where those are longer.
        """
        self._chains = chains
        self._ledger, self._prompts, self._tape, self._cuts = ledger, prompts, tape, cuts
        self._clock, self._new_id, self._marker = clock, new_id, marker
        self._redact = redact
        self._turns = asyncio.Semaphore(max_concurrent)
        self._deadline_s = deadline_s
        self._unfit = dict[str, str]()

    def unfit(self) -> Mapping[str, str]:
        """Return why prompts could not be filled in the last time, by their names."""
        return dict(self._unfit)

    async def ask(
        self, task: Task[InputT, OutputT], inputs: InputT, *, about: str = ""
    ) -> Answer[OutputT]:
        """Return a typed answer within the task's deadline.

        Raises:
            NotRecorded: only recorded answers are allowed, and this question has none.
        """
        began = self._clock.monotonic()
        asked = Asked(ask_id=self._new_id(), task=task, inputs=inputs, about=about)
        version = self._prompts.current(task.prompt)
        seats = self._chains.get(task.role, ())
        models = [seat.provider.name for seat in seats]
        key, digest = key_of(task, inputs, version=version.version, models=models)
        asks = f"{task.name} about {about or 'nothing'}"
        taped = await self._tape.played(key, asks)
        settled = None if taped is None else self._replayed(asked, taped, asks)
        is_recalled = settled is not None
        if taped is None or settled is None:
            settled = await self._settled(asked, version, seats)
            form = None if settled.form is None else dict(settled.form)
            reason = self._redact(settled.reason)[:MAX_REASON]
            taped = Taped(source=settled.source, form=form, reason=reason)
        latency_ms = (self._clock.monotonic() - began) * 1000
        await self._record(asked, version, digest, settled, latency_ms, key, taped)
        return Answer(
            output=cast("OutputT", settled.output),
            source=settled.source,
            cost_usd=asked.cost_usd,
            latency_ms=latency_ms,
            reason=settled.reason,
            ask_id=asked.ask_id,
            is_recalled=is_recalled,
        )

    def _replayed(self, asked: Asked, taped: Taped, asks: str) -> _Settled | None:
        """Return what the recorded answer means for these inputs; None: it has to be asked."""
        task = asked.task
        try:
            if taped.form is not None:
                form = task.form.model_validate_json(plain_json(taped.form))
                output = task.read(asked.inputs, form)
            else:
                output = (task.safe if taped.source == SAFE else task.rule)(asked.inputs)
        except (ValidationError, BadReply) as error:
            self._tape.misfits(asks, " ".join(str(error).split())[:MAX_REASON])
            return None
        return _Settled(source=taped.source, output=output, reason=taped.reason, form=taped.form)

    async def _settled(
        self, asked: Asked, version: PromptVersion, seats: Sequence[Seat]
    ) -> _Settled:
        """Return what came of asking; who is cancelled leaves nothing that is not charged."""
        try:
            return await self._in_time(asked, version, seats)
        except asyncio.CancelledError:
            for call, _ in asked.unsettled:
                self._cuts.add(call.call_id, "cancelled before it was settled")
            raise

    async def _in_time(
        self, asked: Asked, version: PromptVersion, seats: Sequence[Seat]
    ) -> _Settled:
        """Return what came of asking, or what the rule says when the time is over."""
        limit_s = self._limit_s(asked.task)
        try:
            async with asyncio.timeout(limit_s) as deadline:
                async with self._turns:
                    return await self._asked_in_turn(asked, version, seats)
        except TimeoutError:
            if not deadline.expired():
                raise
            return _ruled(asked, f"no answer within {limit_s:g} s")

    async def _asked_in_turn(
        self, asked: Asked, version: PromptVersion, seats: Sequence[Seat]
    ) -> _Settled:
        name = asked.task.prompt
        try:
            request = self._request(asked.task, version, asked.inputs)
            self._unfit.pop(name, None)
        except RoboInvestError as error:
            if not isinstance(error, BadReply):  # too long is a matter of the day's inputs
                self._unfit[name] = str(error)
            return _ruled(asked, str(error))
        reasons = list[str]()
        ends_at = self._clock.monotonic() + self._limit_s(asked.task)
        for left, seat in zip(range(len(seats), 0, -1), seats, strict=True):
            share_s = (ends_at - self._clock.monotonic()) / left if left > 1 else None
            ending = await self._ending_within(share_s, seat, asked, request)
            if isinstance(ending, Filled):
                how = REPAIRED if ending.repaired else ""
                form = ending.form.model_dump(mode="json")
                return _Settled(
                    source=seat.provider.name, output=ending.output, reason=how, form=form
                )
            if not isinstance(ending, Silent):
                return _Settled(
                    source=SAFE,
                    output=asked.task.safe(asked.inputs),
                    reason=f"{seat.provider.name}: {ending.reason}",
                )
            reasons.append(f"{seat.provider.name}: {ending.reason}")
        return _ruled(asked, "; ".join(reasons) or f"no model has the role {asked.task.role}")

    def _limit_s(self, task: Task[Any, Any]) -> float:
        return min(task.limits.deadline_s, self._deadline_s or task.limits.deadline_s)

    async def _ending_within(
        self, share_s: float | None, seat: Seat, asked: Asked, request: ChatRequest
    ) -> Ending:
        """Talk with one model for its share of the time, so that the next one has some left."""
        try:
            async with asyncio.timeout(share_s) as share:
                return await self._ending(seat, asked, request)
        except TimeoutError:
            if not share.expired():
                raise
            text = f"no answer within its share of the time, {share_s:.1f} s"
            return Silent(reason=text, trouble=Trouble.TIMEOUT)

    async def _ending(self, seat: Seat, asked: Asked, request: ChatRequest) -> Ending:
        """Talk with one model; whatever happens, its breaker hears how it ended."""
        why = seat.breaker.may_call()
        if why is not None:
            return Silent(reason=why)
        marker = self._marker()
        talk = Conversation(
            seat,
            asked,
            ledger=self._ledger,
            clock=self._clock,
            new_id=self._new_id,
            redact=self._redact,
            fence=lambda text: self._prompts.fence(text, marker),
            cut=self._cuts.add,
        )
        heard = False
        try:
            ending = await talk.hold(request)
            heard = not (isinstance(ending, Silent) and ending.trouble is None)
            return ending
        except asyncio.CancelledError:
            heard = True
            seat.breaker.failed(Trouble.TIMEOUT)
            raise
        finally:
            if not heard:
                seat.breaker.gave_up()

    def _request(self, task: Task[Any, Any], version: PromptVersion, inputs: object) -> ChatRequest:
        """Return what is sent.

        Raises:
            BadInput: the prompt cannot be filled in.
            BadReply: it would be longer than the task allows.
        """
        messages = self._prompts.render(version, task.show(inputs), self._marker())
        size = sum(len(message.text.encode()) for message in messages)
        if size > task.limits.prompt_bytes:
            raise BadReply(
                f"the prompt has {size} bytes, {task.limits.prompt_bytes} are sent at most"
            )
        return ChatRequest(
            messages=tuple(messages),
            form=task.form,
            reply_tokens=task.limits.reply_tokens,
            temperature=version.temperature,
            tools=task.tools,
        )

    async def _record(
        self,
        asked: Asked,
        version: PromptVersion,
        digest: str,
        settled: _Settled,
        latency_ms: float,
        key: str,
        taped: Taped,
    ) -> None:
        """Write the ask down; a record that cannot be written takes no answer away."""
        task = asked.task
        facts = AskFacts(
            ask_id=asked.ask_id,
            at=self._clock.now(),
            agent=task.agent,
            task=task.name,
            about=asked.about,
            prompt_name=version.name,
            prompt_version=version.version,
            inputs_digest=digest,
            inputs=self._redact(canonical_json(asked.inputs)),
            source=settled.source,
            reason=self._redact(settled.reason)[:MAX_REASON],
            output=self._redact(canonical_json(settled.output)),
            latency_ms=latency_ms,
            attempts=asked.attempts,
            cost_usd=asked.cost_usd,
            looked_up=tuple(map(self._redact, asked.looked_up)),
        )
        self._prompts.count_ask(
            version,
            settled.source,
            cost_usd=asked.cost_usd,
            latency_ms=latency_ms,
            is_repaired=settled.reason == REPAIRED,
        )
        try:
            await asyncio.gather(  # one transaction, mostly: they are queued together
                asked.settle(self._ledger, self._cuts.add),
                self._tape.record(key, taped),
                self._ledger.note_ask(facts),
            )
        except TryLater:
            self._cuts.unrecorded += 1


def check_task(task: Task[Any, Any]) -> None:
    """See that a task can be asked of models.

    Raises:
        BadSettings: its safe output is missing.
    """
    if task.safe is None:
        raise BadSettings(
            f"the task {task.name} has no safe output, which is what an unreadable reply becomes; "
            "declare one"
        )


def _ruled(asked: Asked, reason: str) -> _Settled:
    return _Settled(source=RULES, output=asked.task.rule(asked.inputs), reason=reason)
