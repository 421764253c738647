"""One alert per cause; only recovery closes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.runtime.alerts import MAX_KEPT, AlertBoard

NOW = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


class Shelf:
    """Keeps the last text of each document."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def save(self, name: str, text: str) -> None:
        self.texts[name] = text


def raised(key: str = "recall", minutes: int = 0, severity: Severity = Severity.LOW) -> AlertRaised:
    at = NOW + timedelta(minutes=minutes)
    return AlertRaised(at=at, key=key, severity=severity, kind="system", message=f"{key} is away")


def resolved(key: str = "recall", minutes: int = 9) -> AlertResolved:
    at = NOW + timedelta(minutes=minutes)
    return AlertResolved(at=at, key=key, message="it answers again")


async def test_a_cause_seen_again_is_counted_and_not_raised_again() -> None:
    board = AlertBoard(Shelf().save)
    for minute in range(3):
        await board.receive(raised(minutes=minute))
    (alert,) = board.alerts()
    assert (alert.count, alert.raised_at) == (3, NOW)
    assert alert.last_seen_at == NOW + timedelta(minutes=2)


async def test_only_recovery_closes_an_alert_and_a_new_failure_opens_a_new_one() -> None:
    board = AlertBoard(Shelf().save)
    await board.receive(raised())
    await board.receive(resolved())
    (alert,) = board.alerts()
    assert alert.resolution == "it answers again"
    await board.receive(raised(minutes=20))
    (alert,) = board.alerts()
    assert (alert.resolved_at, alert.count) == (None, 1)


async def test_recovery_of_what_never_failed_is_no_alert() -> None:
    shelf = Shelf()
    board = AlertBoard(shelf.save)
    await board.receive(resolved())
    assert board.alerts() == ()
    assert shelf.texts == {}


async def test_open_alerts_stand_first_and_the_worst_of_them_first() -> None:
    board = AlertBoard(Shelf().save)
    await board.receive(raised("closed", severity=Severity.CRITICAL))
    await board.receive(resolved("closed"))
    await board.receive(raised("low"))
    await board.receive(raised("critical", severity=Severity.CRITICAL))
    assert [alert.key for alert in board.alerts()] == ["critical", "low", "closed"]


async def test_an_open_alert_is_still_open_after_a_restart() -> None:
    shelf = Shelf()
    board = AlertBoard(shelf.save)
    await board.receive(raised())
    await board.receive(raised("other"))
    await board.receive(resolved("other"))
    again = AlertBoard(shelf.save)
    again.restore(shelf.texts["alerts"])
    assert again.alerts() == board.alerts()


async def test_closed_alerts_are_forgotten_after_a_week_and_beyond_a_bound() -> None:
    board = AlertBoard(Shelf().save)
    await board.receive(raised("old"))
    await board.receive(resolved("old"))
    await board.receive(raised("new", minutes=8 * 24 * 60))
    assert [alert.key for alert in board.alerts()] == ["new"]
    for number in range(MAX_KEPT + 20):
        await board.receive(raised(f"k{number}", minutes=12_000))
        await board.receive(resolved(f"k{number}", minutes=12_000))
    assert len(board.alerts()) <= MAX_KEPT
    assert board.alerts()[0].key == "new"


async def test_open_alerts_of_one_kind_are_found_by_the_head_of_their_keys() -> None:
    board = AlertBoard(Shelf().save)
    for key in ("data.SPY", "data.AAPL", "recall"):
        await board.receive(raised(key))
    await board.receive(resolved("data.AAPL"))
    assert board.open_keys("data.") == {"SPY"}
