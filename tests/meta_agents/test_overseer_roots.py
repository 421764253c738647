"""Of several that fail, the Overseer names the one because of which the others do."""

from __future__ import annotations

import asyncio
import random

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.fingerprints import fingerprint_of, http_line
from roboinvest.core.oversight.health import Status
from tests.fakes.wards import Ward, card

SEED = 20260105


def raised(error: Exception) -> str:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 whatever was handed in
        return fingerprint_of(caught)


def test_what_fails_because_of_another_is_rooted_there() -> None:
    ward = Ward(card("store"), card("feed", "store"), card("scout", "feed"), card("other"))
    found = ward.look("store", "feed", "scout")
    assert {name: found.healths[name].status for name in found.healths} == {
        **dict.fromkeys(("store", "feed", "scout"), Status.OFFLINE),
        "other": Status.HEALTHY,
    }
    assert found.roots == dict.fromkeys(("store", "feed", "scout"), "store")
    assert found.causes["feed"].cause is Cause.DEPENDENCY


def test_who_is_to_blame_itself_is_its_own_root_and_that_of_those_behind_it() -> None:
    ward = Ward(card("store"), card("feed", "store"), card("scout", "feed"))
    ward.look("store")
    ward.fails("feed", raised(NameError("name 'prise' is not defined")))
    found = ward.look("store", "feed", "scout")
    assert found.causes["feed"].cause is Cause.OWN_CODE
    assert found.roots == {"store": "store", "feed": "feed", "scout": "feed"}


def test_what_is_merely_degraded_pulls_nobody_down() -> None:
    ward = Ward(card("machine"), card("feed", "machine"))
    at = ward.clock.monotonic
    for _ in range(4):
        ward.overseer.vitals("machine").gauge("cpu_frac", 0.9, at())
        ward.clock.advance(30.0)
    ward.fails("feed", raised(KeyError("close")))
    found = ward.look()
    assert found.roots["feed"] == "feed"


def test_two_independent_roots_stay_two() -> None:
    ward = Ward(card("store"), card("feed"), card("memory", "store"), card("monitor", "feed"))
    found = ward.look("store", "feed", "memory", "monitor")
    assert found.roots == {"store": "store", "memory": "store", "feed": "feed", "monitor": "feed"}


def test_an_agent_that_is_well_shields_those_behind_it() -> None:
    ward = Ward(card("store"), card("cache", "store"), card("page", "cache"))
    assert ward.look("store", "page").roots == {"store": "store", "page": "page"}


def test_siblings_of_a_failing_agent_are_not_blamed() -> None:
    ward = Ward(card("store"), card("a", "store"), card("b", "store"))
    assert ward.look("a", "b").roots == {"a": "a", "b": "b"}


def test_who_gets_over_it_later_still_follows_from_the_other_which_does_too() -> None:
    ward = Ward(card("store"), card("feed", "store"))
    followed: list[tuple[bool, str]] = []
    ward.succeeds("store", times=60)
    ward.fails("store", http_line(500), times=30)
    ward.fails("feed", http_line(500))
    found = ward.look()
    assert found.healths["store"].status is Status.DEGRADED
    assert found.roots == {"store": "store", "feed": "store"}
    while "store" in found.causes:
        ward.succeeds("store", times=50)
        ward.fails("feed", http_line(500), times=5)
        found = ward.look(after_s=30)
        followed.append((bool(found.healths["store"].findings), found.roots["feed"]))
    assert (False, "store") in followed, "it answered again and was not called well yet"
    assert followed[-1] == (False, "feed")


def test_every_root_is_unwell_and_has_nobody_unwell_below_it() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(50):
        names = [f"n{number}" for number in range(30)]
        cards = [
            card(name, *rng.sample(names[:place], min(place, rng.randint(0, 3))))
            for place, name in enumerate(names)
        ]
        rng.shuffle(cards)
        ward = Ward(*cards)
        failing = rng.sample(names, 12)
        roots = ward.look(*failing).roots
        assert set(roots) == set(failing)
        for name, root in roots.items():
            assert root in failing
            assert not set(ward.overseer.roster.card(root).dependencies) & set(failing)
            assert root == name or name in ward.overseer.roster.dependants(root)


def test_a_chain_of_thousands_is_followed() -> None:
    cards = [card("n0"), *(card(f"n{n}", f"n{n - 1}") for n in range(1, 5_000))]
    ward = Ward(*reversed(cards))
    ward.clock.advance(120.0)
    assert set(asyncio.run(ward.overseer.look()).roots.values()) == {"n0"}
