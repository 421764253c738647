"""health.json: every agent with its status, the reasons and since when, as the Overseer left it.

The Overseer writes it after each look; `roboinvest health` and the daily report read it, with a
daemon or without. Nothing heavy is imported here. The list is cut where there are thousands of
agents, the worst first; the counts are of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import AwareDatetime, Field

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.reports.fields import Count, Figure, Fraction, Record, Report
from roboinvest.runtime.reports.files import read_report, write_json_atomically

if TYPE_CHECKING:
    from roboinvest.core.oversight.agents import AgentCard
    from roboinvest.core.oversight.health import AgentHealth

FILE_NAME: Final = "health.json"
MOST_LISTED: Final = 500  # agents
_MAX_REASONS: Final = 5
_MAX_TEXT: Final = 300  # characters of a reason
_ORDER: Final = ("offline", "failing", "degraded", "healthy")
StatusWord = Literal["healthy", "degraded", "failing", "offline"]


class AgentLine(Record):
    """One agent as it was seen last."""

    name: str
    kind: str  # service, trading, research, meta, generated, dependency
    specialization: str = ""
    status: StatusWord
    reasons: tuple[str, ...] = ()  # the worst first; empty: healthy
    since: AwareDatetime  # of the status
    because_of: str | None = None  # the agent whose failure this one follows from
    calls: Count = 0  # in the last ten minutes
    success_rate: Fraction | None = None  # of these calls; null: there was none
    latency_p50_s: Figure | None = None  # null: no call was timed
    latency_p95_s: Figure | None = None
    counts: Mapping[str, Figure] = Field(
        default_factory=dict
    )  # of about ten minutes, by what it brought about
    tried: str | None = None  # what healing did last, and what it came to


class Health(Report):
    """health.json"""

    checked_at: AwareDatetime  # when the agents were looked at
    total_agents: Count
    healthy_agents: Count
    degraded_agents: Count
    failing_agents: Count
    offline_agents: Count
    agents: tuple[AgentLine, ...]  # the worst first, `MOST_LISTED` at most


def agent_line(
    card: AgentCard, health: AgentHealth, *, because_of: str | None = None, tried: str | None = None
) -> AgentLine:
    """Return the line of an agent from its card and what was found of it.

    Args:
        card: who it is.
        health: how it is.
        because_of: the root that it follows from; None, or itself: none.
        tried: what healing did last, in words.
    """
    signs = health.signs
    return AgentLine(
        name=card.name,
        kind=card.kind.value,
        specialization=card.specialization,
        status=health.status.value,
        reasons=tuple(clean(text, _MAX_TEXT) for text in health.reasons[:_MAX_REASONS]),
        since=health.since,
        because_of=None if because_of == card.name else because_of,
        calls=signs.calls,
        success_rate=signs.success_frac,
        latency_p50_s=signs.latency.p50_s if signs.latency else None,
        latency_p95_s=signs.latency.p95_s if signs.latency else None,
        counts={each.name: each.lately for each in signs.counters},
        tried=None if tried is None else clean(tried, _MAX_TEXT),
    )


def worst_first(status: str, since: datetime, name: str) -> tuple[int, datetime, str]:
    """Return by what agents are sorted."""
    return _ORDER.index(status), since, name


def health_report(
    now: datetime, agents: Iterable[AgentLine], *, counts: Mapping[str, int] | None = None
) -> Health:
    """Return the whole of one look.

    Args:
        now: when they were looked at.
        agents: the lines of all agents; of thousands, of the worst `MOST_LISTED` at least.
        counts: how many of all agents are in each status; None: `agents` are all.
    """
    lines = sorted(agents, key=lambda line: worst_first(line.status, line.since, line.name))
    if counts is None:
        counts = {status: sum(line.status == status for line in lines) for status in _ORDER}
    return Health(
        generated_at=now,
        checked_at=now,
        total_agents=sum(counts.values()),
        healthy_agents=counts["healthy"],
        degraded_agents=counts["degraded"],
        failing_agents=counts["failing"],
        offline_agents=counts["offline"],
        agents=tuple(lines[:MOST_LISTED]),
    )


def write_health(reports: Path, health: Health) -> None:
    """Write it into the folder of reports, whole or not at all. Blocking.

    Raises:
        OSError: the folder cannot be written; the old file is as it was.
    """
    write_json_atomically(reports / FILE_NAME, health, is_snapshot=True)


def last_sequence(reports: Path) -> int:
    """Return the number of what was written last, 0 where that cannot be read. Blocking."""
    try:
        return read_health(reports).sequence
    except RoboInvestError:
        return 0


def read_health(reports: Path) -> Health:
    """Return what was written last.

    Raises:
        TryLater: there is none yet.
        BadInput: it cannot be read, or is of another version.
    """
    return read_report(reports / FILE_NAME, Health)


def counts_of(health: Health) -> Mapping[str, int]:
    """Return how many agents are in each status, the worst first."""
    return {
        "offline": health.offline_agents,
        "failing": health.failing_agents,
        "degraded": health.degraded_agents,
        "healthy": health.healthy_agents,
    }
