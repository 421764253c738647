"""From calls that fail to a figure that heals or does not, with the real vital signs between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from meta_agents.healing_ward import HealthWard
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.causes import Cause, Diagnosis
from roboinvest.core.oversight.health import AgentHealth, Status, judge
from roboinvest.core.oversight.ladder import Trait
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from tests.fakes.clocks import ManualClock

LIMITS = Thresholds()
CARD = AgentCard(name="feed", kind=AgentKind.SERVICE)
CAUSE = {"feed": Diagnosis(cause=Cause.DATA_GAP, reason="bars are 9 min old", rule="data is old")}


@dataclass
class Watched:
    """One agent, its vital signs, and the ward that hears of it every minute."""

    clock: ManualClock = field(default_factory=ManualClock)
    health: AgentHealth | None = None

    def __post_init__(self) -> None:
        self.vitals = Vitals(self.clock.monotonic())
        self.ward = HealthWard(self.clock, LIMITS, lambda name: frozenset({Trait.SUPERVISED}))

    def minute(
        self, *, well: int = 0, failed: int = 0, progress: bool = True, disk: float | None = None
    ) -> None:
        """Let a minute pass with so many calls, then hold a health pass."""
        for number in range(12):
            self.clock.advance(5.0)
            at = self.clock.monotonic()
            if progress:
                self.vitals.progressed(at)
            for _ in range(well // 12 + (number < well % 12)):
                self.vitals.succeeded(at, 0.1)
            for _ in range(failed // 12 + (number < failed % 12)):
                self.vitals.failed(at, "KeyError")
            if disk is not None:
                self.vitals.gauge("disk_frac", disk, at)
        now = self.clock.now()
        signs = self.vitals.snapshot(self.clock.monotonic())
        self.health = judge(CARD, signs, LIMITS, now, self.health)
        self.ward.take(now, {"feed": self.health}, CAUSE, {"feed": "feed"})

    def figure(self, metric: str, since: datetime) -> tuple[float, int]:
        """Return what is measured."""
        found = self.ward.measure("feed", metric, since)
        assert found is not None
        assert found.at == self.clock.now()
        return found.value, found.observations


def test_who_fails_is_sick_by_the_figure_that_gave_it_away_and_for_the_cause_that_was_found() -> (
    None
):
    place = Watched()
    for _ in range(3):
        place.minute(well=4, failed=20)
    sick = place.ward.sick()
    assert sick is not None
    (found,) = sick
    assert (found.agent, found.root, found.metric) == ("feed", "feed", "errors")
    assert found.cause is Cause.DATA_GAP
    assert found.value > 0.8
    assert found.limit == LIMITS.degraded_error_frac
    assert place.ward.traits("feed") == {Trait.SUPERVISED}


def test_only_calls_after_the_action_are_measured() -> None:
    place = Watched()
    for _ in range(5):
        place.minute(failed=24)
    since = place.clock.now()
    place.minute(well=24)
    assert place.figure("errors", since)[1] == 0  # half of the two minutes lie before it
    place.minute(well=24)
    place.minute(well=24)
    value, observations = place.figure("errors", since)
    assert value == 0.0
    assert observations > 20


def test_an_agent_that_calls_nobody_after_the_action_was_not_measured() -> None:
    place = Watched()
    for _ in range(5):
        place.minute(failed=24)
    since = place.clock.now()
    for _ in range(9):
        place.minute()
    assert place.figure("errors", since)[1] == 0
    for _ in range(5):
        place.minute()
    value, observations = place.figure("errors", since)
    assert observations == 0
    assert value == 0.0


def test_a_silence_and_a_full_disk_are_figures_too() -> None:
    place = Watched()
    for _ in range(6):
        place.minute(progress=False, disk=0.99)
    found = {each.what for each in (place.health.findings if place.health else ())}
    assert found == {"silence", "gauge disk_frac"}
    since = place.clock.now() - timedelta(minutes=6)
    assert place.figure("silence", since)[0] == pytest.approx(360.0)
    assert place.figure("gauge disk_frac", since)[0] == pytest.approx(0.99)
    assert place.figure("gauge disk_frac", since)[1] == 1
    place.minute(disk=0.5)
    assert place.figure("silence", since)[0] < 60
    assert place.figure("gauge disk_frac", since)[0] <= LIMITS.gauges["disk_frac"].degraded
    for _ in range(7):
        place.minute()
    assert place.figure("gauge disk_frac", since)[1] == 0  # nobody reads it any more


def test_what_is_merely_degraded_is_given_five_minutes() -> None:
    place = Watched()
    while place.health is None or place.health.status is Status.HEALTHY:
        place.minute(well=100, disk=0.93)
    assert place.health.status is Status.DEGRADED
    assert place.ward.sick() == ()
    for _ in range(6):
        place.minute(well=100, disk=0.93)
    sick = place.ward.sick()
    assert sick is not None
    assert [(each.metric, each.limit) for each in sick] == [("gauge disk_frac", 0.90)]


def test_before_the_first_health_pass_and_long_after_the_last_nobody_is_said_to_be_well() -> None:
    place = Watched()
    assert place.ward.sick() is None
    assert place.ward.measure("feed", "errors", place.clock.now()) is None
    place.minute(well=20)
    assert place.ward.sick() == ()
    place.clock.advance(601)
    assert place.ward.sick() is None


@pytest.mark.parametrize("by_s", [-86_400.0, -200.0, 200.0, 86_400.0])
def test_who_is_merely_degraded_is_healed_after_five_minutes_whatever_the_clock_is_set_to(
    by_s: float,
) -> None:
    place = Watched()
    for _ in range(30):
        place.minute(well=24)
    minutes = 0
    while not place.ward.sick():
        place.minute(well=16, failed=8)
        assert place.health is not None
        if place.health.status is Status.DEGRADED:
            minutes += 1
        if minutes == 3:
            place.clock.set_forward(by_s)
        assert minutes < 10
    assert minutes == 6  # it was seen so at the first of them


@pytest.mark.parametrize("by_s", [-3_600.0, 3_600.0])
def test_a_clock_that_is_set_between_two_passes_makes_no_figure_old_or_new(by_s: float) -> None:
    place = Watched()
    place.minute(well=24)
    since = place.clock.now() - timedelta(minutes=1)
    place.clock.set_forward(by_s)
    assert place.ward.sick() == ()
    seen = place.ward.measure("feed", "errors", since + timedelta(seconds=by_s))
    assert seen is not None
    assert seen.at == place.clock.now()
    assert seen.observations == 0  # a minute after the action is too soon, as it was before


def test_a_pass_says_nothing_once_it_is_old_for_looks_as_rare_as_these() -> None:
    place = Watched()
    place.minute(well=24)
    place.clock.advance(601.0)
    assert place.ward.sick() is None, "a minute apart"
    place.clock.advance(540.0)
    place.minute(well=24)
    place.clock.advance(1_200.0)
    assert place.ward.sick() == (), "twenty minutes apart"
    place.clock.advance(700.0)
    assert place.ward.sick() is None


def test_a_stranger_and_a_figure_that_is_gone_are_not_measured() -> None:
    place = Watched()
    place.minute(well=20)
    since = place.clock.now() - timedelta(minutes=1)
    assert place.ward.measure("stranger", "errors", since) is None
    assert place.ward.measure("feed", "gauge disk_frac", since) is None
    assert place.figure("latency", since)[0] == pytest.approx(0.1, rel=0.1)
    assert place.figure("leak memory_frac", since) == (0.0, 1)
