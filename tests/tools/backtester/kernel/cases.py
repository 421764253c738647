"""Cases for the twins, each made of one seed: wild bars, wishes without sense, terms of all kinds.

Figures are small and levels near, so that in a few dozen bars everything happens that may: gaps
through both levels, bars of one tick, volumes of nothing, holes, half days, orders that die, cash
that does not suffice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.mandate import Mandate, MandateTerms
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import price_units
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.quant.conditions import above
from roboinvest.core.risk import RiskLimits
from roboinvest.core.signal_levels import Signs
from roboinvest.core.signals import Signals
from roboinvest.core.strategy import (
    Dollars,
    EquityShare,
    Execution,
    Plan,
    RiskShare,
    Scan,
    Shares,
    Size,
)
from tests.fakes.tapes import daily_tape, tape
from tools.backtester.contract import Part, Stage, Terms

D = Decimal
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
ASKED_BY_NOBODY = Scan(long=above("close", 0.0))  # the arrays are given
RULES = (
    FRICTIONLESS,
    FillRules(),
    FillRules(slippage_bps=D("12.5"), volume_share=D("0.333"), commission_per_share_usd=D("0.005")),
    replace(FRICTIONLESS, limit_needs_trade_through=True, volume_share=D("0.1")),
    FillRules(slippage_bps=D(300), taf_per_share_usd=D("0.07"), taf_cap_usd=D("0.5")),
    FillRules(volume_share=D(1), commission_per_share_usd=D("0.0035"), sec_fee_rate=D("0.3")),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the cases of one test have in common."""

    name: str
    symbols: int = 1
    daily: bool = False
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One run to be played twice."""

    stage: Stage
    terms: Terms


def case(kind: Kind, seed: int) -> Case:
    """Return the case of a seed."""
    rng = np.random.default_rng(seed)
    names = SYMBOLS[: int(rng.integers(2, kind.symbols + 1)) if kind.symbols > 1 else 1]
    minutes, base = int(rng.integers(4, 14)), float(rng.choice([0.6, 1.0, 9.0, 100.0]))
    bars = among({name: _bars(rng, name, minutes, base, daily=kind.daily) for name in names})
    how = Execution(
        size=_size(rng),
        max_bars=int(rng.integers(1, 9)) if rng.random() < 0.3 else None,
    )
    trails = rng.random() < 0.3
    parts = {
        name: Part(
            bars=bars[name],
            signals=_signals(rng, bars[name], trails=trails),
            first_row=int(rng.integers(0, 5)) if rng.random() < 0.3 else 0,
        )
        for name in names
    }
    stage = Stage(
        plan=Plan(columns={}, scan=ASKED_BY_NOBODY, execution=how),
        timeframe=Timeframe.DAY if kind.daily else Timeframe.MINUTE,
        parts=parts,
    )
    return Case(stage, _terms(rng, base, limited=kind.limited))


def _bars(
    rng: np.random.Generator, name: str, minutes: int, base: float, *, daily: bool
) -> SessionBars:
    n = int(rng.integers(6, 60))
    if daily:
        blank = daily_tape(0, days=n, symbol=name)
    else:
        blank = tape([(1.0, 1.0, 1.0, 1.0)] * n, symbol=name, minutes=minutes)
    tick = 0.01 if base >= 1.0 or rng.random() < 0.5 else 0.0001
    wild = int(rng.choice([1, 3, 12]))
    moves = rng.integers(-wild, wild + 1, (n, 2)) * (rng.random((n, 2)) < 0.7)
    path = np.maximum(np.cumsum(moves.ravel()).reshape(n, 2) + round(base / tick), 2)
    reach = rng.integers(0, wild + 1, (n, 2))
    high = path.max(axis=1) + reach[:, 0]
    low = np.maximum(path.min(axis=1) - reach[:, 1], 1)
    prices = np.stack([path[:, 0], high, low, path[:, 1]]) * tick
    prices = prices * 0.98765 if rng.random() < 0.1 else np.round(prices, 4)
    volume = rng.choice([0.0, 7.0, 40.0, 900.0, 1e6], n, p=[0.1, 0.1, 0.3, 0.3, 0.2])
    if rng.random() < 0.1:
        volume = volume * 1.7
    columns = dict(zip(("open", "high", "low", "close"), prices, strict=True))
    made = replace(blank, **columns, volume=volume)
    return _with_holes(rng, made) if rng.random() < 0.5 else made


def _with_holes(rng: np.random.Generator, bars: SessionBars) -> SessionBars:
    kept = np.flatnonzero(rng.random(len(bars)) < 0.8)
    rows = kept if len(kept) else np.arange(1)
    columns = {
        name: getattr(bars, name)[rows]
        for name in bars.__dataclass_fields__
        if name not in ("symbol", "others")
    }
    return SessionBars(symbol=bars.symbol, **columns)


def _signals(rng: np.random.Generator, bars: SessionBars, *, trails: bool) -> Signals:
    """Return wishes with levels near the close, each on its own side of it."""
    n, mark = len(bars), price_units(bars.close)
    side = rng.choice([-1, 0, 1], n, p=[0.2, 0.4, 0.4]).astype(np.int8)
    leave, late = rng.random(n) < 0.1, rng.random(n) < 0.05
    side[leave] = 0
    stop = _levels(rng, mark, -side) if trails or rng.random() < 0.8 else np.zeros(n, np.int64)
    target = _levels(rng, mark, side) if not trails and rng.random() < 0.7 else 0 * mark
    step = np.where(mark >= 10_000, 100, 1)
    trail = step * rng.integers(1, 9, n) * (side != 0) if trails else 0 * mark
    side[trails & (stop == 0)] = 0  # a trail moves a stop
    return Signals(
        entry=side,
        leave=leave,
        late=late,
        stop=stop * (side != 0),
        target=target * (side != 0),
        trail=trail * (side != 0),
        mark=mark,
        columns={"close": bars.close},
    )


def _levels(rng: np.random.Generator, mark: Ints, way: Signs) -> Ints:
    """Return tick-sized levels a few ticks from the mark; 0 where none fits."""
    step = np.where(mark >= 10_000, 100, 1)
    level = (mark // step + way * rng.integers(1, 7, len(mark))) * step
    level = np.where((level < 10_000) & (step == 100), 0, level)
    level = np.where((level >= 10_000) & (step == 1), 0, level)
    fits = (level > 0) & ((level - mark) * way > 0)
    return np.where(fits, level, 0)


def _size(rng: np.random.Generator) -> Size:
    sizes: tuple[Size, ...] = (
        Shares(int(rng.integers(1, 400))),
        EquityShare(float(rng.choice([0.1, 0.333333, 0.95, 1.0, 1.7]))),
        Dollars(float(rng.choice([0.5, 1234.56, 20_000.0]))),
        RiskShare(float(rng.choice([0.001, 0.0123456, 0.3]))),
    )
    return sizes[int(rng.integers(len(sizes)))]


def _terms(rng: np.random.Generator, base: float, *, limited: bool) -> Terms:
    cash = D(int(rng.choice([3, 40, 500, 100_000]))) * D(repr(max(base, 1.0)))
    return Terms(
        cash=cash.quantize(D("0.0001")),
        rules=RULES[int(rng.integers(len(RULES)))],
        allow_short=bool(rng.random() < 0.7),
        limits=_limits(rng, cash) if limited else None,
    )


def _limits(rng: np.random.Generator, cash: Decimal) -> RiskLimits:
    def one_of(*choices: object) -> Decimal:
        return D(str(choices[int(rng.integers(len(choices)))]))

    return RiskLimits(
        allow_short=bool(rng.random() < 0.8),
        risk_per_trade_frac=one_of("0.0025", "0.05", "0.5"),
        max_order_usd=cash * one_of("0.1", "0.7", "5"),
        max_position_frac=one_of("0.1", "0.333", "2"),
        max_gross_frac=one_of("0.3", "0.8", "3"),
        max_daily_loss_frac=one_of("0.0005", "0.02", "0.5"),
        max_drawdown_frac=one_of("0.001", "0.05", "0.5"),
        max_trades_per_day=int(one_of(1, 3, 20)),
        max_open_orders=int(one_of(2, 5, 60)),
        no_entry_last=timedelta(minutes=int(one_of(0, 1, 4))),
        max_position_usd=None if rng.random() < 0.5 else cash * one_of("0.05", "0.5"),
        max_daily_loss_usd=None if rng.random() < 0.5 else cash * one_of("0.001", "0.1"),
        live=bool(rng.random() < 0.05),
        mandate=_mandate(rng, cash) if rng.random() < 0.3 else None,
    )


def _mandate(rng: np.random.Generator, cash: Decimal) -> Mandate:
    ends = datetime(2024, 1, 2, 14, 30, tzinfo=UTC) + timedelta(minutes=int(rng.integers(1, 4000)))
    return Mandate(
        terms=MandateTerms(
            universe=None if rng.random() < 0.5 else SYMBOLS[:1],
            allow_short=True,
            max_order_usd=cash,
            max_position_usd=cash,
            max_position_frac=D("0.5"),
            max_gross_frac=D(1),
            max_daily_loss_usd=cash,
            max_daily_loss_frac=D("0.1"),
            max_drawdown_frac=D("0.2"),
            max_trades_per_day=10,
            entries_from=time(9, 32),
            entries_until=time(9, 37 + int(rng.integers(0, 20))),
            timezone="America/New_York",
            expires_at=ends,
        )
    )
