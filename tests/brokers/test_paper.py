"""The paper broker: every fill rule, with figures worked out by hand, and what is refused.

`at(n)` is n minutes after the open of 2024-03-05. An order sent at at(0) lives from bar 0 on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from roboinvest.core.errors import OrderRejected
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.orders import Leg, OrderIntent, Settlement, Side, TimeInForce
from roboinvest.core.ports import Broker
from tests.fakes.markets import bar, intent, session, update
from tests.fakes.markets import minute as at
from tests.fakes.paper import FLAT, broker, holding, open_ids, prices, states, step

D = Decimal
GTC = TimeInForce.GTC
NEXT_DAY = date(2024, 3, 6)


def test_it_is_a_broker() -> None:
    port: Broker = broker()
    assert port.snapshot()


# Rules F1 to F7


async def test_f1_an_order_fills_at_the_open_of_the_first_bar_after_it_was_sent() -> None:
    paper = broker()
    await paper.submit(intent(mark="100"), at(1))
    assert (await step(paper, 0, 90, 90, 90, 90)).fills == ()  # the bar it was decided on
    filled = await step(paper, 1, 101, 102, 99, 100)
    assert prices(filled) == [("a-1", D(100), D(101))]
    assert filled.fills[0].filled_at == at(1)
    assert filled.fills[0].slippage_bps == pytest.approx(100)
    assert (await paper.account({})).cash == D(100_000) - 100 * 101


async def test_f1_nothing_fills_on_a_missing_or_a_suspended_bar_or_outside_the_session() -> None:
    paper = broker()
    await paper.submit(intent(), at(0))
    missing = update(at(1), bar(at(0), FLAT, symbol="QQQ"))
    halted = update(at(2), bar(at(1), FLAT), suspended={"SPY": "halted"})
    for nothing in (missing, halted):
        assert (await paper.settle(nothing)).fills == ()
    await paper.submit(intent("b", time_in_force=GTC), at(0))
    after = bar(session().closes_at, FLAT)
    assert (await paper.settle(update(after.closes_at, after))).fills == ()


async def test_f1_day_orders_die_at_the_real_close_of_a_half_day() -> None:
    half, paper = session(half_day=True), broker()
    await paper.settle(update(at(1), on=half))
    await paper.submit(intent("day", limit="90"), at(1))
    await paper.submit(intent("gtc", limit="90", time_in_force=GTC), at(1))
    early = await paper.settle(update(half.closes_at - timedelta(minutes=1), on=half))
    assert early.orders == ()
    closed = await paper.settle(update(half.closes_at, on=half))
    assert states(closed) == [("day", "expired")]
    assert closed.orders[0].updated_at == half.closes_at
    assert await open_ids(paper) == ["gtc"]


async def test_f1_a_day_order_left_over_from_an_earlier_session_never_fills() -> None:
    paper = broker()
    await paper.settle(update(at(1)))
    await paper.submit(intent("old", stop_loss="95"), at(1))
    seen = await paper.settle(update(at(1, NEXT_DAY), bar(at(0, NEXT_DAY), FLAT)))
    assert states(seen) == [("old", "expired"), ("old-s", "expired")]
    assert seen.fills == ()


async def test_f1_an_order_sent_at_the_close_belongs_to_the_next_session() -> None:
    paper, close = broker(), session().closes_at
    await paper.settle(update(close))
    await paper.submit(intent(), close)
    assert (await paper.settle(update(close))).orders == ()
    assert prices(await paper.settle(update(at(1, NEXT_DAY), bar(at(0, NEXT_DAY), FLAT)))) == [
        ("a-1", D(100), D(100))
    ]


async def test_f2_bracket_levels_stay_where_they_were_whatever_the_entry_fill() -> None:
    paper = broker()
    await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    await step(paper, 0, 104, 104, 104, 104)
    stop, target = await paper.open_orders()
    assert (stop.stop_price, target.limit_price) == (D(95), D(110))


async def test_f3_the_entry_bar_counts() -> None:
    paper = broker()
    await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    seen = await step(paper, 0, 100, 101, 94, 96)
    assert prices(seen) == [("a-1", D(100), D(100)), ("a-s-1", D(-100), D(95))]
    assert states(seen) == [
        ("a", "filled"),
        ("a-s", "accepted"),
        ("a-t", "accepted"),
        ("a-t", "cancelled"),
        ("a-s", "filled"),
    ]
    assert seen.fills[1].filled_at == at(1)
    assert paper.holdings() == {}
    assert await open_ids(paper) == []


async def test_f3_an_entry_that_opens_beyond_its_stop_is_stopped_at_that_open() -> None:
    paper = broker()
    await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    seen = await step(paper, 0, 93, 112, 92, 100)
    assert prices(seen) == [("a-1", D(100), D(93)), ("a-s-1", D(-100), D(93))]
    assert [fill.filled_at for fill in seen.fills] == [at(0), at(0)]


async def test_f3_gaps_fill_at_the_open_worse_for_a_stop_and_better_for_a_target() -> None:
    stopped = await holding(broker(), stop_loss="95", take_profit="110")
    assert prices(await step(stopped, 1, 90, 120, 90, 100)) == [("a-s-1", D(-100), D(90))]
    reached = await holding(broker(), stop_loss="95", take_profit="110")
    assert prices(await step(reached, 1, 115, 115, 80, 90)) == [("a-t-1", D(-100), D(115))]


async def test_f3_a_bar_that_touches_both_levels_is_a_stop_and_is_counted() -> None:
    paper = await holding(broker(), stop_loss="95", take_profit="110")
    seen = await step(paper, 1, 100, 111, 94, 100)
    assert prices(seen) == [("a-s-1", D(-100), D(95))]
    assert "kindest was 110 USD" in seen.orders[-1].note
    assert paper.counts().ambiguous == 1


async def test_f3_a_target_reached_before_a_limit_entry_may_have_filled_is_not_taken() -> None:
    paper = broker()
    await paper.submit(intent(limit="99", stop_loss="95", take_profit="105"), at(0))
    seen = await step(paper, 0, 100, 106, 98, 100)
    assert prices(seen) == [("a-1", D(100), D(99))]
    assert paper.counts().ambiguous == 1
    assert prices(await step(paper, 1, 100, 106, 99, 100)) == [("a-t-1", D(-100), D(105))]


async def test_f3_an_entry_that_fills_on_is_one_ambiguous_bar_not_two() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent(limit="99", stop_loss="95", take_profit="105"), at(0))
    await step(paper, 0, 100, 100, 98, 100, volume=400)
    seen = await step(paper, 1, 100, 106, 98, 100, volume=400)
    assert prices(seen) == [("a-2", D(40), D(99))]
    assert paper.counts().ambiguous == 1


async def test_f3_orders_due_at_an_open_come_before_any_other_whatever_their_symbol() -> None:
    """The cash of a target reached during the bar cannot pay a purchase at its open."""
    paper = await holding(broker("10000"), stop_loss="95", take_profit="110")
    await paper.submit(intent("q", symbol="QQQ"), at(1))
    rows = (bar(at(1), (100, 111, 99, 110)), bar(at(1), FLAT, symbol="QQQ"))
    seen = await paper.settle(update(at(2), *rows))
    assert states(seen)[0] == ("q", "rejected")
    assert prices(seen) == [("a-t-1", D(-100), D(110))]


async def test_f3_inside_a_bar_a_stop_takes_the_volume_before_an_older_limit() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent("older", limit="95"), at(0))
    await holding(paper, stop_loss="95")
    seen = await step(paper, 1, 100, 100, 94, 94, volume=1000)
    assert prices(seen) == [("a-s-1", D(-100), D(95))]


async def test_f4_a_limit_order_waits_until_the_market_trades_through_it() -> None:
    paper = broker(rules=replace(FRICTIONLESS, limit_needs_trade_through=True))
    await paper.submit(intent(limit="98"), at(0))
    assert (await step(paper, 0, 100, 100, 98, 99)).fills == ()
    assert prices(await step(paper, 1, 100, 100, 97.99, 99)) == [("a-1", D(100), D(98))]


async def test_f5_a_fill_takes_its_share_of_the_volume_and_the_rest_stays() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    first = await step(paper, 0, volume=305)
    assert states(first) == [("a", "partial"), ("a-s", "accepted"), ("a-t", "accepted")]
    assert [order.qty for order in first.orders] == [D(100), D(30), D(30)]
    second = await step(paper, 1, volume=0)
    assert second == Settlement()
    third = await step(paper, 2, volume=5000)
    assert prices(third) == [("a-2", D(70), D(100))]
    assert [order.qty for order in await paper.open_orders()] == [D(100), D(100)]


async def test_f5_all_our_orders_in_a_bar_share_its_volume_oldest_first() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent("a", agent_id="one"), at(0))
    await paper.submit(intent("b", agent_id="two"), at(0))
    seen = await step(paper, 0, volume=1500)
    assert [(fill.client_order_id, fill.qty) for fill in seen.fills] == [
        ("a", D(100)),
        ("b", D(50)),
    ]


async def test_f5_a_touched_stop_that_volume_cuts_is_sold_out_at_the_next_open() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await holding(paper, stop_loss="95", take_profit="110")
    cut = await step(paper, 1, 100, 100, 95, 96, volume=400)
    assert prices(cut) == [("a-s-1", D(-40), D(95))]
    assert states(cut) == [("a-t", "cancelled"), ("a-s", "partial")]
    rest = await step(paper, 2, 120, 120, 120, 120)  # back above the stop, it is sold all the same
    assert prices(rest) == [("a-s-2", D(-60), D(120))]


async def test_f6_costs_of_a_round_trip() -> None:
    paper = broker(rules=FillRules(volume_share=None))
    await paper.submit(intent(), at(0))
    bought = (await step(paper, 0)).fills[0]
    assert (bought.price, bought.commission) == (D("100.05"), D(0))  # 5 bp of 100
    await paper.submit(intent("b", Side.SELL, leg=Leg.EXIT), at(1))
    sold = (await step(paper, 1)).fills[0]
    assert (sold.price, sold.commission) == (
        D("99.95"),
        D("0.23"),
    )  # 0.2059 -> 0.21, 0.0195 -> 0.02
    assert sold.slippage_bps == pytest.approx(5)
    assert (await paper.account({})).cash == D(100_000) - 10 - D("0.23")


async def test_f7_cash_is_checked_at_the_fill_and_an_entry_is_cut_to_it() -> None:
    paper = broker("5050")
    await paper.submit(intent(stop_loss="95"), at(0))  # 100 x 100 was never affordable
    seen = await step(paper, 0, 101, 101, 101, 101)
    assert prices(seen) == [("a-1", D(50), D(101))]
    assert states(seen) == [("a", "partial"), ("a-s", "accepted"), ("a", "cancelled")]
    assert "cash of 5050 USD" in seen.orders[-1].note
    assert (await paper.account({})).cash == 0
    assert [order.qty for order in await paper.open_orders()] == [D(50)]
    assert paper.counts().unaffordable == 1


async def test_f7_an_entry_that_buys_nothing_is_rejected_with_its_legs() -> None:
    paper = broker("99")
    await paper.submit(intent(stop_loss="95"), at(0))
    seen = await step(paper, 0)
    assert states(seen) == [("a", "rejected"), ("a-s", "cancelled")]
    assert "99 USD" in seen.orders[0].note


async def test_the_same_fills_in_another_order_of_symbols() -> None:
    rows = [bar(at(0), (100, 111, 94, 100), symbol=name) for name in ("AAA", "BBB")]
    seen = []
    for bars in (rows, rows[::-1]):
        paper = broker()
        for name in ("BBB", "AAA"):
            await paper.submit(intent(name, symbol=name, stop_loss="95"), at(0))
        seen.append(await paper.settle(replace(update(at(1)), bars=tuple(bars))))
    assert seen[0] == seen[1]


# What is refused


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (intent(qty="NaN"), "quantity"),
        (intent(qty="0"), "quantity"),
        (intent(mark="-1"), "mark"),
        (intent(limit="Infinity"), "limit price"),
        (intent(limit="99.995"), "between ticks"),
        (intent(stop_loss="101"), "stop loss"),
        (intent(stop_loss="100"), "stop loss"),
        (intent(limit="96", stop_loss="97"), "stop loss"),
        (intent(take_profit="99"), "take profit"),
        (intent(side=Side.SELL, stop_loss="99"), "stop loss"),
        (intent(side=Side.SELL, take_profit="101"), "take profit"),
        (intent(stop="99"), "must lie above"),
        (intent(side=Side.SELL, stop="101"), "must lie below"),
        (intent(side=Side.SELL, leg=Leg.TARGET, limit="99"), "target"),
        (intent(leg=Leg.STOP), "sent as a market order"),
        (intent(side=Side.SELL, leg=Leg.EXIT, stop_loss="105"), "only an entry"),
        (replace(intent(limit="99"), stop_price=D(101)), "limit order with limit"),
        (intent(valid_until=at(0) - timedelta(seconds=1)), "valid until"),
        (intent(side=Side.BUY, leg=Leg.EXIT), "0 can be closed"),
    ],
)
async def test_an_intent_that_a_real_broker_would_refuse_books_nothing(
    wrong: OrderIntent, why: str
) -> None:
    paper = broker(allow_short=True)
    before = paper.snapshot()
    with pytest.raises(OrderRejected, match=why):
        await paper.submit(wrong, at(0))
    assert paper.snapshot() == before
