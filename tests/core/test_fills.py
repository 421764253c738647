"""The fill rules, each with figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadSettings
from roboinvest.core.fills import (
    FRICTIONLESS,
    STILL_OPEN,
    BarPrices,
    BracketExit,
    FillRules,
    affordable,
    bar_prices,
    fees,
    match_at_open,
    match_inside,
    reaches,
    resolve_bracket,
    slippage_bps,
    slipped,
)
from roboinvest.core.orders import Leg, OrderType, Side
from tests.fakes.markets import bar, minute

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
THROUGH = replace(FRICTIONLESS, limit_needs_trade_through=True)
TEN_BPS = replace(FRICTIONLESS, slippage_bps=D(10))


def prices(*row: float) -> BarPrices:
    return bar_prices(bar(minute(0), row), FRICTIONLESS)


def test_a_bar_is_put_on_the_grid_of_a_hundredth_of_a_cent() -> None:
    seen = bar_prices(
        bar(minute(0), (100.00004, 0.1 + 0.2, 1e-4, 99.99995), volume=155.0), FillRules()
    )
    assert (seen.open, seen.high, seen.low, seen.close) == (
        D("100.0000"),
        D("0.3000"),
        D("0.0001"),
        D("100.0000"),  # half to even: 99.99995 lies between 99.9999 and 100.0000
    )
    assert seen.capacity == D(15)  # a tenth of 155, whole shares


@pytest.mark.parametrize(("side", "price"), [(BUY, "100.1000"), (SELL, "99.9000")])
def test_f1_a_market_order_fills_at_the_open_with_slippage_against_us(
    side: Side, price: str
) -> None:
    assert match_at_open(MARKET, side, None, prices(100, 101, 99, 100), TEN_BPS) == D(price)
    assert match_inside(MARKET, side, None, prices(100, 101, 99, 100), TEN_BPS) is None


def test_f3_a_stop_fills_at_its_level_and_a_gap_beyond_it_at_the_open() -> None:
    touched, gap = prices(100, 101, 97, 98), prices(95, 96, 94, 95)
    assert match_at_open(STOP, SELL, D(98), touched, FRICTIONLESS) is None
    assert match_inside(STOP, SELL, D(98), touched, FRICTIONLESS) == D(98)
    assert match_at_open(STOP, SELL, D(98), gap, FRICTIONLESS) == D(95)
    up, gap_up = prices(100, 103, 99, 102), prices(105, 106, 104, 105)
    assert match_inside(STOP, BUY, D(102), up, FRICTIONLESS) == D(102)
    assert match_at_open(STOP, BUY, D(102), gap_up, FRICTIONLESS) == D(105)


def test_f3_a_stop_exactly_at_the_low_is_touched_and_a_tick_below_is_not() -> None:
    row = prices(100, 101, 98, 99)
    assert match_inside(STOP, SELL, D("98.00"), row, FRICTIONLESS) == D(98)
    assert match_inside(STOP, SELL, D("97.99"), row, FRICTIONLESS) is None


def test_f3_a_gap_beyond_a_limit_fills_at_the_better_open() -> None:
    assert match_at_open(LIMIT, BUY, D(98), prices(95, 99, 94, 97), FRICTIONLESS) == D(95)
    assert match_at_open(LIMIT, SELL, D(102), prices(105, 106, 101, 103), FRICTIONLESS) == D(105)


def test_f4_a_limit_needs_the_market_to_trade_through_it_by_one_tick() -> None:
    touch, through = prices(100, 101, 98, 99), prices(100, 101, 97.99, 99)
    assert match_inside(LIMIT, BUY, D(98), touch, THROUGH) is None
    assert match_inside(LIMIT, BUY, D(98), touch, FRICTIONLESS) == D(98)
    assert match_inside(LIMIT, BUY, D(98), through, THROUGH) == D(98)
    assert match_at_open(LIMIT, SELL, D(100), prices(100, 100, 99, 99), THROUGH) is None
    assert match_inside(LIMIT, SELL, D(100), prices(100, 100.01, 99, 99), THROUGH) == D(100)


def test_f4_below_one_dollar_the_tick_is_a_hundredth_of_a_cent() -> None:
    assert match_inside(LIMIT, BUY, D("0.50"), prices(0.6, 0.6, 0.4999, 0.5), THROUGH) == D("0.50")
    assert match_inside(LIMIT, BUY, D("0.50"), prices(0.6, 0.6, 0.5, 0.5), THROUGH) is None


def test_f6_limits_have_no_slippage_and_stops_have_it_beyond_their_level() -> None:
    row = prices(100, 103, 97, 98)
    assert match_inside(LIMIT, SELL, D(102), row, TEN_BPS) == D(102)
    assert match_inside(STOP, SELL, D(98), row, TEN_BPS) == D("97.902")
    assert match_inside(STOP, BUY, D(102), row, TEN_BPS) == D("102.102")


def test_f6_slippage_may_pass_the_extreme_of_a_one_tick_bar_and_is_rounded_against_us() -> None:
    row = prices(0.5)
    rules = replace(FRICTIONLESS, slippage_bps=D(1))
    assert match_at_open(MARKET, BUY, None, row, rules) == D("0.5001")  # 0.50005 rounded up
    assert match_at_open(MARKET, SELL, None, row, rules) == D("0.4999")


def test_f6_a_sale_pays_each_regulatory_fee_rounded_up_to_the_cent() -> None:
    rules = FillRules()
    assert fees(SELL, D(100), D("500"), rules) == D("1.05")  # 1.03 SEC, 0.0195 -> 0.02 TAF
    assert fees(SELL, D(1), D("10"), rules) == D("0.02")  # a cent each
    assert fees(SELL, D(100_000), D("1"), rules) == D("11.85")  # 2.06 SEC, TAF capped at 9.79
    assert fees(BUY, D(100), D("500"), rules) == D(0)


def test_f6_commission_is_paid_on_both_sides_and_a_sale_never_costs_more_than_it_brings() -> None:
    rules = FillRules(commission_per_share_usd=D("0.0035"))
    assert fees(BUY, D(100), D(10), rules) == D("0.35")
    assert fees(SELL, D(100), D(10), rules) == D("0.35") + D("0.03") + D("0.02")
    assert fees(SELL, D("0.001"), D(1), rules) == D("0.001")


def test_f7_cash_buys_whole_shares_when_it_cannot_buy_all() -> None:
    rules = replace(FRICTIONLESS, commission_per_share_usd=D("0.001"))
    assert affordable(D(10), D(100), D("1000.01"), rules) == D(10)
    assert affordable(D(10), D(100), D("1000.00"), rules) == D(9)  # the tenth needs a cent more
    assert affordable(D("0.5"), D(100), D(60), rules) == D("0.5")
    assert affordable(D("1.5"), D(100), D(120), rules) == D(1)
    assert affordable(D(10), D(100), D(-5), rules) == D(0)


def test_slippage_in_basis_points_is_positive_when_it_is_worse_for_us() -> None:
    assert slippage_bps(BUY, D("100.10"), D(100)) == pytest.approx(10)
    assert slippage_bps(SELL, D("100.10"), D(100)) == pytest.approx(-10)


# A long position with stop 98 and target 105, or its mirror image.
LONG = (SELL, D(98), D(105))
SHORT = (BUY, D(102), D(95))


@pytest.mark.parametrize(
    ("legs", "row", "expected"),
    [
        (LONG, (100, 104, 99, 103), STILL_OPEN),
        (LONG, (100, 104, 98, 99), BracketExit(leg=Leg.STOP, price=D(98))),
        (LONG, (100, 106, 99, 104), BracketExit(leg=Leg.TARGET, price=D(105))),
        (LONG, (97, 106, 96, 104), BracketExit(leg=Leg.STOP, price=D(97), at_open=True)),
        (LONG, (107, 108, 90, 91), BracketExit(leg=Leg.TARGET, price=D(107), at_open=True)),
        (SHORT, (100, 101, 96, 97), STILL_OPEN),
        (SHORT, (100, 102, 96, 97), BracketExit(leg=Leg.STOP, price=D(102))),
        (SHORT, (100, 101, 94, 96), BracketExit(leg=Leg.TARGET, price=D(95))),
        (SHORT, (103, 104, 90, 91), BracketExit(leg=Leg.STOP, price=D(103), at_open=True)),
        (SHORT, (93, 110, 92, 109), BracketExit(leg=Leg.TARGET, price=D(93), at_open=True)),
    ],
)
def test_f3_a_bracket_is_resolved_at_the_open_then_by_the_stop_then_by_the_target(
    legs: tuple[Side, Decimal, Decimal], row: tuple[float, ...], expected: BracketExit
) -> None:
    assert resolve_bracket(*legs, prices(*row), FRICTIONLESS) == expected


@pytest.mark.parametrize(("legs", "stop", "target"), [(LONG, 98, 105), (SHORT, 102, 95)])
def test_f3_when_both_levels_are_touched_it_is_the_stop_and_the_result_says_so(
    legs: tuple[Side, Decimal, Decimal], stop: int, target: int
) -> None:
    assert resolve_bracket(*legs, prices(100, 106, 94, 100), FRICTIONLESS) == BracketExit(
        leg=Leg.STOP, price=D(stop), ambiguous=True, optimistic=D(target)
    )


def test_f3_a_bracket_may_lack_either_leg() -> None:
    row = prices(100, 106, 94, 100)
    assert resolve_bracket(SELL, None, D(105), row, FRICTIONLESS).leg is Leg.TARGET
    assert resolve_bracket(SELL, D(98), None, row, FRICTIONLESS).leg is Leg.STOP
    assert resolve_bracket(SELL, None, None, row, FRICTIONLESS) == STILL_OPEN


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # bought at 99 on the way down; what lies below 99 came after it for certain
        ((100, 101, 97, 99), BracketExit(leg=Leg.STOP, price=D(98))),
        # the high may have come before the entry: not taken, but said
        (
            (100, 106, 98.5, 100),
            BracketExit(leg=None, price=None, ambiguous=True, optimistic=D(105)),
        ),
        # the close proves that it came after
        ((100, 106, 98.5, 105.5), BracketExit(leg=Leg.TARGET, price=D(105))),
        (
            (100, 106, 97, 105.5),
            BracketExit(leg=Leg.STOP, price=D(98), ambiguous=True, optimistic=D(105)),
        ),
    ],
)
def test_f3_after_a_limit_entry_inside_the_bar_only_what_must_have_come_later_is_kind(
    row: tuple[float, ...], expected: BracketExit
) -> None:
    assert resolve_bracket(*LONG, prices(*row), FRICTIONLESS, entered=LIMIT) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # bought at 103 on the way up; what lies above 103 came after it for certain
        ((100, 106, 99, 104), BracketExit(leg=Leg.TARGET, price=D(105))),
        # the low may have come before the entry: taken as the worst, and said
        (
            (100, 104, 97, 103),
            BracketExit(leg=Leg.STOP, price=D(98), ambiguous=True, optimistic=None),
        ),
        # an open below the stop lies before the entry and is no gap
        ((97, 104, 96, 97.5), BracketExit(leg=Leg.STOP, price=D(98))),
    ],
)
def test_f3_after_a_stop_entry_inside_the_bar_the_worst_is_assumed(
    row: tuple[float, ...], expected: BracketExit
) -> None:
    assert resolve_bracket(*LONG, prices(*row), FRICTIONLESS, entered=STOP) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"slippage_bps": D(-1)},
        {"slippage_bps": D(10_000)},
        {"sec_fee_rate": D("NaN")},
        {"volume_share": D(0)},
        {"volume_share": D("1.1")},
    ],
)
def test_rules_under_which_a_fill_could_pay_us_are_refused(wrong: dict[str, Decimal]) -> None:
    with pytest.raises(BadSettings):
        FillRules(**wrong)  # type: ignore[arg-type]


CENTS = st.integers(min_value=100, max_value=20_000).map(lambda n: D(n) / 100)


@st.composite
def any_bar(draw: st.DrawFn) -> BarPrices:
    low, opened, close, high = sorted(draw(st.tuples(CENTS, CENTS, CENTS, CENTS)))
    if draw(st.booleans()):
        opened, close = close, opened
    return BarPrices(open=opened, high=high, low=low, close=close, capacity=None)


@given(any_bar(), CENTS, st.sampled_from(OrderType), st.sampled_from(Side), st.booleans())
def test_no_fill_before_slippage_lies_outside_the_bar_or_beyond_the_limit(
    row: BarPrices, level: Decimal, kind: OrderType, side: Side, touch: bool
) -> None:
    rules = replace(FRICTIONLESS, limit_needs_trade_through=not touch)
    for match in (match_at_open, match_inside):
        price = match(kind, side, level, row, rules)
        if price is None:
            continue
        assert reaches(kind, side, level, row)
        assert row.low <= price <= row.high
        if kind is LIMIT:
            assert (level - price) * side.sign >= 0  # never worse than the limit
        if kind is STOP:
            assert (price - level) * side.sign >= 0  # never better than the stop


@given(any_bar(), CENTS, CENTS, st.sampled_from(Side))
def test_the_assumed_exit_is_never_better_than_the_optimistic_one(
    row: BarPrices, stop: Decimal, target: Decimal, side: Side
) -> None:
    if (target - stop) * side.sign >= 0:
        return  # a sale has its target above its stop
    found = resolve_bracket(side, stop, target, row, FRICTIONLESS)
    if found.ambiguous:
        assert found.price is not None
        assert found.optimistic is not None
        assert (found.price - found.optimistic) * side.sign > 0
        assert not found.at_open


@given(CENTS, st.sampled_from(Side), st.integers(min_value=0, max_value=300))
def test_slippage_never_pays_us(price: Decimal, side: Side, bps: int) -> None:
    worse = slipped(price, side, replace(FRICTIONLESS, slippage_bps=D(bps)))
    assert (worse - price) * side.sign >= 0
    assert abs(worse - price) < price * bps / 10_000 + D("0.0001")


@given(
    CENTS,
    st.integers(min_value=1, max_value=10**6),
    st.integers(min_value=-100, max_value=10**9),
    st.integers(min_value=0, max_value=100),
)
def test_what_is_affordable_is_paid_by_the_cash_and_one_share_more_is_not(
    price: Decimal, qty: int, cash_cents: int, commission: int
) -> None:
    cash = D(cash_cents) / 100
    rules = replace(FRICTIONLESS, commission_per_share_usd=D(commission) / 10_000)
    bought = affordable(D(qty), price, cash, rules)

    def cost(shares: Decimal) -> Decimal:
        return shares * price + fees(BUY, shares, price, rules)

    assert 0 <= bought <= qty
    if bought:
        assert cost(bought) <= cash
    if bought < qty:
        assert cost(bought + 1) > cash
