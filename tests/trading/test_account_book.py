"""The day's figures survive a restart, and a new day starts from the last equity."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.ledger import Ledger
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Action,
    Fill,
    Leg,
    Order,
    OrderState,
    OrderType,
    Settlement,
    Side,
    TimeInForce,
)
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.budget import BudgetFigures
from tests.fakes.house import CASH, flat_bars, house
from tests.fakes.markets import bar, minute, session, update
from tests.fakes.models import ScriptedModel, hold, view


def rides_into(number: int) -> ScriptedModel:
    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        if inputs.at == minute(number):
            return view(brief.observation.symbol, Action.BUY, stop=90.0, target=140.0)
        return hold(brief.observation.symbol)

    return ScriptedModel(script)


async def test_figures_read_back_are_the_figures_written(tmp_path: Path) -> None:
    bars = [*flat_bars(5), *(bar(minute(n), [100.0 + n]) for n in range(5, 50))]
    one = house(tmp_path, bars, rides_into(2))
    await one.ticks(1, 45)
    documents = {name: text for c in one.commits for name, text in c.documents.items()}
    assert AccountFigures.from_json(documents["account"]) == one.account.figures
    assert BudgetFigures.from_json(documents["budget"]) == one.runner.books.budget.figures
    assert one.account.figures.peak_equity > CASH


def test_a_new_session_starts_from_the_last_equity_and_counts_entries_anew() -> None:
    book = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH))
    book.begin(update(minute(1)))
    book.track((entry(),))
    assert book.figures.entries_today == 1
    book.value(Decimal(99_000))
    tomorrow = date(2024, 3, 6)
    book.begin(update(minute(1, tomorrow), on=session(tomorrow)))
    assert book.figures.day_start_equity == 99_000
    assert book.figures.last_session_pnl == -1_000
    assert book.figures.entries_today == 0
    assert book.figures.peak_equity == CASH


def entry(state: OrderState = OrderState.ACCEPTED, filled: str = "0") -> Order:
    return Order(
        client_order_id="one",
        tick_id="20240305T143100Z",
        agent_id=HOUSE_AGENT,
        revision_id=HOUSE_REVISION,
        symbol="SPY",
        leg=Leg.ENTRY,
        side=Side.BUY,
        qty=Decimal(10),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        mark=Decimal(100),
        state=state,
        created_at=minute(1),
        updated_at=minute(1),
        filled_qty=Decimal(filled),
    )


def fill_of(order: Order) -> Fill:
    return Fill(
        execution_id="x1",
        client_order_id=order.client_order_id,
        agent_id=order.agent_id,
        revision_id=order.revision_id,
        symbol=order.symbol,
        leg=order.leg,
        qty=order.qty,
        price=Decimal(100),
        commission=Decimal(0),
        slippage_bps=0.0,
        filled_at=minute(1),
    )


def opened() -> AccountBook:
    book = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH))
    book.begin(update(minute(1)))
    return book


def test_an_entry_counts_once_whoever_tells_of_it_first() -> None:
    sent, found = opened(), opened()
    sent.track((entry(),))
    for book in (sent, found):  # found: sent by a tick that was killed
        book.settle(Settlement(orders=(entry(OrderState.PARTIAL, "4"),)))
        book.settle(Settlement(orders=(entry(OrderState.FILLED, "10"),)))
        book.track((entry(OrderState.FILLED, "10"),))
        assert book.figures.entries_today == 1


def test_an_entry_that_never_was_counts_for_nothing() -> None:
    book = opened()
    book.settle(Settlement(orders=(entry(OrderState.REJECTED), entry(OrderState.EXPIRED))))
    assert book.figures.entries_today == 0


@pytest.mark.parametrize("filled", ["0", "4", "10"])
def test_shares_filled_between_two_settlements_are_not_overlooked(filled: str) -> None:
    book, state = opened(), OrderState.FILLED if filled == "10" else OrderState.PARTIAL
    book.track((entry(state, filled),))
    assert book.working_qty("SPY") == 10
    assert book.gross_usd({}) == book.reserved_cash() == 1_000
    book.settle(Settlement(orders=(entry(OrderState.FILLED, "10"),), fills=(fill_of(entry()),)))
    assert book.working_qty("SPY") == book.reserved_cash() == 0
    assert book.gross_usd({"SPY": Decimal(100)}) == 1_000


def test_a_lot_of_a_tick_that_was_killed_knows_its_stop() -> None:
    book, order = opened(), entry(OrderState.FILLED, "10")
    stop = replace(
        entry(OrderState.ACCEPTED),
        client_order_id="one-s",
        leg=Leg.STOP,
        side=Side.SELL,
        stop_price=Decimal(97),
        parent_id="one",
    )
    book.settle(Settlement(orders=(order, stop), fills=(fill_of(order),)))
    assert [lot.risk_per_share for lot in book.ledger.lots()] == [Decimal(3)]


async def test_only_documents_that_changed_are_stored_again(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(10), rides_into(99))
    await one.ticks(1, 5)
    assert set(one.commits[0].documents) >= {"account", "budget", "paper_broker", "benchmark"}
    assert set(one.commits[-1].documents) == {"budget"}  # it counts the answers
