"""What holds for the paper broker whatever the market does and whatever it is sent.

A script is two short sessions of random bars in two symbols, with orders and cancels between them
and a split over the night. Its figures are small so that levels are touched all the time. It is
made from one seed, which a failure prints.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.errors import OrderRejected
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.ledger import Ledger
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction
from roboinvest.core.orders import (
    NEXT_STATES,
    CashFlow,
    Fill,
    Leg,
    Order,
    OrderIntent,
    OrderState,
    Side,
    TimeInForce,
)
from tests.fakes.markets import bar, intent, minute, session, update

D = Decimal
DAYS = (date(2024, 3, 5), date(2024, 3, 6))
SYMBOLS = ("AAA", "BBB")
AGENTS = ("one", "two")
CASH = D(3000)
TICKS_A_DAY = 5
COSTLY = FillRules(slippage_bps=D(7), volume_share=D("0.1"), commission_per_share_usd=D("0.0035"))
LEAN = replace(FRICTIONLESS, volume_share=D("0.1"))


@dataclass(frozen=True)
class Tick:
    """One instant: what the market did before it, then what is sent."""

    update: MarketUpdate
    intents: tuple[OrderIntent, ...]
    cancels: tuple[str, ...]


@dataclass
class Story:
    """Everything a broker reported over a script."""

    fills: list[Fill] = field(default_factory=list)
    flows: list[CashFlow] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    cash: list[Decimal] = field(default_factory=list)
    refused: int = 0


def random_intent(rng: Random, name: str) -> OrderIntent:
    side = rng.choice((Side.BUY, Side.BUY, Side.SELL))
    leg = rng.choice((Leg.ENTRY, Leg.ENTRY, Leg.ENTRY, Leg.EXIT))
    kind = rng.choice(("market", "market", "limit", "stop"))
    legs = rng.choice(("st", "st", "s", "t", "")) if leg is Leg.ENTRY else ""
    entry = 10 + side.sign * (kind == "stop")
    return intent(
        name,
        side,
        str(rng.randint(1, 200)),
        symbol=rng.choice(SYMBOLS),
        agent_id=rng.choice(AGENTS),
        leg=leg,
        mark="10",
        limit=str(entry) if kind == "limit" else None,
        stop=str(entry) if kind == "stop" else None,
        stop_loss=str(10 - side.sign * rng.randint(1, 4)) if "s" in legs else None,
        take_profit=str(10 + side.sign * rng.randint(2, 4)) if "t" in legs else None,
        time_in_force=rng.choice(tuple(TimeInForce)),
    )


def random_bar(rng: Random, ts: datetime, symbol: str, scale: Decimal) -> Bar:
    low, opened, close, high = sorted(rng.randint(5, 16) for _ in range(4))
    if rng.random() < 0.5:
        opened, close = close, opened
    row = [float(price / scale) for price in (opened, high, low, close)]
    return bar(ts, row, symbol=symbol, volume=rng.choice((0.0, 500.0, 5000.0)))


def script_of(seed: int, *, splits: bool = True) -> list[Tick]:
    rng = Random(seed)
    ratio = rng.choice((D(1), D(2), D("0.5"), D(4))) if splits else D(1)
    ticks, names = list[Tick](), list[str]()
    for day in DAYS:
        late = day == DAYS[1]
        scale = {"AAA": ratio if late else D(1), "BBB": D(1)}
        for number in range(TICKS_A_DAY):
            rows = [random_bar(rng, minute(number, day), name, scale[name]) for name in SYMBOLS]
            closing = number == TICKS_A_DAY - 1
            at = session(day).closes_at if closing else minute(number + 1, day)
            sent = []
            for _ in range(rng.randint(0, 2)):
                names.append(f"o{len(names)}")
                sent.append(random_intent(rng, names[-1]))
            cancels = [rng.choice(names) + rng.choice(("", "-s", "-t"))] if sent else []
            begins = late and number == 0
            seen = update(at, *rows[: rng.randint(1, 2)], actions=_actions(ratio) if begins else ())
            ticks.append(Tick(seen, tuple(sent), tuple(cancels) if rng.random() < 0.3 else ()))
    return ticks


def _actions(ratio: Decimal) -> tuple[CorporateAction, ...]:
    split = CorporateAction(symbol="AAA", kind=ActionKind.SPLIT, ex_date=DAYS[1], ratio=ratio)
    paid = CorporateAction(symbol="BBB", kind=ActionKind.DIVIDEND, ex_date=DAYS[1], cash=D("0.3"))
    return (split, paid)


async def _play(paper: PaperBroker, script: list[Tick], story: Story, restart: bool) -> None:
    for tick in script:
        settled = await paper.settle(tick.update)
        story.orders += settled.orders
        story.fills += settled.fills
        story.flows += settled.cash_flows
        story.cash.append((await paper.account({})).cash)
        for name in tick.cancels:
            story.orders += await paper.cancel(name, tick.update.at, "asked")
        if restart:
            paper.restore(paper.snapshot())
        for sent in tick.intents:
            try:
                story.orders += await paper.submit(sent, tick.update.at)
            except OrderRejected:
                story.refused += 1
        if restart:
            paper.restore(paper.snapshot())


def play(
    script: list[Tick], rules: FillRules = COSTLY, *, short: bool = False, restart: bool = False
) -> tuple[PaperBroker, Story]:
    paper, story = PaperBroker(CASH, rules, allow_short=short), Story()
    asyncio.run(_play(paper, script, story, restart))
    return paper, story


def by_order(story: Story) -> dict[str, Decimal]:
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill in story.fills:
        filled[fill.client_order_id] += abs(fill.qty)
    return filled


MANY = settings(max_examples=100, deadline=None)
SEEDS = st.integers(min_value=0, max_value=2**32)


@MANY
@given(SEEDS, st.booleans())
def test_cash_is_what_fills_and_dividends_made_of_it(seed: int, short: bool) -> None:
    script = script_of(seed)
    _, story = play(script, short=short)
    spent = sum((fill.qty * fill.price + fill.commission for fill in story.fills), D(0))
    received = sum((flow.amount for flow in story.flows), D(0))
    assert story.cash[-1] == CASH - spent + received


@MANY
@given(SEEDS)
def test_without_shorts_cash_and_holdings_are_never_negative(seed: int) -> None:
    script = script_of(seed)
    paper, story = play(script)
    assert min(story.cash) >= 0
    assert min(paper.holdings().values(), default=D(0)) >= 0


@MANY
@given(SEEDS, st.booleans())
def test_the_fold_of_the_fills_is_what_the_broker_holds(seed: int, short: bool) -> None:
    script = script_of(seed)
    paper, story = play(script, short=short)
    ledger, fills = Ledger(), list(story.fills)
    for tick in script:
        for action in tick.update.actions:
            ledger.apply_action(action)
        while fills and fills[0].filled_at <= tick.update.at:
            ledger.apply_fill(fills.pop(0))
    assert not fills
    held = {symbol: ledger.qty(symbol) for symbol in SYMBOLS if ledger.qty(symbol)}
    assert paper.holdings() == held


@MANY
@given(SEEDS, st.booleans())
def test_no_order_ever_makes_a_move_outside_the_table(seed: int, short: bool) -> None:
    script = script_of(seed)
    _, story = play(script, short=short)
    last: dict[str, Order] = {}
    for order in story.orders:
        before = last.get(order.client_order_id)
        last[order.client_order_id] = order
        assert 0 <= order.filled_qty <= order.qty
        if before is None:
            assert order.state in (OrderState.ACCEPTED, OrderState.HELD)
        elif order.state is before.state and order.state is not OrderState.PARTIAL:
            assert order.qty != before.qty or order.updated_at == session(DAYS[1]).opens_at
        else:
            assert order.state in NEXT_STATES[before.state]


@MANY
@given(SEEDS, st.booleans())
def test_the_legs_of_a_bracket_never_close_more_than_it_opened(seed: int, short: bool) -> None:
    script = script_of(seed, splits=False)
    _, story = play(script, LEAN, short=short)
    filled = by_order(story)
    for name in {fill.client_order_id for fill in story.fills}:
        assert filled.get(f"{name}-s", 0) + filled.get(f"{name}-t", 0) <= filled[name]


@MANY
@given(SEEDS)
def test_fills_keep_to_the_range_and_the_volume_of_their_bars(seed: int) -> None:
    script = script_of(seed, splits=False)
    _, story = play(script, LEAN)
    rows = {(row.ts, row.symbol): row for tick in script for row in tick.update.bars}
    taken: dict[tuple[datetime, str], Decimal] = defaultdict(Decimal)
    sent_at = {order.client_order_id: order.created_at for order in story.orders}
    for fill in story.fills:
        row = rows.get((fill.filled_at, fill.symbol))  # filled at an open, or within the bar
        inside = row is None or not row.low <= fill.price <= row.high
        if inside:
            row = next(r for r in rows.values() if _ends(r, fill))
        assert row is not None
        assert row.low <= fill.price <= row.high
        assert row.ts >= sent_at[fill.client_order_id]
        taken[row.ts, fill.symbol] += abs(fill.qty)
    for fill in story.fills:
        assert fill.execution_id.startswith(fill.client_order_id + "-")
    assert len({fill.execution_id for fill in story.fills}) == len(story.fills)


def _ends(row: Bar, fill: Fill) -> bool:
    return row.closes_at == fill.filled_at and row.symbol == fill.symbol


@MANY
@given(SEEDS, st.booleans())
def test_a_restart_between_any_two_calls_changes_nothing(seed: int, short: bool) -> None:
    script = script_of(seed)
    plain, told = play(script, short=short)
    restarted, retold = play(script, short=short, restart=True)
    assert retold == told
    assert restarted.snapshot() == plain.snapshot()


@MANY
@given(SEEDS, st.booleans())
def test_the_order_of_symbols_in_an_update_changes_nothing(seed: int, short: bool) -> None:
    script = script_of(seed)
    turned = [replace(tick, update=_turned(tick.update)) for tick in script]
    assert play(turned, short=short)[1] == play(script, short=short)[1]


def _turned(seen: MarketUpdate) -> MarketUpdate:
    return replace(seen, bars=seen.bars[::-1])


@MANY
@given(SEEDS)
def test_what_is_sent_twice_is_booked_once(seed: int) -> None:
    script = script_of(seed)
    twice = [replace(tick, intents=tick.intents * 2) for tick in script]
    paper, story = play(twice)
    assert paper.snapshot() == play(script)[0].snapshot()
    assert len({fill.execution_id for fill in story.fills}) == len(story.fills)


@MANY
@given(st.sampled_from((D(2), D(3), D("0.5"), D("0.1"), D(1) / 3)), st.integers(1, 200))
def test_a_split_makes_no_profit_and_leaves_a_position_that_can_be_sold(
    ratio: Decimal, qty: int
) -> None:
    async def run() -> None:
        paper = PaperBroker(D(100_000), FRICTIONLESS)
        await paper.submit(intent(qty=str(qty), symbol="AAA"), minute(0))
        await paper.settle(update(minute(1), bar(minute(0), (90.0,), symbol="AAA")))
        before = await paper.account({})
        await paper.settle(update(minute(0, DAYS[1]), actions=_actions(ratio)[:1]))
        assert abs((await paper.account({})).equity - before.equity) < D("1e-15")
        mine = qty * ratio + D("1e-20")  # another book's rounding of the same division
        close = replace(intent("x", Side.SELL, symbol="AAA", leg=Leg.EXIT), qty=mine)
        at = minute(0, DAYS[1])
        await paper.submit(close, at)
        row = bar(at, (float(90 / ratio),), symbol="AAA")
        sold = await paper.settle(update(minute(1, DAYS[1]), row))
        assert sold.orders[-1].state is OrderState.FILLED
        assert paper.holdings() == {}

    asyncio.run(run())
