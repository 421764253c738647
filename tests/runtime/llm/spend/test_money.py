"""Prices, amounts and caps: exact, rounded against us, and refused in one sentence."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.money import nano_allowed, nano_charged, usd_of, usd_text
from roboinvest.runtime.llm.spend.prices import ModelPrice, PriceTable
from tests.fakes.spending import PRICE

USD = st.decimals("0", "100000", allow_nan=False, allow_infinity=False)
TOKENS = st.integers(0, 10**9)


# Amounts


@given(USD)
def test_what_is_charged_is_rounded_up_and_what_is_allowed_down(usd: Decimal) -> None:
    assert usd_of(nano_allowed(usd)) <= usd <= usd_of(nano_charged(usd))
    assert nano_charged(usd) - nano_allowed(usd) == (Fraction(usd) * 10**9 % 1 > 0)


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity", "1000000.01"])
def test_what_is_no_amount_is_refused(usd: str) -> None:
    for turn in (nano_charged, nano_allowed):
        with pytest.raises(BadInput, match="no amount between 0 and 1000000 USD"):
            turn(Decimal(usd))


@pytest.mark.parametrize(
    ("usd", "text"), [("1", "1.00"), ("0.0123", "0.0123"), ("0", "0.00"), ("12.5", "12.50")]
)
def test_a_sentence_shows_cents_and_what_is_finer(usd: str, text: str) -> None:
    assert usd_text(Decimal(usd)) == text


# Prices


def test_a_million_of_each_cost_their_prices() -> None:
    million = 1_000_000
    assert PRICE.cost(input_tokens=million, cached_tokens=0, output_tokens=0) == Decimal("0.15")
    assert PRICE.cost(input_tokens=million, cached_tokens=million, output_tokens=0) == Decimal(
        "0.075"
    )
    assert PRICE.cost(input_tokens=0, cached_tokens=0, output_tokens=million) == Decimal("0.60")


@given(USD, USD, USD, TOKENS, TOKENS, TOKENS)
def test_a_cost_is_exact_but_for_the_last_nano_dollar(
    one: Decimal, other: Decimal, output: Decimal, read: int, cached: int, written: int
) -> None:
    price = ModelPrice(
        input_usd=max(one, other), cached_input_usd=min(one, other), output_usd=output
    )
    cost = price.cost(input_tokens=read, cached_tokens=cached, output_tokens=written)
    cached = min(cached, read)
    exact = (
        (read - cached) * Fraction(max(one, other))
        + cached * Fraction(min(one, other))
        + written * Fraction(output)
    ) / 10**6
    assert 0 <= Fraction(cost) - exact < Fraction(1, 10**9)


def test_without_a_price_of_their_own_cached_tokens_cost_what_others_do() -> None:
    price = ModelPrice(input_usd=Decimal(3), output_usd=Decimal(15))
    cost = price.cost(input_tokens=1000, cached_tokens=400, output_tokens=0)
    assert cost == Decimal("0.003")


def test_counts_that_make_no_sense_never_make_a_call_cheaper_than_nothing() -> None:
    assert PRICE.cost(input_tokens=-5, cached_tokens=-5, output_tokens=-5) == 0
    more_cached = PRICE.cost(input_tokens=1000, cached_tokens=5000, output_tokens=0)
    assert more_cached == PRICE.cost(input_tokens=1000, cached_tokens=1000, output_tokens=0)


def test_a_model_of_ones_own_may_cost_nothing() -> None:
    free = ModelPrice(input_usd=Decimal(0), output_usd=Decimal(0))
    assert free.cost(input_tokens=10**6, cached_tokens=0, output_tokens=10**6) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"input_usd": "-1"}, "input_usd = -1 is no price"),
        ({"output_usd": "NaN"}, "output_usd = NaN is no price"),
        ({"output_usd": "100001"}, "between 0 and 100000 USD per million"),
        ({"cached_input_usd": "4"}, "cached_input_usd = 4 is more than input_usd = 3"),
    ],
)
def test_a_price_that_is_none_is_refused(wrong: dict[str, str], said: str) -> None:
    prices = {"input_usd": "3", "output_usd": "15", **wrong}
    with pytest.raises(BadSettings, match=said):
        ModelPrice(**{name: Decimal(usd) for name, usd in prices.items()})  # type: ignore[arg-type]


def test_a_model_without_a_price_is_refused_with_the_lines_to_write() -> None:
    table = PriceTable({"some-model": PRICE})
    assert table.price("some-model") is PRICE
    assert (len(table), list(table)) == (1, ["some-model"])
    with pytest.raises(BadSettings) as refused:
        table.price('a "quoted" model')
    text = str(refused.value)
    assert r'[llm.models."a \"quoted\" model"]' in text
    assert all(name in text for name in ("input_usd", "cached_input_usd", "output_usd"))
    assert "\n" not in text


# Caps


@pytest.mark.parametrize("usd", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize(
    "name",
    ["day_usd", "day_ceiling_usd", "call_usd", "iteration_usd", "agent_day_usd", "month_usd"],
)
def test_a_cap_of_nothing_or_less_is_refused(name: str, usd: str) -> None:
    figures: dict[str, Any] = {"day_usd": Decimal(1), name: Decimal(usd)}
    with pytest.raises(BadSettings, match=f"{name} = .* is no cap") as refused:
        SpendCaps(**figures)
    assert "\n" not in str(refused.value)


def test_a_day_that_begins_above_its_ceiling_is_refused() -> None:
    with pytest.raises(BadSettings, match="day_usd = 2 is above its ceiling of 1 USD"):
        SpendCaps(day_usd=Decimal(2), day_ceiling_usd=Decimal(1))
    with pytest.raises(BadSettings, match="soft_frac = 0 is no share"):
        SpendCaps(day_usd=Decimal(2), soft_frac=Decimal(0))


def test_caps_come_back_from_text_as_they_were() -> None:
    caps = SpendCaps(
        day_usd=Decimal("0.10"), day_ceiling_usd=Decimal("1.00"), call_usd=Decimal("0.05")
    )
    assert SpendCaps.from_json(caps.to_json()) == caps
