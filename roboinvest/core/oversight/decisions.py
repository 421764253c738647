"""What a governance meeting may decide: a closed list of actions, in five kinds, each with bounds.

A wish is a stranger's text, whether a model wrote it or a rule. It becomes a decision only by the
doors below, one wish at a time, so that one that is absurd spoils no other; what does not pass is
kept with the reason. Who has to agree follows from the action and from what stands there now, by
the policy of proposals. A wish cannot name its level: it can only ask for a person besides.

Deliberately absent: doing anything. What is decided here is done, or not, by whoever has hands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import LIMITS, Direction, Level, ProposalKind, direction_of, level_of
from roboinvest.core.records import canonical_json

MAX_SUBJECT: Final = 120  # characters
MAX_DAYS: Final = 30  # until a deadline


class DecisionKind(StrEnum):
    """What a decision is about."""

    SYSTEM_IMPROVEMENT = "system_improvement"
    NEW_AGENT = "new_agent"
    CODE_OPTIMIZATION = "code_optimization"
    RESOURCE_ALLOCATION = "resource_allocation"
    RISK_MANAGEMENT = "risk_management"


class Act(StrEnum):
    """What is to be done; the last five are named so that they are refused for what they are."""

    SET_INTERVAL = "set_interval"  # seconds
    SET_LLM_CAP = "set_llm_cap"  # USD a day, inside floor and ceiling
    SET_LLM_CEILING = "set_llm_ceiling"  # USD a day
    SET_TRACK_PRIORITY = "set_track_priority"  # 1 to 10
    QUARANTINE = "quarantine_agent"
    LOCK_ENTRIES = "lock_entries"  # of a symbol, or "all"
    SET_LIMIT = "set_limit"  # of risk
    REQUEST_CODE = "request_code"
    REQUEST_PROMPT = "request_prompt"
    REQUEST_AGENT = "request_agent"
    KILL_SWITCH = "change_kill_switch"
    EVALUATOR = "change_evaluator"
    GATES = "change_gates"
    AUDIT_LOG = "change_audit_log"
    SECRETS = "change_secrets"


class ValueForm(StrEnum):
    """What an action sets."""

    NUMBER = "number"
    SWITCH = "switch"  # there is one way to turn it: to less risk
    WORDS = "words"  # a topic, for whoever is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for an action, wherever it is taken."""

    kinds: frozenset[DecisionKind]
    proposal: ProposalKind  # whose policy says who has to agree
    form: ValueForm
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)


_IMPROVES: Final = frozenset({DecisionKind.SYSTEM_IMPROVEMENT})
_ALLOCATES: Final = frozenset({DecisionKind.RESOURCE_ALLOCATION})
_PROTECTS: Final = frozenset({DecisionKind.RISK_MANAGEMENT})
_CODES: Final = frozenset({DecisionKind.CODE_OPTIMIZATION})
_ADDS: Final = frozenset({DecisionKind.NEW_AGENT})
_ANY: Final = frozenset(DecisionKind)


