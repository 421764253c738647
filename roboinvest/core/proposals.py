"""What needs a word before it is done: one type for all of it, and who has to say that word.

The level follows from the kind, from what changes (read off before and after, never off words),
from capabilities and from paths. Nobody who proposes can name it. Taking risk away needs less than
adding it; what the house rests on (limits, kill switch, evaluator, gates, audit, secrets) cannot be
proposed at all.

Prose is cleaned when a proposal is made, so that what is shown is what is approved: no character
of it is hidden. A diff keeps every character, and is shown with those that hide spelled out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import IntEnum, StrEnum
from typing import Any, Final

from roboinvest.core.code_skeletons import skeleton
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposal_forms import Form, require_value, value_of
from roboinvest.core.protected_paths import Zone, require_unprotected
from roboinvest.core.records import canonical_json, to_plain
from roboinvest.core.text.cleaning import clean

MAX_DIFF: Final = 200_000  # characters
MAX_EVIDENCE: Final = 20  # lines
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,119}")


class Capability(StrEnum):
    """What generated code or an agent asks to do."""

    MARKET_DATA = "MarketData"
    READ = "ReadAccess"  # what is private to the house
    MEMORY = "MemoryAccess"  # writes what others read
    UNTRUSTED_TEXT = "UntrustedText"
    SPAWN = "AgentSpawn"
    SCHEDULE = "SchedulerAccess"
    REEVALUATE = "BackgroundReevaluation"
    PROPOSE_ORDERS = "OrderProposal"
    LIVE_ORDERS = "LiveOrders"
    WRITE = "WriteAccess"
    NETWORK = "NetworkAccess"
    CREDENTIALS = "CredentialAccess"
    EXECUTE = "CodeExecution"


class Level(IntEnum):
    """Who has to agree."""

    L0 = 0  # nobody; it is logged
    L1 = 1  # nobody; people are told, and have an hour to say no
    L2 = 2  # the gates
    L3 = 3  # a person
    L4 = 4  # nobody can: it cannot be proposed


class Direction(StrEnum):
    """What a change does to the risk that the house runs."""

    LESS = "less"
    SAME = "same"
    MORE = "more"


class ProposalKind(StrEnum):
    """What can be asked for, and what cannot and is asked for all the same."""

    REFINEMENT = "refinement"
    DATA_REQUEST = "data_request"  # before and after: lists of what is fetched
    UNIVERSE = "universe"  # lists of symbols
    PERSONALITY = "personality"
    CODE_EDIT = "code_edit"
    PROMPT_EDIT = "prompt_edit"
    PROMPT_LABEL = "prompt_label"
    NEW_AGENT = "new_agent"
    CAPABILITY = "capability"  # lists of capabilities
    PROMOTION = "promotion"  # shares of a strategy's capital, 0 (paper) to 1
    BUDGET = "budget"  # USD
    ALLOCATION = "allocation"  # of what was granted already, inside the bounds of that
    SCHEDULE = "schedule"
    PROVIDER = "provider"
    RESTART = "restart"
    ACTIVE = "active"  # whether an agent runs: true or false
    QUARANTINE = "quarantine"  # true or false
    ROLLBACK = "rollback"
    RISK_LIMIT = "risk_limit"  # numbers, of a limit in `LIMITS`
    KILL_SWITCH = "kill_switch"  # whether trading is halted: true or false
    EVALUATOR = "evaluator"
    GATES = "gates"
    AUDIT_LOG = "audit_log"
    SECRETS = "secrets"


_NEVER: Final = (Level.L4, Level.L4, Level.L4)
POLICY: Final[Mapping[ProposalKind, tuple[Form, tuple[Level, Level, Level]]]] = {
    # the form, and the level of less, of the same and of more risk
    ProposalKind.REFINEMENT: (Form.TEXT, (Level.L2, Level.L3, Level.L3)),
    ProposalKind.DATA_REQUEST: (Form.SET, (Level.L1, Level.L2, Level.L3)),
    ProposalKind.UNIVERSE: (Form.SET, (Level.L1, Level.L2, Level.L3)),
    ProposalKind.PERSONALITY: (Form.TEXT, (Level.L2, Level.L3, Level.L3)),
    ProposalKind.CODE_EDIT: (Form.TEXT, (Level.L2, Level.L2, Level.L2)),  # paths may raise it
    ProposalKind.PROMPT_EDIT: (Form.TEXT, (Level.L2, Level.L3, Level.L3)),
    ProposalKind.PROMPT_LABEL: (Form.TEXT, (Level.L0, Level.L1, Level.L1)),
    ProposalKind.NEW_AGENT: (Form.TEXT, (Level.L2, Level.L2, Level.L3)),
    ProposalKind.CAPABILITY: (Form.SET, (Level.L0, Level.L2, Level.L3)),
    ProposalKind.PROMOTION: (Form.SHARE, (Level.L0, Level.L2, Level.L3)),
    ProposalKind.BUDGET: (Form.AMOUNT, (Level.L0, Level.L1, Level.L3)),
    ProposalKind.ALLOCATION: (Form.AMOUNT, (Level.L0, Level.L1, Level.L1)),
    ProposalKind.SCHEDULE: (Form.TEXT, (Level.L0, Level.L1, Level.L1)),
    ProposalKind.PROVIDER: (Form.TEXT, (Level.L2, Level.L3, Level.L3)),
    ProposalKind.RESTART: (Form.TEXT, (Level.L0, Level.L0, Level.L0)),
    ProposalKind.ACTIVE: (Form.RUNNING, (Level.L0, Level.L1, Level.L3)),
    ProposalKind.QUARANTINE: (Form.HELD, (Level.L0, Level.L1, Level.L3)),
    ProposalKind.ROLLBACK: (Form.TEXT, (Level.L0, Level.L0, Level.L0)),
    ProposalKind.RISK_LIMIT: (Form.AMOUNT, (Level.L0, Level.L4, Level.L4)),
    ProposalKind.KILL_SWITCH: (Form.HELD, (Level.L0, Level.L4, Level.L4)),
    ProposalKind.EVALUATOR: (Form.TEXT, _NEVER),
    ProposalKind.GATES: (Form.TEXT, _NEVER),
    ProposalKind.AUDIT_LOG: (Form.TEXT, _NEVER),
    ProposalKind.SECRETS: (Form.TEXT, _NEVER),
}
NEVER_GRANTED: Final = frozenset(  # served by verbs of the house, never held by what is generated
    {Capability.WRITE, Capability.NETWORK, Capability.CREDENTIALS, Capability.EXECUTE}
)
_TRADES: Final = frozenset({Capability.PROPOSE_ORDERS, Capability.LIVE_ORDERS})
_PRIVATE: Final = frozenset({Capability.READ, Capability.MEMORY})
_LEAST: Final[Mapping[Capability, Level]] = {
    Capability.UNTRUSTED_TEXT: Level.L2,
    Capability.MEMORY: Level.L2,
    Capability.SPAWN: Level.L3,
    Capability.SCHEDULE: Level.L3,
    Capability.REEVALUATE: Level.L3,
    Capability.PROPOSE_ORDERS: Level.L3,
    Capability.LIVE_ORDERS: Level.L3,
}
LIMITS: Final = frozenset(  # where more is more risk; others cannot be lowered by a machine
    {"risk_per_trade_frac", "max_order_usd", "max_position_frac", "max_gross_frac"}
    | {"max_daily_loss_frac", "max_drawdown_frac", "max_trades_per_day", "max_open_orders"}
    | {"max_position_usd", "max_daily_loss_usd", "price_collar_frac"}
)
_ORDER: Final = (Direction.LESS, Direction.SAME, Direction.MORE)
_CODE: Final = frozenset({ProposalKind.CODE_EDIT, ProposalKind.NEW_AGENT, ProposalKind.REFINEMENT})


def level_of(
    kind: ProposalKind,
    capabilities: Collection[Capability] = (),
    direction: Direction = Direction.MORE,
    paths: Collection[str] = (),
) -> Level:
    """Return who has to agree; the same facts always give the same level.

    Args:
        kind: of the change.
        capabilities: that what is changed has afterwards.
        direction: what the change does to risk; `direction_of` reads it off a proposal.
        paths: that the change writes to, below the repository.

    Raises:
        Refused: a path is protected, or not spelled plainly.
    """
    level = POLICY[kind][1][_ORDER.index(direction)]
    held = frozenset(capabilities)
    if direction is not Direction.LESS:
        if why_never(held):
            level = Level.L4
        level = max([level, *(_LEAST.get(each, Level.L0) for each in held)])
    zones = {require_unprotected(path) for path in paths}
    return max(level, Level.L3) if Zone.PERSON in zones else level


def why_never(capabilities: Collection[Capability]) -> str | None:
    """Return why nothing that is generated may have these capabilities; None where it may."""
    held = frozenset(capabilities)
    if forbidden := sorted(held & NEVER_GRANTED):
        return f"{', '.join(forbidden)} is never granted to what is generated"
    if Capability.UNTRUSTED_TEXT in held and held & _TRADES and held & _PRIVATE:
        return "untrusted text, orders and private knowledge are never held together"
    return None


def direction_of(kind: ProposalKind, before: str | None, after: str | None) -> Direction:
    """Return what a change does to risk, read off JSON texts; what cannot be read counts as more.

    Raises:
        BadInput: one of them is not written in the form of the kind.
    """
    form = POLICY[kind][0]
    if form is Form.TEXT:
        return Direction.MORE
    old, new = value_of(kind, form, before), value_of(kind, form, after)
    if old == new:
        return Direction.SAME
    if form in (Form.AMOUNT, Form.SHARE):
        return Direction.LESS if new < old else Direction.MORE
    if form is Form.SET:
        return Direction.LESS if new <= old else Direction.MORE
    return Direction.MORE if new is (form is Form.RUNNING) else Direction.LESS


def stands_as(proposal: Proposal, standing: str | None) -> bool:
    """Return whether what stands there now is what a proposal says is there before it."""
    form = POLICY[proposal.kind][0]
    old, new = (value_of(proposal.kind, form, text) for text in (proposal.before, standing))
    return bool(old == new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Something that somebody wants done, with all that a decision needs."""

    proposal_id: str
    kind: ProposalKind
    subject: str  # what is changed: an agent, a prompt, a file
    who: str  # proposes it
    why: str  # also the hypothesis: what is expected to move, and by how much
    cause: str  # what the change answers to, by its root cause; "": nothing went wrong
    evidence: tuple[str, ...]  # figures, and digests of runs and reports
    before: str | None  # JSON text
    after: str | None  # JSON text
    diff: str = ""  # unified, where code or text changes
    cost_usd: Decimal = Decimal(0)  # that the change itself costs
    risk: str  # what may go wrong
    undo: str | None  # how it is undone; None: it cannot be
    capabilities: frozenset[Capability] = frozenset()  # of what is changed, afterwards
    paths: tuple[str, ...] = ()  # that it writes to, below the repository
    made_at: datetime  # UTC
    expires_at: datetime  # UTC; nobody can agree from then on
    digest: str = field(init=False)  # SHA-256 over all of the above

    def __post_init__(self) -> None:
        """Clean the prose, check the rest, and take the digest.

        Raises:
            BadInput: a field is empty, too long, or not in its form.
            Refused: nobody may do such a thing.
        """
        for name, limit in (("who", 80), ("why", 2000), ("cause", 200), ("risk", 1000)):
            object.__setattr__(self, name, clean(getattr(self, name), limit))
        if self.undo is not None:
            object.__setattr__(self, "undo", clean(self.undo, 500) or None)
        lines = tuple(clean(line, 500) for line in self.evidence)
        object.__setattr__(self, "evidence", lines)
        _check(self)
        object.__setattr__(self, "digest", _sha256(_plain_facts(self)))
        _require_proposable(self)

    @property
    def is_reversible(self) -> bool:
        """Return whether it can be undone."""
        return self.undo is not None

    @property
    def direction(self) -> Direction:
        """Return what it does to risk."""
        return direction_of(self.kind, self.before, self.after)

    @property
    def level(self) -> Level:
        """Return who has to agree."""
        return level_of(self.kind, self.capabilities, self.direction, self.paths)

    @property
    def fingerprint(self) -> str:
        """Return what is wanted, whoever wants it and in whatever words and names."""
        after = None if self.after is None else canonical_json(json.loads(self.after))
        code = self.kind in _CODE
        wanted = [self.kind, self.subject, skeleton(after) if code and after else after]
        caps = sorted(self.capabilities)
        return _sha256([*wanted, skeleton(self.diff) if code else self.diff.split(), caps])


