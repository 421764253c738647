"""One alert for each agent that is unwell, under its root, resolved by recovery alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meta_agents.overseer import HealthPass, Overseer
from meta_agents.overseer_alerts import HealthAlerts
from meta_agents.overseer_evidence import Terms
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.thresholds import Thresholds
from tests.fakes.clocks import ManualClock

TERMS = Terms(limits=Thresholds(offline_s=60.0))
VITAL = Terms(limits=Thresholds(offline_s=60.0), is_vital=True)


class Told:
    """Three agents in a row, and what is told of them."""

    def __init__(
        self,
        *,
        vital: str = "",
        left_open: tuple[str, ...] = (),
        raised_as: Callable[[str], str | None] = lambda _: None,
        healed_by: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self.clock = ManualClock()
        self.overseer = Overseer(self.clock)
        names = ("store", "feed", "scout")
        self.overseer.register_all(
            [
                AgentCard(name=name, kind=AgentKind.SERVICE, dependencies=names[at - 1 : at])
                for at, name in enumerate(names)
            ],
            {name: VITAL if name == vital else TERMS for name in names},
        )
        self.said: list[Event] = []
        self.alerts = HealthAlerts(
            lambda event: self.said.append(event),
            left_open=left_open,
            raised_as=raised_as,
            healed_by=healed_by,
        )

    def minutes(self, count: int, *silent: str) -> HealthPass:
        """Let minutes pass in which all but the silent get on; return the last look."""
        for _ in range(count):
            self.clock.advance(60.0)
            for name in self.overseer.roster.cards:
                if name not in silent:
                    self.overseer.vitals(name).progressed(self.clock.monotonic())
            found = asyncio.run(self.overseer.look())
            self.alerts.tell(found, self.overseer.terms)
        return found

    def take(self) -> list[tuple[str, str, str | None]]:
        """Return what was told since the last time: how, key, and what it follows from."""
        said, self.said = self.said, []
        return [
            ("raised", each.key, each.caused_by)
            if isinstance(each, AlertRaised)
            else ("resolved", each.key, None)
            for each in said
            if isinstance(each, (AlertRaised, AlertResolved))
        ]


def test_it_is_raised_once_and_resolved_when_it_recovered_and_not_before() -> None:
    told = Told()
    told.minutes(5, "scout")
    assert told.take() == [("raised", "agent.scout", None)]
    told.minutes(60, "scout")
    assert told.take() == []
    told.minutes(2)
    assert told.take() == []
    told.minutes(2)
    assert told.take() == [("resolved", "agent.scout", None)]


def test_those_that_fail_with_a_root_are_told_under_it_and_the_root_first() -> None:
    told = Told()
    told.minutes(3, "store", "feed", "scout")
    assert told.take() == [
        ("raised", "agent.store", None),
        ("raised", "agent.feed", "agent.store"),
        ("raised", "agent.scout", "agent.store"),
    ]


def test_a_root_weighs_as_much_as_the_worst_of_those_it_takes_with_it() -> None:
    told = Told(vital="scout")
    told.minutes(3, "store", "feed", "scout")
    weights = {each.key: each.severity for each in told.said if isinstance(each, AlertRaised)}
    assert weights == {
        "agent.store": Severity.CRITICAL,
        "agent.feed": Severity.HIGH,
        "agent.scout": Severity.CRITICAL,
    }


def test_what_its_own_keeper_tells_of_is_not_told_twice() -> None:
    keepers = {"store": "service.store"}
    told = Told(raised_as=keepers.get)
    told.minutes(3, "store", "feed")
    assert told.take() == [("raised", "agent.feed", "service.store")]
    keepers.clear()
    told.minutes(10)
    assert told.take() == [("resolved", "agent.feed", None)]


def test_what_an_earlier_process_left_open_is_resolved_once_it_is_known_to_be_well() -> None:
    told = Told(left_open=("scout", "gone"))
    told.minutes(1)
    assert told.take() == [("resolved", "agent.gone", None)]
    assert told.alerts.open == {"scout"}
    told.minutes(2)
    assert told.take() == [("resolved", "agent.scout", None)]


def test_an_agent_that_fails_on_stays_open_over_a_restart_and_counts_on() -> None:
    told = Told(left_open=("scout",))
    told.minutes(5, "scout")
    assert told.take() == [("raised", "agent.scout", None)]


def test_a_resolved_alert_says_what_was_measured_to_have_healed_it() -> None:
    told = Told(healed_by=lambda name: f"after restart of {name}")
    told.minutes(3, "scout")
    told.minutes(5)
    (end,) = [each for each in told.said if isinstance(each, AlertResolved)]
    assert end.message == "scout is healthy again, after restart of scout"


def test_the_alert_says_what_is_wrong_since_when_and_why() -> None:
    told = Told()
    told.minutes(3, "scout")
    (alert,) = [each for each in told.said if isinstance(each, AlertRaised)]
    assert "scout is offline: no progress for 60 s, limit 60 s; since 14:" in alert.message
    assert alert.message.endswith("cause: its own code"), "no figure twice"
