"""A process that may open no more files is seen to be so, and its Overseer goes on looking."""

from __future__ import annotations

import contextlib
import itertools
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_agents.overseer_machine import Machine
from roboinvest.core.errors import TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import OverseerFile


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open none for a while: the limit is its lowest number that is free."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    numbers = (Path(f"/proc/self/fd/{number}") for number in itertools.count())
    lowest = next(int(path.name) for path in numbers if not path.exists())
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_reading_without_files_says_so_and_does_not_raise(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    well = machine.read()
    with no_more_files():
        found = machine.read()
    assert well.process["open_files_frac"] < 0.8
    assert found.process == {"open_files_frac": 1.0}
    assert found.trouble is None  # the folder is not to blame


def test_a_limit_that_is_set_while_it_runs_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    usual = machine.read().process["open_files_frac"]
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 4, before[1]))
    try:
        assert machine.read().process["open_files_frac"] > 2 * usual
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_overseers_file_serves_on_while_no_second_look_can_be_had(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / "overseer.db") as file:
        with no_more_files():
            file.require_ours()
        assert not HealAttempts(file).newest(1)


def test_an_audit_log_that_cannot_be_opened_for_want_of_files_is_not_called_broken(
    tmp_path: Path,
) -> None:
    with GovernanceFile.open(tmp_path / FILE_NAME, SystemClock()):
        pass
    with no_more_files(), pytest.raises((TryLater, OSError)):
        verify(tmp_path / FILE_NAME)
    assert verify(tmp_path / FILE_NAME).is_whole
