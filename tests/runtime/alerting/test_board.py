"""One alert per cause; only recovery closes it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from roboinvest.core.events import Severity
from roboinvest.runtime.alerting.board import MAX_KEPT, ORPHANED_AFTER, AlertBoard
from roboinvest.runtime.alerting.values import AlertChange
from tests.fakes.alert_boards import NOW, Shelf, raised, resolved

Board = Callable[..., AlertBoard]


async def test_a_cause_seen_again_is_counted_and_not_raised_again() -> None:
    board, heard = listening()
    for minute in range(3):
        await board.receive(raised(minutes=minute))
    (alert,) = board.alerts()
    assert (alert.count, alert.raised_at) == (3, NOW)
    assert alert.last_seen_at == NOW + timedelta(minutes=2)
    assert said(heard) == [("recall", "raised")]


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
    await board.receive(raised("other", caused_by="recall"))
    await board.receive(raised("gone"))
    await board.receive(resolved("gone"))
    again = AlertBoard(shelf.save)
    again.restore(shelf.texts["alerts"])
    assert again.alerts() == board.alerts()
    assert again.root_of("other") == "recall"


async def test_a_board_of_an_older_version_is_taken_over_and_nobody_is_told_again() -> None:
    row = (
        '{"key":"recall","severity":"low","kind":"system","message":"away","count":2,'
        '"raised_at":"2024-03-05T15:00:00+00:00","last_seen_at":"2024-03-05T15:01:00+00:00",'
        '"resolved_at":null,"resolution":null}'
    )
    board, heard = listening()
    board.restore(f"[{row}]")
    board.settle(NOW + timedelta(days=1))
    assert [alert.count for alert in board.alerts()] == [2]
    assert heard == []


@pytest.mark.parametrize("text", ["{", "[1]", '{"alerts": 3}', '[{"key": "x"}]', "null", '"x"'])
async def test_a_damaged_document_costs_what_cannot_be_read_and_not_the_start(text: str) -> None:
    board = AlertBoard(Shelf().save)
    board.restore(text)
    await board.receive(raised())
    assert len(board.alerts()) == 1


async def test_closed_alerts_are_forgotten_after_a_week_and_beyond_a_bound() -> None:
    board = AlertBoard(Shelf().save)
    await board.receive(raised("old"))
    await board.receive(resolved("old"))
    await board.receive(raised("new", minutes=8 * 24 * 60))
    board.settle(NOW + timedelta(days=8))
    assert [alert.key for alert in board.alerts()] == ["new"]
    for number in range(MAX_KEPT + 20):
        await board.receive(raised(f"k{number}", minutes=12_000 + number))
        await board.receive(resolved(f"k{number}", minutes=12_000 + number))
    board.settle(NOW + timedelta(minutes=12_600))
    assert len(board.alerts()) == MAX_KEPT
    assert board.alerts()[0].key == "new"
    assert board.alerts()[1].key == f"k{MAX_KEPT + 19}"


async def test_open_alerts_of_one_kind_are_found_by_the_head_of_their_keys() -> None:
    board = AlertBoard(Shelf().save)
    for key in ("data.SPY", "data.AAPL", "recall"):
        await board.receive(raised(key))
    await board.receive(resolved("data.AAPL"))
    assert board.open_keys("data.") == {"SPY"}


# Only recovery: the fault of the system that this one succeeds, planted


class AgingBoard(AlertBoard):
    """Closes what is older than an hour, as the board that this one succeeds did."""

    def settle(self, now: datetime) -> None:
        for alert in self.alerts():
            if alert.is_open and now - alert.raised_at > timedelta(hours=1):
                self.change(alert.key, resolved_at=now, resolution="auto-resolved")
        super().settle(now)


async def stays_open_until_it_recovers(make: Board) -> bool:
    """Return whether a month without a word leaves an alert open, over a restart as well."""
    shelf = Shelf()
    board = make(shelf.save)
    await board.receive(raised())
    for hour in range(24 * 30):
        board.settle(NOW + timedelta(hours=hour))
    await board.flush()
    again = make(shelf.save)
    again.restore(shelf.texts["alerts"])
    again.settle(NOW + timedelta(days=40))
    return all([alert.is_open for alert in one.alerts()] == [True] for one in (board, again))


async def test_no_alert_is_closed_because_it_is_old() -> None:
    assert await stays_open_until_it_recovers(AlertBoard)


async def test_a_board_that_closes_by_age_is_caught() -> None:
    assert not await stays_open_until_it_recovers(AgingBoard)


# Folding


async def test_what_follows_from_an_open_alert_is_on_the_board_and_told_to_nobody() -> None:
    board, heard = listening()
    await board.receive(raised("broker"))
    await board.receive(raised("fills", caused_by="broker"))
    await board.receive(raised("pnl", caused_by="fills"))
    assert len(board.alerts()) == 3
    assert board.root_of("pnl") == "broker"
    assert board.folded_count("broker") == 1
    assert said(heard) == [("broker", "raised")]
    for key in ("pnl", "fills", "broker"):
        await board.receive(resolved(key))
    assert said(heard) == [("broker", "raised"), ("broker", "resolved")]


async def test_what_outlives_its_root_is_told_after_a_while_and_once() -> None:
    board, heard = listening()
    await board.receive(raised("broker"))
    await board.receive(raised("fills", caused_by="broker"))
    await board.receive(resolved("broker", minutes=1))
    board.settle(NOW + timedelta(minutes=1, seconds=30))
    assert ("fills", "still open") not in said(heard)
    for _ in range(3):
        board.settle(NOW + timedelta(minutes=1) + ORPHANED_AFTER)
    assert said(heard).count(("fills", "still open")) == 1


async def test_a_circle_of_causes_hides_nobody() -> None:
    board, heard = listening()
    await board.receive(raised("a", caused_by="b"))
    await board.receive(raised("b", caused_by="a"))
    await board.receive(raised("c", caused_by="c"))
    assert board.root_of("a") is None
    assert {key for key, _ in said(heard)} >= {"a", "c"}
    board.settle(NOW + timedelta(hours=1))
    assert {key for key, _ in said(heard)} == {"a", "b", "c"}


async def test_a_critical_does_not_hide_behind_a_lesser_root() -> None:
    board, heard = listening()
    await board.receive(raised("recall"))
    await board.receive(raised("money", caused_by="recall", severity=Severity.CRITICAL))
    assert ("money", "raised") in said(heard)


async def test_a_cause_that_gets_worse_is_told_again_and_one_that_eases_is_not() -> None:
    board, heard = listening()
    await board.receive(raised(severity=Severity.MEDIUM))
    await board.receive(raised(minutes=1, severity=Severity.CRITICAL))
    await board.receive(raised(minutes=2, severity=Severity.LOW))
    await board.receive(raised(minutes=3, severity=Severity.HIGH))
    assert said(heard) == [("recall", "raised"), ("recall", "worsened")]
    assert board.alerts()[0].count == 4


# Storms, floods


async def test_a_storm_is_one_alert_with_a_count_and_loses_nothing() -> None:
    board, heard = listening()
    for number in range(300):
        await board.receive(raised(f"agent.{number}"))
    assert len(board.alerts()) == 301
    told = said(heard)
    assert len(told) == 21  # twenty one by one, then the storm
    assert told[-1] == ("alerts.storm.system", "raised")
    (storm,) = (alert for alert in board.alerts() if alert.key.startswith("alerts.storm"))
    assert storm.count == 280
    assert "280 causes" in storm.message
    await board.receive(raised("money", severity=Severity.CRITICAL))
    assert ("money", "raised") in said(heard)


async def test_a_storm_is_over_when_the_last_of_its_causes_has_recovered() -> None:
    board, heard = listening()
    for number in range(30):
        await board.receive(raised(f"agent.{number}"))
    for number in range(29):
        await board.receive(resolved(f"agent.{number}"))
    assert board.open_keys("alerts.storm.") == {"system"}
    await board.receive(resolved("agent.29"))
    assert board.open_keys("") == frozenset()
    assert said(heard)[-1] == ("alerts.storm.system", "resolved")


async def test_slow_trouble_is_no_storm() -> None:
    board, heard = listening()
    for number in range(100):
        await board.receive(raised(f"agent.{number}", minutes=number))
    assert len(said(heard)) == 100


async def test_a_flood_of_causes_is_bounded_counted_and_leaves_room_for_what_is_worse() -> None:
    shelf = Shelf()
    board = AlertBoard(shelf.save)
    for number in range(8_000):
        await board.receive(raised(f"agent.{number}"))
    assert len(board.alerts()) <= 1_010
    (flood,) = (alert for alert in board.alerts() if alert.key == "alerts.overflow")
    spilled = int(flood.message.split()[0])
    assert spilled + len(board.alerts()) - 2 == 8_000  # without the storm and the overflow
    await board.receive(raised("money", severity=Severity.CRITICAL))
    assert board.alerts()[0].key == "money"


async def test_what_had_no_room_is_followed_to_its_recovery_over_a_restart() -> None:
    shelf = Shelf()
    board = AlertBoard(shelf.save)
    for number in range(1_100):
        await board.receive(raised(f"agent.{number}"))
    await board.flush()
    again = AlertBoard(shelf.save)
    again.restore(shelf.texts["alerts"])
    assert again.open_keys("alerts.") == {"storm.system", "overflow"}
    for number in range(1_100):
        await again.receive(resolved(f"agent.{number}"))
    assert again.open_keys("") == frozenset()


async def test_nobody_outside_speaks_in_the_name_of_the_board() -> None:
    board = AlertBoard(Shelf().save)
    for number in range(30):
        await board.receive(raised(f"agent.{number}"))
    await board.receive(resolved("alerts.storm.system"))
    assert board.open_keys("alerts.storm.") == {"system"}
    await board.receive(raised("alerts.overflow"))
    assert board.open_keys("outside.") == {"alerts.overflow"}


# What others write


async def test_hostile_text_is_harmless_on_the_board() -> None:
    board = AlertBoard(Shelf().save, redact=lambda text: text.replace("hunter2", "[redacted]"))
    message = "\x1b[2J\x1b]0;owned\x07 <script>x</script>\r\nFAKE: all well hunter2 \u202egnol"
    await board.receive(replace(raised("k\x1b[31m\n" + "k" * 5_000), message=message))
    (alert,) = board.alerts()
    assert alert.message.isprintable()
    assert "hunter2" not in alert.message
    assert "<" not in alert.message
    assert alert.key.isprintable()
    assert len(alert.key) <= 200
    await board.receive(resolved("k\x1b[31m\n" + "k" * 5_000))
    assert not board.alerts()[0].is_open


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_the_board_counts_what_is_open_as_a_plain_set_does(
    seed: int,
) -> None:
    chance = random.Random(seed)
    shelf = Shelf()
    board, plain = AlertBoard(shelf.save), set[str]()
    keys = [f"k{number}" for number in range(60)]
    for minute in range(600):
        key = chance.choice(keys)
        if chance.random() < 0.55:
            cause = chance.choice([None, *keys])
            await board.receive(raised(key, minutes=minute, caused_by=cause))
            plain.add(key)
        else:
            await board.receive(resolved(key, minutes=minute))
            plain.discard(key)
        if chance.random() < 0.1:
            board.settle(NOW + timedelta(minutes=minute))
        if chance.random() < 0.05:
            await board.flush()
            board = AlertBoard(shelf.save)
            board.restore(shelf.texts.get("alerts"))
        found = {alert.key for alert in board.alerts() if alert.is_open}
        assert {key for key in found if not key.startswith("alerts.")} == plain


def listening() -> tuple[AlertBoard, list[AlertChange]]:
    """Return a board, and what people are told of it."""
    board, heard = AlertBoard(Shelf().save), list[AlertChange]()
    board.listen(lambda change: None if change.folded else heard.append(change))
    return board, heard


def said(heard: list[AlertChange]) -> list[tuple[str, str]]:
    return [(change.alert.key, change.change.value) for change in heard]