def content_of(proposal: Proposal) -> str:
    """Return a proposal as the JSON text that is stored."""
    return canonical_json(_plain_facts(proposal))


def proposal_of(content: str) -> Proposal:
    """Return the proposal of a stored text; its digest is taken anew.

    Raises:
        BadInput, Refused: it is none, or none that may be.
    """
    try:
        facts: dict[str, Any] = json.loads(content)
        made = {name: datetime.fromisoformat(facts[name]) for name in ("made_at", "expires_at")}
        return Proposal(
            **{
                **facts,
                **made,
                "kind": ProposalKind(facts["kind"]),
                "evidence": tuple(facts["evidence"]),
                "cost_usd": Decimal(facts["cost_usd"]),
                "capabilities": frozenset(map(Capability, facts["capabilities"])),
                "paths": tuple(facts["paths"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise BadInput(f"the text is no proposal: {error!r}") from error


def _plain_facts(proposal: Proposal) -> dict[str, Any]:
    names = [each.name for each in fields(proposal) if each.init]
    facts = {name: getattr(proposal, name) for name in names}
    return {**to_plain({**facts, "capabilities": sorted(proposal.capabilities)})}


def _check(proposal: Proposal) -> None:
    for name in ("proposal_id", "subject"):
        if not _SUBJECT.fullmatch(getattr(proposal, name)):
            raise BadInput(
                f"{name} of a proposal is a name of 1 to 120 letters, digits and _.:/@+-, and "
                f"{getattr(proposal, name)[:140]!a} is none"
            )
    for name in ("who", "why", "risk"):
        if not getattr(proposal, name):
            raise BadInput(f"a proposal needs {name}; it is empty, or nothing of it can be seen")
    if len(proposal.evidence) > MAX_EVIDENCE or not all(proposal.evidence):
        raise BadInput(f"evidence is 0 to {MAX_EVIDENCE} lines that are not empty")
    for name in ("before", "after"):
        require_value(name, getattr(proposal, name))
    _check_figures(proposal)


def _check_figures(proposal: Proposal) -> None:
    if len(proposal.diff) > MAX_DIFF:
        raise BadInput(f"a diff has {len(proposal.diff)} characters, and {MAX_DIFF} are shown")
    if not (proposal.cost_usd.is_finite() and proposal.cost_usd >= 0):
        raise BadInput(f"cost_usd of a proposal is {proposal.cost_usd}; it is 0 or more")
    for at in (proposal.made_at, proposal.expires_at):
        if at.utcoffset() != timedelta(0):
            raise BadInput(f"times of a proposal are UTC, and {at} is not")
    if proposal.expires_at <= proposal.made_at:
        raise BadInput(f"a proposal made at {proposal.made_at} has expired when it was made")
    if proposal.kind is ProposalKind.CAPABILITY:
        _check_capabilities(proposal)
    if proposal.kind is ProposalKind.CODE_EDIT and not (proposal.paths and proposal.diff):
        raise BadInput("a code edit names the paths that it writes to, and shows its diff")


def _check_capabilities(proposal: Proposal) -> None:
    asked = value_of(proposal.kind, Form.SET, proposal.after)
    if asked != {each.value for each in proposal.capabilities}:
        raise BadInput("a proposal on capabilities lists in after what it says of capabilities")


def _require_proposable(proposal: Proposal) -> None:
    """Raise Refused for what nobody may do, and BadInput for what changes nothing."""
    same = proposal.before == proposal.after and not proposal.diff
    if same and proposal.kind is not ProposalKind.RESTART:
        raise BadInput(f"the proposal on {proposal.subject} changes nothing")
    is_unknown = proposal.kind is ProposalKind.RISK_LIMIT and proposal.subject not in LIMITS
    if proposal.level is Level.L4 or is_unknown:
        by_hand = f"what it asks of {proposal.kind} is done by people, by hand"
        why = why_never(proposal.capabilities) or by_hand
        raise Refused(f"the proposal on {proposal.subject} cannot be made: {why}")


def _sha256(facts: object) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
