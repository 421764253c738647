"""An agent that is watched: what it does is said step by step, and it is judged at every tick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import AgentHealth, Status, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from tests.fakes.clocks import START

TICK_S = 60.0

Doing = Callable[[Vitals, float], None]


class WatchedAgent:
    """Vitals with a clock, and the health that each tick comes to."""

    def __init__(self, limits: Thresholds | None = None, *, phase_s: float = 0.0) -> None:
        """Take the limits, and how long after the minute the ticks come."""
        self.card = AgentCard(name="agent", kind=AgentKind.SERVICE)
        self.limits = limits or Thresholds()
        self.vitals = Vitals(0.0)
        self.now = 0.0
        self.next_tick = phase_s or TICK_S
        self.health: AgentHealth | None = None
        self.history: list[AgentHealth] = []

    def wall(self) -> datetime:
        """Return the time of day."""
        return START + timedelta(seconds=self.now)

    def tick(self) -> AgentHealth:
        """Judge now."""
        self.health = judge(
            self.card, self.vitals.snapshot(self.now), self.limits, self.wall(), self.health
        )
        self.history.append(self.health)
        return self.health

    def live(self, seconds: float, do: Doing, *, every_s: float = 5.0) -> list[AgentHealth]:
        """Let it do something every so many seconds, and return the ticks of that time."""
        seen, end = len(self.history), self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(self.now + every_s, end)
            do(self.vitals, self.now)
            while self.next_tick <= self.now + 1e-9:
                self.next_tick += TICK_S
                self.tick()
        return self.history[seen:]

    def status(self) -> Status:
        """Return the last status."""
        assert self.health is not None
        return self.health.status

    @property
    def reasons(self) -> str:
        """Return the last reasons."""
        assert self.health is not None
        return " | ".join(self.health.reasons)
