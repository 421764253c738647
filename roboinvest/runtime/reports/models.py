"""The JSON reports as models; their schemas are what a frontend is written against.

Reports are for eyes, the database is for books: money is a JSON number in whole cents, a price has
four decimals, a share six, and what is not known is null, never 0. A frontend needs no decimal
library, and no figure here is ever read back into a ledger.
`generated_at` and `sequence` say when a file's content last changed; `status_updated` in
`system_status.json` moves every few seconds and is the sign of life.
Field names follow the system that this one succeeds where it had the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from roboinvest.core.events import Severity, TradingState
from roboinvest.runtime.reports.fields import (
    Cost,
    Count,
    Figure,
    Fraction,
    Percent,
    Price,
    Record,
    Report,
    Shares,
    Usd,
)
from roboinvest.runtime.reports.overseer_line import OverseerLine


class LastTick(Record):
    """The tick committed last."""

    tick_id: str
    at: AwareDatetime  # market time
    digest: str  # of this tick and every one before it
    buys: Count  # decisions
    sells: Count
    holds: Count
    orders: Count
    fills: Count
    rejected: Count


class ServiceLine(Record):
    """A supervised service."""

    name: str
    state: str  # down, starting, running, backing_off, quarantined, finished, stopped
    essential: bool
    restarts: Count  # since the daemon started
    last_error: str | None
    beats: Count  # of the current run
    last_beat_age_s: Figure | None


class RecallLine(Record):
    """The text memory, which may be away without a trade noticing."""

    state: str  # off, starting, ready, rebuilding, degraded
    reason: str | None
    memories: Count  # rows of the table
    waiting: Count | None  # rows that the text memory does not have yet


class DataLine(Record):
    """What the quality gate did with the rows of this run."""

    rows: Count
    used: Count
    quarantined: Count
    by_reason: Mapping[str, Count]


class ProcessLine(Record):
    """What the daemon takes of its machine."""

    pid: Count
    rss_mb: Figure
    cpu_pct: Percent
    loop_lag_p99_ms: Figure | None
    open_files: Count


class SessionLine(Record):
    """The exchange session of the last tick."""

    day: date
    opens_at: AwareDatetime
    closes_at: AwareDatetime
    is_half_day: bool
    is_open: bool


class LockLine(Record):
    """A time without entries; `roboinvest locks clear NAME` ends it."""

    name: str  # "cooldown:SPY"
    scope: str  # a ticker, or "all"
    rule: str
    since: AwareDatetime  # market time
    until: AwareDatetime | None  # market time; null until a person clears it
    text: str


class LimitLine(Record):
    """A limit of risk that a meeting lowered; `roboinvest governance undo` goes back."""

    name: str
    value: Fraction  # in force
    of_settings: Fraction
    since: AwareDatetime  # real time
    by: str
    text: str


class RefusalLine(Record):
    """What a rule or the broker refused, once for each symbol and rule."""

    symbol: str
    rule: str
    text: str  # as of the last time
    first_at: AwareDatetime  # market time
    last_at: AwareDatetime  # market time
    count: Count


class MandateLine(Record):
    """What the owner's mandate is worth."""

    state: str  # absent, unsigned, tampered, contradictory, expired, in force
    reason: str
    entries_allowed: bool
    signed_by: str | None
    expires_at: AwareDatetime | None
    consent_hash: str | None


class BoxLine(Record):
    """The box that generated code runs in, as it was tried once after the start."""

    tier: str  # A, B: it holds; C: scripts only; D: nothing would hold it
    code_agents: bool  # whether generated code runs at all
    reason: str


class GovernanceLine(Record):
    """What looks after agents, inbox and audit; trading needs none of it."""

    state: str  # starting, kept, degraded
    reason: str | None  # why it is degraded
    proposals_waiting: Mapping[str, Count]  # for a word, by level: L1 unless vetoed, L3 a person
    quarantined: tuple[str, ...]  # agents
    promotions_frozen: str | None  # why nothing is promoted
    audit_rows: Count | None  # null: not verified yet
    audit_whole: bool | None
    audit_fault: str | None  # the first place where it is not what was written
    sandbox: BoxLine | None  # null: not tried yet


class ResearchTrack(Record):
    """A line of research on an interval."""

    enabled: bool
    interval_minutes: Figure
    last_run: AwareDatetime | None
    next_run_estimate: AwareDatetime | None


class SystemStatus(Report):
    """system_status.json: what the daemon is doing."""

    service_started: AwareDatetime
    uptime_minutes: Figure
    status_updated: AwareDatetime
    total_research_cycles: Count = 0  # since the daemon started, as the next three
    successful_cycles: Count = 0
    failed_cycles: Count = 0
    insights_generated: Count = 0
    last_cycle_time: AwareDatetime | None = None  # null: there was none
    active_research_tracks: Count
    research_tracks: Mapping[str, ResearchTrack]
    mode: str  # simulation, replay, paper, live
    simulated: bool  # prices come from a generator
    paper: bool  # no real money
    trading_state: TradingState
    trading_state_reason: str
    halted: bool
    market_time: AwareDatetime | None
    session: SessionLine | None
    symbols: tuple[str, ...]
    last_tick: LastTick | None
    services: tuple[ServiceLine, ...]
    recall: RecallLine
    data: DataLine
    process: ProcessLine
    folders: Mapping[str, str]  # name -> path relative to the data folder
    mandate: MandateLine | None = None
    locks: tuple[LockLine, ...] = ()
    lowered_limits: tuple[LimitLine, ...] = ()  # below the settings, by name
    refusals: tuple[RefusalLine, ...] = ()  # newest first
    governance: GovernanceLine | None = None
    overseer: OverseerLine | None = None


