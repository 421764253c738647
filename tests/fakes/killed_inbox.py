"""One life of a proposal in a process that kills itself at a step; run as a module.

`python -m tests.fakes.killed_inbox FOLDER STEP` goes on from whatever it finds: file, approve, use.
A step is a statement of SQLite that is about to run, or a file that is about to be opened. With a
step that is never reached it prints how many there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from roboinvest.core.approvals import ProposalState
from roboinvest.core.errors import BadInput
from roboinvest.runtime.governance.anchors import anchors_beside
from tests.fakes.governance import Bureau, a_proposal, bureau

NEVER = 10_000


class Steps:
    """Counts steps, and ends the process at one of them as a power cut would."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def step(self, _statement: str) -> None:
        """Count one."""
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, office: Bureau) -> None:
        """Count what a governance file does from now on."""
        anchors = os.fspath(anchors_beside(office.path))

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and arguments[0] in (anchors, Path(anchors)):
                self.step(event)

        sys.addaudithook(hook)
        office.file.write(lambda tx: tx.connection.set_trace_callback(self.step))


def live(office: Bureau) -> None:
    """Bring the proposal p0 as far as it goes."""
    try:
        state = office.inbox.get("p0").state
    except BadInput:
        office.inbox.propose(a_proposal())
        state = ProposalState.OPEN
    digest = a_proposal().digest
    if state is ProposalState.OPEN:
        office.inbox.approve("p0", digest, by="ann")
        state = ProposalState.APPROVED
    if state is ProposalState.APPROVED:
        office.use(a_proposal())


def main(folder: Path, last: int) -> None:
    """Live in a folder, up to a step."""
    steps = Steps(last)
    with bureau(folder) as office:
        steps.watch(office)
        live(office)
        print(steps.count, flush=True)
        steps.step("the end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
