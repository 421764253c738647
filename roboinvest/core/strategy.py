"""A strategy: a scan that says when to enter, and an execution that says how.

The same object runs in a backtest, a replay, on paper and with real money. It declares what it
wants to know (calculators, by name) and never gets hold of the bars: the engine computes the
columns, and a scan is asked about one closed bar at a time, or is made of conditions, which cannot
look ahead. What it wants to buy is a request: risk has the last word, alike everywhere.

Order of events at the close of a bar, for every executor:

    position held   leave before the close > time is up > the exit's condition > the exit's call;
                    then a trailing stop is moved, never away from the market
    flat            the scan; a row in which the exit's condition holds is no entry
    order waiting   nothing new is asked for in this symbol

An entry is a market order that is due at the next bar's open (F1), with its stop and target fixed
at the signal (F2). One position a symbol: whoever wants to turn round is flat for a bar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final, Protocol

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Side
from roboinvest.core.quant.conditions import Condition

Number = int | float
Values = Mapping[str, Number]  # a value for every parameter
_SIX_DIGITS: Final = Decimal("0.000001")


class Timeframes(StrEnum):
    """The bars that a strategy makes sense on."""

    DAILY = "daily"
    INTRADAY = "intraday"
    ANY = "any"

    def suits(self, timeframe: Timeframe) -> bool:
        """Return whether bars of this length will do."""
        return self is Timeframes.ANY or (self is Timeframes.DAILY) is (timeframe is Timeframe.DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A number that may be chosen; whole where its default is an `int`."""

    name: str
    default: Number
    low: Number
    high: Number
    step: Number | None = None  # of a grid; None: a twentieth of the range
    text: str = ""  # what it does, with its unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculator:
    """A declared indicator: a column computed from closed bars, row by row from the past."""

    name: str  # of the library, "sma"; what a person reads
    warm_up: int  # rows before the first value that means something
    compute: Callable[[SessionBars], Floats]  # (n,), NaN while there is no value


@dataclass(frozen=True, slots=True)
class EquityShare:
    """Buy for this fraction of equity, or of a symbol's equal part of it where a run has several.

    So that a strategy written for one symbol does not put all into the first of ten.
    """

    frac: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Buy so many shares."""

    qty: int


@dataclass(frozen=True, slots=True)
class Dollars:
    """Buy for this amount."""

    usd: float


@dataclass(frozen=True, slots=True)
class RiskShare:
    """Buy so much that the stop costs this fraction of equity."""

    frac: float


Size = EquityShare | Shares | Dollars | RiskShare


@dataclass(frozen=True, slots=True)
class Percent:
    """A distance: this fraction of the close at the signal."""

    frac: float


@dataclass(frozen=True, slots=True)
class Multiple:
    """A distance: so many times a column at the signal, for example of the ATR."""

    of: str
    times: float


@dataclass(frozen=True, slots=True)
class AtColumn:
    """A price: a column's value at the signal, for example the low of the opening range."""

    of: str


@dataclass(frozen=True, slots=True)
class Reward:
    """A target's distance: so many times the distance of the stop."""

    times: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a scan's call may answer: enter, and at which levels, where they are not declared."""

    side: Side = Side.BUY
    stop: float | None = None  # USD per share; None: as `execution` declares
    target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position, as the exit's call sees it at the close of a bar."""

    side: Side  # BUY: long
    entry_price: float  # USD per share
    bars: int  # closed bars since the entry, the entry's own included
    best: float  # the price most in its favour since the entry
    worst: float
    stop: float | None


class Moment(Protocol):
    """One symbol at the close of one bar. `back` counts bars, 0 is this one; none is ahead."""

    @property
    def symbol(self) -> str:
        """Return the symbol."""

    def __call__(self, name: str, back: int = 0) -> float:
        """Return a column's value; NaN where there is none."""

    def other(self, symbol: str, back: int = 0) -> float:
        """Return another symbol's last close by now; NaN where there is none."""