class Interval(Record):
    """A share with its 95 % Wilson interval."""

    value: Fraction
    low: Fraction
    high: Fraction


class Ratio(Record):
    """An annualised ratio, and what it means; null where the curve is too short or too smooth."""

    value: Figure | None
    convention: str


class EquityPoint(Record):
    """One session of the equity curve."""

    session: date
    open_equity: Usd  # after its first tick
    close_equity: Usd  # after its last tick so far


class BenchmarkLine(Record):
    """The same money left alone."""

    name: str
    equity: Usd
    total_return: Fraction | None
    excess_return: Fraction | None  # ours minus the benchmark's


class ContaminationLine(Record):
    """What a language model may remember of the days that it was asked about."""

    model: str
    cutoff: date | None  # last day that its training data may speak of; null: not known
    marked: bool  # figures are shown with the text
    text: str


class Performance(Report):
    """performance.json: what it came to."""

    start_equity: Usd
    equity: Usd
    cash: Usd
    realised_pnl: Usd
    open_pnl: Usd
    total_return: Fraction | None
    max_drawdown: Fraction | None
    sharpe: Ratio
    sortino: Ratio
    trades: Count  # entries with nothing left open
    wins: Count
    losses: Count  # trades that did not win
    win_rate: Interval | None
    expectancy_usd: Usd | None
    expectancy_r: Figure | None
    profit_factor: Figure | None
    benchmark: BenchmarkLine | None
    equity_curve: tuple[EquityPoint, ...]
    contamination: ContaminationLine | None = None  # null: no model was asked


class PositionLine(Record):
    """What is held in one symbol, all agents together."""

    symbol: str
    quantity: Shares
    entry_price: Price  # average
    entry_time: AwareDatetime  # of the oldest open lot
    side: Literal["long", "short"]
    mark: Price
    value: Usd
    open_pnl: Usd
    stop: Price | None  # working protective order
    target: Price | None
    agents: tuple[str, ...]


class Positions(Report):
    """positions.json: what is held."""

    positions: Mapping[str, PositionLine]


class TradeLine(Record):
    """A round trip."""

    trade_id: str
    symbol: str
    quantity: Shares
    entry_price: Price
    exit_price: Price
    entry_time: AwareDatetime
    exit_time: AwareDatetime
    side: Literal["long", "short"]
    pnl: Usd  # after commission
    pnl_pct: Percent | None  # of the money at the entry
    r_multiple: Figure | None
    exit_reason: str  # stop, target, exit, flatten
    agent_id: str
    revision_id: str


class Trades(Report):
    """trades.json: the latest round trips, newest first."""

    total: Count  # since the start; the list may hold fewer
    trades: tuple[TradeLine, ...]


class AlertLine(Record):
    """Something a person may have to know."""

    key: str  # names the cause
    severity: Severity
    kind: str
    message: str
    raised_at: AwareDatetime
    last_seen_at: AwareDatetime
    count: Count  # how often its cause was seen
    resolved_at: AwareDatetime | None
    resolution: str | None  # what recovered it
    fingerprint: str = ""  # the short name that `roboinvest alerts` takes
    folded_under: str | None = None  # key of the open alert that it follows from
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str | None = None
    snoozed_until: AwareDatetime | None = None
    tried: str | None = None  # what healing did last, and what it came to; null: nothing
    next_step: str = ""  # what a person does about it


class Alerts(Report):
    """alerts.json: open alerts first, then those resolved lately."""

    open: Count
    alerts: tuple[AlertLine, ...]


class BudgetMove(Record):
    """The latest change of the day's cap."""

    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )

    before: Cost = Field(validation_alias="from", serialization_alias="from")
    after: Cost = Field(validation_alias="to", serialization_alias="to")
    reason: str
    at: AwareDatetime | None = None


class Budget(Report):
    """budget.json: what language models may cost, and did."""

    tokens: Count  # today
    cost_today: Cost
    budget_remaining: Cost
    day_cap_usd: Cost
    floor: Cost
    ceiling: Cost
    last_move: BudgetMove | None
    by_source: Mapping[str, Count] = Field(default_factory=dict)  # answers since the start


REPORTS: Final[Mapping[str, type[Report]]] = {
    "system_status": SystemStatus,
    "performance": Performance,
    "positions": Positions,
    "trades": Trades,
    "alerts": Alerts,
    "budget": Budget,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every report, by the name of its file without `.json`."""
    return {name: model.model_json_schema(mode="serialization") for name, model in REPORTS.items()}
