"""Which gates a revision must have passed, and what a record of a gate is worth.

Which gates apply follows what an agent can do, declared united with inferred, and never the name
of the way it came by: an agent without code that reads the web is judged like one with code. What
a revision reaches through agents it calls counts as its own. A record is bound to the artifact, to
the evaluator, to the data and to the capabilities; one other byte anywhere, and it says nothing.
A pass is computed here from trace and findings, and is never taken from whoever claims it: a model
may only add findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import Capability, why_never
from roboinvest.core.records import plain_json
from roboinvest.core.revisions.artifact import is_digest, names_of, sha256_of

MAX_FINDINGS: Final = 200  # of one record
MAX_FINDING: Final = 1_000  # characters
MAX_AGE: Final = timedelta(days=90)  # that a record may claim to hold


class Gate(StrEnum):
    """What is asked before a revision may act."""

    STATIC = "static"
    EVALUATOR = (
        "evaluator"  # its evals, run in the box; the suite fails null, buy, random, previous
    )
    INJECTION = "injection"  # the suite of hostile texts
    BACKTEST = "backtest"
    WALK_FORWARD = "walk_forward"
    AUDITOR = "auditor"
    SHADOW = "shadow"  # run beside the active one, its answers compared and not used
    CANARY = "canary"  # run for some time with little power
    MEMORY_QUARANTINE = "memory_quarantine"  # what it learned was kept apart for 7 days
    PAPER = "paper"  # 20 sessions and 50 trades without money
    PERSON = "person"  # no record: an approval, or a person at the command


# What a revision is judged by while it does nothing; the others need it installed.
BEFORE_INSTALL: Final = frozenset(
    {Gate.STATIC, Gate.EVALUATOR, Gate.INJECTION, Gate.BACKTEST, Gate.WALK_FORWARD, Gate.AUDITOR}
)
# Gates in which something ran: its trace says with which end.
_RUN: Final = frozenset(Gate) - {Gate.STATIC, Gate.AUDITOR, Gate.PERSON}

_ALWAYS: Final = frozenset({Gate.STATIC, Gate.EVALUATOR})
_TRADES: Final = frozenset(
    {Gate.BACKTEST, Gate.WALK_FORWARD, Gate.AUDITOR, Gate.PAPER, Gate.PERSON}
)
_GROWS: Final = frozenset({Gate.AUDITOR, Gate.CANARY, Gate.PERSON})
# A pure transform has no capability, and what always applies is enough.
GATES_OF: Final[Mapping[Capability, frozenset[Gate]]] = {
    Capability.MARKET_DATA: frozenset({Gate.SHADOW}),
    Capability.READ: frozenset({Gate.AUDITOR, Gate.SHADOW}),
    Capability.UNTRUSTED_TEXT: frozenset({Gate.INJECTION, Gate.AUDITOR, Gate.SHADOW}),
    Capability.SPAWN: _GROWS,
    Capability.SCHEDULE: _GROWS,
    Capability.REEVALUATE: _GROWS,
    Capability.MEMORY: frozenset({Gate.AUDITOR, Gate.MEMORY_QUARANTINE}),
    Capability.PROPOSE_ORDERS: _TRADES,
    Capability.LIVE_ORDERS: _TRADES,
}
# A person agrees to these at the first revision that has them, and not at each one after.
_ASKED_ONCE: Final = frozenset({Capability.SPAWN, Capability.SCHEDULE, Capability.REEVALUATE})


class Severity(StrEnum):
    """How bad a finding is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Verdict(StrEnum):
    """What a gate says it came to."""

    PASSED = "passed"
    FAILED = "failed"
    UNABLE = "unable"  # it could not judge; never counted as failed, and never as passed


class Judge(StrEnum):
    """Who looked."""

    COMPUTED = "computed"
    MODEL = "model"  # may only add findings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """One thing that a gate noticed."""

    severity: Severity
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How a run in the box ended, from the runner's own channel."""

    digest: str  # hex SHA-256 of what was recorded
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What a gate is in this house today; a record of another one does not count."""

    gate: Gate
    evaluator_digest: str  # hex SHA-256 of the code and the suite that judge
    data_digest: str  # hex SHA-256 of the data that is judged on
    version: int

    def __post_init__(self) -> None:
        """Check the digests.

        Raises:
            BadInput: one is none.
        """
        _require_digests(f"the standard of {self.gate}", self.evaluator_digest, self.data_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """What one gate came to with one artifact."""

    standard: Standard
    artifact_digest: str
    capability_digest: str
    judge: Judge
    verdict: Verdict
    findings: tuple[GateFinding, ...]
    trace: Trace | None
    by: str  # who ran it
    at: datetime  # UTC
    expires_at: datetime  # UTC

    def __post_init__(self) -> None:
        """Check that the record can be stored and compared.

        Raises:
            BadInput: a digest is none, it holds for too long, or it says too much.
        """
        _require_digests(
            f"a record of {self.gate}", self.artifact_digest, self.capability_digest,
            *([self.trace.digest] if self.trace else []),
        )  # fmt: skip
        if self.gate is Gate.PERSON:
            raise BadInput("a person's word is no gate record; it is an approval in the inbox")
        if not self.at < self.expires_at <= self.at + MAX_AGE:
            raise BadInput(
                f"a record of {self.gate} holds from {self.at} to {self.expires_at}; give it an "
                f"end after its beginning and within {MAX_AGE.days} days"
            )
        too_long = any(len(finding.text) > MAX_FINDING for finding in self.findings)
        if len(self.findings) > MAX_FINDINGS or too_long:
            raise BadInput(
                f"a record of {self.gate} has {len(self.findings)} findings; at most "
                f"{MAX_FINDINGS} of {MAX_FINDING} characters are kept"
            )

    @property
    def gate(self) -> Gate:
        """Return the gate that this is a record of."""
        return self.standard.gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What evidence has to be about."""

    artifact_digest: str
    capability_digest: str


