"""What news comes to, and how little it may do with it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.news.factor import MOST_RECORDS, factor_of, tilt
from roboinvest.core.news.gate import TaintGate
from roboinvest.core.orders import Action, Decision
from roboinvest.core.text.trust import Trust
from tests.fakes.news import NOON, TEXTS, factor, record

HOUR = timedelta(hours=1)
BUY = Decision(
    tick_id="t",
    agent_id="house",
    revision_id="r",
    symbol="ACME",
    action=Action.BUY,
    conviction=0.5,
    confidence=0.5,
    stop=Decimal(98),
    target=Decimal(104),
    reasons=(),
    summary="",
    source="rules",
    similar_setups=0,
    similar_mean_r=0.0,
    cost_usd=Decimal(0),
    latency_ms=0.0,
)


def test_records_decay_with_their_half_life() -> None:
    good, bad = record(0, age=HOUR), record(1, sentiment=-1.0, age=3 * HOUR)
    made = factor_of("ACME", [good, bad], NOON, 2 * HOUR)
    up, down = 0.5**0.5, 0.5**1.5
    assert made is not None
    assert made.tone == pytest.approx((up - down) / (up + down), abs=1e-5)
    assert [voice.items for voice in made.voices] == [("n1",), ("n0",)]


def test_records_of_other_symbols_and_of_the_future_are_not_known() -> None:
    other, future = record(0, symbols=("OTHER",)), record(1, age=-timedelta(microseconds=1))
    assert factor_of("ACME", [other, future], NOON) is None
    assert factor_of("ACME", [record(0)], NOON) is not None


def test_a_confidence_below_one_draws_towards_neutral() -> None:
    sure, unsure = (factor_of("ACME", [record(0, confidence=c)], NOON) for c in (1.0, 0.25))
    assert sure is not None
    assert unsure is not None
    assert (sure.tone, unsure.tone) == (1.0, 0.25)


def test_a_flood_of_one_voice_weighs_as_much_as_one_record() -> None:
    flood = [replace(record(0), item_id=f"f{n}") for n in range(50)]
    made = factor_of("ACME", [*flood, record(1, sentiment=-1.0)], NOON)
    assert made is not None
    assert made.tone == 0.0
    assert len(made.voices) == 2


def test_only_the_newest_records_of_a_flood_are_looked_at() -> None:
    flood = [replace(record(0, age=n * timedelta(minutes=1)), item_id=f"f{n}") for n in range(99)]
    made = factor_of("ACME", flood, NOON)
    assert made is not None
    assert sum(len(voice.items) for voice in made.voices) == MOST_RECORDS
    assert made.voices[0].items[-1] == "f0"


def test_a_factor_is_a_strangers_word() -> None:
    made = factor(0.5, -0.5)
    assert made.taint.trust is Trust.STRANGER
    assert made.taint.source == "herald+ledger"
    assert made.taint.at == NOON


@pytest.mark.parametrize(
    ("tones", "asked"),
    [
        ((), "1"),
        ((1.0,), "1"),
        ((1.0, 1.0), "1.25"),
        ((-1.0, -1.0), "0.75"),
        ((0.5, 0.5), "1.125"),
        ((1.0, -0.2), "1"),  # one agrees with the tone
        ((1.0, 1.0, -0.5), "1.125"),
        ((0.0, 0.0), "1"),
    ],
)
def test_a_tilt_needs_two_voices_that_agree(tones: tuple[float, ...], asked: str) -> None:
    assert tilt(factor(*tones) if tones else None) == Decimal(asked)


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=4),
    st.decimals(0, 10**6, places=0),
)
def test_no_news_moves_a_size_beyond_a_quarter_or_to_nothing(
    tones: list[float], qty: Decimal
) -> None:
    sized = TaintGate().size(BUY, qty, factor(*tones), {"ACME"})
    assert abs(sized.qty - qty) <= qty / 4
    assert sized.qty == sized.qty.to_integral_value()
    assert (sized.qty > 0) == (qty > 0)
    assert bool(sized.text) == (sized.qty != qty)


def test_a_moved_size_says_by_whom() -> None:
    sized = TaintGate().size(BUY, Decimal(100), factor(0.5, 0.46), {"ACME"})
    assert sized.qty == 112
    assert sized.text == (
        "ACME: news moved the size 100 -> 112 (+12.0%): "
        "2 independent sources agree on a tone of +0.48"
    )


@pytest.mark.parametrize("asked", ["1.2501", "0.7499", "0", "-1", "100", "NaN", "Infinity"])
def test_a_wish_beyond_the_limit_is_refused_whole(asked: str) -> None:
    gate = TaintGate(lambda _: Decimal(asked))
    sized = gate.size(BUY, Decimal(100), factor(1.0, 1.0), {"ACME"})
    assert sized.qty == 100
    assert "nothing was moved" in sized.text


def test_news_of_another_symbol_moves_nothing() -> None:
    told = replace(factor(1.0, 1.0), symbol="OTHER")
    assert TaintGate().size(BUY, Decimal(100), told, {"ACME", "OTHER"}).qty == 100


@pytest.mark.parametrize("action", [Action.HOLD, Action.SELL])
def test_without_a_decided_entry_in_the_universe_there_is_no_size(action: Action) -> None:
    made = factor(1.0, 1.0)
    assert TaintGate().size(replace(BUY, action=action), Decimal(100), made, {"ACME"}).qty == 0
    assert TaintGate().size(BUY, Decimal(100), made, {"OTHER"}).qty == 0


@pytest.mark.parametrize(
    "figures",
    [{"sentiment": math.nan}, {"sentiment": 1.01}, {"confidence": -0.1}, {"confidence": math.inf}],
)
def test_a_record_out_of_range_cannot_be_made(figures: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is outside"):
        record(0, **figures)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="201 characters"):
        replace(record(0), quote="x" * 201)


def test_texts_of_these_tests_are_voices_of_their_own() -> None:
    assert len(TEXTS) == factor(1.0, 1.0, 1.0, 1.0).agreeing
