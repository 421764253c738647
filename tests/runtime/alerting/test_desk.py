"""What people decide about alerts is kept, and closes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.events import Severity
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.desk import AlertDesk, span_of
from roboinvest.runtime.alerting.values import AlertChange
from tests.fakes.alert_boards import NOW, Shelf, raised, resolved
from tests.fakes.clocks import ManualClock


class House:
    """A board with a desk, and what people are told."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.shelf = shelf or Shelf()
        self.clock = ManualClock(NOW)
        self.board = AlertBoard(self.shelf.save)
        self.board.restore(self.shelf.texts.get("alerts"))
        self.desk = AlertDesk(self.board, self.clock)
        self.heard: list[AlertChange] = []
        self.board.listen(lambda change: None if change.folded else self.heard.append(change))

    @property
    def said(self) -> list[str]:
        return [change.change.value for change in self.heard]


async def test_an_acknowledged_alert_stays_open_with_a_name_on_it_over_a_restart() -> None:
    house = House()
    await house.board.receive(raised())
    name = house.board.alerts()[0].fingerprint
    done = await house.desk.acknowledge(name, by="ann")
    assert (done.acknowledged_by, done.acknowledged_at, done.is_open) == ("ann", NOW, True)
    again = House(house.shelf)
    (alert,) = again.board.alerts()
    assert (alert.acknowledged_by, alert.is_open) == ("ann", True)
    again.board.settle(NOW + timedelta(days=3))
    assert again.heard == []


async def test_what_somebody_looks_after_is_not_told_again_when_its_root_is_gone() -> None:
    house = House()
    await house.board.receive(raised("broker"))
    await house.board.receive(raised("fills", caused_by="broker"))
    await house.desk.acknowledge("fills", by="ann")
    again = House(house.shelf)
    await again.board.receive(resolved("broker", minutes=1))
    again.board.settle(NOW + timedelta(hours=1))
    assert again.said == ["resolved"]


async def test_a_snoozed_alert_is_silent_and_told_again_when_it_is_still_open_then() -> None:
    house = House()
    await house.board.receive(raised())
    await house.desk.snooze("recall", by="ann", span=timedelta(hours=4))
    again = House(house.shelf)
    await again.board.receive(raised(minutes=60))
    again.board.settle(NOW + timedelta(hours=3, minutes=59))
    assert again.heard == []
    again.board.settle(NOW + timedelta(hours=4))
    again.board.settle(NOW + timedelta(hours=5))
    assert again.said == ["still open"]


async def test_a_snoozed_alert_that_recovers_is_over_without_a_word() -> None:
    house = House()
    await house.board.receive(raised())
    await house.desk.snooze("recall", by="ann", span=timedelta(hours=4))
    await house.board.receive(resolved(minutes=30))
    house.board.settle(NOW + timedelta(hours=5))
    assert house.said == ["raised"]
    assert not house.board.alerts()[0].is_open


@pytest.mark.parametrize("act", ["acknowledge", "snooze"])
async def test_what_gets_worse_is_told_whatever_was_said_of_the_lesser_trouble(act: str) -> None:
    house = House()
    await house.board.receive(raised())
    if act == "snooze":
        await house.desk.snooze("recall", by="ann", span=timedelta(days=2))
    else:
        await house.desk.acknowledge("recall", by="ann")
    await house.board.receive(raised(minutes=5, severity=Severity.CRITICAL))
    assert house.said == ["raised", "worsened"]
    (alert,) = house.board.alerts()
    assert (alert.acknowledged_by, alert.snoozed_until) == (None, None)


async def test_an_alert_is_named_by_key_fingerprint_or_its_first_digits() -> None:
    house = House()
    for number in range(30):
        await house.board.receive(raised(f"agent.{number}"))
    alert = house.board.alerts()[5]
    for name in (alert.key, alert.fingerprint, alert.fingerprint[:6]):
        assert (await house.desk.acknowledge(name, by="ann")).key == alert.key


@pytest.mark.parametrize("name", ["", "x", "recal", "nosuch", "\x1b[31m", "a" * 200])
async def test_a_name_that_no_open_alert_has_is_refused(name: str) -> None:
    house = House()
    await house.board.receive(raised())
    await house.board.receive(raised("gone"))
    await house.board.receive(resolved("gone"))
    for wrong in (name, "gone"):
        with pytest.raises(BadInput, match="alerts ls") as refused:
            await house.desk.acknowledge(wrong, by="ann")
        assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("text", "hours"), [("30m", 0.5), ("4h", 4), (" 2d ", 48), ("30D", 720), ("1 h", 1)]
)
def test_a_length_of_time_is_read(text: str, hours: float) -> None:
    assert span_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "4", "h", "0m", "31d", "-4h", "4h30m", "1e9h", "999999d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        span_of(text)


async def test_a_snooze_beyond_a_month_is_refused() -> None:
    house = House()
    await house.board.receive(raised())
    with pytest.raises(BadInput, match="30 days"):
        await house.desk.snooze("recall", by="ann", span=timedelta(days=31))
