"""One change of an agent in a process of its own, which kills itself at a step of it.

Run as `python -m tests.fakes.killed_revisions DATA WHAT STEP`. A step is a call to the disk, the
middle of a file, a statement of SQL, COMMIT among them, or the end of a transaction. Step 0 is
never reached: the process then does all of it and prints how many steps there are.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from roboinvest.core.approvals import InboxRules
from roboinvest.core.proposals import Capability, Proposal, ProposalKind
from roboinvest.core.revisions.artifact import manifest_for
from roboinvest.core.revisions.gates import Gate, required_gates
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.core.revisions.record_text import digest_of
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile, Transaction
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.revisions.approvals import InboxApprovals, after_of
from roboinvest.runtime.revisions.disk import LocalDisk
from tests.fakes.clocks import ManualClock
from tests.fakes.revisions import AGENT, MACHINE, PERSON, AgentHouse, a_record, an_artifact

ResultT = TypeVar("ResultT")
APPROVAL: Final = "p1"
TRADES: Final = (Capability.PROPOSE_ORDERS,)
WHATS: Final = ("install", "activate", "rollback", "quarantine")


class Steps:
    """Counts, and kills this process at one number."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self._fatal = fatal

    def step(self) -> None:
        """Be the next step."""
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class StepDisk(LocalDisk):
    """A disk whose every call is a step, and the middle of a file as well."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def make_folder(self, path: Path) -> None:
        """Make a folder after a step."""
        self._steps.step()
        super().make_folder(path)

    def write_new(self, path: Path, content: bytes) -> None:
        """Write half of a file, step, then write it."""
        path.write_bytes(content[: len(content) // 2])
        self._steps.step()
        path.unlink()
        super().write_new(path, content)

    def rename(self, path: Path, to: Path) -> None:
        """Rename between two steps."""
        self._steps.step()
        super().rename(path, to)
        self._steps.step()

    def sync(self, folder: Path) -> None:
        """Sync after a step."""
        self._steps.step()
        super().sync(folder)

    def remove(self, path: Path) -> None:
        """Remove after a step."""
        self._steps.step()
        super().remove(path)


class StepFile(GovernanceFile):
    """A governance file whose every statement is a step, and the end of a write as well."""

    steps: Steps

    def write(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Write, with a step before each statement."""

        def traced(transaction: Transaction) -> ResultT:
            transaction.connection.set_trace_callback(lambda _: self.steps.step())
            return work(transaction)

        result = super().write(traced)
        self.steps.step()
        return result


def installed(house: AgentHouse, number: int, parent: str | None) -> Revision:
    """Bring a revision to where it may be activated; what was done before is not done again."""
    artifact = an_artifact(number, *TRADES)
    revision = house.store.draft(artifact, parent, MACHINE)
    for gate in sorted(required_gates(revision.capabilities) - {Gate.PERSON}):
        record = a_record(revision, gate, house.clock)
        done = house.store.read_book(lambda book: book.records(revision.revision_id))
        if digest_of(record) not in done:
            house.store.record(revision, record, MACHINE)
    if house.now(revision).state is State.DRAFT:
        house.store.gate(AGENT, revision.revision_id, MACHINE)
    if house.now(revision).state is State.GATED:
        house.store.install(AGENT, revision.revision_id, MACHINE)
    return house.now(revision)


def revision_id(number: int, parent: str | None) -> str:
    """Return the id that `installed` will give."""
    return manifest_for(an_artifact(number, *TRADES), parent).revision_id


def prepare(house: AgentHouse) -> tuple[str, str]:
    """Make one revision active and another one ready, with an approval; return their ids."""
    first = installed(house, 1, None)
    house.activate(first, PERSON)
    second = installed(house, 2, first.revision_id)
    now = house.clock.now()
    inbox = inbox_of(house)
    filed = inbox.propose(
        Proposal(
            proposal_id=APPROVAL, kind=ProposalKind.NEW_AGENT, subject=AGENT, who="factory",
            why="better", cause="", evidence=(), before=None, after=after_of(second),
            risk="it may lose", undo=None, capabilities=second.capabilities, made_at=now,
            expires_at=now + timedelta(days=1),
        )
    )  # fmt: skip
    inbox.approve(APPROVAL, filed.proposal.digest, by="ada")
    return first.revision_id, second.revision_id


def inbox_of(house: AgentHouse) -> Inbox:
    """Return the inbox of a house."""
    return Inbox(house.file, InboxRules(), house.clock)


def do(house: AgentHouse, what: str, first: str, second: str) -> None:
    """Make one change."""
    house = house.with_(disk=house.disk, approvals=InboxApprovals(inbox_of(house)))
    if what == "install":
        installed(house, 3, second)
    elif what == "activate":
        revision = house.store.read_book(lambda book: book.revision(AGENT, second))
        house.activate(revision, MACHINE, approval_id=APPROVAL)
    elif what == "rollback":
        house.desk.rollback(AGENT, house.sequence(), MACHINE)
    else:
        house.desk.quarantine(AGENT, house.active() or first, MACHINE)


def main(data: Path, what: str, fatal: int) -> None:
    """Open the house, make the change, and die at the step."""
    first = revision_id(1, None)
    steps = Steps(fatal)
    clock = ManualClock()
    with StepFile.open(data / FILE_NAME, clock, schemas=()) as file:
        file.steps = steps
        house = AgentHouse(file, data, clock, disk=StepDisk(steps))
        do(house, what, first, revision_id(2, first))
        print(steps.count, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
