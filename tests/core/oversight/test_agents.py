"""The roster: what it takes, what it refuses in a sentence, and where a failure has its root."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.agents import MAX_NAMES, AgentCard, AgentKind, Roster, card_of

SEED = 20260105


def card(name: str, *needs: str, kind: AgentKind = AgentKind.SERVICE) -> AgentCard:
    return AgentCard(name=name, kind=kind, dependencies=needs)


def roster(*pairs: tuple[str, ...]) -> Roster:
    return Roster(card(*pair) for pair in pairs)


def test_an_agent_registers_with_the_metadata_of_the_seed() -> None:
    read = card_of(
        "enhanced_autonomous_agent",
        {
            "type": "research",
            "specialization": "alpha_hunting",
            "capabilities": ["market_analysis", "insight_generation"],
            "dependencies": ["data_fetcher", "calculator"],
        },
    )
    assert read == AgentCard(
        name="enhanced_autonomous_agent",
        kind=AgentKind.RESEARCH,
        specialization="alpha_hunting",
        capabilities=("market_analysis", "insight_generation"),
        dependencies=("data_fetcher", "calculator"),
    )
    house = roster(("data_fetcher",), ("calculator",))
    house.register(read)
    assert house.card("enhanced_autonomous_agent") is read
    assert list(house.cards) == ["data_fetcher", "calculator", "enhanced_autonomous_agent"]


@pytest.mark.parametrize(
    ("name", "metadata", "said"),
    [
        ("a", {}, "the type of a is missing; give one of service, trading"),
        ("a", {"type": "wizard"}, "the type of a is 'wizard'"),
        ("a", {"type": ["meta"]}, "the type of a is"),
        ("a", {"type": "meta", "specialization": 7}, "the specialization of a is '7'"),
        ("a", {"type": "meta", "dependancies": []}, "has dependancies; known are type"),
        ("a", {"type": "meta", "dependencies": "b"}, "the dependencies of a are 'b'; give a list"),
        ("a", {"type": "meta", "capabilities": [1]}, "the capabilities of a are"),
        ("a", {"type": "meta", "capabilities": ["x", "x"]}, "a has 2 capabilities"),
        ("a", {"type": "meta", "capabilities": [f"c{n}" for n in range(51)]}, f"most {MAX_NAMES}"),
        ("a", {"type": "meta", "dependencies": ["<b>"]}, "is no name of one of the dependencies"),
        ("", {"type": "meta"}, "is no name of an agent"),
        ("a\nb", {"type": "meta"}, "is no name of an agent"),
        ("a" * 121, {"type": "meta"}, "is no name of an agent"),
        ("a", ["type"], "the metadata of a is"),
    ],
)
def test_malformed_metadata_is_refused_in_a_sentence(
    name: str, metadata: Mapping[str, object], said: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        card_of(name, metadata)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_same_card_twice_is_taken_once_and_another_card_is_refused() -> None:
    house = roster(("a",))
    house.register(card("a"))
    assert len(house.cards) == 1
    with pytest.raises(BadInput, match=r"a is registered with another card \(service, no spec"):
        house.register(card("a", kind=AgentKind.META))
    with pytest.raises(BadInput, match="b is registered with another card"):
        house.register_all([card("b"), replace(card("b"), specialization="x")])
    assert list(house.cards) == ["a"]


def test_an_unknown_dependency_is_refused_and_nothing_is_taken() -> None:
    house = roster(("a",))
    with pytest.raises(BadInput, match="c depends on ghost, and nobody is called so"):
        house.register_all([card("b", "a"), card("c", "ghost")])
    assert list(house.cards) == ["a"]
    assert house.dependants("a") == ()


def test_agents_that_come_together_may_name_each_other_in_any_order_but_in_no_circle() -> None:
    house = roster(("a", "b"), ("b", "c"), ("c",))
    assert house.dependants("c") == ("a", "b")
    with pytest.raises(BadInput, match="x -> y -> z -> x; leave one out"):
        house.register_all([card("x", "y"), card("y", "z"), card("z", "x")])
    with pytest.raises(BadInput, match="selfish -> selfish"):
        house.register(card("selfish", "selfish"))
    with pytest.raises(BadInput, match="c -> a -> b -> c"):
        house.replace(card("c", "a"))
    assert house.card("c").dependencies == ()
    assert set(house.cards) == {"a", "b", "c"}


def test_a_card_is_replaced_with_what_it_needs() -> None:
    house = roster(("a",), ("b",), ("c", "a"))
    house.replace(card("c", "b"))
    assert house.dependants("a") == ()
    assert house.dependants("b") == ("c",)
    with pytest.raises(BadInput, match="no agent is called 'ghost'"):
        house.replace(card("ghost"))


def test_who_is_needed_is_not_retired() -> None:
    house = roster(("a",), ("b", "a"))
    with pytest.raises(Refused, match="a is needed by b; retire those first"):
        house.retire("a")
    house.retire("b")
    house.retire("a")
    assert house.cards == {}
    with pytest.raises(BadInput, match="no agent is called 'a'"):
        house.retire("a")


def test_what_fails_because_of_another_is_folded_under_the_deepest_root() -> None:
    house = roster(("store",), ("memory", "store"), ("playbook", "memory"), ("feed",))
    failing = ["playbook", "memory", "store"]
    assert house.roots(failing) == dict.fromkeys(failing, "store")


def test_two_independent_roots_stay_two() -> None:
    house = roster(("store",), ("feed",), ("memory", "store"), ("monitor", "feed"))
    assert house.roots(["memory", "monitor", "feed", "store"]) == {
        "memory": "store",
        "monitor": "feed",
        "feed": "feed",
        "store": "store",
    }


def test_an_agent_that_is_well_shields_those_behind_it() -> None:
    house = roster(("store",), ("cache", "store"), ("page", "cache"))
    assert house.roots(["store", "page"]) == {"store": "store", "page": "page"}


def test_siblings_of_a_failing_agent_are_not_blamed() -> None:
    house = roster(("store",), ("a", "store"), ("b", "store"))
    assert house.roots(["a", "b"]) == {"a": "a", "b": "b"}


def test_a_slow_dependency_is_the_root_of_those_that_run_out_of_time_only() -> None:
    house = roster(("store",), ("a", "store"), ("b", "store"), ("c", "a"))
    assert house.roots(["a", "b"], slow=["store"], timed_out=["a"]) == {"a": "store", "b": "b"}
    # A failing dependency is blamed before a slow one, and chains lead through both.
    assert house.roots(["a", "c"], slow=["store"], timed_out=["a"]) == {"a": "store", "c": "store"}


def test_a_name_that_is_not_on_the_roster_is_its_own_root() -> None:
    assert roster(("a",)).roots(["ghost", "a"]) == {"ghost": "ghost", "a": "a"}


def test_every_root_is_a_failing_agent_without_a_failing_dependency() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(200):
        names = [f"n{number}" for number in range(30)]
        cards = [
            card(name, *rng.sample(names[:place], min(place, rng.randint(0, 3))))
            for place, name in enumerate(names)
        ]
        rng.shuffle(cards)
        house = Roster(cards)
        failing = rng.sample(names, 12)
        roots = house.roots(failing)
        assert list(roots) == failing
        for name, root in roots.items():
            assert root in failing
            assert not set(house.card(root).dependencies) & set(failing)
            assert root == name or name in house.dependants(root)


def test_a_chain_of_ten_thousand_is_followed() -> None:
    cards = [card("n0"), *(card(f"n{n}", f"n{n - 1}") for n in range(1, 10_000))]
    house = Roster(reversed(cards))
    assert set(house.roots([each.name for each in cards]).values()) == {"n0"}
