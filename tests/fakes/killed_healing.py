"""One life of a healing attempt and a cadence in a process that kills itself; run as a module.

`python -m tests.fakes.killed_healing FOLDER STEP LIFE` goes on from whatever it finds: measure what
is open, begin, act, measure; and hold the daily run that is due. A step is a statement of SQLite
that is about to run, or an action outside that is about to be done or was just done. Each action
appends its attempt to the file `acted`, which nobody takes back. With a step that is never reached
it prints how many there were.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from roboinvest.core.oversight.healing_record import ActionEnd, Rung, Verdict
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.cadence import Cadence
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.clocks import START
from tests.fakes.heal_attempts import an_attempt

NEVER = 10_000
DAY = timedelta(days=1)


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


def append(path: Path, line: str) -> None:
    """Do something outside that cannot be taken back."""
    with path.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def live(folder: Path, file: OverseerFile, steps: Steps, life: int) -> None:
    """Measure what an earlier life left; then one whole attempt, and the run of the day."""
    attempts = HealAttempts(file)
    now = START + timedelta(minutes=10 * life)
    for left in attempts.open():
        end = Verdict.NOT_HEALED if left.action_end is ActionEnd.RETURNED else Verdict.UNKNOWN
        attempts.settle(left.attempt_id, end, "measured by a later life", metric_after=0.9, at=now)
    attempt = an_attempt(life, Rung.RESTART, at=now)
    attempts.begin(attempt)
    steps.step("acting")
    append(folder / "acted", attempt.attempt_id)
    steps.step("acted")
    attempts.acted(attempt.attempt_id, ActionEnd.RETURNED, "it was done")
    attempts.settle(attempt.attempt_id, Verdict.HEALED, "0.1", metric_after=0.1, at=now)
    cadence = Cadence(file, "daily", DAY)
    if cadence.due(now):
        cadence.begin(now)
        steps.step("meeting")
        append(folder / "met", f"{life}")
        steps.step("met")
        cadence.done(now)


def main(folder: Path, last: int, life: int) -> None:
    """Live in a folder, up to a step."""
    steps = Steps(last)
    with OverseerFile.open(folder / FILE_NAME) as file:
        file.write(lambda db: db.set_trace_callback(steps.step))
        live(folder, file, steps, life)
        print(steps.count, flush=True)
        steps.step("the end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
