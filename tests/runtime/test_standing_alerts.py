"""An alert stands as long as its cause."""

from __future__ import annotations

from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.runtime.standing_alerts import StandingAlerts
from tests.fakes.clocks import START


def test_a_cause_is_told_once_and_its_end_once() -> None:
    told = list[Event]()
    alerts = StandingAlerts("lock.", kind="risk", over="the lock is over", publish=told.append)
    for causes in ({"daily_loss:*": "down 2 %"}, {"daily_loss:*": "down 3 %"}, {}, {}):
        alerts.tell(causes, START)
    raised, resolved = told
    assert isinstance(raised, AlertRaised)
    assert (raised.key, raised.kind, raised.message) == ("lock.daily_loss:*", "risk", "down 2 %")
    assert isinstance(resolved, AlertResolved)
    assert resolved.message == "daily_loss:*: the lock is over"


def test_what_an_earlier_run_left_open_is_ended_and_not_raised_again() -> None:
    told = list[Event]()
    alerts = StandingAlerts("data.", kind="data", over="trusted again", publish=told.append)
    alerts.resume(["SPY", "AAPL"])
    alerts.tell({"SPY": "still"}, START)
    assert [event.key for event in told if isinstance(event, AlertResolved)] == ["data.AAPL"]
    assert not any(isinstance(event, AlertRaised) for event in told)