_NUMBER: Final = ValueForm.NUMBER
_NEVER: Final[Mapping[Act, ProposalKind]] = {
    Act.KILL_SWITCH: ProposalKind.KILL_SWITCH,
    Act.EVALUATOR: ProposalKind.EVALUATOR,
    Act.GATES: ProposalKind.GATES,
    Act.AUDIT_LOG: ProposalKind.AUDIT_LOG,
    Act.SECRETS: ProposalKind.SECRETS,
}
_TERMS: Final[Mapping[Act, tuple[frozenset[DecisionKind], ProposalKind, ValueForm]]] = {
    Act.SET_INTERVAL: (_ALLOCATES | _IMPROVES, ProposalKind.SCHEDULE, _NUMBER),
    Act.SET_LLM_CAP: (_ALLOCATES, ProposalKind.ALLOCATION, _NUMBER),
    Act.SET_LLM_CEILING: (_ALLOCATES, ProposalKind.BUDGET, _NUMBER),
    Act.SET_TRACK_PRIORITY: (_ALLOCATES, ProposalKind.ALLOCATION, _NUMBER),
    Act.SET_LIMIT: (_PROTECTS, ProposalKind.RISK_LIMIT, _NUMBER),
    Act.QUARANTINE: (_PROTECTS | _IMPROVES, ProposalKind.QUARANTINE, ValueForm.SWITCH),
    Act.LOCK_ENTRIES: (_PROTECTS, ProposalKind.ACTIVE, ValueForm.SWITCH),
    Act.REQUEST_CODE: (_CODES | _IMPROVES, ProposalKind.REFINEMENT, ValueForm.WORDS),
    Act.REQUEST_PROMPT: (_IMPROVES, ProposalKind.PROMPT_EDIT, ValueForm.WORDS),
    Act.REQUEST_AGENT: (_ADDS, ProposalKind.NEW_AGENT, ValueForm.WORDS),
}
_BOUNDS: Final[Mapping[Act, tuple[Decimal, Decimal]]] = {  # anywhere; what is set here has its own
    Act.SET_INTERVAL: (Decimal(1), Decimal(604_800)),
    Act.SET_LLM_CAP: (Decimal("0.01"), Decimal(1_000)),
    Act.SET_LLM_CEILING: (Decimal("0.01"), Decimal(1_000)),
    Act.SET_TRACK_PRIORITY: (Decimal(1), Decimal(10)),
    Act.SET_LIMIT: (Decimal(0), Decimal(100_000_000)),
}


def terms_of(act: Act) -> Terms:
    """Return what holds for an action."""
    never = _NEVER.get(act)
    if never is not None:
        return Terms(kinds=_ANY, proposal=never, form=ValueForm.WORDS)
    kinds, proposal, form = _TERMS[act]
    least, most = _BOUNDS.get(act, (Decimal(0), Decimal(0)))
    return Terms(kinds=kinds, proposal=proposal, form=form, least=least, most=most)


def is_never(act: Act) -> bool:
    """Return whether nobody here does it, whoever agrees."""
    return act in _NEVER


class Weight(StrEnum):
    """How much."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Priority(StrEnum):
    """How soon a person should look."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_Line = Annotated[str, Field(min_length=1, max_length=160)]


class DecisionForm(BaseModel):
    """A wish as a model, or a rule, writes it; it cannot say its level, and no score either."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decision_type: Literal[
        "system_improvement",
        "new_agent",
        "code_optimization",
        "resource_allocation",
        "risk_management",
    ]
    action: Annotated[str, Field(max_length=40)]
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,119}$")]
    amount: Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,8})?$")] | None
    topic: Annotated[str, Field(max_length=160)]
    hypothesis: Annotated[str, Field(min_length=1, max_length=400)]
    metric: Annotated[str, Field(max_length=80)]
    expected: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
    confidence: Annotated[float, Field(ge=0.01, le=0.99, allow_inf_nan=False)]
    effort: Literal["low", "medium", "high"]
    estimated_impact: Literal["low", "medium", "high"]
    priority: Literal["critical", "high", "medium", "low"]
    deadline_days: Annotated[int, Field(ge=1, le=MAX_DAYS)]
    implementation_plan: Annotated[list[_Line], Field(max_length=8)]
    approval_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """Something that can be set here, and what it is set to."""

    act: Act
    subject: str
    value: Decimal | bool  # bool: of a switch, whether it is on: held, or active
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    is_by_hand: bool = False  # nobody but a person can set it

    @property
    def text(self) -> str:
        """Return the value as the JSON text of a proposal."""
        return json_value(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, with all that doing, undoing and scoring it needs."""

    decision_id: str
    kind: DecisionKind
    act: Act
    subject: str
    before: str | None  # JSON text of what stood there; None: a request
    after: str  # JSON text
    topic: str  # of a request
    description: str  # ours
    hypothesis: str  # of whoever wished it: shown to people, and never to a model again
    metric: str
    expected: float  # change of the metric, in its unit
    confidence: float  # that the expectation comes true
    effort: Weight
    impact: Weight
    priority: Priority
    plan: tuple[str, ...]
    approval_required: bool
    level: Level
    is_by_hand: bool
    undo: str
    made_at: datetime  # UTC
    deadline: datetime  # UTC; it is scored then

    @property
    def fingerprint(self) -> str:
        """Return what is wanted, in whatever words."""
        return wanted_digest(self.act, self.subject, self.after)

    @property
    def direction(self) -> Direction:
        """Return what it does to risk."""
        terms = terms_of(self.act)
        if terms.form is ValueForm.WORDS:
            return Direction.MORE
        return direction_of(terms.proposal, self.before, self.after)