ScanCall = Callable[[Moment], Entry | bool | None]  # one with `over` is asked by that, see below
ExitCall = Callable[[Moment, Held], bool]  # one with `elsewhere` asks another process


class FarScan(Protocol):
    """A scan's call that asks another process, about many bars at once."""

    def over(
        self, bars: SessionBars, columns: Mapping[str, Floats], rows: range
    ) -> tuple[Floats, Floats, Floats]:
        """Return sign, stop and target for each of `rows`; NaN where a level is not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """When to enter, in conditions; where both hold, nothing is entered."""

    long: Condition | None = None
    short: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How to enter and how to leave."""

    size: Size = EquityShare(1.0)
    stop: Percent | Multiple | AtColumn | None = None  # None: only for backtests
    target: Percent | Multiple | AtColumn | Reward | None = None
    trail: Percent | Multiple | None = None  # fixed at the signal; takes the place of a target
    exit: Condition | ExitCall | None = None
    max_bars: int | None = None  # closed bars with the position; then it is sold
    flat_before_close_min: float | None = None  # minutes before the session's close
    no_entry_before_close_min: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A strategy with values for its parameters."""

    columns: Mapping[str, Calculator]  # by the names that scan and execution use
    scan: Scan | ScanCall
    execution: Execution

    @property
    def warm_up(self) -> int:
        """Return the rows before the first entry."""
        return max((each.warm_up for each in self.columns.values()), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What to run, under a name that people know it by."""

    name: str  # small letters, digits and _
    version: str
    idea: str  # one sentence: why it might work
    source: str  # where the idea is described
    timeframe: Timeframes
    params: tuple[Param, ...]
    build: Callable[[Values], Plan]
    symbols: int = 1  # how many it needs at once; 1: each symbol stands alone
    shorts: bool = False  # whether it may sell what it does not hold
    fingerprint: str = field(default="", compare=False)  # of its code, names taken out

    @property
    def stamp(self) -> str:
        """Return name and version, as records carry it."""
        return f"{self.name}@{self.version}"

    def values(self, given: Mapping[str, object]) -> dict[str, Number]:
        """Return a value for every parameter: those given (numbers, or texts), else defaults.

        Raises:
            BadInput: a name is unknown, or a value is no number, not whole or out of range.
        """
        unknown = sorted(set(given) - {param.name for param in self.params})
        if unknown:
            known = ", ".join(param.name for param in self.params) or "none"
            raise BadInput(f"{self.name} has no parameter {', '.join(unknown)}; it has {known}")
        return {
            param.name: _value(self.name, param, given[param.name])
            if param.name in given
            else param.default
            for param in self.params
        }

    def plan(self, values: Values, symbols: int = 1) -> Plan:
        """Return the plan for these values, checked, for a run with so many symbols.

        Raises:
            BadInput: the plan contradicts itself; the message names the strategy.
        """
        plan = self.build(values)
        for fault in faults_of(plan):
            raise BadInput(f"{self.stamp}: {fault}")
        size = plan.execution.size
        if not isinstance(size, EquityShare) or symbols <= self.symbols:
            return plan
        part = EquityShare(size.frac * self.symbols / symbols)
        return replace(plan, execution=replace(plan.execution, size=part))


def requested_shares(size: Size, equity: Decimal, mark: Decimal, stop: Decimal | None) -> Decimal:
    """Return the whole shares that a strategy asks for, never negative.

    Fractions count to six digits, so that integer arithmetic comes to the same.
    """
    if mark <= 0 or equity <= 0:
        return Decimal(0)
    match size:
        case Shares(qty):
            wanted = Decimal(qty)
        case Dollars(usd):
            wanted = Decimal(repr(float(usd))).quantize(_SIX_DIGITS) / mark
        case EquityShare(frac):
            wanted = equity * six_digits(frac) / mark
        case RiskShare(frac):
            distance = Decimal(0) if stop is None else abs(mark - stop)
            wanted = equity * six_digits(frac) / distance if distance else Decimal(0)
    return max(wanted.to_integral_value(rounding=ROUND_FLOOR), Decimal(0))


