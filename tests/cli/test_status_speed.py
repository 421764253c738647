"""`roboinvest status --json` is asked in a loop by scripts: it answers in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.processes import Daemon, Finished, roboinvest

PROMISED_S = 1.0  # warm, the whole process from its start to its end
ATTEMPTS = 3

pytestmark = pytest.mark.alone


def best_of(attempts: int, ask: Callable[[], float]) -> float:
    ask()  # the first one warms the caches of the disk
    took_s = min(ask() for _ in range(attempts))
    print(f"status --json answered in {took_s:.2f} s, {PROMISED_S:g} s are promised")
    return took_s


def asked(data: Path, *, running: bool) -> float:
    ended = roboinvest("status", "--json", "--data-dir", data, cwd=data.parent)
    assert ended.value()["running"] is running
    return ended.took_s


def test_status_answers_within_a_second_where_nothing_runs(finished: Finished) -> None:
    assert best_of(ATTEMPTS, lambda: asked(finished.data, running=False)) < PROMISED_S


def test_status_answers_within_a_second_beside_a_daemon(bars: Path, tmp_path: Path) -> None:
    replay = ("--replay", bars, "--from", "2015-12-23", "--speed", 300)
    with Daemon(tmp_path / "data", "run", *replay, cwd=tmp_path) as daemon:
        daemon.until_ready()
        assert best_of(ATTEMPTS, lambda: asked(tmp_path / "data", running=True)) < PROMISED_S
