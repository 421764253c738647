"""The disguise: it keeps every order and every clock, and gives nothing true away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.runtime.llm.hindsight.disguise import RunDisguise

STAMP = {"mode": "replay", "symbols": ["AAPL", "MSFT", "SPY"], "from": "2011-01-03"}
SYMBOLS = ("AAPL", "MSFT", "SPY")
NEW_YORK = ZoneInfo("America/New_York")
SPLITS = (1 / 2, 2 / 3, 3 / 4, 4 / 5, 1, 5 / 4, 4 / 3, 3 / 2, 2)

stamps = st.integers(0, 10_000).map(lambda seed: {"mode": "replay", "seed": seed})
prices = st.floats(0.01, 10_000, allow_nan=False).map(lambda price: round(price, 4))
instants = st.integers(9_131 * 86_400, 23_741 * 86_400).map(  # 1995 to 2035
    lambda second: datetime.fromtimestamp(second, UTC)
)
sessions = instants.map(
    lambda at: at.astimezone(NEW_YORK).replace(hour=9 + at.minute % 7).astimezone(UTC)
)


def disguise(stamp: object = None) -> RunDisguise:
    return RunDisguise(stamp or STAMP, SYMBOLS)  # type: ignore[arg-type]


def test_the_same_run_wears_the_same_disguise_and_another_one_does_not() -> None:
    one, same, other = disguise(), disguise(dict(reversed(STAMP.items()))), disguise({"seed": 1})
    at = datetime(2011, 1, 3, 15, tzinfo=UTC)
    assert one.key == same.key != other.key
    assert one.moment(at) == same.moment(at) != other.moment(at)
    assert one.price("SPY", 127.05) == same.price("SPY", 127.05) != other.price("SPY", 127.05)
    assert [one.label(s) for s in SYMBOLS] == [same.label(s) for s in SYMBOLS]


def test_symbols_become_numbers_that_are_not_in_the_order_of_the_alphabet() -> None:
    symbols = [f"T{number:03}" for number in range(150)]
    labels = [RunDisguise(STAMP, symbols).label(symbol) for symbol in symbols]
    assert sorted(labels) == [f"S-{number:03}" for number in range(1, 151)]
    assert labels != sorted(labels)
    assert [RunDisguise(STAMP, symbols).symbol(label) for label in labels] == symbols


def test_a_stranger_has_no_disguise() -> None:
    with pytest.raises(BadInput, match="TSLA"):
        disguise().label("TSLA")
    with pytest.raises(BadInput, match="S-04"):
        disguise().symbol("S-04")
    with pytest.raises(BadInput):
        disguise().price("TSLA", 1.0)


@settings(deadline=None, max_examples=100)
@given(stamps, sessions)
def test_an_instant_keeps_weekday_and_exchange_clock_and_loses_its_year(
    stamp: dict[str, object], at: datetime
) -> None:
    there, here = disguise(stamp).moment(at).astimezone(NEW_YORK), at.astimezone(NEW_YORK)
    assert there.weekday() == here.weekday()
    assert there.time() == here.time()
    assert 89 <= there.year - here.year <= 151
    assert (there.date() - here.date()).days % 7 == 0
    assert (there.month, there.day) != (here.month, here.day)


@settings(deadline=None, max_examples=100)
@given(stamps, sessions, sessions)
def test_instants_of_sessions_keep_their_order(
    stamp: dict[str, object], one: datetime, other: datetime
) -> None:
    worn = disguise(stamp)
    assert (one < other) == (worn.moment(one) < worn.moment(other))


def test_the_season_is_not_told_by_the_distance_of_utc() -> None:
    winter = datetime(2011, 1, 3, 14, 31, tzinfo=UTC)
    shown = {disguise({"seed": seed}).moment(winter).hour for seed in range(40)}
    assert shown == {13, 14}, "the same opening, in a summer and in a winter"
    months = {disguise({"seed": seed}).moment(winter).month for seed in range(200)}
    assert {3, 4, 5, 6, 7, 8, 9, 10, 11} <= months


@settings(deadline=None, max_examples=100)
@given(stamps)
def test_a_factor_is_no_split_and_never_near_one(stamp: dict[str, object]) -> None:
    worn = disguise(stamp)
    for symbol in SYMBOLS:
        factor = worn.price(symbol, 1.0)
        assert 0.5 <= factor <= 2.0
        assert abs(factor - 1) > 0.079
        assert min(abs(factor / split - 1) for split in SPLITS) > 0.0099


def test_each_symbol_has_a_factor_of_its_own() -> None:
    factors = {disguise().price(symbol, 1.0) for symbol in SYMBOLS}
    assert len(factors) == 3


@settings(deadline=None, max_examples=100)
@given(stamps, prices, prices)
def test_prices_keep_their_order_and_their_ratio_and_come_back(
    stamp: dict[str, object], one: float, other: float
) -> None:
    worn = disguise(stamp)
    shown, beside = worn.price("SPY", one), worn.price("SPY", other)
    assert (one <= other) <= (shown <= beside)
    if abs(one - other) > 1e-6 * max(one, other):
        assert (one < other) == (shown < beside)
    assert shown / beside == pytest.approx(one / other, rel=1e-6)
    assert worn.true_price("SPY", shown) == pytest.approx(one, rel=1e-6)


@settings(deadline=None, max_examples=100)
@given(stamps, st.integers(-5_000, 5_000).filter(bool), prices)
def test_shares_times_price_is_the_amount_in_disguise(
    stamp: dict[str, object], qty: int, price: float
) -> None:
    worn = disguise(stamp)
    shares = worn.shares("SPY", Decimal(qty))
    assert shares == shares.to_integral_value()
    assert (shares > 0) == (qty > 0)
    value = float(shares) * worn.price("SPY", price)
    exact = float(worn.usd(Decimal(repr(price)) * qty))
    assert value == pytest.approx(exact, abs=worn.price("SPY", price) + 0.01)


def test_nothing_held_stays_nothing_and_a_part_of_a_share_stays_a_part() -> None:
    assert disguise().shares("SPY", Decimal(0)) == 0
    part = disguise().shares("SPY", Decimal("-0.5"))
    assert -2 < part < 0
    assert disguise().shares("SPY", Decimal("0.00001")) > 0


def test_one_question_after_another_keeps_its_distance() -> None:
    worn, at = disguise(), datetime(2011, 3, 11, 20, tzinfo=UTC)  # the clocks change on the 13th
    later = at + timedelta(days=3, hours=-1)  # the same wall clock on Monday
    apart = worn.moment(later).astimezone(NEW_YORK).replace(tzinfo=None)
    apart_from = worn.moment(at).astimezone(NEW_YORK).replace(tzinfo=None)
    assert apart - apart_from == timedelta(days=3)
