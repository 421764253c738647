"""What an agent's own keeper knows to be over is not told anew for the minutes before it."""

from __future__ import annotations

import asyncio

from meta_agents.overseer import Overseer
from meta_agents.overseer_alerts import HealthAlerts
from meta_agents.overseer_evidence import Terms
from roboinvest.core.events import AlertRaised, Event
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.fingerprints import http_line
from roboinvest.core.oversight.thresholds import Thresholds
from tests.fakes.clocks import ManualClock

CALLS_A_LOOK = 12


class Model:
    """One agent whose client raises and resolves an alert of its own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.overseer = Overseer(self.clock)
        card = AgentCard(name="model", kind=AgentKind.DEPENDENCY)
        self.overseer.register_all([card], {"model": Terms(limits=Thresholds())})
        self.is_told = False
        self.said: list[Event] = []
        self.alerts = HealthAlerts(
            self.said.append, raised_as=lambda _: "llm.model" if self.is_told else None
        )

    def looks(self, count: int, *, fails: bool) -> None:
        """Let the Overseer look a few times, five seconds apart, while calls fail or go well."""
        vitals = self.overseer.vitals("model")
        for _ in range(count):
            self.clock.advance(5.0)
            at = self.clock.monotonic()
            for _ in range(CALLS_A_LOOK):
                if fails:
                    vitals.failed(at, http_line(500, ""))
                else:
                    vitals.succeeded(at, 0.1)
            vitals.progressed(at)
            found = asyncio.run(self.overseer.look())
            self.alerts.tell(found, self.overseer.terms)

    @property
    def raised(self) -> list[str]:
        return [each.key for each in self.said if isinstance(each, AlertRaised)]


def test_an_outage_that_its_keeper_calls_over_is_not_told_once_more() -> None:
    model = Model()
    model.is_told = True
    model.looks(12, fails=True)
    model.is_told = False
    model.looks(40, fails=False)
    assert model.raised == []


def test_what_fails_on_though_its_keeper_calls_it_over_is_told() -> None:
    model = Model()
    model.is_told = True
    model.looks(12, fails=True)
    model.is_told = False
    model.looks(60, fails=True)
    assert model.raised == ["agent.model"]
