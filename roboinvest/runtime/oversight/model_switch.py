"""A switch before the language models: an agent that is degraded is answered by rules.

It stands before the gateway and knows nothing of it. A degraded agent stays degraded until it is
restored or the house starts again; what it is answered says that it was a rule. Not for a replay:
there the recorded answers are given, whatever they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from roboinvest.core.ports import LanguageModel
from roboinvest.core.tasks import Answer, Task

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


class ModelSwitch:
    """A `LanguageModel` over two: the one that is asked, and the rules."""

    def __init__(self, model: LanguageModel, rules: LanguageModel) -> None:
        self._model = model
        self._rules = rules
        self._degraded: dict[str, str] = {}

    @property
    def degraded(self) -> Mapping[str, str]:
        """Return why agents are answered by rules, by their names."""
        return dict(self._degraded)

    def degrade(self, agent: str, why: str) -> None:
        """Let rules answer an agent from now on; calls that are under way are not cut."""
        self._degraded[agent] = why

    def restore(self, agent: str) -> None:
        """Let the model answer an agent again."""
        self._degraded.pop(agent, None)

    async def ask(
        self, task: Task[InputT, OutputT], inputs: InputT, *, about: str = ""
    ) -> Answer[OutputT]:
        """Return the answer of whichever is in force for the task's agent."""
        why = self._degraded.get(task.agent)
        if why is None:
            return await self._model.ask(task, inputs, about=about)
        answer = await self._rules.ask(task, inputs, about=about)
        return replace(answer, reason=why)
