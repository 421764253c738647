"""A house with agents: artifacts, evidence that passes, and disks that are full."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import Artifact, sha256_of
from roboinvest.core.revisions.gates import (
    Gate,
    GateFinding,
    GateRecord,
    Judge,
    Severity,
    Standard,
    Trace,
    Verdict,
    capability_digest,
    required_gates,
)
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.revisions.lifecycle import Actor, AliasMove, Revision
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.revisions.aliases import Activation, AliasDesk
from roboinvest.runtime.revisions.approvals import Approvals, NoInbox
from roboinvest.runtime.revisions.disk import Disk, LocalDisk
from roboinvest.runtime.revisions.folders import RevisionFolders
from roboinvest.runtime.revisions.opening import AGENTS
from roboinvest.runtime.revisions.schema import SCHEMAS
from roboinvest.runtime.revisions.store import RevisionStore
from tests.fakes.clocks import ManualClock

AGENT: Final = "scout"
MACHINE: Final = Actor(name="factory", reason="a better scan", is_person=False)
PERSON: Final = Actor(name="ada", reason="looked at it", is_person=True)


def a_digest(word: str) -> str:
    """Return some SHA-256."""
    return sha256_of(word.encode())


def code_of(number: int) -> str:
    """Return code that differs from that of every other number in what it does."""
    return f"def scan(bars):\n    return bars[-1] > {number}\n"


def an_artifact(
    number: int = 1,
    *declared: Capability,
    agent: str = AGENT,
    code: str | None = None,
    inferred: Iterable[Capability] = (),
    calls: tuple[str, ...] = (),
    files: Mapping[str, bytes] | None = None,
) -> Artifact:
    """Return an artifact that may be stored."""
    own = {
        "spec/spec.toml": b'name = "scout"\n',
        "code/strategy.py": (code or code_of(number)).encode(),
        "evals/cases/first.json": b"[]\n",
        "dependencies/requirements.txt": b"",
    }
    return Artifact(
        agent_id=agent,
        files=own if files is None else files,
        declared=frozenset(declared),
        inferred=frozenset(inferred),
        calls=calls,
    )


def a_standard(gate: Gate) -> Standard:
    """Return what a gate is in the house of tests."""
    judge = a_digest(f"judge {gate}")
    return Standard(gate=gate, evaluator_digest=judge, data_digest=a_digest("data"), version=1)


def a_record(
    revision: Revision,
    gate: Gate,
    clock: Clock,
    *,
    verdict: Verdict = Verdict.PASSED,
    judge: Judge = Judge.COMPUTED,
    warnings: int = 0,
) -> GateRecord:
    """Return a record of a gate that passed, about this revision."""
    now = clock.now()
    return GateRecord(
        standard=a_standard(gate),
        artifact_digest=revision.artifact_digest,
        capability_digest=capability_digest(revision.capabilities),
        judge=judge,
        verdict=verdict,
        findings=tuple(
            GateFinding(severity=Severity.WARNING, text=f"warning {number}")
            for number in range(warnings)
        ),
        trace=Trace(digest=a_digest("trace"), exit_code=0),
        by="gates",
        at=now,
        expires_at=now + timedelta(days=30),
    )


class FullDisk:
    """A disk that is full from its call number `fails_at` on; 0: it never is."""

    def __init__(self, fails_at: int) -> None:
        self.calls = 0
        self._fails_at = fails_at
        self._disk = LocalDisk()

    def make_folder(self, path: Path) -> None:
        """Make a folder, or fail."""
        self._step(path)
        self._disk.make_folder(path)

    def write_new(self, path: Path, content: bytes) -> None:
        """Write half of a file, or all of it."""
        if self._is_full():
            path.write_bytes(content[: len(content) // 2])
        self._step(path, counts=False)
        self._disk.write_new(path, content)

    def rename(self, path: Path, to: Path) -> None:
        """Rename, or fail."""
        self._step(path)
        self._disk.rename(path, to)

    def sync(self, folder: Path) -> None:
        """Sync, or fail."""
        self._step(folder)
        self._disk.sync(folder)

    def remove(self, path: Path) -> None:
        """Remove: this works on a full disk too."""
        self._disk.remove(path)

    def _is_full(self) -> bool:
        self.calls += 1
        return 0 < self._fails_at <= self.calls

    def _step(self, path: Path, *, counts: bool = True) -> None:
        if self._is_full() if counts else 0 < self._fails_at <= self.calls:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))


class AgentHouse:
    """The revisions of one data folder, with what tests need to bring them somewhere."""

    def __init__(
        self,
        file: GovernanceFile,
        data: Path,
        clock: ManualClock,
        *,
        disk: Disk | None = None,
        approvals: Approvals | None = None,
        limits: GovernorLimits | None = None,
    ) -> None:
        self.file = file
        self.data = data
        self.clock = clock
        self.disk = disk or LocalDisk()
        self.folders = RevisionFolders(data / AGENTS, self.disk)
        self.store = RevisionStore(file, self.folders)
        self.desk = AliasDesk(
            file, self.folders, approvals or NoInbox(), limits or GovernorLimits()
        )

    def with_(self, **parts: object) -> AgentHouse:
        """Return the same house with another disk, inbox or governor."""
        return AgentHouse(self.file, self.data, self.clock, **parts)  # type: ignore[arg-type]

    def set_standards(self) -> None:
        """Say what every gate is."""
        for gate in sorted(set(Gate) - {Gate.PERSON}):
            self.store.set_standard(a_standard(gate), MACHINE)

    def judged(self, revision: Revision, *, warnings: int = 0) -> None:
        """Record that each gate passed which the revision's own capabilities ask for."""
        for gate in sorted(required_gates(revision.capabilities) - {Gate.PERSON}):
            count = warnings if gate is Gate.STATIC else 0
            record = a_record(revision, gate, self.clock, warnings=count)
            self.store.record(revision, record, MACHINE)

    def installed(
        self, artifact: Artifact, parent: str | None = None, *, warnings: int = 0
    ) -> Revision:
        """Bring an artifact to where it may be activated."""
        revision = self.store.draft(artifact, parent, MACHINE)
        self.judged(revision, warnings=warnings)
        self.store.gate(revision.agent_id, revision.revision_id, MACHINE)
        return self.store.install(revision.agent_id, revision.revision_id, MACHINE)

    def activate(self, revision: Revision, actor: Actor = PERSON, **more: object) -> AliasMove:
        """Activate as whoever has just looked."""
        request = Activation(
            agent_id=revision.agent_id,
            revision_id=revision.revision_id,
            expected=self.sequence(revision.agent_id),
        )
        return self.desk.activate(replace(request, **more), actor)  # type: ignore[arg-type]

    def active(self, agent: str = AGENT) -> str | None:
        """Return the id of what is active."""
        return self.store.read_book(lambda book: book.alias(agent).revision_id)

    def sequence(self, agent: str = AGENT) -> int:
        """Return the number of the alias's last move."""
        return self.store.read_book(lambda book: book.alias(agent).sequence)

    def now(self, revision: Revision) -> Revision:
        """Return a revision as it stands now."""
        return self.store.read_book(
            lambda book: book.revision(revision.agent_id, revision.revision_id)
        )

    def everything(self) -> tuple[object, object]:
        """Return all that the books and the disk say, to see that nothing changed."""
        tables = ("revisions", "alias_moves", "gate_records", "gate_standards", "rejects", "audit")
        rows = self.file.read(
            lambda db: [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608 ours
        )
        root = self.folders.root
        lies = sorted(
            (path.relative_to(root).as_posix(), path.read_bytes() if path.is_file() else b"")
            for path in root.rglob("*")
        )
        return rows, lies


@contextmanager
def agent_house(data: Path, clock: ManualClock | None = None) -> Iterator[AgentHouse]:
    """Open a house in which every gate is known."""
    clock = clock or ManualClock()
    with GovernanceFile.open(data / FILE_NAME, clock, schemas=SCHEMAS) as file:
        house = AgentHouse(file, data, clock)
        house.set_standards()
        yield house


class unchanged:  # noqa: N801 reads as a sentence, like pytest.raises
    """A refusal: of this class, with these words, on one line, and nothing is changed by it."""

    def __init__(self, house: AgentHouse, kind: type[RoboInvestError], word: str) -> None:
        self._house = house
        self._kind = kind
        self._word = word

    def __enter__(self) -> None:
        self._before = self._house.everything()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        assert error is not None, f"not refused: {self._word}"
        if not isinstance(error, self._kind):
            return False
        assert self._word in str(error)
        assert "\n" not in str(error)
        assert self._house.everything() == self._before
        return True
