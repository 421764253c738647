"""The built-in model: every task answered by its own rule, in this process, at no cost.

This is what trades when no key is configured. The record says so: the source is "rules".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

from roboinvest.core.ports import Clock
from roboinvest.core.tasks import RULES, Answer, Task

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


class RulesModel:
    """A `LanguageModel` that asks nobody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def ask(
        self,
        task: Task[InputT, OutputT],
        inputs: InputT,
        *,
        about: str = "",  # noqa: ARG002 port
    ) -> Answer[OutputT]:
        """Return what the task's rule says."""
        started = self._clock.monotonic()
        output = task.rule(inputs)
        return Answer(
            output=output,
            source=RULES,
            cost_usd=Decimal(0),
            latency_ms=(self._clock.monotonic() - started) * 1000,
        )
