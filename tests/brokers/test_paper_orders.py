"""The paper broker: the life of brackets, selling, restarts and corporate actions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.errors import BadInput, OrderRejected
from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction
from roboinvest.core.orders import Leg, OrderState, Settlement, Side, TimeInForce
from tests.fakes.markets import DAY, bar, intent, session, update
from tests.fakes.markets import minute as at
from tests.fakes.paper import FLAT, broker, holding, open_ids, prices, states, step

D = Decimal
GTC = TimeInForce.GTC
NEXT_DAY = date(2024, 3, 6)


# The life of a bracket


async def test_a_bracket_is_booked_as_an_entry_and_two_held_legs() -> None:
    paper = broker()
    entry, stop, target = await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    assert [order.state for order in (entry, stop, target)] == [
        OrderState.ACCEPTED,
        OrderState.HELD,
        OrderState.HELD,
    ]
    assert (stop.client_order_id, stop.leg, stop.side) == ("a-s", Leg.STOP, Side.SELL)
    assert (target.client_order_id, target.leg, target.parent_id) == ("a-t", Leg.TARGET, "a")
    assert stop.time_in_force is target.time_in_force is GTC
    assert await paper.open_orders() == (entry, stop, target)


async def test_held_legs_fill_nothing() -> None:
    paper = broker()
    await paper.submit(intent(limit="90", stop_loss="80", take_profit="110"), at(0))
    assert (await step(paper, 0, 100, 120, 95, 100)).fills == ()


async def test_legs_outlive_the_night_and_their_filled_day_entry() -> None:
    paper = await holding(broker(), stop_loss="95", take_profit="110")
    assert (await paper.settle(update(session().closes_at))).orders == ()
    seen = await paper.settle(update(at(1, NEXT_DAY), bar(at(0, NEXT_DAY), (90, 91, 89, 90))))
    assert prices(seen) == [("a-s-1", D(-100), D(90))]


async def test_a_partly_filled_target_leaves_the_stop_with_the_rest() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await holding(paper, stop_loss="95", take_profit="110")
    seen = await step(paper, 1, 100, 111, 100, 110, volume=300)
    assert prices(seen) == [("a-t-1", D(-30), D(110))]
    assert [(order.leg, order.remaining) for order in await paper.open_orders()] == [
        (Leg.STOP, D(70)),
        (Leg.TARGET, D(70)),
    ]
    assert prices(await step(paper, 2, 90, 90, 90, 90)) == [("a-s-1", D(-70), D(90))]
    assert await open_ids(paper) == []


async def test_a_bracket_that_starts_to_exit_stops_entering() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent(limit="100", stop_loss="95", take_profit="110"), at(0))
    await step(paper, 0, volume=400)
    seen = await step(paper, 1, 101, 111, 101, 110)
    assert states(seen) == [("a-t", "filled"), ("a", "cancelled"), ("a-s", "cancelled")]
    assert paper.holdings() == {}


async def test_a_cancelled_entry_takes_its_held_legs_with_it_but_not_live_ones() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent(stop_loss="95", take_profit="110"), at(0))
    gone = await paper.cancel("a", at(0), "asked")
    assert [(order.client_order_id, order.state) for order in gone] == [
        ("a", OrderState.CANCELLED),
        ("a-s", OrderState.CANCELLED),
        ("a-t", OrderState.CANCELLED),
    ]
    assert gone[0].note == "asked"
    await paper.submit(intent("b", stop_loss="95"), at(0))
    await step(paper, 0, volume=400)
    assert [order.client_order_id for order in await paper.cancel("b", at(1), "asked")] == ["b"]
    assert prices(await step(paper, 1, 90, 90, 90, 90)) == [("b-s-1", D(-40), D(90))]


async def test_cancelling_what_has_ended_or_never_was_changes_nothing() -> None:
    paper = await holding(broker())
    before = paper.snapshot()
    assert await paper.cancel("a", at(1), "late") == ()
    assert await paper.cancel("unknown", at(1), "late") == ()
    assert paper.snapshot() == before


async def test_an_exit_by_hand_takes_its_shares_off_the_protective_legs() -> None:
    paper = await holding(broker(), stop_loss="95", take_profit="110")
    await paper.submit(intent("x", Side.SELL, "60", leg=Leg.EXIT), at(1))
    await step(paper, 1)
    assert [order.qty for order in await paper.open_orders()] == [D(40), D(40)]
    await paper.submit(intent("y", Side.SELL, "40", leg=Leg.EXIT), at(2))
    seen = await step(paper, 2)
    assert states(seen) == [("y", "filled"), ("a-s", "cancelled"), ("a-t", "cancelled")]


async def test_legs_of_one_agent_never_sell_the_shares_of_another() -> None:
    paper = broker()
    await paper.submit(intent("a", agent_id="one", stop_loss="95"), at(0))
    await paper.submit(intent("b", agent_id="two"), at(0))
    await step(paper, 0)
    await paper.submit(intent("x", Side.SELL, leg=Leg.EXIT, agent_id="one"), at(1))
    await step(paper, 1)
    assert (await step(paper, 2, 90, 90, 90, 90)).fills == ()
    assert paper.holdings() == {"SPY": D(100)}


async def test_shares_that_another_agent_flattened_are_not_sold_again_after_a_new_entry() -> None:
    paper = await holding(broker(), stop_loss="95")
    await paper.submit(intent("f", Side.SELL, leg=Leg.FLATTEN, agent_id="owner"), at(1))
    assert states(await step(paper, 1)) == [("f", "filled"), ("a-s", "cancelled")]
    await paper.submit(intent("b"), at(2))
    await step(paper, 2)
    assert (await step(paper, 3, 90, 90, 90, 90)).fills == ()


async def test_a_long_and_a_short_book_in_one_symbol_keep_their_own_stops() -> None:
    paper = broker(allow_short=True)
    await paper.submit(intent("a", agent_id="one", stop_loss="95"), at(0))
    await paper.submit(intent("b", Side.SELL, agent_id="two", stop_loss="105"), at(0))
    await step(paper, 0)
    assert paper.holdings() == {}
    assert prices(await step(paper, 1, 94, 94, 94, 94)) == [("a-s-1", D(-100), D(94))]
    assert paper.holdings() == {"SPY": D(-100)}


# Selling, shorts


async def test_selling_more_than_is_held_is_refused_at_once_and_cut_at_the_fill() -> None:
    paper = await holding(broker())
    with pytest.raises(OrderRejected, match="100 can be closed"):
        await paper.submit(intent("x", Side.SELL, "101", leg=Leg.EXIT), at(1))
    for name in ("x", "y"):  # each alone is covered, both together are not
        await paper.submit(intent(name, Side.SELL, "60", leg=Leg.EXIT), at(1))
    seen = await step(paper, 1)
    assert prices(seen) == [("x-1", D(-60), D(100)), ("y-1", D(-40), D(100))]
    assert states(seen)[-1] == ("y", "cancelled")
    assert paper.holdings() == {}


async def test_a_protective_order_sent_by_hand_sells_what_is_held_and_no_more() -> None:
    paper = broker()
    with pytest.raises(OrderRejected, match="0 can be closed"):
        await paper.submit(intent("s", Side.SELL, leg=Leg.STOP, stop="95"), at(0))
    await holding(paper)
    for name in ("s", "t"):
        await paper.submit(intent(name, Side.SELL, "60", leg=Leg.STOP, stop="95"), at(1))
    seen = await step(paper, 1, 94, 94, 94, 94)
    assert prices(seen) == [("s-1", D(-60), D(94)), ("t-1", D(-40), D(94))]


async def test_a_holding_without_a_mark_counts_at_what_was_paid_for_it() -> None:
    paper = await holding(broker())
    await paper.submit(intent("b"), at(1))
    await step(paper, 1, 110, 110, 110, 110)
    await paper.submit(intent("x", Side.SELL, "50", leg=Leg.EXIT), at(2))
    await step(paper, 2, 120, 120, 120, 120)
    account = await paper.account({})
    assert account.cash == account.buying_power == D(100_000) - 10_000 - 11_000 + 6_000
    assert account.equity == account.cash + 150 * 105


async def test_a_short_bracket_mirrors_a_long_one() -> None:
    paper = broker(allow_short=True)
    await paper.submit(intent(side=Side.SELL, stop_loss="105", take_profit="90"), at(0))
    await step(paper, 0)
    assert paper.holdings() == {"SPY": D(-100)}
    assert (await paper.account({"SPY": 98.0})).equity == D(100_200)
    assert prices(await step(paper, 1, 104, 106, 103, 104)) == [("a-s-1", D(100), D(105))]
    assert (await paper.account({})).cash == D(99_500)


async def test_a_cover_that_cash_cannot_pay_stays_and_is_never_borrowed_for() -> None:
    paper = broker("1000", allow_short=True)
    await paper.submit(intent(side=Side.SELL, stop_loss="105"), at(0))
    await step(paper, 0)  # cash 11,000
    cut = await step(paper, 1, 220, 220, 220, 220)
    assert prices(cut) == [("a-s-1", D(50), D(220))]
    assert (await paper.account({})).cash == 0
    assert await open_ids(paper) == ["a-s"]


# Sent twice, restarts, memory


async def test_an_intent_sent_twice_is_booked_once() -> None:
    paper = broker()
    sent = intent(stop_loss="95", take_profit="110")
    first = await paper.submit(sent, at(0))
    assert await paper.submit(sent, at(0)) == first
    await step(paper, 0)
    again = await paper.submit(sent, at(1))  # ended by now; answered with what became of it
    assert [order.state for order in again] == [
        OrderState.FILLED,
        OrderState.ACCEPTED,
        OrderState.ACCEPTED,
    ]
    assert paper.holdings() == {"SPY": D(100)}


async def test_ended_orders_are_known_for_two_sessions_and_survive_a_restart() -> None:
    paper = await holding(broker())
    for day in (6, 7):
        paper = restarted(paper)
        known = (await paper.submit(intent(), at(5)))[0]
        assert known.state is OrderState.FILLED
        await paper.settle(update(at(1, date(2024, 3, day))))
    assert "a" not in [order["client_order_id"] for order in ended(paper)]


def restarted(paper: PaperBroker) -> PaperBroker:
    fresh = broker("1")
    fresh.restore(paper.snapshot())
    assert fresh.snapshot() == paper.snapshot()
    return fresh


def ended(paper: PaperBroker) -> list[dict[str, str]]:
    books = json.loads(paper.snapshot())
    return [*books["recent"], *books["previous"]]


async def test_a_snapshot_that_cannot_be_read_leaves_the_books_alone() -> None:
    paper = await holding(broker())
    before = paper.snapshot()
    with pytest.raises(BadInput, match="snapshot cannot be read"):
        paper.restore('{"cash": "1"}')
    assert paper.snapshot() == before


# Corporate actions


def split(ratio: str, day: date = NEXT_DAY) -> CorporateAction:
    return CorporateAction(symbol="SPY", kind=ActionKind.SPLIT, ex_date=day, ratio=D(ratio))


def dividend(cash: str) -> CorporateAction:
    return CorporateAction(symbol="SPY", kind=ActionKind.DIVIDEND, ex_date=DAY, cash=D(cash))


async def test_a_split_scales_holdings_and_orders_before_its_bars_and_earns_nothing() -> None:
    paper = await holding(broker(), stop_loss="95", take_profit="110")
    before = await paper.account({"SPY": 100.0})
    row = bar(at(0, NEXT_DAY), (25, 25, 25, 25))
    seen = await paper.settle(update(at(1, NEXT_DAY), row, actions=(split("4"),)))
    assert seen.fills == ()
    assert paper.holdings() == {"SPY": D(400)}
    stop, target = await paper.open_orders()
    assert (stop.qty, stop.stop_price) == (D(400), D("23.75"))
    assert (target.qty, target.limit_price) == (D(400), D("27.50"))
    assert await paper.account({"SPY": 25.0}) == before
    assert await paper.account({}) == before  # at cost, which was scaled too


async def test_after_a_split_an_exit_by_hand_still_shrinks_the_legs() -> None:
    paper = await holding(broker(), stop_loss="90")
    ex = at(0, NEXT_DAY)
    await paper.settle(update(ex, actions=(split("2"),)))
    await paper.submit(intent("x", Side.SELL, "50", leg=Leg.EXIT, mark="50"), ex)
    await paper.settle(update(at(1, NEXT_DAY), bar(ex, (50.0,))))
    assert [order.qty for order in await paper.open_orders()] == [D(150)]


async def test_a_split_scales_what_is_filled_and_the_mark_of_an_order_half_done() -> None:
    paper = broker(rules=replace(FRICTIONLESS, volume_share=D("0.1")))
    await paper.submit(intent(time_in_force=GTC), at(0))
    await step(paper, 0, volume=400)
    ex = at(0, NEXT_DAY)
    seen = await paper.settle(update(ex, actions=(split("2"),)))
    assert [(o.qty, o.filled_qty, o.mark) for o in seen.orders] == [(D(200), D(80), D(50))]
    rest = await paper.settle(update(at(1, NEXT_DAY), bar(ex, (50.5,))))
    assert prices(rest) == [("a-2", D(120), D("50.5"))]
    assert rest.fills[0].slippage_bps == pytest.approx(100)


async def test_a_late_tick_fills_the_bars_before_the_night_on_the_old_side_of_a_split() -> None:
    paper = await holding(broker(), stop_loss="95")
    late: tuple[Bar, ...] = (bar(at(5), (100, 100, 94, 96)), bar(at(0, NEXT_DAY), (48, 48, 48, 48)))
    seen = await paper.settle(update(at(1, NEXT_DAY), *late, actions=(split("2"),)))
    assert prices(seen) == [("a-s-1", D(-100), D(95))]
    assert paper.holdings() == {}


@pytest.mark.parametrize(("side", "amount"), [(Side.BUY, "82.60"), (Side.SELL, "-82.60")])
async def test_a_dividend_is_received_on_shares_held_and_paid_on_shares_owed(
    side: Side, amount: str
) -> None:
    paper = broker(allow_short=True)
    await paper.submit(intent(side=side), at(0))
    await step(paper, 0)
    before = (await paper.account({})).cash
    seen = await paper.settle(update(at(1, NEXT_DAY), actions=(dividend("0.826"),)))
    assert [(flow.symbol, flow.amount) for flow in seen.cash_flows] == [("SPY", D(amount))]
    assert (await paper.account({})).cash == before + D(amount)
    assert (await paper.settle(update(at(2, NEXT_DAY), actions=()))).cash_flows == ()


async def test_shares_bought_on_the_ex_date_receive_nothing() -> None:
    paper = broker()
    await paper.submit(intent(), at(0))
    seen = await paper.settle(update(at(1), bar(at(0), FLAT), actions=(dividend("1"),)))
    assert len(seen.fills) == 1
    assert seen.cash_flows == ()


async def test_each_change_is_reported_once() -> None:
    paper = await holding(broker(), stop_loss="95")
    assert await step(paper, 1) == Settlement()
