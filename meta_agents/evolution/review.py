"""What a gate is given, and what it comes back with, before it becomes a record.

A gate of this wing is an object with a name, a standard and one blocking call. It never writes:
who keeps what it came to, and under whose name, is the gatekeeper's affair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from meta_agents.evolution.suites.forms import Kind, kind_of
from roboinvest.core.errors import Refused
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import Manifest
from roboinvest.core.revisions.gates import (
    MAX_FINDING,
    MAX_FINDINGS,
    Gate,
    GateFinding,
    Severity,
    Standard,
    Verdict,
)
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.core.strategy import Strategy
from tools.sandbox.job import Outcome, Transform

# What code of a kind does by its nature, whether its author thinks of it or not.
NATURE: Final[Mapping[Kind, frozenset[Capability]]] = {
    Kind.TRANSFORM: frozenset(),
    Kind.STRATEGY: frozenset({Capability.MARKET_DATA, Capability.PROPOSE_ORDERS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A revision with its content, verified to the byte."""

    revision: Revision
    manifest: Manifest
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What is to be judged."""

    own: Content
    parent: Content | None  # what it was made from; None: it is the first
    reach: frozenset[Capability]  # its own and those of every agent that it calls
    parent_reach: frozenset[Capability]

    @property
    def name(self) -> str:
        """Return what a sentence calls it."""
        return f"{self.own.revision.agent_id} {self.own.revision.short}"

    @property
    def kind(self) -> Kind | None:
        """Return what its code is; None: nothing that this house can try."""
        return kind_of(self.own.files)

    @property
    def seed(self) -> int:
        """Return a number that is the artifact's own: it changes with every byte of it.

        So nobody can write code that knows it.
        """
        return int(self.own.revision.artifact_digest[:12], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceText:
    """What was recorded of a run, word for word."""

    text: str  # canonical JSON; the same run gives the same text
    exit_code: int  # 0: everything ran, and came to what was asked for

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a gate came to."""

    verdict: Verdict
    findings: tuple[GateFinding, ...] = ()
    trace: TraceText | None = None
    groups: Mapping[str, bool] = field(default_factory=dict)  # of cases -> whether all of it passed


class GateJudge(Protocol):
    """One gate; `judge` blocks."""

    @property
    def gate(self) -> Gate:
        """Return which one."""

    def standard(self) -> Standard:
        """Return what it is today: its code, its data, its version."""

    def judge(self, review: Review) -> Judged:
        """Return what it comes to; whatever goes wrong on our side is UNABLE.

        Raises:
            TryLater: the box or a file is away; the same call may succeed later.
        """


class StrategyBox(Protocol):
    """Makes a strategy of a text, whose code runs in the box and nowhere else."""

    def __call__(self, source: str, name: str) -> Strategy:
        """Return the strategy; its calls raise as this does.

        Raises:
            BadInput: the candidate is at fault.
            TryLater: the box is.
        """


class JobBox(Protocol):
    """Runs one job in the box, again where the machine was to blame; `Boxes` is one."""

    def run(self, job: Transform) -> Outcome:
        """Run a job to its end.

        Raises:
            TryLater: no box can be started.
        """


class AuditModel(Protocol):
    """A language model that reads code: another one than wrote it."""

    def review(self, text: str) -> str:
        """Return what it says, word for word.

        Raises:
            TryLater: it is away, or did not answer in its time.
            BadReply: it cannot be read.
            Refused: there is no money for it.
        """


def error(text: str) -> GateFinding:
    """Return a finding that is no pass."""
    return GateFinding(severity=Severity.ERROR, text=text[:MAX_FINDING])


def warning(text: str) -> GateFinding:
    """Return a finding for a person to look at."""
    return GateFinding(severity=Severity.WARNING, text=text[:MAX_FINDING])


def info(text: str) -> GateFinding:
    """Return a finding that is none."""
    return GateFinding(severity=Severity.INFO, text=text[:MAX_FINDING])


def judged(
    findings: list[GateFinding],
    trace: TraceText | None = None,
    groups: Mapping[str, bool] | None = None,
) -> Judged:
    """Return what findings come to: FAILED where one is an error or worse.

    The worst come first, and those beyond what a record holds are counted.
    """
    order = list(Severity)
    findings = sorted(findings, key=lambda each: -order.index(each.severity))
    bad = [each for each in findings if each.severity in (Severity.ERROR, Severity.CRITICAL)]
    if len(findings) > MAX_FINDINGS:
        left = len(findings) - MAX_FINDINGS + 1
        findings = [*findings[: MAX_FINDINGS - 1], info(f"and {left} findings more")]
    verdict = Verdict.FAILED if bad else Verdict.PASSED
    return Judged(verdict=verdict, findings=tuple(findings), trace=trace, groups=dict(groups or {}))


def unable(why: str) -> Judged:
    """Return that a gate could not judge, which is neither a pass nor a failure."""
    return Judged(verdict=Verdict.UNABLE, findings=(info(why),))


def refused(why: str, trace: TraceText | None = None) -> Judged:
    """Return that a gate failed for one reason."""
    return judged([error(why)], trace)


def text_at(review: Review, path: str) -> str:
    """Return a file of the candidate as text.

    Raises:
        Refused: it is no UTF-8.
    """
    try:
        return review.own.files[path].decode()
    except UnicodeDecodeError as fault:
        raise Refused(f"{path} is no UTF-8; save it as that") from fault
