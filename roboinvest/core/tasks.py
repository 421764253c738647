"""A language-model call is a task: typed input, typed output, a rule that answers without a model.

The caller never knows who answered except by `Answer.source`. A rule is not a stub: it is the
expert that trades when no model is configured, the budget is spent, or no model can be reached.

What a model says passes two doors: its text must be valid for `form`, a pydantic model, and `read`
must make sense of it for the inputs at hand. What fails at either door is repaired once, and then
becomes `safe`: the output that risks nothing. It never becomes anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")

RULES: Final = "rules"  # Answer.source: the task's rule
SAFE: Final = "safe"  # Answer.source: a reply that could not be read became the safe output


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """How much a call may be, and how long it may take."""

    prompt_bytes: int = 48 * 1024  # UTF-8, the whole prompt; longer is not sent
    reply_tokens: int = 1_200  # the most a model may write
    deadline_s: float = 20.0  # repairs and other models included
    tool_rounds: int = 4  # rounds of tool calls, where the task has tools


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTool:
    """Something that a model may look up. A tool only reads, and its arguments are checked."""

    name: str
    purpose: str  # one sentence, which the model reads
    form: type[BaseModel]  # the arguments
    look_up: Callable[[Any], Awaitable[str]]  # from a valid `form` to text


class Disguise(Protocol):
    """Other names, dates, prices and amounts, the same ones throughout a run."""

    @property
    def key(self) -> str:
        """Return what tells this disguise from every other."""

    def label(self, symbol: str) -> str:
        """Return what a symbol is called: "S-01"."""

    def symbol(self, label: str) -> str:
        """Return the symbol that is called so."""

    def moment(self, at: datetime) -> datetime:
        """Return an instant (UTC) of another date: same weekday, same exchange clock."""

    def price(self, symbol: str, usd: float) -> float:
        """Return a price in disguise; every order of two prices stays."""

    def true_price(self, symbol: str, usd: float) -> float:
        """Return the true price, not rounded, of one in disguise."""

    def shares(self, symbol: str, qty: Decimal) -> Decimal:
        """Return shares in disguise, signed; none stay none."""

    def usd(self, amount: Decimal) -> Decimal:
        """Return an amount in disguise: shares times price, each in disguise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[InputT, OutputT]):
    """A declared question."""

    name: str
    input_type: type[InputT]
    output_type: type[OutputT]
    prompt: str  # "<agent>/<name>" under config/prompts; the agent pays
    rule: Callable[[InputT], OutputT]  # pure
    safe: Callable[[InputT], OutputT]  # pure; what an unreadable reply becomes
    form: type[BaseModel]  # what a model is asked to fill in
    show: Callable[[InputT], Mapping[str, object]]  # pure; the prompt's placeholders, typed
    read: Callable[[InputT, Any], OutputT]  # pure; from a valid form; raises BadReply
    untrusted: frozenset[str] = frozenset()  # placeholders that hold strangers' text
    role: str = "strategist"  # which of the configured models is asked
    limits: TaskLimits = TaskLimits()
    tools: tuple[ReadTool, ...] = ()  # the closed list
    mask: Callable[[InputT, Disguise], InputT] | None = None  # pure; None: not asked in disguise
    unmask: Callable[[InputT, Any, Disguise], Any] | None = None  # pure; (inputs, form), to true

    @property
    def agent(self) -> str:
        """Return who pays for a call."""
        return self.prompt.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[OutputT]):
    """A typed output and where it came from."""

    output: OutputT
    source: str  # "rules", "safe", or "openai:<model>"
    cost_usd: Decimal  # of every attempt
    latency_ms: float
    reason: str = ""  # why it was not the model's own answer; "" where it was
    ask_id: str | None = None  # the call record; None where nothing was recorded
    is_recalled: bool = False  # answered before and kept; nobody was asked again
