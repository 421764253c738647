"""What the executors of a backtest are given, and what they give back.

There are two: the simulator plays any strategy, many symbols on one cash account, with limits,
splits and dividends; the kernel plays signal arrays, quickly. Both hold to the table
in `core.fills` and to the order of events in `core.strategy`, and come to the same fills.

What both add to the table (F10): on bars shorter than a day nothing is sent at the session's close
where limits apply, because the daemon sends nothing then; without limits, and on day bars, an order
of that instant is due at the next session's first open. A market order that found no volume waits
for the next bar and dies with its session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from roboinvest.core.fills import FillRules
from roboinvest.core.ledger import Trade
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.orders import CashFlow, Leg
from roboinvest.core.performance import PerformanceFigures
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.risk import RiskLimits
from roboinvest.core.signals import Signals
from roboinvest.core.strategy import Plan, Strategy, Values


class Cause(StrEnum):
    """Why an order was sent."""

    SCAN = "scan"  # an entry
    STOP = "stop"
    TARGET = "target"
    TRAIL = "trail"  # a stop that had been moved
    SIGNAL = "signal"  # the exit's condition or call
    TIME = "time"  # held long enough
    CLOSE = "close"  # the session was about to end
    END = "end"  # the run was over; a reckoning, not an order


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The account that a strategy trades on."""

    cash: Decimal = Decimal(100_000)  # USD at the start
    rules: FillRules = FillRules()  # noqa: RUF009 a frozen value
    allow_short: bool = False
    limits: RiskLimits | None = None  # None: cash is the only limit
    protections: ProtectionRules | None = None  # only with limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One symbol of a run."""

    bars: SessionBars
    signals: Signals
    first_row: int  # rows before it only warm up: nothing is decided there
    finer: SessionBars | None = None  # decide which of stop and target a bar reached first


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything an executor plays."""

    plan: Plan
    timeframe: Timeframe
    parts: Mapping[str, Part]  # by symbol, sorted
    actions: Sequence[CorporateAction] = ()  # on raw prices, any order


@dataclass(frozen=True, slots=True, kw_only=True)
class SimFill:
    """One execution in a backtest."""

    symbol: str
    row: int  # of the bar it happened in; for END the last one
    at: int  # ns since the epoch: the bar's open, or its close for what happened inside
    qty: Decimal  # shares, signed: negative sells
    price: Decimal  # USD per share, slippage included
    fee: Decimal  # USD
    leg: Leg
    cause: Cause
    entry: int  # number of the entry order it belongs to, from 0 on, over all symbols
    signal_row: int  # the row whose close decided it; for a stop or target the entry's
    stop: Decimal | None = None  # of an entry, USD per share
    target: Decimal | None = None
    ambiguous: bool = False  # the bar cannot tell; the worst was assumed
    kindest: Decimal | None = None  # when ambiguous: the kindest exit price; None: none in the bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a run came to, before anybody sums it up."""

    instants: Ints  # (m,) ns since the epoch, each bar close of the run once, oldest first
    equity: Ints  # (m,) units (see `core.market.grid`) after that close
    gross: Ints  # (m,) absolute value of all positions, units
    fills: tuple[SimFill, ...]  # in the order they happened; without the reckoning at the end
    at_end: tuple[SimFill, ...]  # what closing the open positions at the last close would cost
    flows: tuple[CashFlow, ...] = ()  # dividends
    signals: int = 0  # rows in which an entry was wanted while flat
    ambiguous: int = 0  # bars that could not tell (F3)
    resolved: int = 0  # bars that could not tell, where finer bars did
    unaffordable: int = 0  # fills that cash cut or refused (F7)
    refused: Mapping[str, int] = field(default_factory=dict)  # rule -> entries not sent
    clamped: Mapping[str, int] = field(default_factory=dict)  # rule -> entries made smaller
    expired: int = 0  # entries that died with their session, wholly or in part


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """A whole entry and how it ended; several exits of one entry are one round trip."""

    symbol: str
    entry: int  # number of the entry order
    qty: Decimal  # shares, signed
    signal_row: int
    entry_row: int
    exit_row: int
    entry_at: int  # ns
    exit_at: int  # ns
    entry_price: Decimal  # USD per share, the mean over fills
    exit_price: Decimal
    stop: Decimal | None
    target: Decimal | None
    fees: Decimal  # USD, both sides
    pnl: Decimal  # USD, after fees
    r_multiple: float | None
    cause: Cause  # of the last exit
    mae: float  # worst open profit per share, USD, 0 or less
    mfe: float  # best open profit per share, 0 or more
    ambiguous: bool
    kindest_pnl: Decimal  # USD, had every ambiguous bar been kind
    is_open: bool  # ended by the reckoning at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A backtest to run."""

    strategy: Strategy
    values: Values  # one for every parameter, see `Strategy.values`
    bars: Mapping[str, SessionBars]  # by symbol, warm-up rows first
    timeframe: Timeframe
    terms: Terms = Terms()
    actions: Sequence[CorporateAction] = ()
    first: date | None = None  # first exchange day with decisions; None: the first there is
    source: str = ""  # what the bars are called in a report
    adjusted: frozenset[str] = frozenset()  # symbols whose prices know later splits
    finer: Mapping[str, SessionBars] = field(default_factory=dict)  # shorter bars of some symbols
    notes: tuple[str, ...] = ()  # what a reader should know of the bars, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """One run, summed up; nothing in it depends on when or where it ran."""

    request: Request
    stage: Stage
    played: Played
    executor: str  # "simulator" or "kernel"
    round_trips: tuple[RoundTrip, ...]  # by exit, then entry; open ones last
    trades: tuple[Trade, ...]  # the same as the ledger of the house books them, open ones left out
    days: Ints  # (d,) exchange days as proleptic ordinals
    daily_equity: Ints  # (d + 1,) units: the cash before the first day, then each day's end
    benchmark: Ints  # (d + 1,) units: buy and hold of equal parts, costs included
    figures: PerformanceFigures  # of daily returns; open positions at their marks
    benchmark_figures: PerformanceFigures
    liquidated: int  # units: equity had the open positions been sold at the last close
    digest: str  # sha256 of data, code, values, terms and library versions
    warnings: tuple[str, ...]  # in words, for people
