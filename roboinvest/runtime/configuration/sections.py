"""The sections of the settings: every knob of the daemon, its unit, its range and its default.

One model a section; the text below a field is its documentation.
"""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from roboinvest.core.market.values import Timeframe


def split(value: object) -> object:
    """Return a comma-separated text, as the environment has it, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _is_ticker(value: str) -> str:
    if not _TICKER.fullmatch(value):
        raise ValueError(f"{value!r} is not a ticker: 1 to 20 of A-Z, 0-9 and . _ / -")
    return value


def _speed(value: object) -> float | Literal["max"]:
    if value == "max":
        return "max"
    try:
        speed = float(str(value))
    except ValueError:
        speed = math.nan
    if not (speed > 0 and math.isfinite(speed)):
        raise ValueError(f'{value!r} is neither a number above 0 nor "max"')
    return speed


def _on_or_off(value: object) -> object:
    """Return TOML's true and false, which people write as well, as our words."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


_TICKER: Final = re.compile(r"[A-Z][A-Z0-9._/\-]{0,19}")
Ticker = Annotated[str, AfterValidator(_is_ticker)]
Tickers = Annotated[tuple[Ticker, ...], BeforeValidator(split)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Speed = Annotated[
    float | Literal["max"],
    PlainValidator(_speed, json_schema_input_type=float | Literal["max"]),
]
OnOff = Annotated[Literal["on", "off"], BeforeValidator(_on_or_off)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Source(StrEnum):
    """Where market data comes from."""

    SIMULATED = "simulated"
    REPLAY = "replay"
    POLYGON = "polygon"


class BrokerKind(StrEnum):
    """Who fills orders."""

    PAPER = "paper"
    ALPACA = "alpaca"


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values do not change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MarketSettings(Section):
    """What is watched."""

    source: Source = Source.SIMULATED
    """Where bars and news come from."""
    symbols: Tickers = ()
    """Tickers to trade; empty: all that the source offers."""
    timeframe: Timeframe = Timeframe.MINUTE
    """Length of a bar, and so the time between two ticks."""
    vix_path: Path | None = None
    """CSV file of daily VIX closes; without one the regime has no VIX."""


class SimulatedSettings(Section):
    """The invented market."""

    seed: int = Field(default=7, ge=0)
    """The same seed is the same market."""
    start: date = date(2026, 1, 5)
    """First exchange day."""
    speed: Speed = 60.0
    """Market minutes per real minute; "max": as fast as possible."""
    history_days: int = Field(default=30, ge=0, le=3650)
    """Calendar days of bars that exist before the first day."""
    symbols: Tickers = ("ALFA", "BRVO", "CHRL", "DLTA", "ECHO")
    """Invented tickers."""


class ReplaySettings(Section):
    """A market that happened."""

    path: Path | None = None
    """File of recorded bars, parquet or CSV."""
    source: str | None = None
    """Vendor subfolder where the folder holds several; None: the only one there is."""
    first: date | None = None
    """First exchange day; None: the first that is recorded."""
    last: date | None = None
    """Last exchange day, included; None: the last that is recorded."""
    speed: Speed = "max"
    """Market minutes per real minute; "max": as fast as possible."""
    actions_path: Path | None = None
    """CSV file of splits and dividends."""
    news_path: Path | None = None
    """File of timestamped headlines."""


class BrokerSettings(Section):
    """Who fills orders, and what that costs."""

    kind: BrokerKind = BrokerKind.PAPER
    """The paper broker needs no account."""
    starting_cash_usd: Decimal = Field(default=Decimal(100_000), gt=0, allow_inf_nan=False)
    """USD on the paper account at the first start."""
    slippage_bps: Decimal = Field(default=Decimal("1.0"), ge=0, lt=10_000)
    """Basis points against us on market and stop orders."""
    volume_share: Fraction = Decimal("0.1")
    """Fraction of a bar's volume that our orders may take."""
    commission_per_share_usd: Usd = Decimal(0)
    """USD per share, both sides."""
    sec_fee_rate: Usd = Decimal("0.0000206")
    """Fraction of the proceeds of a sale (SEC Section 31)."""
    taf_per_share_usd: Usd = Decimal("0.000195")
    """USD per share sold (FINRA trading activity fee)."""


class RiskSettings(Section):
    """Hard limits; no model can widen them. Fractions are of equity."""

    allow_short: bool = False
    """Whether a sale may open a short position."""
    risk_per_trade_frac: Fraction = Decimal("0.0025")
    """Most that one stop-out may cost."""
    max_order_usd: Decimal = Field(default=Decimal(25_000), gt=0, allow_inf_nan=False)
    """USD of one order."""
    max_position_frac: Fraction = Decimal("0.10")
    """Of one symbol."""
    max_gross_frac: Fraction = Decimal("0.80")
    """Of all positions together."""
    max_daily_loss_frac: Fraction = Decimal("0.02")
    """Loss since the day's start after which only exits are sent."""
    max_drawdown_frac: Fraction = Decimal("0.10")
    """Loss from the highest equity after which only exits are sent."""
    max_trades_per_day: int = Field(default=20, ge=0)
    """Entries; 0: none."""
    max_open_orders: int = Field(default=60, ge=1)
    """Orders at the broker, protective legs included."""
    stale_after_bars: int = Field(default=3, ge=1)
    """Bars without news of a symbol after which it is not entered."""
    price_collar_frac: Fraction = Decimal("0.05")
    """Distance between a price of an order and the last bar."""
    no_entry_last_min: int = Field(default=15, ge=0)
    """Minutes before the close in which nothing is entered; 0: none."""
    cooldown_bars: int = Field(default=15, ge=0)
    """Bars after an exit in which the symbol is not entered; 0: none."""


class ProtectionSettings(Section):
    """Times without entries, after losses; a count or a fraction of 0 is off. Minutes of market."""

    stop_guard_stops: int = Field(default=0, ge=0)
    """Losing stop-outs within the window after which entries are locked; 0: none."""
    stop_guard_window_min: int = Field(default=1440, ge=1)
    """Minutes."""
    stop_guard_lock_min: int = Field(default=60, ge=1)
    """Minutes."""
    stop_guard_scope: Literal["all", "symbol"] = "all"
    """Whether stop-outs of all symbols are counted and locked together."""
    drawdown_frac: Decimal = Field(default=Decimal(0), ge=0, le=1)
    """Fall of closed profit from its peak, as a fraction of equity; 0: none."""
    drawdown_trades: int = Field(default=5, ge=1)
    """Trades within the window below which a drawdown proves nothing."""
    drawdown_window_min: int = Field(default=2880, ge=1)
    """Minutes."""
    drawdown_lock_min: int = Field(default=720, ge=1)
    """Minutes."""
    low_profit_trades: int = Field(default=0, ge=0)
    """Trades of a symbol within the window from which its profit is judged; 0: never."""
    low_profit_usd: Decimal = Field(default=Decimal(0), allow_inf_nan=False)
    """USD that those trades must have earned together."""
    low_profit_window_min: int = Field(default=2880, ge=1)
    """Minutes."""
    low_profit_lock_min: int = Field(default=720, ge=1)
    """Minutes."""


class StrategySettings(Section):
    """Who decides, where it is not the strategy task of the house."""

    name: str | None = None
    """Of the library, a Python file, box:FILE or agent:ID[@REVISION]; None: the house's own."""
    params: Annotated[tuple[str, ...], BeforeValidator(split)] = ()
    """Its parameters, as name=value."""


class MemorySettings(Section):
    """The text memory, a cache that can be rebuilt."""

    chroma: OnOff = "on"
    """Whether the Chroma server is used."""
    chroma_url: str | None = None
    """Address of a Chroma server; None: a child process on loopback."""
    disk_limit_mb: int = Field(default=1024, ge=16)
    """MiB that one file of the child process may reach."""


class SupervisorSettings(Section):
    """How services are kept alive, and how the house stops."""

    stop_grace_s: Seconds = 20.0
    """Seconds for an orderly stop."""
    forced_exit_s: Seconds = 25.0
    """Seconds after which the process ends itself with code 75."""
    max_restarts: int = Field(default=5, ge=0)
    """Restarts of one service within `within_s`; one more quarantines it, or stops the house."""
    within_s: Seconds = 600.0
    """Seconds."""
    backoff_first_s: Seconds = 1.0
    """Seconds before the first restart; doubled each time."""
    backoff_max_s: Seconds = 300.0
    """Seconds."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.stop_grace_s >= self.forced_exit_s:
            raise ValueError(
                f"stop_grace_s {self.stop_grace_s} must be below forced_exit_s {self.forced_exit_s}"
            )
        if self.backoff_first_s > self.backoff_max_s:
            raise ValueError(
                f"backoff_first_s {self.backoff_first_s} is above backoff_max_s "
                f"{self.backoff_max_s}"
            )
        return self


class ReportsSettings(Section):
    """The JSON files for a frontend."""

    interval_s: Seconds = 1.0
    """Seconds between two writes of a file that changed."""


class LoggingSettings(Section):
    """The log file."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is less than this is not written."""
    max_mb: float = Field(default=20, gt=0, allow_inf_nan=False)
    """MiB after which a new file is begun."""
    backups: int = Field(default=5, ge=0)
    """Old files that are kept."""


class RetentionSettings(Section):
    """What is forgotten."""

    hold_tick_days: int = Field(default=30, ge=1)
    """Days after which a tick that only held keeps its figures and loses its text."""
    llm_text_days: int = Field(default=90, ge=1)
    """Days after which prompts and replies of language models are dropped; their cost stays."""
