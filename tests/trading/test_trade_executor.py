"""What is sent, what is cut, and what happens when a person says halt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.events import TradingState
from roboinvest.core.orders import Action, Leg, OrderState
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.state import Execution, TickState
from roboinvest.trading.trade_executor import TradeExecutorAgent
from tests.fakes.house import InMemoryHouse, flat_bars, house
from tests.fakes.markets import bar, minute
from tests.fakes.models import ScriptedModel, hold, view

NEXT_DAY = date(2024, 3, 6)
NOW = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


def buys_at(number: int, *, sells_at: int | None = None, target: float = 104.0) -> ScriptedModel:
    """Return a model that buys once and, when told, sells once."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        if inputs.at == minute(number):
            return view(symbol, Action.BUY, stop=98.0, target=target)
        if sells_at is not None and inputs.at >= minute(sells_at):
            return view(symbol, Action.SELL)
        return hold(symbol)

    return ScriptedModel(script)


def by_leg(one: InMemoryHouse) -> dict[Leg, OrderState]:
    return {order.leg: order.state for order in one.orders().values()}


async def test_a_buy_becomes_a_bracket_that_fills_at_the_next_open(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(10), buys_at(2))
    await one.ticks(1, 2)
    assert by_leg(one) == {
        Leg.ENTRY: OrderState.ACCEPTED,
        Leg.STOP: OrderState.HELD,
        Leg.TARGET: OrderState.HELD,
    }
    await one.ticks(3, 3)
    (fill,) = one.commits[-1].fills
    assert (fill.price, fill.filled_at) == (Decimal(100), minute(2))
    assert by_leg(one)[Leg.STOP] is OrderState.ACCEPTED


async def test_the_size_is_the_smaller_of_the_risk_budget_and_the_limits(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(10), buys_at(2))
    await one.ticks(1, 2)
    (intent,) = one.states[-1]["execution"].intents
    # 250 USD at risk over 2 USD a share would be 125; a position may be 10 % of 100,000 USD.
    assert intent.qty == 100
    assert [clamp.rule for clamp in one.states[-1]["execution"].clamps] == ["position"]


async def test_a_stop_at_the_broker_closes_the_trade_and_books_its_r(tmp_path: Path) -> None:
    bars = [*flat_bars(5), bar(minute(5), [100.0, 100.0, 97.0, 97.5]), *flat_bars(9)[6:]]
    one = house(tmp_path, bars, buys_at(2))
    await one.ticks(1, 7)
    (trade,) = [trade for commit in one.commits for trade in commit.trades]
    assert (trade.exit_price, trade.exit_leg, trade.r_multiple) == (Decimal(98), Leg.STOP, -1.0)
    assert one.commits[-1].record.equity == 99_800


async def test_a_sell_cancels_the_protective_legs_and_leaves_at_the_next_open(
    tmp_path: Path,
) -> None:
    one = house(tmp_path, flat_bars(12), buys_at(2, sells_at=5))
    await one.ticks(1, 8)
    states = by_leg(one)
    assert states[Leg.EXIT] is OrderState.FILLED
    assert states[Leg.STOP] is states[Leg.TARGET] is OrderState.CANCELLED
    assert sum(1 for order in one.orders().values() if order.leg is Leg.EXIT) == 1
    assert one.account.ledger.symbols() == ()


async def test_a_sell_with_nothing_held_sends_nothing(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(8), buys_at(99, sells_at=1))
    await one.ticks(1, 6)
    assert one.orders() == {}


async def test_no_second_entry_is_sent_while_one_is_held(tmp_path: Path) -> None:
    def always(_: StrategyInputs, brief: SymbolBrief) -> View:
        return view(brief.observation.symbol, Action.BUY, stop=98.0, target=104.0)

    one = house(tmp_path, flat_bars(30), ScriptedModel(always))
    await one.ticks(1, 20)
    held = one.account.ledger.position("SPY", Decimal(100))
    assert held is not None
    assert held.value <= 10_000


async def test_a_position_whose_exit_dies_at_the_close_gets_its_stop_back(
    tmp_path: Path,
) -> None:
    # The last bars of the day are missing, so the exit cannot fill and dies at the close.
    bars = [*flat_bars(380), *flat_bars(30, day=NEXT_DAY)]
    one = house(tmp_path, bars, buys_at(2, sells_at=382))
    await one.ticks(1, 390)
    assert one.account.ledger.qty("SPY") == 100
    legs = [(order.leg, order.state) for order in one.orders().values()]
    assert (Leg.EXIT, OrderState.EXPIRED) in legs
    await one.tick(minute(1, NEXT_DAY))
    assert one.account.working("SPY", Leg.STOP) or one.account.working("SPY", Leg.EXIT)


async def test_a_halt_by_file_sends_nothing_new_and_the_tick_goes_on(tmp_path: Path) -> None:
    (tmp_path / "HALT").touch()
    one = house(tmp_path, flat_bars(10), buys_at(2))
    await one.ticks(1, 5)
    assert one.orders() == {}
    assert [c.record.buys for c in one.commits] == [0, 1, 0, 0, 0]
    refused = one.states[1]["execution"].rejected[0]
    assert refused == "SPY: trading is HALTED, the file HALT exists"


