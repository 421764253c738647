"""A look over the shoulder of whoever asks language models; nothing that is answered is changed.

An answer by the model itself is a call of the model that went well. Where the rules answered in its
place the model failed, and the agent that asked did not; where a reply could not be read it is the
agent's trouble, whose words did not bring a readable one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from meta_agents.overseer import Overseer
from meta_agents.overseer_senses import said_of
from roboinvest.core.oversight.fingerprints import line_of
from roboinvest.core.ports import Clock, LanguageModel
from roboinvest.core.tasks import RULES, SAFE, Answer, Task

MODEL: Final = "language model"
DEGRADED: Final = "degraded by"  # begins the reason where healing let the rules answer
InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


class WatchedModel:
    """A `LanguageModel` over another one."""

    def __init__(
        self, model: LanguageModel, overseer: Overseer, clock: Clock, agents: Mapping[str, str]
    ) -> None:
        """Take who answers, who keeps pulses, and agents by the name that pays."""
        self._model, self._overseer, self._clock = model, overseer, clock
        self._agents = dict(agents)
        self.heard: Callable[[str, Answer[Any]], None] | None = None  # by whom, and the answer

    async def ask(
        self, task: Task[InputT, OutputT], inputs: InputT, *, about: str = ""
    ) -> Answer[OutputT]:
        """Return the answer, and note how it came about."""
        began = self._clock.monotonic()
        answer = await self._model.ask(task, inputs, about=about)
        if self.heard is not None:
            self.heard(task.agent, answer)
        at = self._clock.monotonic()
        took_s = max(at - began, 0.0)
        asker = self._overseer.pulse(self._agents.get(task.agent, task.agent))
        self._overseer.count("asks")
        if answer.is_recalled:  # it says nothing of a model, which was not asked
            self._overseer.count("cache hits")
            if asker is not None:
                asker.counter("cache hits", 1.0, at)
                asker.succeeded(at, took_s)
            return answer
        model = self._overseer.pulse(MODEL)
        if answer.source == SAFE:
            if asker is not None:
                asker.failed(at, line_of("BadReply", text=answer.reason), took_s)
        elif asker is not None:
            asker.succeeded(at, took_s)
        if model is None or answer.reason.startswith(DEGRADED):  # nobody asked it
            return answer
        model.progressed(at)
        if answer.source == RULES and answer.reason:
            model.failed(at, said_of(answer.reason), took_s)
        elif answer.source != RULES:
            model.succeeded(at, took_s)
        return answer
