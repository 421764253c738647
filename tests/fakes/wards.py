"""Some agents that an Overseer looks at, under a clock that is set by hand."""

from __future__ import annotations

import asyncio

from meta_agents.overseer import HealthPass, Overseer
from meta_agents.overseer_evidence import Terms
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.thresholds import Thresholds
from tests.fakes.clocks import ManualClock

LIMITS = Thresholds(offline_s=60.0, least_calls=5)


def card(name: str, *needs: str, kind: AgentKind = AgentKind.SERVICE) -> AgentCard:
    return AgentCard(name=name, kind=kind, dependencies=needs)


class Ward:
    """Some agents, and what a look finds."""

    def __init__(self, *cards: AgentCard, **terms: Terms) -> None:
        self.clock = ManualClock()
        self.overseer = Overseer(self.clock, LIMITS)
        self.overseer.register_all(cards, dict(terms.items()))

    def succeeds(self, name: str, times: int = 10) -> None:
        for _ in range(times):
            self.overseer.vitals(name).succeeded(self.clock.monotonic(), 0.1)

    def fails(self, name: str, line: str, times: int = 10) -> None:
        pulse = self.overseer.vitals(name)
        for _ in range(times):
            pulse.failed(self.clock.monotonic(), line)

    def look(self, *silent: str, after_s: int = 120) -> HealthPass:
        """Let some time pass in which all but the silent get on, and look."""
        for _ in range(after_s // 10):
            self.clock.advance(10.0)
            for name in self.overseer.roster.cards:
                if name not in silent:
                    self.overseer.vitals(name).progressed(self.clock.monotonic())
        return asyncio.run(self.overseer.look())
