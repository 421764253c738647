"""The roster: what it takes, what it refuses in a sentence, and who needs whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.agents import MAX_NAMES, AgentCard, AgentKind, Roster, card_of


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
