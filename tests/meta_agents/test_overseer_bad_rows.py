"""A row of the Overseer's file that cannot be read is told, and no loop ends over it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.supervision.service import ServiceState
from tests.fakes.heal_attempts import an_attempt
from tests.fakes.overseen import lived


def test_an_attempt_that_cannot_be_read_lets_healing_rest_and_is_told_and_ends_no_loop(
    tmp_path: Path,
) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        HealAttempts(file).begin(an_attempt())
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE heal_attempts SET cause = 'gremlins'")  # as a newer version may write
    world = lived(tmp_path, 1_500.0, lambda _: None)
    assert world.statuses["healing"].state is ServiceState.RUNNING
    assert world.statuses["healing"].restarts == 0
    told = {each.key: each.message for each in world.raised()}
    assert "'gremlins' is not a valid Cause" in told["heal.overseer.db"]
    assert "health.senses" not in told
    line = world.oversight.line()
    assert line.reason is not None
    assert "gremlins" in line.reason