def required_gates(
    capabilities: frozenset[Capability], before: frozenset[Capability] | None = None
) -> frozenset[Gate]:
    """Return the gates that an agent with these capabilities has to pass.

    Args:
        capabilities: declared united with inferred, and with those of agents that it calls.
        before: of the revision it follows; what it has more than that needs a person. None: it is
            the first one.
    """
    gates = set(_ALWAYS)
    for capability in capabilities:
        own = GATES_OF.get(capability, frozenset({Gate.PERSON}))
        if capability in _ASKED_ONCE and capability in (before or ()):
            own -= {Gate.PERSON}
        gates |= own
    if before is not None and not capabilities <= before:
        gates.add(Gate.PERSON)
    return frozenset(gates)


def require_grantable(agent_id: str, capabilities: frozenset[Capability]) -> None:
    """Raise Refused when no gate and no person can give an agent what it asks for."""
    why = why_never(capabilities)
    if why is not None:
        raise Refused(
            f"{agent_id} would reach {names_of(capabilities)}, and {why}; take away what is too "
            "much, also from the agents that it calls"
        )


def capability_digest(capabilities: Iterable[Capability]) -> str:
    """Return the hex SHA-256 of a set of capabilities."""
    return sha256_of(plain_json(sorted(capabilities)).encode())


def fault_of(record: GateRecord) -> str | None:
    """Return why a record is no pass, whatever it claims; None: it is one."""
    bad = [f for f in record.findings if f.severity in (Severity.ERROR, Severity.CRITICAL)]
    if record.judge is Judge.MODEL:
        return "was told by a model, which may only add findings"
    if record.verdict is not Verdict.PASSED:
        return f"says {record.verdict}"
    if bad:
        return f"has {len(bad)} findings of severity error or critical"
    if record.gate in _RUN and record.trace is None:
        return "has no trace of a run"
    if record.trace is not None and record.trace.exit_code != 0:
        return f"ran to exit code {record.trace.exit_code}"
    return None


def missing_evidence(
    gates: Iterable[Gate],
    records: Iterable[GateRecord],
    subject: Subject,
    standards: Mapping[Gate, Standard],
    now: datetime,
) -> tuple[str, ...]:
    """Return what is wrong with the evidence, a clause for each gate; () where nothing is.

    The newest computed record of a gate counts. What a model found wrong stays wrong for these
    bytes, also where another model sees nothing.

    Args:
        gates: required; a person's word is not among the evidence.
        records: of this revision, oldest first.
        subject: what they have to be about.
        standards: of this house, today.
        now: UTC.
    """
    newest: dict[Gate, GateRecord] = {}
    vetoes: list[str] = []
    for record in records:
        if record.judge is Judge.COMPUTED:
            newest[record.gate] = record
        elif subject.artifact_digest == record.artifact_digest:
            vetoes += _vetoes(record)
    faults = [
        fault
        for gate in sorted(set(gates) - {Gate.PERSON})
        if (fault := _fault_at(gate, newest.get(gate), subject, standards.get(gate), now))
    ]
    return (*faults, *vetoes)


def findings_of(records: Iterable[GateRecord]) -> int:
    """Return how many findings the newest record of each gate has, mere information left out."""
    newest = {(record.gate, record.judge): record for record in records}
    told = [finding for record in newest.values() for finding in record.findings]
    return sum(finding.severity is not Severity.INFO for finding in told)


def _fault_at(
    gate: Gate,
    record: GateRecord | None,
    subject: Subject,
    standard: Standard | None,
    now: datetime,
) -> str | None:
    if standard is None:
        return f"{gate} has no evaluator in this house"
    if record is None:
        return f"{gate} has no record"
    if record.artifact_digest != subject.artifact_digest:
        return f"{gate} judged another artifact ({record.artifact_digest[:12]})"
    if record.capability_digest != subject.capability_digest:
        return f"{gate} judged other capabilities"
    if record.standard.evaluator_digest != standard.evaluator_digest:
        return f"{gate} was judged by another evaluator than today's"
    if record.standard.data_digest != standard.data_digest:
        return f"{gate} was judged on other data than today's"
    if record.standard.version != standard.version:
        return f"{gate} was judged by version {record.standard.version}, not {standard.version}"
    if now >= record.expires_at:
        return f"{gate} expired at {record.expires_at:%Y-%m-%d %H:%M} UTC"
    if record.at > now:
        return f"{gate} is stamped in the future, {record.at:%Y-%m-%d %H:%M} UTC"
    fault = fault_of(record)
    return None if fault is None else f"{gate} {fault}"


def _vetoes(record: GateRecord) -> list[str]:
    return [
        f"{record.gate} has a finding of a model: {finding.text[:120]}"
        for finding in record.findings
        if finding.severity in (Severity.ERROR, Severity.CRITICAL)
    ]


def _require_digests(what: str, *digests: str) -> None:
    for digest in digests:
        if not is_digest(digest):
            raise BadInput(f"{what} names {digest[:80]!r}, which is no SHA-256 in lower-case hex")
