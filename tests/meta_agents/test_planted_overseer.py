"""Faults of an earlier overseer, planted one by one: each is caught by what is held to here.

Those of its healer, of its meeting and of its loops are planted beside this file, and in the tests
of cadences. Ours breaks no promise; each mutant breaks what it was planted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, RootModel

from meta_agents.healing import Healer
from meta_agents.meeting.question import MeetingForm
from meta_agents.overseer import HealthPass, Overseer
from meta_agents.overseer_alerts import PREFIX, HealthAlerts
from meta_agents.overseer_evidence import Terms
from roboinvest.core.errors import BadReply
from roboinvest.core.events import AlertResolved
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import HealAttempt, Verdict
from roboinvest.core.oversight.health import Status, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals, VitalSigns
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.chat.schemas import response_format
from roboinvest.runtime.llm.filled_form import filled_in
from roboinvest.runtime.llm.provider import Reply
from tests.fakes.analysts import analyst
from tests.fakes.clocks import START, LoopClock
from tests.fakes.healing import Infirmary, Patient, infirmary
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import a_wish, told
from tests.meta_agents.test_overseer_alerts import Told

Broken = list[str]
HOUR_S = 3_600.0
AN_HOUR = 60  # looks


class RaisesEachLook(HealthAlerts):
    """Tells of the same condition at every look."""

    def tell(self, found: HealthPass, terms: Mapping[str, Terms]) -> None:
        self._told.clear()
        super().tell(found, terms)


class ResolvesByAge(HealthAlerts):
    """Takes an alert of an hour for one that is over."""

    looks = 0

    def tell(self, found: HealthPass, terms: Mapping[str, Terms]) -> None:
        super().tell(found, terms)
        self.looks += 1
        if self.looks % AN_HOUR == 0:
            for name in sorted(self.open):
                self._publish(AlertResolved(at=found.at, key=PREFIX + name, message="it is old"))


def one_alert_until_it_recovers(kind: type[HealthAlerts]) -> Broken:
    """A condition that lasts two hours is one alert, which its end resolves and nothing else."""
    scene = Told()
    scene.alerts = kind(lambda event: scene.said.append(event))
    scene.minutes(2 * AN_HOUR, "scout")
    lasting = [how for how, _, _ in scene.take()]
    scene.minutes(5)
    ended = [how for how, _, _ in scene.take()]
    broken = []
    if lasting.count("raised") != 1:
        broken.append(f"one condition was raised {lasting.count('raised')} times")
    if "resolved" in lasting:
        broken.append("it was resolved while it lasted")
    if ended != ["resolved"]:
        broken.append(f"its recovery was told as {ended}")
    return broken


def test_ours_raises_once_and_resolves_by_recovery() -> None:
    assert one_alert_until_it_recovers(HealthAlerts) == []


@pytest.mark.parametrize(
    ("mutant", "said"),
    [(RaisesEachLook, "was raised 120 times"), (ResolvesByAge, "was resolved while it lasted")],
)
def test_an_alert_a_minute_or_one_that_ends_by_age_is_caught(
    mutant: type[HealthAlerts], said: str
) -> None:
    broken = one_alert_until_it_recovers(mutant)
    assert any(said in each for each in broken), broken


class CountsTheLambda(Overseer):
    """Counts how often a function stands in a list of texts: never."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._found: list[Any] = []

    def count(self, name: str, by: int = 1) -> None:
        self._found += [name] * by

    def take_counts(self) -> Mapping[str, int]:
        return {"insights": self._found.count(lambda each: each == "insights")}


def insights_are_counted(folder: Path, kind: type[Overseer]) -> Broken:
    """What agents found out is what the hourly review writes down."""
    in_flight = InFlight()

    async def scene() -> Broken:
        clock = LoopClock()
        overseer = kind(clock)
        with analyst(folder, clock, in_flight, senses=overseer) as agent:
            overseer.count("insights", 2)
            overseer.count("insights")
            await agent.review(START)
            hour = START.replace(minute=0)
            rows = agent.figures.read(hourly.INSIGHTS, hour, hour + timedelta(hours=1))
            values = [value for _, value, _ in rows]
            return [] if values == [3.0] else [f"three insights are written down as {values}"]

    return run_virtual(scene, in_flight)


@pytest.mark.parametrize(("kind", "is_right"), [(Overseer, True), (CountsTheLambda, False)])
def test_insights_that_are_always_nought_are_caught(
    tmp_path: Path, kind: type[Overseer], is_right: bool
) -> None:
    assert (insights_are_counted(tmp_path, kind) == []) is is_right


