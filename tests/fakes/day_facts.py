"""What is on record of a day, for tests of reports."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from meta_agents.daily_report.days import span_of
from meta_agents.daily_report.facts import DayFacts, Marks, SinceStart, Waiting
from roboinvest.core.audit import AuditEntry, AuditRow
from roboinvest.core.events import Severity
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.healing_record import Rung, Verdict
from roboinvest.runtime.alerting.values import Alert
from roboinvest.runtime.halt import Halt, HaltLevel
from roboinvest.runtime.llm.spend.reads import SpendPart
from roboinvest.runtime.reports.health import AgentLine, health_report
from tests.fakes.advice import advice
from tests.fakes.heal_attempts import an_attempt
from tests.fakes.records import record, trade

DAY = date(2026, 1, 5)
SPAN = span_of(DAY)
OPEN = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return an instant so many minutes after the exchange opened."""
    return OPEN + timedelta(minutes=minutes)


def bare(**fields: Any) -> DayFacts:
    """Return a day of which nothing is on record."""
    values: dict[str, Any] = {
        "day": DAY,
        "span": SPAN,
        "house": SPAN,
        "run_now": SPAN.end,
        "made_at": SPAN.end + timedelta(minutes=1),
        "apart": False,
        "running": True,
        "mode": "paper",
    }
    return DayFacts(**{**values, **fields})


def ticks(count: int = 60, *, equity: float = 100_000.0, step: float = 10.0) -> tuple[Any, ...]:
    """Return a tick a minute, each with a little more equity."""
    return tuple(
        record(
            number,
            at=at(number),
            session_day=DAY,
            equity=Decimal(str(equity + step * number)),
            holds=2,
            fills=int(number % 10 == 0),
        )
        for number in range(count)
    )


def alert(key: str = "service.feed", **fields: Any) -> Alert:
    """Return an open alert of high severity."""
    values: dict[str, Any] = {
        "key": key,
        "severity": Severity.HIGH,
        "kind": "data",
        "message": f"{key} is away",
        "raised_at": at(30),
        "last_seen_at": at(40),
        "count": 3,
    }
    return Alert(**{**values, **fields})


def audit_row(number: int, kind: str = "revision.activated", **fields: Any) -> AuditRow:
    """Return a row of the audit log."""
    values: dict[str, Any] = {
        "kind": kind,
        "subject": "breakout",
        "who": "ann",
        "why": "it passed its gates",
        "before": None,
        "after": None,
        "undo": "roboinvest agents rollback breakout",
        "at": at(number),
    }
    entry = AuditEntry(**{**values, **fields})
    return AuditRow(number=number, entry=entry, previous="0" * 64, digest="1" * 64)


def full(**fields: Any) -> DayFacts:
    """Return a day on which everything happened."""
    lines = [
        AgentLine(name="feed", kind="service", status="failing", since=at(30), reasons=("away",)),
        *(AgentLine(name=f"a{n}", kind="service", status="healthy", since=at(0)) for n in range(3)),
    ]
    hour = SPAN.start
    values: dict[str, Any] = {
        "symbols": ("AAA", "BBB"),
        "ticks": ticks(),
        "tick_before": record(0, equity=Decimal(100_000), at=SPAN.start - timedelta(hours=5)),
        "trades": tuple(
            trade(f"t{n}", n, closed_at=at(n), pnl=Decimal(str(n - 4))) for n in range(12)
        ),
        "marks": Marks(
            before={"AAA": 100.0, "BBB": 50.0},
            after={"AAA": 102.0, "BBB": 25.0},
            splits={"BBB": 2.0},
            dividends={},
            base="the close before",
        ),
        "since_start": SinceStart(equity=110_000.0, kept=105_000.0, symbols=2),
        "start_equity": 100_000.0,
        "alerts": (
            alert(),
            alert("fills", caused_by="service.feed"),
            alert("disk", severity=Severity.CRITICAL, resolved_at=at(50), resolution="room again"),
            alert("old", raised_at=at(-9999), resolved_at=SPAN.start - timedelta(seconds=1)),
        ),
        "attempts": (
            an_attempt(1, Rung.RESTART, Verdict.NOT_HEALED, at=at(32), agent="feed", reason="away"),
            an_attempt(2, Rung.RECONNECT, None, at=at(38), agent="feed"),
        ),
        "advice": (advice().taken(by="ann", at=at(5)),),
        "open_advice": (advice("r2", subject="other"),),
        "figures": {
            hourly.SUCCESS: ((hour, 0.9, 10), (hour + timedelta(hours=1), 0.5, 30)),
            hourly.LATENCY: ((hour, 0.25, 40),),
            hourly.INSIGHTS: ((hour, 4.0, 4),),
            hourly.UP_S: ((hour, 3600.0, 1), (hour + timedelta(hours=1), 1800.0, 1)),
        },
        "audit": (audit_row(1), audit_row(2, "proposal.filed")),
        "outcomes": (),
        "waiting": (
            Waiting(
                proposal_id="p-7",
                kind="code_edit",
                subject="strategy.py",
                source="CodeEditorAgent",
                why="it is slow",
                filed_at=at(3),
                expires_at=at(3000),
            ),
        ),
        "spend": (
            SpendPart(
                agent="house",
                task="strategy",
                calls=20,
                cost_usd=Decimal("0.24"),
                mean_latency_ms=800.0,
                failed=1,
            ),
        ),
        "health": health_report(at(600), lines),
        "halt": Halt(level=HaltLevel.NEW, reason="spike", by="ann", at=at(35)),
    }
    return bare(**{**values, **fields})
