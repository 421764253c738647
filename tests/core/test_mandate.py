"""What a mandate is worth: absent, unsigned, tampered, contradictory, expired, in force."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.core.mandate import (
    Mandate,
    MandateState,
    MandateTerms,
    consent_hash,
    faults_of,
    in_words,
    signed,
    standing,
    state_of,
    within_hours,
)
from tests.fakes.mandates import EXPIRES_AT, SIGNED_AT, mandate, terms

AT = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
OTHERS: dict[str, Any] = {
    "universe": ("SPY",),
    "allow_short": True,
    "max_order_usd": Decimal("8000.01"),
    "max_position_usd": Decimal("9000.01"),
    "max_position_frac": Decimal("0.16"),
    "max_gross_frac": Decimal("0.41"),
    "max_daily_loss_usd": Decimal("1500.01"),
    "max_daily_loss_frac": Decimal("0.021"),
    "max_drawdown_frac": Decimal("0.081"),
    "max_trades_per_day": 6,
    "entries_from": time(9, 30),
    "entries_until": time(16, 0),
    "timezone": "America/Chicago",
    "expires_at": EXPIRES_AT + timedelta(seconds=1),
}
EDITED = replace(mandate(), terms=terms(max_order_usd=Decimal("8000.01")))
CONTRADICTORY = mandate(max_order_usd=Decimal("9000.01"))


@pytest.mark.parametrize(
    ("found", "live", "state", "entries"),
    [
        (None, False, MandateState.ABSENT, True),
        (None, True, MandateState.ABSENT, False),
        (Mandate(terms=terms()), False, MandateState.UNSIGNED, True),
        (Mandate(terms=terms()), True, MandateState.UNSIGNED, False),
        (EDITED, False, MandateState.TAMPERED, False),
        (EDITED, True, MandateState.TAMPERED, False),
        (CONTRADICTORY, False, MandateState.CONTRADICTORY, False),
        (CONTRADICTORY, True, MandateState.CONTRADICTORY, False),
        (mandate(expires_at=AT), False, MandateState.EXPIRED, False),
        (mandate(expires_at=AT), True, MandateState.EXPIRED, False),
        (mandate(), False, MandateState.IN_FORCE, True),
        (mandate(), True, MandateState.IN_FORCE, True),
    ],
)
def test_each_state_says_what_may_be_sent(
    found: Mandate | None, live: bool, state: MandateState, entries: bool
) -> None:
    under = standing(found, live, AT)
    assert (under.state, under.entries_allowed) == (state, entries)
    assert len(under.reason) > 20


def test_a_mandate_ends_at_its_last_second_and_not_before() -> None:
    before = EXPIRES_AT - timedelta(microseconds=1)
    assert standing(mandate(), True, before).entries_allowed
    ended = standing(mandate(), True, EXPIRES_AT)
    assert not ended.entries_allowed
    assert "expired at 2024-06-01 00:00 UTC, exits only" in ended.reason


@pytest.mark.parametrize("name", [field.name for field in fields(MandateTerms)])
def test_a_change_of_any_term_after_the_signature_is_noticed(name: str) -> None:
    edited = replace(mandate(), terms=terms(**{name: OTHERS[name]}))
    assert state_of(edited, AT)[0] is MandateState.TAMPERED


def test_a_signature_put_under_another_name_or_time_is_noticed() -> None:
    good = mandate()
    assert good.signature is not None
    other = replace(good.signature, signed_by="bob")
    later = replace(good.signature, signed_at=SIGNED_AT + timedelta(seconds=1))
    for signature in (other, later):
        assert state_of(replace(good, signature=signature), AT)[0] is MandateState.TAMPERED


def test_the_hash_is_of_the_meaning_and_not_of_the_spelling() -> None:
    one = terms(max_order_usd=Decimal("8000.00"), universe=("SPY", "QQQ"))
    assert consent_hash(one, by="ann", at=SIGNED_AT) == consent_hash(
        terms(), by="ann", at=SIGNED_AT
    )
    assert consent_hash(terms(universe=None), by="ann", at=SIGNED_AT) != consent_hash(
        terms(), by="ann", at=SIGNED_AT
    )


def test_a_signature_holds_whole_seconds_and_is_good_at_once() -> None:
    at = datetime(2024, 3, 4, 15, 0, 0, 123_456, tzinfo=UTC)
    fresh = signed(terms(), by="ann", at=at)
    assert fresh.signature is not None
    assert fresh.signature.signed_at == AT
    assert state_of(fresh, AT)[0] is MandateState.IN_FORCE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_order_usd": Decimal("9000.01")}, "max_order_usd 9000.01 is above max_position_usd"),
        ({"max_position_frac": Decimal("0.41")}, "max_position_frac 0.41 is above max_gross_frac"),
        ({"max_daily_loss_frac": Decimal("0.09")}, "above max_drawdown_frac 0.08"),
        ({"max_gross_frac": Decimal("1.01")}, "max_gross_frac is 1.01"),
        ({"max_order_usd": Decimal(0)}, "max_order_usd is 0, it must be above 0"),
        ({"max_order_usd": Decimal("NaN")}, "max_order_usd is NaN"),
        ({"max_drawdown_frac": Decimal("NaN")}, "max_drawdown_frac is NaN"),
        ({"max_trades_per_day": -1}, "max_trades_per_day is -1"),
        ({"universe": ()}, "universe is empty"),
        ({"entries_from": time(15, 30)}, "entries_from 15:30 is not before entries_until 15:30"),
        ({"timezone": "America/Nowhere"}, "timezone 'America/Nowhere' is unknown"),
        ({"timezone": "../etc"}, "is unknown"),
        ({"expires_at": SIGNED_AT}, "not after its signature"),
    ],
)
def test_a_contradiction_is_named_with_its_values(changes: dict[str, Any], words: str) -> None:
    assert words in next(faults_of(mandate(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"max_order_usd": Decimal(9_000)},
        {"max_position_frac": Decimal("0.40")},
        {"max_daily_loss_frac": Decimal("0.08")},
        {"max_gross_frac": Decimal(1)},
        {"max_trades_per_day": 0},
        {"entries_from": time(15, 29)},
        {"expires_at": SIGNED_AT + timedelta(seconds=1)},
    ],
)
def test_terms_that_only_touch_are_no_contradiction(changes: dict[str, Any]) -> None:
    assert list(faults_of(mandate(**changes))) == []


def test_the_hours_are_the_exchanges_own_also_after_the_clocks_change() -> None:
    winter, summer = (
        datetime(2024, 3, 4, 14, 45, tzinfo=UTC),
        datetime(2024, 3, 11, 13, 45, tzinfo=UTC),
    )
    for opens in (winter, summer):
        assert within_hours(terms(), opens)
        assert not within_hours(terms(), opens - timedelta(microseconds=1))
        assert within_hours(terms(), opens + timedelta(hours=5, minutes=44, seconds=59))
        assert not within_hours(terms(), opens + timedelta(hours=5, minutes=45))


def test_the_words_name_every_figure() -> None:
    text = " ".join(in_words(terms()))
    for figure in ("QQQ, SPY", "8,000.00", "9,000.00", "15.00%", "40.00%", "1,500.00", "2.00%"):
        assert figure in text
    for figure in ("8.00%", "5 entries", "09:45", "15:30", "America/New_York", "2024-06-01"):
        assert figure in text
    assert "never short" in text
    assert "any symbol" in in_words(terms(universe=None))[0]
