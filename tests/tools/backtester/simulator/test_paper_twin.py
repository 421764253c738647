"""The simulator fills what the paper broker fills: same bars, shares, prices, fees and cash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.grid import to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction
from roboinvest.core.orders import SUB_PENNY_TICK
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.risk import RiskLimits
from roboinvest.core.signals import Signals
from roboinvest.core.strategy import EquityShare, Execution, Shares
from tests.fakes.tapes import tape, weekdays
from tests.tools.backtester.simulator.paper_twin import play_on_paper
from tests.tools.backtester.simulator.stages import only, signals, stage
from tools.backtester.contract import Stage, Terms
from tools.backtester.simulator.simulator import play

SEED = 20261121
SESSION_MINUTES = 6
COSTS = FillRules(commission_per_share_usd=Decimal("0.005"))
RULES = (FRICTIONLESS, FillRules(), COSTS, replace(FRICTIONLESS, limit_needs_trade_through=True))
RATIOS = ("2", "7", "1.5", "0.1", "0.333")
QUICK = settings(deadline=None, max_examples=150)
NUMBERS = st.integers(0, 2**32 - 1)
COUNTED = ("ambiguous", "unaffordable", "expired", "signals", "refused", "clamped")
Facts = dict[str, Any]


@dataclass(frozen=True)
class Wild:
    """What a generated case may hold."""

    symbols: tuple[str, ...] = ("SPY",)
    trails: bool = False
    splits: bool = False
    limited: bool = False
    cents: int = 1_000  # where prices start


def _bars(
    rng: np.random.Generator, symbol: str, wild: Wild, splits: Mapping[int, Decimal]
) -> SessionBars:
    """Return bars on whole cents with gaps, one-tick bars, tiny volumes and holes.

    `splits` are ratios by the number of the session they begin with.
    """
    n = int(rng.integers(3, 27))
    price, rows = wild.cents, []
    for number in range(n):
        if number % SESSION_MINUTES == 0 and number // SESSION_MINUTES in splits:
            price = round(price / splits[number // SESSION_MINUTES])
        opened = max(price + int(rng.choice((0, 0, 0, -1, 1, -15, 15))), 60)
        row = (opened, opened, opened, opened)
        if rng.random() < 0.8:
            close = max(opened + int(rng.integers(-12, 13)), 55)
            top = max(opened, close) + int(rng.integers(0, 9))
            row = (opened, top, max(min(opened, close) - int(rng.integers(0, 9)), 50), close)
        volume = float(rng.choice((0.0, 5.0, 370.0, 1_999.5, 1e4, 1e6)))
        first, highest, lowest, price = row
        rows.append((first / 100, highest / 100, lowest / 100, price / 100, volume))
    bars = tape(rows, symbol=symbol, minutes=SESSION_MINUTES)
    return only(bars, [row for row in range(n) if row == 0 or rng.random() < 0.85])


def _signals(rng: np.random.Generator, bars: SessionBars, wild: Wild) -> Signals:
    n = len(bars)
    often = rng.choice((0.1, 0.3, 0.6))
    entries = {row: int(rng.choice((1, 1, -1))) for row in range(n) if rng.random() < often}
    leave, late = ([row for row in range(n) if rng.random() < 0.12] for _ in range(2))
    has_stop, has_target = wild.trails or rng.random() < 0.7, rng.random() < 0.6
    levels: dict[str, dict[int, float]] = {"stop": {}, "target": {}, "trail": {}}
    for row, side in entries.items():
        close = round(float(bars.close[row]) * 100)
        far = [int(distance) for distance in rng.integers(1, 19, 3)]
        if has_stop:
            levels["stop"][row] = (close - side * far[0]) / 100
        if has_target and not wild.trails:
            levels["target"][row] = (close + side * far[1]) / 100
        if wild.trails:
            levels["trail"][row] = far[2] / 100
    return signals(bars, entries, leave=leave, late=late, **levels)


def _case(number: int, wild: Wild) -> tuple[Stage, Terms]:
    rng = np.random.default_rng(number)
    parts, splits = {}, dict[int, Decimal]()
    if wild.splits:
        splits = {day: Decimal(str(rng.choice(RATIOS))) for day in (1, 3) if rng.integers(2)}
    for symbol in wild.symbols:
        bars = _bars(rng, symbol, wild, splits)
        parts[symbol] = (bars, _signals(rng, bars, wild))
    size = (Shares(100), Shares(7), Shares(4_000), EquityShare(0.9))[rng.integers(4)]
    execution = Execution(size=size, max_bars=(None, None, 1, 4)[rng.integers(4)])
    rules = RULES[rng.integers(len(RULES))]
    if wild.trails:  # a moved stop is an order of its own at the broker: no half-filled entries
        rules = replace(rules, volume_share=None)
    cash = (Decimal(100_000), Decimal(9_000), Decimal("1500.37"))[rng.integers(3)]
    terms = Terms(cash=cash, rules=rules, allow_short=bool(rng.integers(2)))
    if wild.limited:
        terms = replace(terms, limits=_limits(rng), protections=_protections(rng))
    return stage(parts, execution, actions=_actions(wild, splits)), terms


def _limits(rng: np.random.Generator) -> RiskLimits:
    """Return limits that bite within a few bars."""

    def some(*fractions: str) -> Decimal:
        return Decimal(str(rng.choice(fractions)))

    return RiskLimits(
        allow_short=bool(rng.integers(2)),
        risk_per_trade_frac=some("0.0005", "0.01"),
        max_order_usd=some("700", "25000"),
        max_position_frac=some("0.05", "0.4", "1"),
        max_gross_frac=some("0.3", "0.8", "3"),
        max_daily_loss_frac=some("0.0002", "0.001", "0.1"),
        max_drawdown_frac=some("0.0005", "0.002", "0.1"),
        max_trades_per_day=int(rng.integers(1, 9)),
        max_open_orders=int(rng.choice((2, 4, 60))),
        no_entry_last=timedelta(minutes=int(rng.integers(0, 3))),
    )


def _protections(rng: np.random.Generator) -> ProtectionRules | None:
    if rng.integers(2):
        return None
    return ProtectionRules(
        stop_guard_stops=int(rng.integers(0, 3)),
        stop_guard_lock=timedelta(minutes=int(rng.integers(1, 2_000))),
        drawdown_frac=Decimal(str(rng.choice(("0", "0.0005")))),
        drawdown_trades=2,
        low_profit_trades=int(rng.integers(0, 3)),
        cooldown=timedelta(minutes=int(rng.integers(0, 4))),
    )


def _actions(wild: Wild, splits: Mapping[int, Decimal]) -> list[CorporateAction]:
    if not wild.splits:
        return []
    days, symbol = weekdays(5), wild.symbols[0]
    paid = CorporateAction(
        symbol=symbol, kind=ActionKind.DIVIDEND, ex_date=days[2], cash=Decimal("0.0733")
    )
    split = [
        CorporateAction(symbol=symbol, kind=ActionKind.SPLIT, ex_date=days[number], ratio=ratio)
        for number, ratio in splits.items()
    ]
    return [paid, *split]


def _twins(one: Stage, terms: Terms) -> tuple[Facts, Facts]:
    """Return what the simulator and the paper broker come to, fact by fact."""
    ours, paper = play(one, terms), play_on_paper(one, terms)
    paid = sum((flow.amount for flow in ours.flows), Decimal(0))
    spent = sum((f.qty * f.price + f.fee for f in ours.fills), Decimal(0))
    simulated = {
        "fills": [
            (f.symbol, f.row, f.qty, f.price, f.fee, f.leg, from_ns(f.at)) for f in ours.fills
        ],
        "cash": terms.cash + paid - spent,
        "equity": ours.equity.tolist(),
    }
    broker = {
        "fills": paper.fills,
        "cash": paper.cash,
        "equity": [to_units(usd.quantize(SUB_PENNY_TICK)) for usd in paper.equity],
    }
    for name in COUNTED:
        simulated[name], broker[name] = getattr(ours, name), getattr(paper, name)
    return simulated, broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_one_symbol_is_filled_as_the_paper_broker_fills_it(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild()))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_two_symbols_share_cash_as_at_the_paper_broker(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(symbols=("AAA", "BBB"))))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_a_trailed_stop_fills_as_at_the_paper_broker(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(trails=True)))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_prices_around_a_dollar_fill_as_at_the_paper_broker(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(cents=104)))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_splits_and_dividends_leave_what_the_paper_broker_leaves(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(splits=True, cents=2_000)))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_a_split_leaves_a_trailed_stop_where_the_paper_broker_has_it(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(trails=True, splits=True, cents=2_000)))
    assert simulated == broker


@seed(SEED)
@QUICK
@given(NUMBERS)
def test_limits_and_protections_let_through_what_the_daemon_lets_through(number: int) -> None:
    simulated, broker = _twins(*_case(number, Wild(symbols=("AAA", "BBB"), limited=True)))
    assert simulated == broker
