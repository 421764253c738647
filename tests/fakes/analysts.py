"""A PerformanceAnalystAgent over agents and books that a test sets by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from meta_agents.analyst_ports import HourOfTrading
from meta_agents.performance_analyst import PerformanceAnalystAgent
from roboinvest.core.errors import RoboInvestError
from roboinvest.core.events import Event
from roboinvest.core.oversight.spans import SpanBook
from roboinvest.core.oversight.trade_groups import TradeOutcome
from roboinvest.core.oversight.vitals import Vitals, VitalSigns
from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.analyst_tables import SCHEMA
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor


@dataclass(slots=True)
class HandMadeSenses:
    """Agents whose calls are set by hand."""

    calls: dict[str, tuple[int, int, float]] = field(default_factory=dict)  # well, failed, seconds
    counts: dict[str, int] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)

    def signs(self) -> Mapping[str, VitalSigns]:
        """Return the signs of agents that did these calls just now."""
        return {name: _signs(*calls) for name, calls in self.calls.items()}

    def statuses(self) -> Mapping[str, int]:
        """Return that all are healthy."""
        return {"healthy": len(self.calls)}

    def gauges(self) -> Mapping[str, float]:
        """Return the levels."""
        return dict(self.levels)

    def take_counts(self) -> Mapping[str, int]:
        """Return the counts, and begin anew."""
        found, self.counts = self.counts, dict.fromkeys(self.counts, 0)
        return found


@dataclass(slots=True)
class HandMadeTrading:
    """Books that are set by hand; `error` is raised in place of every answer."""

    each_hour: HourOfTrading = field(
        default_factory=lambda: HourOfTrading(decisions=10, fills=1, pnl_usd={})
    )
    ended: tuple[TradeOutcome, ...] = ()
    known_regimes: dict[str, str] = field(default_factory=dict)
    error: RoboInvestError | None = None
    asked: list[datetime] = field(default_factory=list)

    async def hour(self, start: datetime, end: datetime) -> HourOfTrading:
        """Return the same for every hour."""
        self._maybe_fail()
        self.asked.append(start)
        return self.each_hour

    async def round_trips(self, start: datetime, end: datetime) -> tuple[TradeOutcome, ...]:
        """Return those that ended within the span."""
        self._maybe_fail()
        return tuple(each for each in self.ended if start <= each.closed_at < end)

    async def regimes(self, entries: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is known."""
        return {name: self.known_regimes[name] for name in entries if name in self.known_regimes}

    def _maybe_fail(self) -> None:
        if self.error is not None:
            raise self.error


@contextmanager
def analyst(
    root: Path, clock: Clock, in_flight: InFlight | None = None, **parts: Any
) -> Iterator[PerformanceAnalystAgent]:
    """Open an analyst in a folder; `parts` are senses, trading, spans and published."""
    published: list[Event] = parts.get("published", [])
    names = itertools.count()
    spans: SpanBook | None = parts.get("spans")
    with (
        ThreadPoolExecutor(1) as pool,
        OverseerFile.open(root / FILE_NAME, schemas=(SCHEMA,)) as file,
    ):
        yield PerformanceAnalystAgent(
            file,
            senses=parts.get("senses") or HandMadeSenses(),
            trading=parts.get("trading"),
            spans=spans,
            reports=root / "reports",
            redactor=Redactor(parts.get("secrets", ())),
            clock=clock,
            threads=Threads(pool, in_flight or InFlight()),
            new_id=lambda: f"r{next(names)}-{clock.now():%d%H%M}",
            publish=published.append,
        )


def _signs(well: int, failed: int, seconds: float) -> VitalSigns:
    vitals = Vitals(0.0)
    for _ in range(well):
        vitals.succeeded(1.0, seconds)
    for _ in range(failed):
        vitals.failed(1.0, "KeyError", seconds)
    return vitals.snapshot(2.0)
