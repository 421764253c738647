"""The static gate: what the text of the code says, before any of it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meta_agents.evolution.review import (
    NATURE,
    GateJudge,
    Judged,
    Review,
    error,
    judged,
    unable,
)
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.suites.forms import first_fault, kind_of
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import MAX_CALLS, names_of
from roboinvest.core.revisions.gates import (
    MAX_FINDING,
    Gate,
    GateFinding,
    Severity,
    Standard,
    Verdict,
)
from tools.code_checks.findings import UNABLE

SPEC: Final = "spec/agent.json"


class Spec(BaseModel):
    """What `spec/agent.json` says: what the agent asks for, and whom it calls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idea: Annotated[str, Field(max_length=500)] = ""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=len(Capability))] = ()
    calls: Annotated[tuple[str, ...], Field(max_length=MAX_CALLS)] = ()


class CodeFinding(Protocol):
    """One thing that a static check noticed."""

    @property
    def severity(self) -> Severity:
        """Return how bad it is."""

    @property
    def rule(self) -> str:
        """Return the rule's name."""

    @property
    def path(self) -> str:
        """Return the file in the artifact."""

    @property
    def line(self) -> int:
        """Return the line in it, from 1 on."""

    @property
    def text(self) -> str:
        """Return what is wrong."""


class CodeReport(Protocol):
    """What the static checks say of an artifact."""

    @property
    def findings(self) -> tuple[CodeFinding, ...]:
        """Return all findings."""

    @property
    def inferred(self) -> frozenset[Capability]:
        """Return what the code was seen to use."""


class CodeCheck(Protocol):
    """Looks through code without running it; `tools.code_checks` makes one."""

    def __call__(
        self,
        files: Mapping[str, bytes],
        declared: frozenset[Capability],
        before: Mapping[str, bytes] | None,
    ) -> CodeReport:
        """Return what it finds.

        Raises:
            TryLater: a checker is away or did not answer in its time.
        """


class StaticGate(GateJudge):
    """Judges by the text alone."""

    gate = Gate.STATIC

    def __init__(self, standards: Standards, check: CodeCheck) -> None:
        self._standards = standards
        self._check = check

    def standard(self) -> Standard:
        """Return what this gate is today."""
        return self._standards.standard(Gate.STATIC)

    def judge(self, review: Review) -> Judged:
        """Return what the text comes to; see `GateJudge`."""
        files, declared = review.own.files, review.own.manifest.declared
        before = None if review.parent is None else review.parent.files
        try:
            report = self._check(files, declared, before)
        except TryLater as away:
            return unable(str(away))
        found = [finding_of(each) for each in report.findings]
        if not_judged(report):
            return Judged(verdict=Verdict.UNABLE, findings=tuple(found))
        undeclared = (report.inferred | nature_of(files)) - declared
        if undeclared:
            found.append(error(f"the code uses {names_of(undeclared)}, which nobody declared"))
        try:
            spec = spec_of(files)
        except BadInput as wrong:
            return judged([*found, error(str(wrong))])
        if spec is not None and frozenset(spec.capabilities) != declared:
            found.append(
                error(
                    f"{SPEC} says {names_of(spec.capabilities)} and the manifest "
                    f"{names_of(declared)}; draft it anew"
                )
            )
        return judged(found)


def spec_of(files: Mapping[str, bytes]) -> Spec | None:
    """Return what the spec of an artifact says; None where it has none.

    Raises:
        BadInput: it is no JSON of that form.
    """
    if SPEC not in files:
        return None
    try:
        return Spec.model_validate_json(files[SPEC])
    except ValidationError as wrong:
        text = f'{SPEC}: {first_fault(wrong)}; write {{"capabilities": ["MarketData"]}}'
        raise BadInput(text) from wrong


def not_judged(report: CodeReport) -> bool:
    """Return whether checks could not look, and what they did see is no reason to fail."""
    bad = [each for each in report.findings if each.severity in (Severity.ERROR, Severity.CRITICAL)]
    return bool(bad) and all(each.rule == UNABLE for each in bad)


def nature_of(files: Mapping[str, bytes]) -> frozenset[Capability]:
    """Return what code of this kind does by its nature."""
    kind = kind_of(files)
    return frozenset() if kind is None else NATURE[kind]


def finding_of(found: CodeFinding) -> GateFinding:
    """Return a static finding as a gate's."""
    text = f"{found.path}:{found.line}: {found.rule}: {found.text}"
    return GateFinding(severity=found.severity, text=text[:MAX_FINDING])
