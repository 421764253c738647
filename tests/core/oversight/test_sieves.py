"""Who is nowhere near a limit is not looked at closely, and nothing is missed by that."""

from __future__ import annotations

import random
from typing import Final

import pytest

from roboinvest.core.oversight import health
from roboinvest.core.oversight.health import Finding, Status
from roboinvest.core.oversight.thresholds import GaugeLimit, Thresholds
from roboinvest.core.oversight.vitals import Vitals, VitalSigns
from tests.fakes.clocks import START

DAY_S: Final = 86_400.0
LIMITS: Final = Thresholds(
    gauges={
        "fills": GaugeLimit(degraded=0.9, failing=0.95),
        "level": GaugeLimit(degraded=0.5, failing=0.9, fills=False),
    },
    slow_s=5.0,
)
# With anything known all is looked at; what is called so holds nothing else open.
CLOSELY: Final = {
    "nothing": Finding(what="nothing", status=Status.DEGRADED, text="", since=START),
}


def found(signs: VitalSigns) -> tuple[list[object], list[object]]:
    """Return what is found with the sieves, and what is found where all is looked at."""
    return list(health._seen(signs, LIMITS, {})), list(health._seen(signs, LIMITS, CLOSELY))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("subject", ["fills", "level", "free", "calls"])
def test_the_sieves_let_everything_through_that_any_rule_finds(subject: str, seed: int) -> None:
    """One figure at a time, so that no other one lets it through."""
    chance = random.Random(seed)
    vitals, at, finds, passed_by, height = Vitals(0.0), 0.0, 0, 0, 1.0
    for step in range(3_000):
        at += chance.choice((15.0, 60.0, 60.0, 60.0, 3_600.0))
        if step % 10 == 0:  # most of its time as always, and then for a while not
            is_new = at > 7.5 * DAY_S and chance.random() < 0.3
            higher = chance.choice((1.3, 1.7, 2.4, 3.2)) * (1.0 + step / 1_000)
            height = higher if is_new else 1.0
        vitals.progressed(at)
        if subject == "calls":
            for _ in range(chance.choice((1, 5, 30))):
                vitals.succeeded(at, 0.3 * height**2 * chance.lognormvariate(0.0, 0.2))
        else:
            vitals.gauge(subject, 0.28 * height + 0.01 * chance.random(), at)
        signs = vitals.snapshot(at)
        sieved, whole = found(signs)
        assert sieved == whole
        finds += bool(whole)
        passed_by += not (
            health._may_be_slow(signs, LIMITS) or health._may_stand_high(signs, LIMITS)
        )
    assert finds  # there was something to miss
    assert passed_by > 300  # and most need no second look


def test_a_steady_rise_to_the_limit_passes_the_sieve() -> None:
    vitals, leaks = Vitals(0.0), 0
    for reading in range(600):
        at = 20.0 * reading
        vitals.progressed(at)
        vitals.gauge("fills", 0.2 + max(reading - 500, 0) * 0.007, at)
        sieved, whole = found(vitals.snapshot(at))
        assert sieved == whole
        leaks += bool(sieved)
    assert leaks > 10


def test_a_slow_agent_of_which_nothing_is_known_yet_passes_the_sieve() -> None:
    vitals = Vitals(0.0)
    for step in range(30):
        vitals.progressed(20.0 * step)
        vitals.succeeded(20.0 * step, 6.0)
    sieved, whole = found(vitals.snapshot(600.0))
    assert sieved == whole
    assert len(sieved) == 1


def test_signs_stay_as_they_were_taken_while_life_goes_on() -> None:
    vitals = Vitals(0.0)
    vitals.gauge("level", 0.2, 0.0)
    vitals.counter("insights", 3.0, 0.0)
    vitals.succeeded(0.0, 0.5)
    signs = vitals.snapshot(60.0)
    before = signs.gauges, signs.counters, signs.latency
    for step in range(100):
        vitals.gauge("level", 0.9, 70.0 + step)
        vitals.counter("insights", 50.0, 70.0 + step)
        vitals.succeeded(70.0 + step, 30.0)
    assert (signs.gauges, signs.counters, signs.latency) == before
    assert signs.gauges[0].value == 0.2