async def test_a_halt_keeps_the_stop_of_an_open_position_at_the_broker(tmp_path: Path) -> None:
    bars = [*flat_bars(8), bar(minute(8), [100.0, 100.0, 97.0, 97.5]), *flat_bars(12)[9:]]
    one = house(tmp_path, bars, buys_at(2))
    await one.ticks(1, 5)
    one.halt_file.set(HaltLevel.NEW, reason="lunch", by="owner", at=NOW)
    await one.ticks(6, 10)
    assert by_leg(one)[Leg.STOP] is OrderState.FILLED


async def test_a_halt_at_level_cancel_takes_back_entries_but_no_stops(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(20), buys_at(2))
    await one.ticks(1, 2)
    one.halt_file.set(HaltLevel.CANCEL, reason="news", by="owner", at=NOW)
    await one.ticks(3, 4)
    # The entry filled at the open of the bar that closed with tick 3, before the halt was seen.
    assert by_leg(one)[Leg.STOP] is OrderState.ACCEPTED


async def test_a_halt_at_level_flatten_closes_everything_once(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(20), buys_at(2))
    await one.ticks(1, 4)
    one.halt_file.set(HaltLevel.FLATTEN, reason="enough", by="owner", at=NOW)
    await one.ticks(5, 9)
    flattening = [order for order in one.orders().values() if order.leg is Leg.FLATTEN]
    assert [order.state for order in flattening] == [OrderState.FILLED]
    assert one.account.ledger.symbols() == ()
    assert await one.broker.open_orders() == ()


async def test_a_suspended_symbol_is_neither_bought_nor_sold(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(20), buys_at(2, sells_at=6))
    await one.ticks(1, 4)
    one.feed.suspended["SPY"] = "SPY: 7:1 jump without an action"
    await one.ticks(5, 9)
    assert one.account.ledger.qty("SPY") == 100
    assert by_leg(one)[Leg.STOP] is OrderState.ACCEPTED


async def executed(one: InMemoryHouse, folder: Path, state: TickState) -> Execution:
    """Return what an executor of its own makes of a state, on the house's account."""
    gate = TradingGate(HaltFile(folder / "HALT"))
    gate.enter(TradingState.READY, "test")
    agent = TradeExecutorAgent(one.broker, one.account, gate, limits=RiskLimits(), instance="test")
    return (await agent(state))["execution"]


def wanting(state: TickState, changes: Mapping[str, Any]) -> TickState:
    """Return a state whose decision is a BUY, unless the changes say otherwise."""
    (decision,) = state["strategy"].decisions
    figures = {"action": Action.BUY, "stop": Decimal(98), "target": Decimal(104), **changes}
    decisions = (replace(decision, **figures),)
    return {**state, "strategy": replace(state["strategy"], decisions=decisions)}


@pytest.mark.parametrize(
    ("changes", "rule", "text"),
    [
        ({"stop": Decimal("NaN")}, "price", "SPY: stop loss NaN is not a price"),
        ({"stop": Decimal("Infinity")}, "price", "SPY: stop loss Infinity is not a price"),
        ({"stop": Decimal(0)}, "price", "SPY: stop loss 0 is not a price"),
        ({"target": Decimal("NaN")}, "price", "SPY: take profit NaN is not a price"),
        ({"stop": Decimal(101)}, "bracket", "SPY: stop loss 101 of a buy must lie below 100"),
        ({"target": Decimal(99)}, "bracket", "SPY: take profit 99 of a buy must lie above 100"),
        ({"stop": Decimal(100)}, "bracket", "SPY: stop loss 100 of a buy must lie below 100"),
        ({"stop": None}, "incomplete", "SPY: a BUY needs a stop and a price"),
    ],
)
async def test_a_decision_with_a_figure_that_is_none_is_refused_and_the_tick_goes_on(
    tmp_path: Path, changes: dict[str, Any], rule: str, text: str
) -> None:
    one = house(tmp_path, flat_bars(10), buys_at(99))
    await one.ticks(1, 2)
    execution = await executed(one, tmp_path, wanting(one.states[-1], changes))
    assert rule in [clamp.rule for clamp in execution.refused]
    assert any(refused.text.startswith(text) for refused in execution.refused)
    assert text in execution.rejected[0]
    assert await one.broker.open_orders() == ()


@pytest.mark.parametrize("mark", ["NaN", "Infinity"])
async def test_a_mark_that_is_none_moves_nothing(tmp_path: Path, mark: str) -> None:
    one = house(tmp_path, flat_bars(12), buys_at(2))
    await one.ticks(1, 5)
    before = await one.broker.open_orders()
    state = one.states[-1]
    world = replace(state["world"], marks={"SPY": Decimal(mark)})
    for action in (Action.BUY, Action.SELL):
        wanted = wanting({**state, "world": world}, {"action": action})
        execution = await executed(one, tmp_path, wanted)
        assert execution.intents == ()
    assert await one.broker.open_orders() == before


async def test_what_the_broker_refuses_is_a_refusal_and_no_clamp(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(10), buys_at(99))
    await one.ticks(1, 2)
    between_ticks = wanting(one.states[-1], {"stop": Decimal("97.005")})
    execution = await executed(one, tmp_path, between_ticks)
    (refused,) = execution.refused
    assert (refused.rule, refused.symbol) == ("broker", "SPY")
    assert "between ticks" in refused.text
    assert refused.text in execution.rejected
    assert "broker" not in [clamp.rule for clamp in execution.clamps]
