"""A broker or vendor that its own client calls away is down at once, and is what others fail of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from meta_agents.overseer import HealthPass, Overseer
from meta_agents.overseer_senses import AlertSense
from roboinvest.app.folding import folding
from roboinvest.app.roster import BROKER, DATA, SIGNALS, VENDOR, cards_of, terms_of
from roboinvest.core.events import AlertRaised, AlertResolved, Event, ServiceFailed, Severity
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.health import Status
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus
from tests.fakes.clocks import START, ManualClock

LIVE: Final = ("market_stream", "market_care", "reconciler", "trading")
RAISED: Final = AlertRaised(
    at=START, key="", severity=Severity.HIGH, kind="system", message="it does not answer"
)
OF_TRADING: Final = replace(RAISED, key="service.trading", caused_by="agent.trading")


def status(name: str) -> ServiceStatus:
    return ServiceStatus(
        name=name,
        state=ServiceState.RUNNING,
        essential=False,
        restarts=0,
        last_beat_age_s=0.0,
        last_error=None,
        beats=1,
    )


def _here() -> str | None:
    """Say that nothing is away."""
    return None


class House:
    """A roster with the sense of alerts alone."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.overseer = Overseer(self.clock)
        statuses = [status(name) for name in LIVE]
        for card in cards_of(statuses, None, has_broker=True, asks=False):
            self.overseer.register_all((card,), {card.name: terms_of(card, statuses)})
        self.sense = AlertSense(self.overseer, self.clock, SIGNALS)
        self.overseer.sense(self.sense.feel)

    def after(self, seconds: float) -> HealthPass:
        """Let time pass, then look."""
        self.clock.advance(seconds)
        return asyncio.run(self.overseer.look())


@pytest.mark.parametrize(
    ("agent", "key", "kind"),
    [(BROKER, "broker.away", "broker"), (VENDOR, "market_data.away", "data")],
)
def test_who_is_called_away_is_down_at_the_next_look_and_nobody_before(
    agent: str, key: str, kind: str
) -> None:
    house = House()
    assert house.after(60.0).healths[agent].status is Status.HEALTHY
    house.sense.hear(replace(RAISED, key=key, kind=kind))
    found = house.after(5.0)
    assert found.healths[agent].status is Status.OFFLINE
    assert found.causes[agent].cause is Cause.PROVIDER
    assert house.sense.key_of(agent) == key
    house.sense.hear(AlertResolved(at=START, key=key, message="it answers"))
    assert house.after(5.0).healths[agent].status is not Status.OFFLINE


def test_bars_that_stay_away_follow_from_their_vendor() -> None:
    house = House()
    house.sense.hear(replace(RAISED, key="market_data.away", kind="data"))
    found = house.after(120.0)
    assert found.healths[DATA].status is Status.OFFLINE
    assert found.roots[DATA] == VENDOR


def test_a_market_that_nobody_sends_has_no_vendor() -> None:
    cards = {
        card.name for card in cards_of([status("trading")], None, has_broker=False, asks=False)
    }
    assert VENDOR not in cards
    assert DATA in cards


@pytest.mark.parametrize(
    ("event", "away", "cause"),
    [
        (OF_TRADING, (None, "market_data.away"), "market_data.away"),
        (OF_TRADING, ("broker.away", "market_data.away"), "broker.away"),
        (OF_TRADING, (None, None), "agent.trading"),
        (replace(OF_TRADING, severity=Severity.CRITICAL), ("broker.away",), "agent.trading"),
        (replace(OF_TRADING, key="service.reports"), ("broker.away",), "agent.trading"),
    ],
)
def test_only_a_failure_of_trading_during_an_outage_follows_from_it(
    event: AlertRaised, away: tuple[str | None, ...], cause: str
) -> None:
    heard = list[Event]()
    publish = folding(heard.append, lambda: [partial(str, key) if key else _here for key in away])
    other = ServiceFailed(at=START, service="trading", reason="", restarts=1, quarantined=False)
    publish(event)
    publish(other)
    assert heard == [replace(event, caused_by=cause), other]
