"""The gatekeeper: runs the gates that a revision needs, in order, and keeps what they come to.

It decides nothing itself. Which gates apply is read off capabilities by the core, a pass is
computed there from the records, and a gate that this house has no evaluator for stays missing.
The cheap gates come first, and the first one that does not pass ends the round.

Blocking: for a command, or for a thread of the daemon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from meta_agents.evolution.auditor import model_findings
from meta_agents.evolution.evidence import Evidence
from meta_agents.evolution.review import (
    AuditModel,
    GateJudge,
    Judged,
    Review,
    refused,
)
from meta_agents.evolution.standards import JUDGED_HERE
from meta_agents.evolution.traces import TraceShelf
from roboinvest.core.errors import Refused
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.gates import (
    BEFORE_INSTALL,
    Gate,
    GateFinding,
    GateRecord,
    Judge,
    Standard,
    Trace,
    Verdict,
    capability_digest,
)
from roboinvest.core.revisions.lifecycle import Actor, Revision, State
from roboinvest.core.revisions.record_text import digest_of
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.opening import Revisions

ORDER: Final = (
    Gate.STATIC,
    Gate.AUDITOR,
    Gate.EVALUATOR,
    Gate.INJECTION,
    Gate.BACKTEST,
    Gate.WALK_FORWARD,
)
HOLDS: Final = timedelta(days=30)  # what a record is worth without being asked again
ROUNDS: Final = 2  # of feedback that an author gets; then a person looks
_STOPPED: Final = "not run: a gate before it did not pass"
_JUDGEABLE: Final = frozenset({State.DRAFT, State.GATED, State.INSTALLED, State.ACTIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """What became of one gate in a round."""

    gate: Gate
    verdict: Verdict | None  # None: it was not run
    findings: tuple[GateFinding, ...] = ()
    note: str = ""  # why it was not run, or what its record lacks
    held: bool = False  # there was a record that still counts

    @property
    def passed(self) -> bool:
        """Return whether the gate is passed, by this round or before it."""
        return self.verdict is Verdict.PASSED and not self.note


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """One round of gates."""

    revision: Revision
    rows: tuple[GateRow, ...]  # of every gate that is needed before an installation, in order
    later: tuple[Gate, ...]  # needed before it may be active
    groups: Mapping[str, bool] = field(default_factory=dict)  # of the suite's cases

    @property
    def passed(self) -> bool:
        """Return whether it may be installed."""
        return all(row.passed for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """All that an author is told of a round: one bit for each gate and for each group of cases."""

    gates: Mapping[str, bool]
    groups: Mapping[str, bool]
    rounds_left: int


class Gatekeeper:
    """Runs gates on the revisions of one data folder."""

    def __init__(
        self,
        house: Revisions,
        judges: Iterable[GateJudge],
        traces: TraceShelf,
        clock: Clock,
        *,
        model: AuditModel | None = None,
    ) -> None:
        self._house = house
        self._evidence = Evidence(house, clock)
        self._judges = {judge.gate: judge for judge in judges}
        self._traces = traces
        self._clock = clock
        self._model = model

    def set_standards(self, actor: Actor, *, new_data: bool = False) -> tuple[Standard, ...]:
        """Say what the gates of this house are today, and return those that changed.

        Raises:
            Refused: a gate judged on other data so far, and `new_data` does not say that this is
                meant.
        """
        known = self._house.store.read_book(RevisionBook.standards)
        todays = [judge.standard() for judge in self._judges.values()]
        for standard in todays:
            before = known.get(standard.gate)
            if before and before.data_digest != standard.data_digest and not new_data:
                raise Refused(
                    f"{standard.gate} is judged on data {before.data_digest[:12]} in this house, "
                    f"and these are {standard.data_digest[:12]}; give those bars and costs, or "
                    "--new-data to judge everybody on these from now on"
                )
        return tuple(each for each in todays if self._house.store.set_standard(each, actor))

    def run_gates(
        self,
        agent_id: str,
        revision_id: str,
        actor: Actor,
        *,
        again: bool = False,
        new_data: bool = False,
    ) -> GateReport:
        """Run the gates that a revision needs before an installation, until one does not pass.

        Args:
            agent_id: whose revision it is.
            revision_id: which one.
            actor: in whose name records are kept.
            again: run also those whose record still counts.
            new_data: judge on other data than so far, from now on.

        Raises:
            BadInput: there is no such revision.
            Refused: it is retired or in quarantine, was changed on the disk, nobody may have what
                it asks for, or the data are others than the house's.
            TryLater: the disk does not take a record.
        """
        review, gates = self._evidence.review(agent_id, revision_id)
        revision = review.own.revision
        if revision.state not in _JUDGEABLE:
            raise Refused(
                f"revision {revision.short} of {agent_id} is {revision.state}, and is not judged"
            )
        self.set_standards(actor, new_data=new_data)
        rows, groups, is_stopped = list[GateRow](), dict[str, bool](), False
        for gate in [each for each in ORDER if each in gates]:
            row, found = self._row(review, gate, actor, again=again, is_stopped=is_stopped)
            rows.append(row)
            groups |= found
            is_stopped = is_stopped or (gate in self._judges and not row.passed)
        later = sorted(gates - BEFORE_INSTALL)
        return GateReport(
            revision=self._evidence.revision(agent_id, revision_id),
            rows=tuple(rows),
            later=tuple(later),
            groups=groups,
        )

    def recheck(self, agent_id: str, revision_id: str, actor: Actor) -> tuple[str, ...]:
        """Run again what a record says was run, and return what does not come out the same.

        Call it before a promotion, outside of its transaction. Where a trace differs, a failed
        record is kept, so that the promotion is refused by the evidence.

        Raises:
            BadInput, Refused, TryLater: as `run_gates` does, and where a gate is unable now.
        """
        review, _ = self._evidence.review(agent_id, revision_id)
        faults = list[str]()
        for gate, record in sorted(self._evidence.newest(review.own.revision).items()):
            judge = self._judges.get(gate)
            if record.trace is None or record.verdict is not Verdict.PASSED or judge is None:
                continue
            if judge.standard() != record.standard:
                continue  # judged by another evaluator or on other data: stale by itself
            fault = self._difference(review, judge, record)
            if fault is not None:
                faults.append(fault)
                self._keep(review.own.revision, judge, refused(fault), actor)
        return tuple(faults)

    def feedback(self, report: GateReport) -> Feedback:
        """Return what the author of a revision may know of a round that it did not pass.

        Raises:
            Refused: the author had it twice since the agent was last promoted.
        """
        revision = report.revision
        used = self._evidence.rounds(revision)
        if used > ROUNDS:
            raise Refused(
                f"{revision.agent_id} failed its gates {used} times since it was last active, and "
                f"feedback is given {ROUNDS} times; a person looks at it first"
            )
        return Feedback(
            gates={row.gate: row.passed for row in report.rows if row.verdict is not None},
            groups=dict(report.groups),
            rounds_left=ROUNDS - used,
        )

    def _row(
        self, review: Review, gate: Gate, actor: Actor, *, again: bool, is_stopped: bool
    ) -> tuple[GateRow, Mapping[str, bool]]:
        revision, judge = review.own.revision, self._judges.get(gate)
        fault = self._evidence.fault(revision, gate)
        if fault is None and not again:
            held = self._evidence.newest(revision)[gate]
            return GateRow(gate=gate, verdict=held.verdict, findings=held.findings, held=True), {}
        if is_stopped and gate in JUDGED_HERE:
            return GateRow(gate=gate, verdict=None, note=_STOPPED), {}
        if judge is None:
            needs = "not run: give bars" if gate in JUDGED_HERE else fault or "not run again"
            return GateRow(gate=gate, verdict=None, note=needs), {}
        found = judge.judge(review)
        self._keep(revision, judge, found, actor)
        if gate is Gate.AUDITOR and self._model is not None:
            added = model_findings(self._model, review)
            if added is not None:
                self._keep(revision, judge, added, actor, by=Judge.MODEL)
                found = _with(found, added)
        note = self._evidence.fault(revision, gate) or ""
        if found.verdict is not Verdict.PASSED:
            note = ""
        row = GateRow(gate=gate, verdict=found.verdict, findings=found.findings, note=note)
        return row, found.groups

    def _difference(self, review: Review, judge: GateJudge, record: GateRecord) -> str | None:
        if record.trace is None:
            return None
        said = self._traces.read(record.trace.digest)
        found = judge.judge(review)
        if found.verdict is Verdict.UNABLE:
            raise Refused(
                f"{judge.gate} of {review.name} cannot be run again now "
                f"({found.findings[0].text}); nothing is promoted that cannot be checked"
            )
        if found.trace is not None and (found.trace.text, found.trace.exit_code) == (said, 0):
            return None
        now = "nothing" if found.trace is None else found.trace.digest[:12]
        return (
            f"{judge.gate} came to {record.trace.digest[:12]} when it was recorded and comes to "
            f"{now} now; it is not promoted"
        )

    def _keep(
        self,
        revision: Revision,
        judge: GateJudge,
        found: Judged,
        actor: Actor,
        *,
        by: Judge = Judge.COMPUTED,
    ) -> None:
        trace = found.trace
        if trace is not None:
            self._traces.put(trace.text)
        now = self._clock.now()
        record = GateRecord(
            standard=judge.standard(),
            artifact_digest=revision.artifact_digest,
            capability_digest=capability_digest(revision.capabilities),
            judge=by,
            verdict=found.verdict,
            findings=found.findings,
            trace=None if trace is None else Trace(digest=trace.digest, exit_code=trace.exit_code),
            by="gatekeeper" if by is Judge.COMPUTED else "audit model",
            at=now,
            expires_at=now + HOLDS,
        )
        if digest_of(record) not in self._evidence.known(
            revision
        ):  # the same instant, the same end
            self._house.store.record(revision, record, actor)


def _with(found: Judged, added: Judged) -> Judged:
    """Return a computed result with a model's findings beside it."""
    return Judged(
        verdict=found.verdict,
        findings=(*found.findings, *added.findings),
        trace=found.trace,
        groups=found.groups,
    )