class NeverForgets(Vitals):
    """Counts over a lifetime."""

    __slots__ = ("bad", "good")

    def __init__(self, began_at: float) -> None:
        super().__init__(began_at)
        self.good = self.bad = 0

    def succeeded(self, at: float, seconds: float) -> None:
        super().succeeded(at, seconds)
        self.good += 1

    def failed(self, at: float, fingerprint: str, seconds: float | None = None) -> None:
        super().failed(at, fingerprint, seconds)
        self.bad += 1

    def snapshot(self, now: float) -> VitalSigns:
        calls = self.good + self.bad
        return replace(
            super().snapshot(now),
            calls=calls,
            failed=self.bad,
            calls_lately=calls,
            failed_lately=self.bad,
        )


def the_past_is_forgotten(kind: type[Vitals]) -> Broken:
    """Who failed yesterday is well today, and who was well all year and fails now is not."""
    card, limits = AgentCard(name="a", kind=AgentKind.RESEARCH), Thresholds()
    cured, broke, broken = kind(0.0), kind(0.0), []
    for number in range(12):
        cured.failed(10.0 * number, "KeyError")
    now = 24 * HOUR_S
    for number in range(20):
        cured.succeeded(now - 10.0 * number, 0.1)
    cured.progressed(now)
    if judge(card, cured.snapshot(now), limits, START).status is not Status.HEALTHY:
        broken.append("errors of yesterday still count")
    for number in range(2_000):
        broke.succeeded(40.0 * number, 0.1)
    for number in range(20):
        broke.failed(now - 5.0 * number, "KeyError")
    broke.progressed(now)
    if judge(card, broke.snapshot(now), limits, START).status is not Status.FAILING:
        broken.append("successes of the past hide that all fails now")
    return broken


def test_ours_forgets() -> None:
    assert the_past_is_forgotten(Vitals) == []


def test_counters_of_a_lifetime_are_caught() -> None:
    assert len(the_past_is_forgotten(NeverForgets)) == 2


class ArrayForm(RootModel[list[dict[str, Any]]]):
    """Wants an array, where the model is held to an object."""


def an_object_is_asked_for(form: type[BaseModel]) -> Broken:
    """What a model that can say objects only may say is what the form takes."""
    assert response_format(form, "json_mode") == {"type": "json_object"}
    broken = []
    if form.model_json_schema().get("type") != "object":
        broken.append("the form is no object")
    try:
        filled_in(form, Reply(text=told(a_wish()), usage=None))
    except BadReply:
        broken.append("an answer in the asked form is refused")
    return broken


@pytest.mark.parametrize(("form", "is_right"), [(MeetingForm, True), (ArrayForm, False)])
def test_an_array_that_is_forced_into_an_object_is_caught(
    form: type[BaseModel], is_right: bool
) -> None:
    assert (an_object_is_asked_for(form) == []) is is_right


class ActingIsHealing(Healer):
    """Takes a rung that was pulled for a recovery."""

    async def _settle(self, attempt: HealAttempt) -> HealAttempt:
        return await self._close(attempt, Verdict.HEALED, "it was restarted", 0.0)


class GivesUp(Healer):
    """Does not say that a rung did not help, and so pulls no other."""

    async def _settle(self, attempt: HealAttempt) -> HealAttempt:
        return await self._close(attempt, Verdict.UNKNOWN, "who knows", None)


def the_next_rung_follows(folder: Path, healer: type[Healer]) -> Broken:
    """A recovery that does not recover leads on, and never to a resolved alert."""
    in_flight = InFlight()

    async def climb(place: Infirmary) -> Broken:
        for _ in range(12):
            await place.later(31)
        rows = place.rows()
        broken = [f"{rung} is called a recovery" for rung, end in rows if end is Verdict.HEALED]
        if len({rung for rung, _ in rows}) < 3:
            broken.append(f"it stayed on {sorted({rung.value for rung, _ in rows})}")
        if place.resolved():
            broken.append("an alert was resolved, and nothing had recovered")
        if not place.raised():
            broken.append("nobody was told that no rung is left")
        return broken

    async def scene() -> Broken:
        with infirmary(folder, in_flight, {"a": Patient(Cause.OWN_CODE)}, healer=healer) as place:
            return await climb(place)

    return run_virtual(scene, in_flight)


@pytest.mark.parametrize(
    ("healer", "is_right"), [(Healer, True), (ActingIsHealing, False), (GivesUp, False)]
)
def test_a_recovery_that_does_not_recover_leads_to_the_next_rung(
    tmp_path: Path, healer: type[Healer], is_right: bool
) -> None:
    broken = the_next_rung_follows(tmp_path, healer)
    assert (broken == []) is is_right, broken
