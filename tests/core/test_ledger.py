"""The books of each agent are a fold of its fills."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.ledger import Ledger
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import Fill, Leg

START = datetime(2024, 3, 4, 14, 31, tzinfo=UTC)


def fill(
    number: int,
    qty: int,
    price: str,
    *,
    agent: str = "house",
    fee: str = "0",
    leg: Leg = Leg.ENTRY,
    order: str | None = None,
) -> Fill:
    return Fill(
        execution_id=f"x{number}",
        client_order_id=order or f"o{number}",
        agent_id=agent,
        revision_id="built-in",
        symbol="SPY",
        leg=leg,
        qty=Decimal(qty),
        price=Decimal(price),
        commission=Decimal(fee),
        slippage_bps=0.0,
        filled_at=START + timedelta(minutes=number),
    )


def test_a_round_trip_pays_both_commissions_and_knows_its_r() -> None:
    ledger = Ledger()
    assert ledger.apply_fill(fill(1, 10, "100", fee="1"), Decimal(98)) == []
    (trade,) = ledger.apply_fill(fill(2, -10, "105", fee="2", leg=Leg.TARGET))
    assert trade.pnl == 47
    assert trade.r_multiple == 47 / 20
    assert trade.closes_entry
    assert trade.exit_leg is Leg.TARGET
    assert ledger.realised("house") == 47
    assert ledger.position("SPY", Decimal(105)) is None


def test_the_oldest_lot_closes_first_and_a_part_leaves_the_rest_open() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 10, "100"))
    ledger.apply_fill(fill(2, 10, "110"))
    trades = ledger.apply_fill(fill(3, -15, "120"))
    assert [t.closes_entry for t in trades] == [True, False]
    assert [int(t.qty) for t in trades] == [10, 5]
    assert [int(t.pnl) for t in trades] == [200, 50]
    (lot,) = ledger.lots("SPY")
    assert lot.qty == 5
    assert lot.price == 110


def test_two_executions_of_one_entry_close_it_only_together() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 6, "100", order="entry"))
    ledger.apply_fill(fill(2, 4, "101", order="entry"))
    trades = ledger.apply_fill(fill(3, -10, "102"))
    assert [t.closes_entry for t in trades] == [False, True]


def test_a_sale_through_zero_closes_the_long_and_opens_a_short() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 10, "100"))
    (trade,) = ledger.apply_fill(fill(2, -15, "90", fee="3"))
    assert trade.pnl == -102  # ten shares carry two thirds of the fee
    assert ledger.qty("SPY") == -5
    assert ledger.lots("SPY")[0].commission == 1


def test_agents_keep_separate_books_on_one_symbol() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 10, "100", agent="house"))
    ledger.apply_fill(fill(2, 4, "100", agent="guest"))
    ledger.apply_fill(fill(3, -4, "101", agent="guest"))
    assert ledger.qty("SPY") == 10
    assert ledger.qty("SPY", "guest") == 0
    assert ledger.realised("guest") == 4
    assert ledger.realised("house") == 0
    assert ledger.agents() == ("guest", "house")


def test_a_split_moves_no_money() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 10, "700"), Decimal(693))
    split = CorporateAction(
        symbol="SPY", kind=ActionKind.SPLIT, ex_date=date(2024, 3, 5), ratio=Decimal(7)
    )
    ledger.apply_action(split)
    position = ledger.position("SPY", Decimal(100))
    assert position is not None
    assert position.qty == 70
    assert position.avg_price == 100
    assert position.open_pnl == 0
    assert ledger.lots("SPY")[0].risk_per_share == 1


def test_only_changed_books_are_handed_to_the_store_and_only_once() -> None:
    ledger = Ledger()
    ledger.apply_fill(fill(1, 10, "100"))
    ledger.apply_fill(fill(2, -10, "101"))
    assert ledger.take_touched() == {("house", "SPY"): ()}
    assert ledger.take_touched() == {}


def test_books_read_back_from_their_lots_go_on_as_before() -> None:
    first = Ledger()
    first.apply_fill(fill(1, 10, "100"))
    first.apply_fill(fill(2, 5, "102"))
    again = Ledger(first.lots(), first.realised_by_agent())
    close = fill(3, -12, "103")
    assert again.apply_fill(close) == first.apply_fill(close)
    assert again.lots() == first.lots()


@given(
    st.lists(
        st.tuples(
            st.integers(-50, 50).filter(bool),
            st.integers(1, 500),
            st.sampled_from(["house", "guest"]),
        ),
        max_size=30,
    )
)
def test_profit_and_positions_equal_the_cash_that_moved(
    moves: list[tuple[int, int, str]],
) -> None:
    ledger, cash = Ledger(), Decimal(0)
    for number, (qty, dollars, agent) in enumerate(moves, start=1):
        done = fill(number, qty, str(dollars), agent=agent, fee="0.5")
        ledger.apply_fill(done)
        cash -= done.qty * done.price + done.commission
    mark = {"SPY": Decimal(77)}
    unpaid = sum((lot.commission for lot in ledger.lots()), Decimal(0))
    worth = cash + ledger.qty("SPY") * mark["SPY"]
    assert abs(ledger.realised() + ledger.open_pnl(mark) - unpaid - worth) < Decimal("1e-15")
    for agent in ("house", "guest"):
        signs = {lot.qty > 0 for lot in ledger.lots(agent_id=agent)}
        assert len(signs) <= 1
