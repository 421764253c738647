"""One small paid question to one model: does it answer, in which form, how fast, for how much."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from roboinvest.core.ports import Clock
from roboinvest.core.tasks import Task, TaskLimits
from roboinvest.runtime.llm.conversation import Asked, Conversation, Ending, Filled, Silent
from roboinvest.runtime.llm.provider import ChatRequest, Message, Trouble
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.spend.ledger import SpendLedger

AGENT: Final = "operator"
QUESTION: Final = "Answer with the JSON object of the form: word is yes, and figure is 7."
_MEND: Final = {
    Trouble.CONNECTION: "see that the server runs and that llm.base_url is its address",
    Trouble.TIMEOUT: "see that the server is not overloaded, or choose a faster model",
    Trouble.RATE: "wait, or ask the provider for a higher limit",
    Trouble.QUOTA: "put money on the provider's account",
    Trouble.KEY: "set the right key in the environment",
    Trouble.REQUEST: "see that the server knows this llm.model, and try another llm.method",
    Trouble.SERVER: "wait, or ask the provider",
    Trouble.GARBAGE: "see that llm.base_url ends where the chat interface begins, often in /v1",
}


class TrialForm(BaseModel):
    """What the model is asked to fill in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    word: Literal["yes"]
    figure: Literal[7]


TRIAL: Final = Task(
    name="trial",
    input_type=str,
    output_type=bool,
    prompt=f"{AGENT}/trial",
    rule=lambda _: False,
    safe=lambda _: False,
    form=TrialForm,
    show=lambda _: {},
    read=lambda _, __: True,
    limits=TaskLimits(reply_tokens=500, deadline_s=30.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it."""

    model: str
    is_good: bool
    text: str  # one sentence, with what to do where it is not good
    latency_ms: float
    cost_usd: Decimal


async def try_model(
    seat: Seat,
    ledger: SpendLedger,
    *,
    clock: Clock,
    new_id: Callable[[], str],
    redact: Callable[[str], str],
) -> Trial:
    """Ask one model the question; raises nothing for what it says."""
    asked = Asked(ask_id=new_id(), task=TRIAL, inputs=QUESTION, about="")
    cut = list[tuple[str, str]]()

    def charge(call_id: str, why: str) -> None:
        cut.append((call_id, why))

    talk = Conversation(
        seat,
        asked,
        ledger=ledger,
        clock=clock,
        new_id=new_id,
        redact=redact,
        fence=str,
        cut=charge,
    )
    request = ChatRequest(
        messages=(
            Message(speaker="system", text="You fill in forms."),
            Message(speaker="user", text=QUESTION),
        ),
        form=TrialForm,
        reply_tokens=TRIAL.limits.reply_tokens,
        temperature=0.0,
    )
    began = clock.monotonic()
    try:
        ending = await _within_its_time(talk, request)
        await asked.settle(ledger, charge)
    finally:
        for call_id, why in cut:
            await ledger.cut(call_id, why)
    return Trial(
        model=seat.provider.name,
        is_good=isinstance(ending, Filled),
        text=_sentence(ending),
        latency_ms=(clock.monotonic() - began) * 1000,
        cost_usd=asked.cost_usd,
    )


async def _within_its_time(talk: Conversation, request: ChatRequest) -> Ending:
    limit_s = TRIAL.limits.deadline_s
    try:
        async with asyncio.timeout(limit_s) as deadline:
            return await talk.hold(request)
    except TimeoutError:
        if not deadline.expired():
            raise
        return Silent(reason=f"no answer within {limit_s:g} s", trouble=Trouble.TIMEOUT)


def _sentence(ending: Ending) -> str:
    match ending:
        case Filled(repaired=False):
            return "it answers in form"
        case Filled():
            return "it answers in form at the second try; try another llm.method"
        case Silent(reason=reason, trouble=None):
            return f"it was not asked: {reason}"
        case Silent(reason=reason, trouble=trouble):
            return f"{reason}; {_MEND[trouble]}" if trouble is not None else reason
        case _:
            return f"its answer cannot be used ({ending.reason}); try another llm.method"
