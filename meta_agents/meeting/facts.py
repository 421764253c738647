"""What a meeting reads: figures and names of our own, and a few quotes of strangers' text.

Everything that comes from a log, a report or a proposal may have been written by somebody who wants
something. Of the log only counts are taken, by levels and by event names of our own spelling, and
a few lines, cleaned and cut, that are marked as what they are. None of it can be a decision.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.decisions import Act, Knob
from roboinvest.core.oversight.health import Status
from roboinvest.core.oversight.scoring import Calibration, Metric
from roboinvest.core.text.cleaning import clean

MAX_QUOTES: Final = 6
QUOTE: Final = 160  # characters
MAX_EVENTS: Final = 20
MAX_AGENTS: Final = 200
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]{1,59}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,119}")
_LOUD: Final = frozenset({"error", "critical", "warning"})
_WORDS: Final = ("text", "error", "message", "exception", "reason")  # fields that may be quoted

_Count = Annotated[int, Field(ge=0, le=10**9)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Figure = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFact:
    """How an agent is."""

    name: str
    status: Status
    hours: float  # for how long
    error_share: float | None  # of its calls, lately
    bad_reply_share: float | None = None  # of its model's answers, lately


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDigest:
    """The new part of the log, in figures, and a few of its words."""

    lines: int
    levels: Mapping[str, int]
    events: Mapping[str, int]  # of loud lines, the commonest; "agent:event" where one is named
    quotes: tuple[str, ...]  # strangers' text
    skipped: int = 0  # lines that could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """The daily report, as far as a meeting goes by it."""

    date: str
    total_agents: int
    healthy_agents: int
    critical_alerts: int
    unresolved_alerts: int
    success_rate: float | None
    insights: int
    trades: int
    pnl_usd: float | None  # of the day
    benchmark_usd: float | None  # of buy-and-hold, over the same day
    drawdown_frac: float | None
    drawdown_limit_frac: float | None
    llm_spent_usd: float | None
    llm_cap_usd: float | None
    agents: tuple[AgentFact, ...] = ()
    idle_tracks: tuple[str, ...] = ()  # that found nothing all day
    gaps: tuple[str, ...] = ()  # regimes or symbols that no agent is made for
    recommendations: tuple[str, ...] = ()  # strangers' text


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """An earlier decision: what it was and what came of it, without its words."""

    act: Act
    subject: str
    state: str
    verdict: str | None
    effect: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProposal:
    """Something that waits in the inbox, without its words."""

    kind: str
    level: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingFacts:
    """All that is before a meeting."""

    day: str
    now: datetime
    report: ReportFacts | None
    log: LogDigest
    knobs: tuple[Knob, ...]
    agents: tuple[str, ...]  # of which something may be requested
    metrics: tuple[Metric, ...]
    proposals: tuple[OpenProposal, ...]
    past: tuple[PastDecision, ...]
    calibration: Calibration
    room: int  # decisions that may be made

    def knob(self, act: Act, subject: str) -> Knob | None:
        """Return a knob; None: there is none."""
        wanted = (act, subject)
        return next((each for each in self.knobs if (each.act, each.subject) == wanted), None)

    def offers(self, metric: str) -> bool:
        """Return whether something is measured here."""
        return any(each.name == metric for each in self.metrics)


def digest_of(
    records: Iterable[Mapping[str, Any]], agents: Collection[str] = (), *, skipped: int = 0
) -> LogDigest:
    """Return what a meeting is told of log records; an agent is named if it is one of `agents`."""
    lines, levels, events = 0, Counter[str](), Counter[str]()
    quotes: dict[str, None] = {}
    for record in records:
        lines += 1
        level = record.get("level")
        known = level if isinstance(level, str) and level in (*_LOUD, "info", "debug") else "other"
        levels[known] += 1
        if known not in _LOUD:
            continue
        events[_event_of(record, agents)] += 1
        if len(quotes) < MAX_QUOTES and (quote := _quote_of(record)):
            quotes[quote] = None
    return LogDigest(
        lines=lines,
        levels=dict(levels),
        events=dict(events.most_common(MAX_EVENTS)),
        quotes=tuple(quotes),
        skipped=skipped,
    )


def _event_of(record: Mapping[str, Any], agents: Collection[str]) -> str:
    event, agent = record.get("event"), record.get("agent") or record.get("service")
    told = event if isinstance(event, str) and _EVENT.fullmatch(event) else "other"
    return f"{agent}:{told}" if isinstance(agent, str) and agent in agents else told


def _quote_of(record: Mapping[str, Any]) -> str:
    found = (record.get(name) for name in _WORDS)
    return next((clean(each, QUOTE) for each in found if isinstance(each, str) and each), "")


class _Agent(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
    status: Status
    hours: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    error_share: _Share | None = None
    bad_reply_share: _Share | None = None


class _Health(BaseModel):
    model_config = ConfigDict(extra="ignore")

    total_agents: _Count | None = None
    healthy_agents: _Count | None = None
    critical_alerts: _Count | None = None
    unresolved_alerts: _Count | None = None


class _Performance(BaseModel):
    model_config = ConfigDict(extra="ignore")

    avg_success_rate: _Share | None = None
    total_insights_generated: _Count | None = None
    total_trades_executed: _Count | None = None


class _Held(BaseModel):
    model_config = ConfigDict(extra="ignore")

    total_return: _Figure | None = None


class _Trading(BaseModel):
    model_config = ConfigDict(extra="ignore")

    start_equity: _Figure | None = None
    result_usd: _Figure | None = None
    day: _Held = _Held()  # buy-and-hold over the same day
    drawdown_frac: _Share | None = None
    drawdown_limit_frac: _Share | None = None


class _Spend(BaseModel):
    model_config = ConfigDict(extra="ignore")

    cost_usd: _Figure | None = None
    cap_usd: _Figure | None = None


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore")

    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    system_health: _Health = _Health()
    performance_metrics: _Performance = _Performance()
    trading_result: _Trading = _Trading()
    llm_spend: _Spend | None = None
    agents: list[_Agent] = Field(default_factory=list, max_length=100_000)
    idle_tracks: list[str] = Field(default_factory=list, max_length=1_000)
    gaps: list[str] = Field(default_factory=list, max_length=1_000)
    recommendations: list[Any] = Field(default_factory=list, max_length=1_000)


def report_facts(text: str | bytes) -> ReportFacts:
    """Return what a daily report in JSON says; fields that a meeting does not know are left out.

    Raises:
        BadInput: it is no daily report.
    """
    try:
        told = _Report.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError) as error:
        raise BadInput(
            "the daily report cannot be read; `roboinvest report daily` makes it anew"
        ) from error
    health, figures, result = told.system_health, told.performance_metrics, told.trading_result
    sick = sorted(told.agents, key=lambda one: (one.status is Status.HEALTHY, -one.hours, one.name))
    words = (each if isinstance(each, str) else str(each)[:QUOTE] for each in told.recommendations)
    spend = told.llm_spend or _Spend()
    held, equity = result.day.total_return, result.start_equity
    return ReportFacts(
        date=told.date,
        total_agents=health.total_agents or 0,
        healthy_agents=health.healthy_agents or 0,
        critical_alerts=health.critical_alerts or 0,
        unresolved_alerts=health.unresolved_alerts or 0,
        success_rate=figures.avg_success_rate,
        insights=figures.total_insights_generated or 0,
        trades=figures.total_trades_executed or 0,
        pnl_usd=result.result_usd,
        benchmark_usd=None if held is None or equity is None else held * equity,
        drawdown_frac=result.drawdown_frac,
        drawdown_limit_frac=result.drawdown_limit_frac,
        llm_spent_usd=spend.cost_usd,
        llm_cap_usd=spend.cap_usd,
        agents=tuple(AgentFact(**dict(each)) for each in sick[:MAX_AGENTS]),
        idle_tracks=_names(told.idle_tracks),
        gaps=_names(told.gaps),
        recommendations=tuple(clean(each, QUOTE) for each in list(words)[:MAX_QUOTES]),
    )


def _names(told: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in told if _NAME.fullmatch(each))[:MAX_EVENTS]


def figure(value: Decimal) -> str:
    """Return a number as a wish writes it."""
    return format(value.normalize(), "f") if value else "0"
