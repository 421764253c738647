"""The vital signs: exact where they say so, within their bound elsewhere, and nothing for ever."""

from __future__ import annotations

import math
import random
import sys
import tracemalloc
from array import array
from collections.abc import Callable

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.vitals import MAX_COUNTERS, MAX_FINGERPRINTS, MAX_GAUGES, Vitals
from roboinvest.core.oversight.windows import (
    BUCKETS,
    GROWTH,
    LEAST_S,
    RELATIVE_ERROR,
    TREND_SIZE,
    Fading,
    Latencies,
    MinuteCounts,
    learn_trend,
    trend,
)

SEED = 20260106


def test_calls_of_the_last_ten_minutes_are_counted_exactly() -> None:
    vitals = Vitals(0.0)
    for number in range(40):
        at = 15.0 * number
        if number % 10 < 3:
            vitals.failed(at, "KeyError")
        else:
            vitals.succeeded(at, 0.1)
    signs = vitals.snapshot(599.0)
    assert (signs.calls, signs.failed) == (40, 12)
    assert signs.success_frac == pytest.approx(0.7)
    later = vitals.snapshot(599.0 + 600)
    assert (later.calls, later.failed, later.success_frac) == (0, 0, None)


def test_counts_equal_those_of_a_list_that_is_kept_whole() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    counts, events, at = MinuteCounts(), list[tuple[int, bool]](), 0.0
    for _ in range(3_000):
        at += rng.choice((0.0, 1.0, 20.0, 70.0, 700.0))
        failed = rng.random() < 0.3
        counts.add(at, failed=failed)
        events.append((int(at // 30), failed))
        now = at + rng.choice((0.0, 60.0, 200.0))
        for minutes in (2, 10):
            kept = [bad for slot, bad in events if slot > now // 30 - 2 * minutes]
            assert counts.read(now, minutes) == (len(kept), sum(kept))
        at = now


def test_an_event_that_comes_late_is_counted_as_new() -> None:
    counts = MinuteCounts()
    counts.add(600.0, failed=False)
    counts.add(590.0, failed=True)
    assert counts.read(601.0, 10) == (2, 1)


def test_half_of_a_sum_is_gone_after_its_half_life_and_never_more_than_was_there() -> None:
    fading = Fading(600.0, 0.0)
    fading.add(8.0, 0.0)
    assert fading.read(600.0) == pytest.approx(4.0)
    fading.add(1.0, 1200.0)
    assert fading.read(1200.0) == pytest.approx(3.0)
    assert fading.read(900.0) == pytest.approx(3.0)  # a moment in the past


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.lognormvariate(-1.0, 0.8),
        lambda rng: rng.uniform(0.001, 0.002),
        lambda rng: 0.01 if rng.random() < 0.6 else rng.uniform(5.0, 50.0),
        lambda rng: rng.expovariate(10.0),
    ],
    ids=["lognormal", "narrow", "two humps", "exponential"],
)
def test_a_quantile_is_within_its_bound_of_the_true_one(
    draw: Callable[[random.Random], float],
) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    values = [draw(rng) for _ in range(4_000)]
    latencies = Latencies(600.0, 0.0)
    for value in values:
        latencies.add(value, 0.0)
    ranked = sorted(max(value, LEAST_S) for value in values)
    for part in (0.01, 0.5, 0.95, 0.99, 1.0):
        true = ranked[math.ceil(part * len(ranked)) - 1]
        (found,) = latencies.quantiles(part)
        assert abs(found / true - 1) <= RELATIVE_ERROR
    assert math.sqrt(GROWTH) - 1 <= RELATIVE_ERROR
    assert pytest.approx(3996, rel=0.01) == LEAST_S * GROWTH**BUCKETS


def test_a_latency_out_of_range_counts_as_the_nearest_in_it() -> None:
    latencies = Latencies(600.0, 0.0)
    latencies.add(0.0, 0.0)
    assert latencies.quantiles(0.5)[0] == pytest.approx(LEAST_S, rel=0.1)
    latencies = Latencies(600.0, 0.0)
    latencies.add(1e9, 0.0)
    assert latencies.quantiles(0.5)[0] == pytest.approx(LEAST_S * GROWTH**BUCKETS, rel=0.1)
    assert Latencies(600.0, 0.0).quantiles(0.5, 0.9) == (0.0, 0.0)


def test_old_latencies_weigh_half_after_a_half_life_over_months() -> None:
    latencies = Latencies(60.0, 0.0)
    for month in range(1, 4):
        at = month * 2.6e6
        for _ in range(100):
            latencies.add(1.0, at)
        for _ in range(100):
            latencies.add(10.0, at + 120)
        assert latencies.weight(at + 120) == pytest.approx(125.0)
        assert latencies.quantiles(0.19)[0] == pytest.approx(1.0, rel=0.1)
        assert latencies.quantiles(0.21)[0] == pytest.approx(10.0, rel=0.1)


def test_a_trend_finds_the_slope_of_a_line_and_says_how_well_it_fits() -> None:
    line = array("d", bytes(8 * TREND_SIZE))
    assert trend(line, 0) == (0.0, 0.0)
    for second in range(0, 3_000, 30):
        learn_trend(line, 0, 600.0, (5.0 + 0.25 * second, 1e9 + second))
    slope, fit = trend(line, 0)
    assert slope == pytest.approx(0.25)
    assert fit == pytest.approx(1.0)
    rng, noise = random.Random(SEED), array("d", bytes(8 * TREND_SIZE))
    for second in range(0, 6_000, 30):
        learn_trend(noise, 0, 600.0, (rng.gauss(100.0, 5.0), float(second)))
    assert trend(noise, 0)[1] < 0.3


def test_silence_is_counted_from_the_last_progress_or_the_end_of_an_announced_wait() -> None:
    vitals = Vitals(100.0)
    assert vitals.snapshot(130.0).silent_s == 30.0
    vitals.progressed(140.0)
    assert vitals.snapshot(150.0).silent_s == 10.0
    vitals.waits(150.0, until=7_350.0)
    assert vitals.snapshot(7_000.0).silent_s == 0.0
    assert vitals.snapshot(7_400.0).silent_s == 50.0
    vitals.progressed(7_410.0)
    assert vitals.snapshot(7_415.0).silent_s == 5.0


def test_the_longest_gap_leaves_announced_waits_out() -> None:
    vitals, at = Vitals(0.0), 0.0
    while at < 90_000:
        vitals.progressed(at)
        vitals.waits(at, until=at + 590.0)
        at += 600.0
    longest = vitals.snapshot(at).longest_gap_s
    assert longest == pytest.approx(10.0, abs=0.5)


def test_errors_are_told_by_fingerprint_the_most_frequent_first_and_boundedly() -> None:
    vitals = Vitals(0.0)
    for number in range(1_000):
        vitals.failed(float(number) / 10, f"Error{number}" if number % 2 else "KeyError at x")
    prints = vitals.snapshot(100.0).fingerprints
    assert len(prints) == MAX_FINGERPRINTS
    assert prints[0][0] == "KeyError at x"
    assert prints[0][1] == pytest.approx(500, rel=0.1)
    vitals.failed(101.0, "x" * 5_000)
    assert max(len(name) for name, _ in vitals.snapshot(101.0).fingerprints) <= 120


def test_a_counter_is_a_pace_and_not_a_total() -> None:
    vitals, at = Vitals(0.0), 0.0
    while at < 86_400:
        at += 360.0
        vitals.counter("insights", 1, at)
    (insights,) = vitals.snapshot(at).counters
    assert insights.per_hour == pytest.approx(10, rel=0.25)
    assert insights.usual_per_hour == pytest.approx(10, rel=0.05)
    (insights,) = vitals.snapshot(at + 36_000).counters
    assert insights.per_hour == pytest.approx(0.0, abs=0.01)


def test_a_gauge_stands_only_at_what_two_readings_agree_on() -> None:
    vitals = Vitals(0.0)
    vitals.gauge("cpu_frac", 0.99, 0.0)
    assert vitals.snapshot(0.0).gauges[0].level is None
    vitals.gauge("cpu_frac", 0.10, 60.0)
    assert vitals.snapshot(60.0).gauges[0].level == 0.10
    vitals.gauge("cpu_frac", 0.97, 120.0)
    assert vitals.snapshot(120.0).gauges[0].level == 0.10
    vitals.gauge("cpu_frac", 0.96, 180.0)
    assert vitals.snapshot(180.0).gauges[0].level == 0.96
    assert vitals.snapshot(600.0).gauges[0].level is None  # read too long ago


@pytest.mark.parametrize(
    ("hand_in", "said"),
    [
        (lambda v: v.gauge("g", math.nan, 0.0), "the gauge g reads nan"),
        (lambda v: v.counter("c", -1, 0.0), "the counter c moved by -1"),
        (lambda v: v.succeeded(0.0, -0.1), "a call took -0.1 s"),
        (lambda v: v.failed(0.0, "x", math.inf), "a call took inf s"),
    ],
)
def test_what_is_no_figure_is_refused(hand_in: Callable[[Vitals], None], said: str) -> None:
    vitals = Vitals(0.0)
    with pytest.raises(BadInput, match=said):
        hand_in(vitals)
    assert vitals.snapshot(1.0).calls == 0


def test_names_are_bounded() -> None:
    vitals = Vitals(0.0)
    for number in range(MAX_GAUGES):
        vitals.gauge(f"g{number}", 1.0, 0.0)
    with pytest.raises(BadInput, match=f"one of {MAX_GAUGES + 1} gauges, and {MAX_GAUGES} are"):
        vitals.gauge("more", 1.0, 0.0)
    for number in range(MAX_COUNTERS):
        vitals.counter(f"c{number}", 1.0, 0.0)
    with pytest.raises(BadInput, match="counters"):
        vitals.counter("more", 1.0, 0.0)


def test_an_agent_that_does_all_there_is_weighs_less_than_ten_kilobytes() -> None:
    agents = 50
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    watched = [busy(number) for number in range(agents)]
    each = (tracemalloc.get_traced_memory()[0] - before) / len(watched)
    tracemalloc.stop()
    print(f"{each:.0f} bytes, python {sys.version_info[:2]}")
    assert each < 10_000


def busy(number: int) -> Vitals:
    """An agent with every gauge, counter and fingerprint there is room for."""
    vitals = Vitals(0.0)
    for step in range(30):
        at = step * 40.0
        vitals.progressed(at)
        vitals.succeeded(at, 0.3 + step)
        vitals.failed(at, f"an error of agent {number}, one of many: {step}", 1.5)
        for name in GAUGE_NAMES[:MAX_GAUGES]:
            vitals.gauge(name, 0.1 * step + number, at)
        for name in GAUGE_NAMES[:MAX_COUNTERS]:
            vitals.counter(name, 1.0 + step, at)
    return vitals


GAUGE_NAMES = tuple(f"name {number}" for number in range(max(MAX_GAUGES, MAX_COUNTERS)))
