"""Everything a report of a day is built from, as it was found; what was not found has its reason.

None means that it is not known, and `missing` says why. An empty tuple means that there was none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from meta_agents.daily_report.days import Span
from roboinvest.core.audit import AuditRow
from roboinvest.core.change_outcomes import ChangeOutcome
from roboinvest.core.ledger import Trade
from roboinvest.core.oversight.advice import Advice
from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.core.records import TickRecord
from roboinvest.runtime.alerting.values import Alert
from roboinvest.runtime.halt import Halt
from roboinvest.runtime.llm.spend.reads import SpendPart
from roboinvest.runtime.reports.health import Health
from roboinvest.runtime.reports.models import SystemStatus

HourRow = tuple[datetime, float, int]  # begin of the hour, value, observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the market did to the run's universe within the day."""

    before: Mapping[str, float]  # USD, last prices before the day, or the first ones in it
    after: Mapping[str, float]  # USD, last prices of the day
    splits: Mapping[str, float]  # new shares for an old one, within the day
    dividends: Mapping[str, float]  # USD a share as it was before the day, within the day
    base: str  # what `before` is: "the close before", "the first bar of the day"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceStart:
    """Where the account stands, and the same money left alone."""

    equity: float  # USD
    kept: float  # USD, of the symbols that had a bar
    symbols: int  # that had one


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A proposal that waits for a person."""

    proposal_id: str
    kind: str
    subject: str
    source: str
    why: str
    filed_at: datetime  # UTC
    expires_at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFacts:
    """One day, as the run left it."""

    day: date
    span: Span  # of the day, in the run's own time
    house: Span  # the same in the machine's time
    run_now: datetime  # UTC, on the run's own clock
    made_at: datetime  # UTC, on the machine's clock
    apart: bool  # the market has a time of its own
    running: bool  # a daemon is at work
    mode: str | None
    symbols: tuple[str, ...] = ()
    ticks: tuple[TickRecord, ...] | None = None  # of the day, oldest first, without bodies
    tick_before: TickRecord | None = None  # the last one before the day
    trades: tuple[Trade, ...] | None = None  # that ended on the day or in the week before
    marks: Marks | None = None
    since_start: SinceStart | None = None
    start_equity: float | None = None  # USD, at the begin of the run
    alerts: tuple[Alert, ...] | None = None  # all on record
    attempts: tuple[HealAttempt, ...] | None = None
    advice: tuple[Advice, ...] | None = None  # made, taken or settled on the day
    open_advice: tuple[Advice, ...] | None = None
    figures: Mapping[str, tuple[HourRow, ...]] | None = None  # hourly, of the day
    audit: tuple[AuditRow, ...] | None = None  # of the day
    outcomes: tuple[ChangeOutcome, ...] | None = None  # told on the day
    waiting: tuple[Waiting, ...] | None = None
    spend: tuple[SpendPart, ...] | None = None
    health: Health | None = None
    status: SystemStatus | None = None
    halt: Halt | None = None
    missing: Mapping[str, str] = field(default_factory=dict)  # field -> why it is None

    @property
    def is_complete(self) -> bool:
        """Return whether the day is over on the run's own clock."""
        return self.run_now >= self.span.end
