"""Artifacts to be judged, a house that judges them in a real box, and what may go wrong there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from meta_agents.evolution.auditor import Auditor
from meta_agents.evolution.evaluator import Evaluator
from meta_agents.evolution.gatekeeper import Gatekeeper
from meta_agents.evolution.review import (
    AuditModel,
    Content,
    GateJudge,
    JobBox,
    Review,
    StrategyBox,
)
from meta_agents.evolution.standards import Standards
from meta_agents.evolution.static import StaticGate
from meta_agents.evolution.traces import TRACES, TraceShelf
from roboinvest.core.errors import TryLater
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import Artifact, manifest_for
from roboinvest.core.revisions.gates import Severity
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.core.strategy import Strategy
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.revisions.approvals import NoInbox
from roboinvest.runtime.revisions.disk import LocalDisk
from roboinvest.runtime.revisions.opening import Revisions, revisions_on
from roboinvest.runtime.revisions.schema import SCHEMAS
from tests.fakes.clocks import ManualClock
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Fault, Outcome, Transform

AGENT: Final = "scout"
TRADES: Final = (Capability.MARKET_DATA, Capability.PROPOSE_ORDERS)

CROSSING: Final = '''"""Buys what rises over its mean, and sells what falls under it."""

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import above, below
from roboinvest.core.strategy import Execution, Percent, Scan

NAME = "over_the_mean"
VERSION = "1"
IDEA = "What has risen goes on rising."
SOURCE = "an example"
TIMEFRAME = "any"
PARAMS = {"period": (20, 2, 200)}


def columns(p):
    return {"mean": sma(p["period"])}


def scan(p):
    return Scan(long=above("close", "mean"))


def execution(p):
    return Execution(stop=Percent(0.05), exit=below("close", "mean"))
'''
STRATEGY_SUITE: Final[Mapping[str, Any]] = {
    "kind": "strategy",
    "cases": [
        {
            "name": "buys_a_rise",
            "group": "entries",
            "bars": {"kind": "trend", "seed": 3, "rows": 120},
            "expect": {"entries_in": [{"first": 18, "last": 60, "side": "long"}], "stops": True},
        },
        {
            "name": "stays_out_of_a_crash",
            "group": "entries",
            "bars": {"kind": "crash", "seed": 3, "rows": 120},
            "expect": {"no_entries_in": [{"first": 86, "last": 99}]},
        },
        {
            "name": "does_nothing_where_nothing_moves",
            "group": "quiet",
            "bars": {"kind": "flat", "rows": 120},
            "expect": {"at_most": 0},
        },
    ],
}
DOUBLING: Final = "def transform(columns):\n    return 2 * columns['close']\n"
TRANSFORM_SUITE: Final[Mapping[str, Any]] = {
    "kind": "transform",
    "cases": [
        {"name": "one", "columns": {"close": [1, 2, 3]}, "expect": {"values": [2, 4, 6]}},
        {"name": "two", "columns": {"close": [5, 0, -1]}, "expect": {"values": [10, 0, -2]}},
        {
            "name": "looks_at_the_past_only",
            "group": "causal",
            "bars": {"kind": "walk", "seed": 5, "rows": 40},
            "expect": {"causal": True, "low": 0},
        },
    ],
}


def an_artifact(
    files: Mapping[str, str | bytes | Mapping[str, Any]],
    declared: Sequence[Capability] = (),
    *,
    agent: str = AGENT,
    calls: tuple[str, ...] = (),
) -> Artifact:
    """Return an artifact; values that are no text become JSON, and the spec says what it asks."""
    spec = {"capabilities": sorted(declared), "calls": list(calls)}
    written = {"spec/agent.json": spec, **files}
    return Artifact(
        agent_id=agent,
        files={path: _bytes(content) for path, content in written.items()},
        declared=frozenset(declared),
        inferred=frozenset(),
        calls=calls,
    )


def a_strategy(
    code: str = CROSSING, suite: Mapping[str, Any] = STRATEGY_SUITE, **more: Any
) -> Artifact:
    """Return an artifact with a strategy."""
    return an_artifact({"code/strategy.py": code, "evals/cases.json": suite}, TRADES, **more)


def a_transform(
    code: str = DOUBLING, suite: Mapping[str, Any] = TRANSFORM_SUITE, **more: Any
) -> Artifact:
    """Return an artifact with a transform."""
    return an_artifact({"code/transform.py": code, "evals/cases.json": suite}, **more)


def cases(*added: Mapping[str, Any], kind: str = "transform") -> Mapping[str, Any]:
    """Return a suite: the usual one of this kind, with cases added."""
    usual = TRANSFORM_SUITE if kind == "transform" else STRATEGY_SUITE
    return {"kind": kind, "cases": [*usual["cases"], *added]}


def review_of(artifact: Artifact, parent: Artifact | None = None) -> Review:
    """Return an artifact as a gate sees it, without a house around it."""
    above = None if parent is None else _content(parent, None)
    own = _content(artifact, None if above is None else above.revision.revision_id)
    return Review(
        own=own,
        parent=above,
        reach=artifact.capabilities,
        parent_reach=frozenset() if parent is None else parent.capabilities,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """A static finding."""

    severity: Severity
    rule: str = "ROBO-test"
    path: str = "code/strategy.py"
    line: int = 3
    text: str = "is not allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a static check came to."""

    findings: tuple[Noticed, ...] = ()
    inferred: frozenset[Capability] = frozenset()


