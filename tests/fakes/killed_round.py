"""One round of the keeper in a process of its own, which kills itself at a step of it.

Run as `python -m tests.fakes.killed_round DATA STEP`. A step is a statement of SQLite, an anchor
that is about to be written, or a file or folder that is about to be removed. With a step that is
never reached it prints how many there were.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from roboinvest.core.approvals import InboxRules
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.governance.anchors import anchors_beside
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.upkeep.rounds import Rounds
from tests.fakes.clocks import START, ManualClock
from tests.fakes.governance import a_proposal
from tests.fakes.killed_inbox import Steps
from tests.fakes.revisions import AGENT, an_artifact
from tests.fakes.upkeep import a_schedule, lived_in

LATER_S: Final = 3600.0
DUE, OVER, LEFT = "p0", "p1", "p2"  # comes into force, expires, still waits
ORPHANS: Final = (f"{AGENT}/{'0' * 64}", ".new-abc-1-1")
_REMOVES: Final = ("os.remove", "os.rmdir", "shutil.rmtree")


def prepare(data: Path) -> None:
    """Leave what a round has to do: time that passed, and what killed processes left."""
    with lived_in(data, ManualClock()) as (house, inbox):
        house.installed(an_artifact(1))
        inbox.propose(a_schedule(0))
        inbox.propose(a_proposal(1, expires_at=START + timedelta(minutes=30)))
        inbox.propose(a_proposal(2))
        for name in ORPHANS:
            folder = house.folders.root / name
            folder.mkdir(parents=True)
            (folder / "half").write_bytes(b"x")


def go(data: Path, steps: Steps) -> None:
    """Go round, an hour later."""
    clock = ManualClock()
    clock.advance(LATER_S)

    def opens(path: Path, *arguments: Any, **more: Any) -> GovernanceFile:
        file = GovernanceFile.open(path, *arguments, **more)
        anchors = os.fspath(anchors_beside(path))

        def hook(event: str, told: tuple[object, ...]) -> None:
            is_anchor = event == "open" and told[0] in (anchors, Path(anchors))
            if is_anchor or event in _REMOVES:
                steps.step(event)

        sys.addaudithook(hook)
        file.write(lambda tx: tx.connection.set_trace_callback(steps.step))
        return file

    rounds = Rounds(data, clock, rules=InboxRules(), limits=GovernorLimits(), opens=opens)
    seen = rounds.go(whole=True)
    assert not seen.troubles, seen.troubles
    rounds.close()


if __name__ == "__main__":
    counted = Steps(int(sys.argv[2]))
    go(Path(sys.argv[1]), counted)
    print(counted.count, flush=True)
