"""A campaign of faults in a house that is overseen: noticed, named, healed or handed on, told once.

Each fault has a house of its own, which lives under virtual time: half an hour in peace, then an
hour and a half with the fault. Neighbours tick on as in a house without one. Every run of the tests
lives through one fault of each mechanism, and the campaign through all of them, with a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.events import AlertRaised, AlertResolved
from roboinvest.core.oversight.healing_record import HealAttempt, Verdict
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.overseen import NEIGHBOUR_S, World, lived
from tests.fakes.planted_faults import FAULTS, Fault

FEWEST = 44
TWO_LOOKS_S = 120.0
HEALED_WITHIN_S = 3_600.0  # after it began, or was gone; calm, and ten minutes of memory included
AFTER_MEND_S = 1_200.0
PHASE_S = 7.0  # after a look
MOST_ACTIONS = 3
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Seen:
    """What came of one fault."""

    fault: Fault
    world: World
    attempts: tuple[HealAttempt, ...]
    began_s: float

    @property
    def noticed_s(self) -> float | None:
        return self.world.first_sign((self.fault.agent,), self.began_s)

    @property
    def recovered_s(self) -> float | None:
        """After how many seconds every alert of it was resolved."""
        ends = [
            at
            for at, event in self.world.said
            if isinstance(event, AlertResolved) and at >= self.began_s
        ]
        is_open = any(alert.is_open for alert in self.world.board.alerts())
        return None if is_open or not ends else ends[-1] - self.began_s

    @property
    def is_named(self) -> bool:
        """Return whether the cause that was named first is right, and so is every root."""
        fault, world = self.fault, self.world
        if fault.says:
            said = (each.message for each in world.raised() if each.key.startswith(fault.agent))
            is_right = any(fault.says in text for text in said)
        else:
            is_right = world.cause_of(fault.agent, self.began_s) in fault.causes
        last_roots = {name: root for _, name, root in world.roots}
        return is_right and all(last_roots.get(who) == root for who, root in fault.folds.items())

    @property
    def verdicts(self) -> set[Verdict | None]:
        return {each.verdict for each in self.attempts}

    def line(self) -> str:
        noticed, recovered = (
            "-" if each is None else f"{each:.0f} s" for each in (self.noticed_s, self.recovered_s)
        )
        cause = self.world.cause_of(self.fault.agent, self.began_s) or "-"
        rungs = ", ".join(f"{each.rung} {each.verdict or 'open'}" for each in self.attempts[:3])
        return f"{self.fault.name:<58}{noticed:>7}{recovered:>9}  {cause:<14}{rungs}"


def seen_of(fault: Fault, folder: Path) -> Seen:
    """Live through a fault."""
    began_s, mends = fault.begins_s + PHASE_S, fault.mends

    def plant(world: World) -> None:
        world.at(began_s, lambda: fault.plant(world))
        if mends is not None:
            world.at(began_s + fault.mends_s, lambda: mends(world))

    lives_s = fault.begins_s + fault.lives_s
    world = lived(folder, lives_s, plant, furnish=fault.furnish, **fault.house)
    try:
        with OverseerFile.open(folder / FILE_NAME) as file:
            attempts = tuple(reversed(HealAttempts(file).newest(1_000)))
    except RoboInvestError:
        attempts = ()  # the file is what was broken
    return Seen(fault, world, attempts, began_s)


Living = Callable[[Fault], Seen]


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Living:
    """Return what lives through a fault, once."""
    lives: dict[str, Seen] = {}

    def live(fault: Fault) -> Seen:
        if fault.name not in lives:
            lives[fault.name] = seen_of(fault, tmp_path_factory.mktemp("house"))
        return lives[fault.name]

    return live


def is_noticed_within_two_looks_and_told_once(seen: Seen) -> None:
    fault, world = seen.fault, seen.world
    assert seen.noticed_s is not None
    assert seen.noticed_s <= TWO_LOOKS_S
    told = world.told_of(seen.began_s)
    if fault.tells is not None:
        assert set(told) == set(fault.tells)
    else:
        assert len(told) == 1, told
        assert told[0].endswith(fault.agent)
    assert world.told_of(0.0) == told, "nothing was told before the fault"


def is_healed_or_handed_on_in_time(seen: Seen) -> None:
    fault, end = seen.fault, seen.world.end
    assert end is not None
    pulled = {each.rung.value for each in seen.attempts if each.verdict is not Verdict.REFUSED}
    assert not fault.rung or fault.rung in pulled
    assert end.exit_code == (70 if fault.ends_in == "escalated" else 0)
    if fault.ends_in == "healed":
        assert Verdict.HEALED in seen.verdicts
        assert seen.recovered_s is not None
        assert seen.recovered_s <= HEALED_WITHIN_S
    elif fault.ends_in == "recovered":
        assert seen.recovered_s is not None
        assert seen.recovered_s <= fault.mends_s + AFTER_MEND_S
    elif fault.ends_in == "acted":
        assert any(alert.is_open for alert in seen.world.board.alerts()), "nothing recovered"


def claims_no_heal_that_was_none(seen: Seen) -> None:
    if seen.fault.ends_in != "healed" and not seen.fault.flaps:
        assert Verdict.HEALED not in seen.verdicts


def lets_others_tick_on(seen: Seen) -> None:
    fault, world = seen.fault, seen.world
    assert world.neighbour.runs == 1
    assert world.neighbour.missed == [0] * len(world.neighbour.ticks)
    last = world.neighbour.ticks[-1]
    assert len(world.neighbour.ticks) == 1 + round(last / NEIGHBOUR_S)
    if fault.ends_in != "escalated":
        lives_s = fault.begins_s + fault.lives_s
        assert last >= lives_s - 2 * NEIGHBOUR_S
        assert world.trading.ticks >= lives_s // 60


def acts_at_most_three_times_an_hour(seen: Seen) -> None:
    done = [each for each in seen.attempts if each.verdict is not Verdict.REFUSED]
    for each in done:
        others = (other for other in done if other.agent == each.agent)
        hour = [other for other in others if timedelta(0) <= other.at - each.at < HOUR]
        assert len(hour) <= MOST_ACTIONS


def check(seen: Seen) -> None:
    """Say of one fault all that has to hold of each."""
    is_noticed_within_two_looks_and_told_once(seen)
    is_healed_or_handed_on_in_time(seen)
    claims_no_heal_that_was_none(seen)
    lets_others_tick_on(seen)
    acts_at_most_three_times_an_hour(seen)
    seen.fault.proves(seen.world, seen.attempts)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, id=each.name, marks=() if each.is_sample else pytest.mark.campaign)
        for each in FAULTS
    ],
)
def test_a_fault_is_noticed_healed_or_handed_on_and_told_once(fault: Fault, living: Living) -> None:
    seen = living(fault)
    print(seen.line())
    check(seen)
    assert seen.is_named


def test_the_sample_has_a_fault_of_each_mechanism() -> None:
    assert len(FAULTS) >= FEWEST
    assert len({each.name for each in FAULTS}) == len(FAULTS)
    assert {each.mechanism for each in FAULTS if each.is_sample} == {
        each.mechanism for each in FAULTS
    }


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_at_least_nine_causes_in_ten_are_named_rightly(living: Living) -> None:
    found = [living(each) for each in FAULTS]
    print(f"\n{'fault':<58}{'seen':>7}{'well':>9}  {'cause':<14}rungs")
    for seen in found:
        print(seen.line())
    noticed = [each.noticed_s for each in found if each.noticed_s is not None]
    recovered = [each.recovered_s for each in found if each.recovered_s is not None]
    named = [each.fault.name for each in found if each.is_named]
    print(
        f"{len(noticed)} of {len(found)} noticed, after {sum(noticed) / len(noticed):.0f} s on "
        f"average; {len(recovered)} well again after {sum(recovered) / len(recovered):.0f} s; "
        f"{len(named)} causes named rightly"
    )
    wrong = {each.name for each in FAULTS} - set(named)
    assert len(wrong) <= len(FAULTS) // 10, wrong
    assert not any(
        event.key.startswith("agent.neighbour")
        for seen in found
        for _, event in seen.world.said
        if isinstance(event, AlertRaised)
    )