@dataclass
class Check:
    """A static check that says what it is told to; counts how often it was asked."""

    report: Report = field(default_factory=Report)
    asked: int = 0
    away: bool = False

    def __call__(
        self,
        files: Mapping[str, bytes],
        declared: frozenset[Capability],
        before: Mapping[str, bytes] | None,
    ) -> Report:
        """Return the report."""
        self.asked += 1
        if self.away:
            raise TryLater("the linter did not answer in 10 s; try again")
        return self.report


@dataclass
class Auditing:
    """A model that answers one thing, and keeps what it was asked."""

    answer: str | Exception
    asked: list[str] = field(default_factory=list)

    def review(self, text: str) -> str:
        """Return the answer, or raise it."""
        self.asked.append(text)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class BrokenBox:
    """A box whose every job ends by its own fault."""

    def __init__(self, fault: Fault = Fault.BOX) -> None:
        self._fault = fault

    def run(self, job: Transform) -> Outcome:
        """Return a fault that no candidate is to blame for."""
        return Outcome(signals=None, fault=self._fault, detail="the zygote ended")


class JudgedHouse:
    """A data folder with agents, and gates that run code in a real box."""

    def __init__(self, revisions: Revisions, data: Path, clock: ManualClock, boxes: Boxes) -> None:
        self.revisions = revisions
        self.store = revisions.store
        self.data = data
        self.clock = clock
        self.boxes = boxes
        self.check = Check()
        self.traces = TraceShelf(data / TRACES, LocalDisk())
        self.standards = Standards()

    def box(self, source: str, name: str) -> Strategy:
        """Return a strategy in the box."""
        return boxed_strategy(source, name, self.boxes)

    def keeper(
        self,
        *more: GateJudge,
        model: AuditModel | None = None,
        jobs: JobBox | None = None,
        box: StrategyBox | None = None,
    ) -> Gatekeeper:
        """Return the gatekeeper of this house."""
        judges = [
            StaticGate(self.standards, self.check),
            Auditor(self.standards, self.check),
            Evaluator(self.standards, jobs or self.boxes, box or self.box),
            *more,
        ]
        return Gatekeeper(self.revisions, judges, self.traces, self.clock, model=model)

    def drafted(self, artifact: Artifact, parent: Revision | None = None) -> Revision:
        """Store an artifact."""
        from tests.fakes.revisions import MACHINE

        above = None if parent is None else parent.revision_id
        return self.store.draft(artifact, above, MACHINE)


@contextmanager
def judged_house(data: Path, boxes: Boxes) -> Iterator[JudgedHouse]:
    """Open a house whose gates nobody has run yet."""
    clock = ManualClock()
    with GovernanceFile.open(data / FILE_NAME, clock, schemas=SCHEMAS) as file:
        revisions = revisions_on(file, data, approvals=NoInbox(), limits=GovernorLimits())
        yield JudgedHouse(revisions, data, clock, boxes)


def _bytes(content: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()


def _content(artifact: Artifact, parent: str | None) -> Content:
    manifest = manifest_for(artifact, parent)
    revision = Revision(
        agent_id=artifact.agent_id,
        revision_id=manifest.revision_id,
        parent=parent,
        artifact_digest=manifest.artifact_digest,
        fingerprint=manifest.fingerprint,
        capabilities=manifest.capabilities,
        calls=manifest.calls,
        state=State.DRAFT,
        made_at=ManualClock().now(),
        made_by="factory",
    )
    return Content(revision=revision, manifest=manifest, files=artifact.files)
