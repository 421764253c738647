"""Tasks in disguise: what a model is shown and what is read of its answer, nothing else, changes.

Rules and safe outputs work on the true inputs as ever. An answer is judged twice: in disguise, so
that whatever is wrong with it is said to the model in words it knows and not in true ones, and
then in true terms, where a failure names nothing. Look-ups are not offered: what they find is not
disguised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from roboinvest.core.errors import BadReply
from roboinvest.core.ports import Clock, LanguageModel
from roboinvest.core.tasks import RULES, Answer, Disguise, Task

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


def can_be_disguised(task: Task[Any, Any]) -> bool:
    """Return whether a task says how its inputs and its form are disguised."""
    return task.mask is not None and task.unmask is not None


def disguised(task: Task[InputT, OutputT], disguise: Disguise) -> Task[InputT, OutputT]:
    """Return the task as it is asked in disguise; its name tells its answers from true ones.

    Raises:
        ValueError: the task does not say how (`can_be_disguised`).
    """
    mask, unmask = task.mask, task.unmask
    if mask is None or unmask is None:
        raise ValueError(f"the task {task.name} declares no mask")

    def show(inputs: InputT) -> Mapping[str, object]:
        return task.show(mask(inputs, disguise))

    def read(inputs: InputT, form: Any) -> OutputT:  # noqa: ANN401 as in Task
        task.read(mask(inputs, disguise), form)
        try:
            return task.read(inputs, unmask(inputs, form, disguise))
        except BadReply:
            raise BadReply(
                "the answer is on the line of what is allowed; leave a little more room"
            ) from None

    name = f"{task.name}~{disguise.key}"
    return replace(task, name=name, show=show, read=read, tools=(), mask=None, unmask=None)


class AnonymousModel:
    """A `LanguageModel` that shows models nothing but disguised inputs."""

    def __init__(self, model: LanguageModel, disguise: Disguise, clock: Clock) -> None:
        self._model, self._disguise, self._clock = model, disguise, clock

    async def ask(
        self, task: Task[InputT, OutputT], inputs: InputT, *, about: str = ""
    ) -> Answer[OutputT]:
        """Return the model's answer to the disguised task; the rule's where it has no disguise."""
        if can_be_disguised(task):
            return await self._model.ask(disguised(task, self._disguise), inputs, about=about)
        began = self._clock.monotonic()
        output = task.rule(inputs)
        return Answer(
            output=output,
            source=RULES,
            cost_usd=Decimal(0),
            latency_ms=(self._clock.monotonic() - began) * 1000,
            reason=f"llm.anonymise is on, and the task {task.name} has no disguise to be asked in",
        )
