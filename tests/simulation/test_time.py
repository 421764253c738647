"""Time under simulation is the same time every time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fakes.processes import REPOSITORY


def trace(seed: int, **environment: str) -> str:
    """Return the digest of a simulated month in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.month", str(seed)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()[-1]  # the log comes before


@pytest.mark.campaign
def test_i_time_2_a_seed_gives_one_trace_whatever_the_hash_seed_and_the_time_zone() -> None:
    seed = 4
    one = trace(seed, PYTHONHASHSEED="1", TZ="Pacific/Auckland")
    other = trace(seed, PYTHONHASHSEED="77", TZ="America/New_York")
    print(f"seed={seed} trace={one}")
    assert len(one) == 64
    assert one == other
    assert trace(seed + 1) != one
