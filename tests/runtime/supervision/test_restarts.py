from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from roboinvest.runtime.supervision.restarts import RestartLimits, RestartRecord

LIMITS = RestartLimits(jitter_frac=0.0)


def test_delays_double_from_one_second_to_the_cap() -> None:
    record = RestartRecord(
        RestartLimits(max_restarts=100, backoff_max_s=300.0, jitter_frac=0.0), random.Random(1)
    )
    delays = [record.next_delay_s(float(n), lived_s=0.0) for n in range(11)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_run_of_ten_healthy_minutes_starts_the_delays_afresh() -> None:
    record = RestartRecord(LIMITS, random.Random(1))
    assert [record.next_delay_s(t, 0.0) for t in (0.0, 1.0)] == [1, 2]
    assert record.next_delay_s(700.0, lived_s=599.0) == 4
    assert record.next_delay_s(1_400.0, lived_s=600.0) == 1


def test_one_failure_more_than_allowed_in_the_window_is_too_many() -> None:
    record = RestartRecord(LIMITS, random.Random(1))
    granted = [record.next_delay_s(60.0 * n, 0.0) is not None for n in range(6)]
    assert granted == [True] * 5 + [False]
    assert record.restarts == 5


def test_a_pardon_forgets_the_failures_and_the_delay() -> None:
    record = RestartRecord(LIMITS, random.Random(1))
    while record.next_delay_s(0.0, 0.0) is not None:
        pass
    record.pardon()
    assert record.next_delay_s(0.0, 0.0) == 1


def test_the_jitter_repeats_with_its_seed_and_never_lengthens_a_delay() -> None:
    def delays(seed: int) -> list[float | None]:
        record = RestartRecord(RestartLimits(max_restarts=50), random.Random(seed))
        return [record.next_delay_s(float(n), 0.0) for n in range(20)]

    assert delays(3) == delays(3)
    assert delays(3) != delays(4)
    for n, delay in enumerate(delays(3)):
        assert delay is not None
        assert 0.8 * min(2.0**n, 300.0) <= delay <= min(2.0**n, 300.0)


@given(
    lives=st.lists(st.floats(min_value=0.0, max_value=5_000.0), min_size=1, max_size=120),
    max_restarts=st.integers(min_value=0, max_value=8),
    seed=st.integers(min_value=0, max_value=9),
)
def test_restarts_in_any_window_are_bounded_for_every_pattern_of_failures(
    lives: list[float], max_restarts: int, seed: int
) -> None:
    limits = RestartLimits(max_restarts=max_restarts)
    record = RestartRecord(limits, random.Random(seed))
    now, restarts = 0.0, []
    for lived_s in lives:
        now += lived_s
        delay = record.next_delay_s(now, lived_s)
        if delay is None:
            break
        restarts.append(now)
        now += delay
    for start in restarts:
        inside = [t for t in restarts if start <= t < start + limits.within_s]
        assert len(inside) <= max_restarts
    hours = [[t for t in restarts if s <= t < s + 3_600] for s in restarts]
    assert max(map(len, hours), default=0) <= max_restarts * 6
