"""No sequence of decisions passes a limit: risk, executor, books and paper broker together.

Whatever the model wants, at whatever price, on a market that jumps: after each tick every limit is
checked on what was really sent and is really held, from the orders and not from our own counters.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.orders import Action, Leg, Order, OrderIntent
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.risk import RiskLimits, narrowed
from roboinvest.trading.state import TickState
from tests.fakes.house import FRICTIONLESS, InMemoryHouse, house
from tests.fakes.mandates import mandate
from tests.fakes.markets import MINUTE, bar, minute
from tests.fakes.models import ScriptedModel, view

TICKS = 24
Wish = tuple[Action, int]  # what the model wants, and how wide its bracket is in per cent
SYMBOLS = ("AAA", "BBB", "CCC")
LIMITS = RiskLimits(
    risk_per_trade_frac=Decimal("0.05"),
    max_order_usd=Decimal(12_000),
    max_position_frac=Decimal("0.12"),
    max_gross_frac=Decimal("0.25"),
    max_daily_loss_frac=Decimal("0.002"),
    max_drawdown_frac=Decimal("0.01"),
    max_trades_per_day=4,
    max_open_orders=8,
    price_collar_frac=Decimal("0.50"),
)
OWNERS = mandate(
    universe=("AAA", "CCC"),
    max_order_usd=Decimal(7_000),
    max_position_usd=Decimal(9_000),
    max_position_frac=Decimal("0.11"),
    max_gross_frac=Decimal("0.15"),
    max_daily_loss_usd=Decimal(150),
    max_daily_loss_frac=Decimal("0.01"),
    max_drawdown_frac=Decimal("0.05"),
    max_trades_per_day=3,
    entries_from=time(9, 33),
    entries_until=time(9, 50),
)
RULES = ProtectionRules(cooldown=3 * MINUTE)

moves = st.lists(
    st.tuples(*[st.sampled_from([-0.06, -0.01, 0.0, 0.0, 0.01, 0.06])] * 3),
    min_size=TICKS,
    max_size=TICKS,
)
wishes = st.lists(
    st.tuples(*[st.tuples(st.sampled_from(list(Action)), st.integers(1, 30))] * 3),
    min_size=TICKS,
    max_size=TICKS,
)

volumes = st.sampled_from([1e6, 150.0])  # the second fills 15 shares a bar: entries take a while


def lived(
    prices: Sequence[tuple[float, ...]],
    wanted: Sequence[tuple[Wish, ...]],
    limits: RiskLimits,
    volume: float = 1e6,
) -> InMemoryHouse:
    """Return a house that lived through the prices with a model of these wishes."""
    closes, bars = [100.0, 50.0, 200.0], []
    for number, steps in enumerate(prices):
        closes = [round(max(c * (1 + step), 2.0), 2) for c, step in zip(closes, steps, strict=True)]
        bars += [
            bar(minute(number), [c], symbol=s, volume=volume)
            for s, c in zip(SYMBOLS, closes, strict=True)
        ]

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        number = (inputs.at - minute(0)) // MINUTE - 1
        action, width = wanted[number][SYMBOLS.index(symbol)]
        price = bars[3 * number + SYMBOLS.index(symbol)].close
        stop, target = price * (1 - width / 100), price * (1 + width / 100)
        return view(symbol, action, stop=stop, target=target)

    with tempfile.TemporaryDirectory() as folder:
        one = house(
            Path(folder),
            bars,
            ScriptedModel(script),
            limits=limits,
            protections=RULES,
            rules=replace(FRICTIONLESS, volume_share=Decimal("0.1")),
        )
        asyncio.run(one.ticks(1, TICKS))
    return one


def entries(state: TickState) -> list[OrderIntent]:
    return [one for one in state["execution"].intents if one.leg is Leg.ENTRY]


def assert_no_limit_was_passed(one: InMemoryHouse, limits: RiskLimits) -> None:
    sent, exits = 0, dict[str, object]()
    for state, commit in zip(one.states, one.commits, strict=True):
        tick, world = state["tick"], state["world"]
        equity, start = world.account.equity, Decimal(100_000)
        exits |= {trade.symbol: trade.closed_at for trade in commit.trades}
        gross = Decimal(0)
        for intent in entries(state):
            gross += intent.notional
            assert intent.notional <= limits.max_order_usd
            assert equity > start * (1 - limits.max_daily_loss_frac)
            assert equity > start - (limits.max_daily_loss_usd or start)
            sent += 1
            assert sent <= limits.max_trades_per_day
            left = exits.get(intent.symbol)
            assert left is None or tick.at - left >= RULES.cooldown  # type: ignore[operator]
            if limits.mandate is not None:
                assert intent.symbol in (limits.mandate.terms.universe or ())
                assert minute(3) <= tick.at < minute(20)
        if entries(state):
            assert gross <= limits.max_gross_frac * equity
            assert gross <= world.account.cash
    if limits.mandate is not None:
        assert one.account.ledger.qty("BBB") == 0


def assert_positions_were_within(one: InMemoryHouse, limits: RiskLimits) -> None:
    """Judge each entry with what was held and still on its way when it was sent."""
    held: dict[str, Decimal] = {}
    orders: dict[str, Order] = {}
    for state, commit in zip(one.states, one.commits, strict=True):
        for fill in commit.fills:
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.qty
        orders |= {order.client_order_id: order for order in state["tick"].settlement.orders}
        marks, equity = state["world"].marks, state["world"].account.equity
        for order in state["execution"].orders:
            is_new = order.client_order_id not in orders
            orders[order.client_order_id] = order
            if order.leg is not Leg.ENTRY or not is_new:
                continue
            coming = [o for o in orders.values() if o.leg is Leg.ENTRY and o.is_open]
            shares = held.get(order.symbol, Decimal(0))
            shares += sum((o.remaining for o in coming if o.symbol == order.symbol), Decimal(0))
            room = limits.max_position_frac * equity
            assert shares * order.mark <= min(room, limits.max_position_usd or room)
            values = [qty * marks[symbol] for symbol, qty in held.items()]
            on_the_way = [o.remaining * o.mark for o in coming]
            assert sum((*values, *on_the_way), Decimal(0)) <= limits.max_gross_frac * equity


@settings(max_examples=40, deadline=timedelta(seconds=10))
@given(prices=moves, wanted=wishes, volume=volumes)
def test_no_sequence_of_decisions_passes_a_limit(
    prices: list[tuple[float, ...]], wanted: list[tuple[Wish, ...]], volume: float
) -> None:
    one = lived(prices, wanted, LIMITS, volume)
    assert_no_limit_was_passed(one, LIMITS)
    assert_positions_were_within(one, LIMITS)


@settings(max_examples=40, deadline=timedelta(seconds=10))
@given(prices=moves, wanted=wishes, volume=volumes)
def test_no_sequence_of_decisions_passes_the_mandate(
    prices: list[tuple[float, ...]], wanted: list[tuple[Wish, ...]], volume: float
) -> None:
    within = narrowed(replace(LIMITS, live=True), OWNERS)
    one = lived(prices, wanted, within, volume)
    assert_no_limit_was_passed(one, within)
    assert_positions_were_within(one, within)


def test_the_search_meets_what_it_looks_for() -> None:
    """A market that stands still and a model that always buys: entries are sent, up to the pace."""
    still = [(0.0, 0.0, 0.0)] * TICKS
    eager = [((Action.BUY, 10),) * 3] * TICKS
    one = lived(still, eager, LIMITS)
    assert sum(len(entries(state)) for state in one.states) >= 2
    within = narrowed(replace(LIMITS, live=True), OWNERS)
    bought = {intent.symbol for s in lived(still, eager, within).states for intent in entries(s)}
    assert bought == {"AAA", "CCC"}
    unsigned = narrowed(replace(LIMITS, live=True), replace(OWNERS, signature=None))
    assert lived(still, eager, unsigned).orders() == {}
