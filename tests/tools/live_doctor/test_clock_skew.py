"""A difference of clocks is a finding only where it lies beyond the limit for certain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tools.doctor import Grade
from tools.live_doctor.clock_skew import MAX_SKEW_S, ClockSample, clock_finding
from tools.live_doctor.findings import LiveFinding, Words

ASKED = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


def finding(
    ahead_s: float, *, took_s: float = 0.0, grain_s: float = 0.0, offset_s: float = 0.0
) -> LiveFinding:
    """Return what is said where the vendor is ahead of us by so much."""
    sample = ClockSample(
        vendor_at=ASKED + timedelta(seconds=ahead_s),
        asked_at=ASKED,
        answered_at=ASKED + timedelta(seconds=took_s),
        grain=timedelta(seconds=grain_s),
    )
    return clock_finding(Words(vendor="alpaca"), sample, offset_s)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_is_tolerated_and_a_tenth_of_a_second_more_is_not(sign: int) -> None:
    assert finding(sign * MAX_SKEW_S).grade is Grade.OK
    assert finding(sign * (MAX_SKEW_S + 0.1)).grade is Grade.FAIL


def test_the_side_that_is_wrong_is_named_with_figures_and_limit() -> None:
    behind, ahead = finding(30.0), finding(-30.0)
    assert "ours is 30.0 s behind the vendor's" in behind.fact
    assert "ours is 30.0 s ahead of the vendor's" in ahead.fact
    assert "2 s are tolerated" in behind.fact
    assert "timedatectl set-ntp true" in behind.mend


@pytest.mark.parametrize(
    ("ahead_s", "took_s", "grain_s"), [(3.0, 1.5, 0.0), (-2.5, 0.0, 1.0), (1.0, 4.0, 0.0)]
)
def test_a_slow_answer_or_a_coarse_clock_is_no_proof(
    ahead_s: float, took_s: float, grain_s: float
) -> None:
    found = finding(ahead_s, took_s=took_s, grain_s=grain_s)
    assert found.grade is Grade.WARN, found
    assert "is known to" in found.fact


def test_certainty_is_enough_also_behind_a_slow_answer() -> None:
    assert finding(60.0, took_s=5.0).grade is Grade.FAIL
    assert finding(-60.0, took_s=5.0, grain_s=1.0).grade is Grade.FAIL


def test_with_a_shifted_clock_the_shift_is_what_to_correct() -> None:
    assert finding(60.0, offset_s=3600.0).mend == (
        "correct clock.offset_s, which is 3600; 3660 fits"
    )