class DecisionState(StrEnum):
    """How far a decision has come. Only `done` says that something was changed here."""

    DECIDED = "decided"
    WAITING = "waiting"  # in the inbox: for its veto hour, or for a person
    EXECUTING = "executing"
    DONE = "done"
    REQUESTED = "requested"  # of an agent or a person; nothing was changed by it
    REJECTED = "rejected"  # by a person
    LAPSED = "lapsed"  # nobody agreed in time
    FAILED = "failed"  # nothing was changed
    UNKNOWN = "unknown"  # it is not known what was changed
    UNDONE = "undone"


_S = DecisionState
NEXT: Final[Mapping[DecisionState, frozenset[DecisionState]]] = {
    _S.DECIDED: frozenset({_S.WAITING, _S.REQUESTED, _S.FAILED}),
    _S.WAITING: frozenset(
        {_S.EXECUTING, _S.REQUESTED, _S.REJECTED, _S.LAPSED, _S.FAILED, _S.UNDONE}
    ),
    _S.EXECUTING: frozenset({_S.DONE, _S.FAILED, _S.UNKNOWN}),
    _S.DONE: frozenset({_S.UNDONE}),
    _S.REQUESTED: frozenset({_S.UNDONE}),
    _S.UNKNOWN: frozenset({_S.UNDONE}),
    _S.REJECTED: frozenset(),
    _S.LAPSED: frozenset(),
    _S.FAILED: frozenset(),
    _S.UNDONE: frozenset(),
}
UNDER_WAY: Final = (_S.DECIDED, _S.WAITING, _S.EXECUTING)


def wanted_digest(act: Act, subject: str, after: str) -> str:
    """Return the fingerprint of an action; of a request, its words count and not their order."""
    words = sorted({word.strip(".,;:!?").casefold() for word in after.split()})
    return hashlib.sha256(canonical_json([act, subject.casefold(), words]).encode()).hexdigest()


def json_value(value: Decimal | bool) -> str:
    """Return a value as JSON text, each number in one spelling."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return canonical_json(format(value.normalize(), "f") if value else "0")


def number_in(text: str) -> Decimal:
    """Return the number of a JSON text that `json_value` wrote.

    Raises:
        BadInput: it is none.
    """
    bare = text.strip().strip('"')
    if not bare or not bare.replace(".", "", 1).isdigit() or not bare.isascii() or len(bare) > 30:
        raise BadInput(f"{text[:40]!a} is no number that a decision sets")
    return Decimal(bare)


def level_for(
    act: Act, subject: str, before: str | None, after: str, *, asks_person: bool
) -> Level:
    """Return who has to agree: from what is done to what stands there, and from nothing else.

    Args:
        act: what is done.
        subject: to what; a limit that the policy does not know cannot be lowered by a machine.
        before: JSON text of what stands there.
        after: JSON text of what shall.
        asks_person: whether it was wished for on the condition that a person agrees.
    """
    terms = terms_of(act)
    if act in _NEVER or (act is Act.SET_LIMIT and subject not in LIMITS):
        return Level.L4
    if terms.form is ValueForm.WORDS:
        level = level_of(terms.proposal)
    else:
        level = level_of(terms.proposal, (), direction_of(terms.proposal, before, after))
    return max(level, Level.L3) if asks_person and level is not Level.L4 else level
