"""A language-model call is a task: typed input, typed output, a rule that answers without a model.

The caller never knows who answered except by `Answer.source`. A rule is not a stub: it is the
expert that trades when no model is configured, the budget is spent, or a reply cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[InputT, OutputT]):
    """A declared question."""

    name: str
    input_type: type[InputT]
    output_type: type[OutputT]
    prompt: str  # "<agent>/<name>" under config/prompts
    rule: Callable[[InputT], OutputT]  # pure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[OutputT]):
    """A typed output and where it came from."""

    output: OutputT
    source: str  # "rules", or "openai:<model>"
    cost_usd: Decimal
    latency_ms: float