def six_digits(frac: float) -> Decimal:
    """Return a fraction to six digits."""
    return Decimal(repr(float(frac))).quantize(_SIX_DIGITS)


def faults_of(plan: Plan) -> list[str]:
    """Return what a plan contradicts itself in, each as the rest of a sentence."""
    how, found = plan.execution, list[str]()
    amount = _amount(how.size)
    if not (math.isfinite(amount) and amount > 0):
        found.append(f"its size is {amount}; it must be a number above 0")
    if isinstance(how.size, RiskShare) and how.stop is None:
        found.append("its size is a share of risk and it has no stop; declare one")
    if how.trail is not None and how.target is not None:
        found.append(
            "it has a trailing stop and a target, and a broker holds the shares for one of them; "
            "drop one"
        )
    if isinstance(how.target, Reward) and how.stop is None:
        found.append("its target is a multiple of the stop's distance and it has no stop")
    if how.max_bars is not None and how.max_bars < 1:
        found.append(f"max_bars is {how.max_bars}; at least one bar is needed")
    for name, level in (("stop", how.stop), ("target", how.target), ("trail", how.trail)):
        column = level.of if isinstance(level, (Multiple, AtColumn)) else None
        if column is not None and column not in plan.columns and column not in BAR_COLUMNS:
            found.append(f"its {name} stands on {column!r}, which it does not declare")
        far = level.frac if isinstance(level, Percent) else getattr(level, "times", 1.0)
        if level is not None and not (math.isfinite(far) and far > 0):
            found.append(f"its {name} is {far} away; the distance must be above 0")
    found.extend(_unknown_names(plan))
    return found


BAR_COLUMNS: Final = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "session",  # exchange date as a proleptic ordinal
    "minutes_open",  # from the session's open to the bar's close
    "minutes_left",  # from the bar's close to the session's
)


def asked_names(plan: Plan) -> frozenset[str] | None:
    """Return the columns that a plan asks about; None where a call may ask about any."""
    scan, how = plan.scan, plan.execution
    if not isinstance(scan, Scan) or (how.exit is not None and not hasattr(how.exit, "names")):
        return None
    levels = (how.stop, how.target, how.trail)
    return _condition_names(plan) | frozenset(
        level.of for level in levels if isinstance(level, (Multiple, AtColumn))
    )


def asks_elsewhere(plan: Plan) -> bool:
    """Return whether a call of this plan waits for another process, so may not block a loop."""
    return hasattr(plan.scan, "over") or hasattr(plan.execution.exit, "elsewhere")


def _condition_names(plan: Plan) -> frozenset[str]:
    scan = plan.scan
    conditions = [scan.long, scan.short] if isinstance(scan, Scan) else []
    asked = frozenset[str]()
    for condition in (*conditions, plan.execution.exit):
        asked |= getattr(condition, "names", frozenset())
    return asked


def _unknown_names(plan: Plan) -> list[str]:
    known, scan = {*plan.columns, *BAR_COLUMNS}, plan.scan
    if isinstance(scan, Scan) and scan.long is None and scan.short is None:
        return ["its scan has no condition, so it would never enter"]
    strangers = sorted(_condition_names(plan) - known)
    return [f"it asks about {', '.join(strangers)}, which it does not declare"] if strangers else []


def _amount(size: Size) -> float:
    match size:
        case Shares(qty):
            return float(qty)
        case Dollars(usd):
            return usd
        case EquityShare(frac) | RiskShare(frac):
            return frac


def _value(strategy: str, param: Param, given: object) -> Number:
    whole = isinstance(param.default, int)
    try:
        number = float(str(given))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise BadInput(f"{strategy}: {param.name}={given} is not {kind}")
    if not param.low <= number <= param.high:
        raise BadInput(f"{strategy}: {param.name}={given} is outside {param.low} to {param.high}")
    return int(number) if whole else number
