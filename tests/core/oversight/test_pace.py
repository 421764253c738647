"""How fast an agent usually is: learned from what lasts, and not from the trouble itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from roboinvest.core.oversight.health import LATENCY, Status
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from tests.fakes.watched_agents import WatchedAgent

HOUR_S = 3_600.0


def calls(seconds: float) -> Callable[[Vitals, float], None]:
    def call(vitals: Vitals, at: float) -> None:
        vitals.progressed(at)
        vitals.succeeded(at, seconds)

    return call


def test_an_agent_that_stays_slow_is_not_called_well_because_it_got_used_to_it() -> None:
    agent = WatchedAgent(Thresholds())
    agent.live(1.5 * HOUR_S, calls(0.1))
    slow = agent.live(3 * HOUR_S, calls(2.0), every_s=5.0)
    assert {each.status for each in slow[2:]} == {Status.DEGRADED}
    well = agent.live(0.5 * HOUR_S, calls(0.1))
    assert well[-1].status is Status.HEALTHY


def test_a_pace_that_lasted_for_days_is_the_usual_one() -> None:
    agent = WatchedAgent(Thresholds())
    agent.live(1.5 * HOUR_S, calls(0.1), every_s=30.0)
    agent.live(60 * HOUR_S, calls(1.0), every_s=30.0)
    assert agent.status() is Status.HEALTHY


def test_many_calls_at_once_each_minute_are_enough_to_see_that_they_are_slow() -> None:
    agent = WatchedAgent(Thresholds())

    def burst(seconds: float) -> Callable[[Vitals, float], None]:
        def call(vitals: Vitals, at: float) -> None:
            vitals.progressed(at)
            for _ in range(3):
                vitals.succeeded(at, seconds)

        return call

    agent.now = 5.0  # ticks come 55 s after the calls
    agent.live(1.5 * HOUR_S, burst(0.1), every_s=60.0)
    agent.live(120.0, burst(2.0), every_s=60.0)
    assert agent.health is not None
    assert [each.what for each in agent.health.findings] == [LATENCY]


def test_what_comes_after_a_revision_is_judged_by_the_pace_before_and_by_nothing_else() -> None:
    old = Vitals(0.0)
    for number in range(1_000):
        old.succeeded(5.0 * number, 0.1)
        old.failed(5.0 * number, "KeyError")
    assert old.snapshot(5_000.0).latency is not None  # its usual pace is known from now on
    new = old.successor(5_000.0)
    signs = new.snapshot(5_000.0)
    assert (signs.calls, signs.failed, signs.age_s, signs.fingerprints) == (0, 0, 0.0, ())
    assert signs.latency is not None
    assert signs.latency.usual_p50_s is not None


def test_whose_calls_always_differed_widely_has_to_be_slower_than_one_whose_never_did() -> None:
    def lived(*usual: float) -> Status:
        agent = WatchedAgent(Thresholds())
        took = itertools.cycle(usual)
        agent.live(2 * HOUR_S, lambda vitals, at: calls(next(took))(vitals, at), every_s=10.0)
        agent.live(180.0, calls(0.59), every_s=10.0)
        return agent.status()

    assert lived(0.1) is Status.DEGRADED
    assert lived(*[0.1] * 17, 0.43, 0.43, 0.43) is Status.HEALTHY
