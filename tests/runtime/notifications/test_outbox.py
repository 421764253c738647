"""Who is told what, when, and what happens while a channel is down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.notifications.notice import Notice, NoticeRules, Worth
from roboinvest.runtime.notifications.outbox import DOCUMENT, Outbox
from roboinvest.runtime.notifications.queue import MAX_WAITING
from tests.fakes.alert_boards import Shelf, raised
from tests.fakes.clocks import START, LoopClock
from tests.fakes.listeners import Mouthpiece
from tests.fakes.notices import notice
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

CRITICAL, HIGH, LOW = Severity.CRITICAL, Severity.HIGH, Severity.LOW
ALWAYS = NoticeRules()
NIGHT = replace(ALWAYS, quiet=(time(22), time(7)), zone=ZoneInfo("America/New_York"))


class Post:
    """An outbox that runs, and everything around it."""

    def __init__(self, *channels: Mouthpiece, rules: NoticeRules = ALWAYS, **more: Any) -> None:
        self.channels = channels
        self.shelf: Shelf = more.pop("shelf", Shelf())
        self.heard: list[Event] = []
        self.clock = LoopClock(more.pop("start", START))
        self.outbox = Outbox(
            channels,
            rules,
            clock=self.clock,
            publish=self.heard.append,
            save=self.shelf.save,
            **more,
        )
        self.outbox.restore(self.shelf.texts.get(DOCUMENT))

    def live(self, story: Callable[[Post], Awaitable[None]]) -> Post:
        """Run the outbox beside a story, under virtual time."""

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.outbox.run(context("notifications")))
                await asyncio.sleep(0)
                await story(self)
                running.cancel()

        run_virtual(main)
        return self

    def post(self, key: str = "recall", severity: Severity = HIGH, **more: Any) -> None:
        """State news that comes now."""
        said = notice(key, severity, **more)
        self.outbox.post(replace(said, at=self.clock.now()))


async def passes(seconds: float) -> None:
    await asyncio.sleep(seconds)


def test_news_leaves_at_once_and_the_same_again_is_one_line_with_a_count() -> None:
    phone = Mouthpiece()

    async def story(post: Post) -> None:
        for _ in range(7):
            post.post()
            await passes(60)
        assert phone.bodies == ["[high] recall is away"]
        await passes(15 * 60)

    Post(phone).live(story)
    assert len(phone.said) == 2
    assert phone.bodies[1].startswith("[high] recall is away (x6 since 14:3")


def test_a_recovery_is_told_at_once_and_a_flapping_one_is_not_told_again_and_again() -> None:
    phone = Mouthpiece()

    async def story(post: Post) -> None:
        for _ in range(10):
            post.post()
            await passes(20)
            post.post(is_end=True, text="recall answers")
            await passes(20)
        assert phone.bodies == ["[high] recall is away", "[over] recall answers"]
        await passes(20 * 60)

    Post(phone).live(story)
    assert phone.bodies[2:] == ["[over] recall answers (x18 since 14:30 UTC)"]


def test_many_pieces_of_news_are_one_message() -> None:
    phone = Mouthpiece()

    async def story(post: Post) -> None:
        post.post("first")
        await passes(1.5)
        for number in range(50):
            post.post(f"cause {number}", CRITICAL if number == 30 else HIGH)
        await passes(30)

    Post(phone).live(story)
    assert len(phone.said) == 2
    message = phone.said[1]
    assert message.severity is CRITICAL
    assert "50 pieces of news" in message.title
    assert message.body.splitlines()[-1].startswith("and 30 more")


def test_quiet_hours_hold_back_all_but_criticals_until_they_end() -> None:
    phone = Mouthpiece()
    evening = datetime.fromisoformat("2026-01-05T23:00:00-05:00").astimezone(START.tzinfo)

    async def story(post: Post) -> None:
        post.post("a")
        post.post("b")
        post.post("money", CRITICAL)
        await passes(60)
        assert phone.bodies == ["[critical] money is away"]
        await passes(8 * 3600 - 120)
        assert len(phone.said) == 1
        await passes(120)

    Post(phone, rules=NIGHT, start=evening).live(story)
    assert phone.bodies[1] == "[high] a is away\n[high] b is away"


@pytest.mark.parametrize(
    ("local", "quiet"),
    [("21:59", False), ("22:00", True), ("03:00", True), ("06:59", True), ("07:00", False)],
)
@pytest.mark.parametrize("day", ["2026-01-05", "2026-07-06", "2026-03-08", "2026-11-01"])
def test_quiet_hours_are_those_of_the_zone_in_summer_and_winter(
    day: str, local: str, quiet: bool
) -> None:
    at = datetime.fromisoformat(f"{day}T{local}").replace(tzinfo=NIGHT.zone)
    assert NIGHT.is_quiet(at.astimezone(START.tzinfo)) is quiet
    noon = replace(NIGHT, quiet=(time(12), time(13)))
    assert not noon.is_quiet(at)


def test_kinds_are_on_off_or_in_the_digest_and_a_channel_may_differ() -> None:
    rules = replace(
        ALWAYS,
        kinds={"data": Worth.OFF, "broker": Worth.DIGEST},
        only={"mail": {"data": Worth.ON}},
        digest_at=time(18),
    )
    phone, mail = Mouthpiece("phone"), Mouthpiece("mail")

    async def story(post: Post) -> None:
        post.post("feed", kind="data")
        post.post("fees", kind="broker")
        post.post("small", LOW)
        post.post("gone", CRITICAL, kind="broker")
        await passes(60)
        assert phone.bodies == ["[critical] gone is away"]
        assert mail.bodies == ["[critical] gone is away\n[high] feed is away"]
        await passes(4 * 3600)

    Post(phone, mail, rules=rules).live(story)
    assert phone.bodies[1:] == ["[high] fees is away\n[low] small is away"]
    assert phone.said[1].title == "RoboInvest, digest: 2 pieces of news"


def test_a_digest_is_sent_once_a_day_and_caught_up_with_after_a_restart() -> None:
    phone, shelf = Mouthpiece(), Shelf()
    rules = replace(ALWAYS, digest_at=time(18))

    async def morning(post: Post) -> None:
        post.post("small", LOW)
        await passes(60)

    async def next_day(post: Post) -> None:
        await passes(5)
        assert phone.bodies == ["[low] small is away"]
        post.post("late", LOW)
        await passes(3600)

    Post(phone, rules=rules, shelf=shelf).live(morning)
    assert phone.said == []
    Post(phone, rules=rules, shelf=shelf, start=START + timedelta(days=1)).live(next_day)
    assert len(phone.said) == 1  # what came after it is for the evening

    async def quiet_day(post: Post) -> None:
        await passes(60)  # "late" leaves, long after its evening
        post.post("noon", LOW)
        await passes(3600)

    Post(phone, rules=rules, shelf=shelf, start=START + timedelta(days=4)).live(quiet_day)
    assert phone.bodies[1:] == ["[low] late is away"]


def test_what_was_not_sent_survives_a_restart_and_what_was_sent_is_not_sent_again() -> None:
    phone, shelf = Mouthpiece(), Shelf()

    async def first(post: Post) -> None:
        post.post("told")
        await passes(10)
        phone.fails = True
        post.post("untold")
        await passes(10)

    async def second(post: Post) -> None:
        phone.fails = False
        post.post("told")
        await passes(60)

    Post(phone, shelf=shelf).live(first)
    Post(phone, shelf=shelf, start=START + timedelta(minutes=1)).live(second)
    assert phone.bodies == ["[high] told is away", "[high] untold is away"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phone": 1}', '{"phone": {"waiting": [3]}}'])
def test_a_damaged_document_is_no_reason_not_to_start(text: str) -> None:
    phone, shelf = Mouthpiece(), Shelf()
    shelf.texts[DOCUMENT] = text

    async def story(post: Post) -> None:
        post.post()
        await passes(5)

    Post(phone, shelf=shelf).live(story)
    assert len(phone.said) == 1


# A channel that is down


def test_a_failed_channel_is_an_alert_that_its_next_success_resolves() -> None:
    phone = Mouthpiece()
    phone.fails = True

    async def story(post: Post) -> None:
        post.post()
        await passes(3600)
        tries = phone.tried
        assert 4 < tries < 12  # with a growing pause
        phone.fails = False
        await passes(900)

    post = Post(phone).live(story)
    alerts = [e for e in post.heard if isinstance(e, AlertRaised)]
    assert {(a.key, a.severity, a.kind) for a in alerts} == {
        ("notify.channel.phone", HIGH, "system")  # there is no other channel
    }
    (over,) = [e for e in post.heard if isinstance(e, AlertResolved)]
    assert (over.key, over.message) == (
        "notify.channel.phone",
        "channel phone: a message went through again",
    )
    assert phone.bodies == ["[high] recall is away"]


def test_the_alert_about_a_channel_is_told_by_the_others_and_never_loops() -> None:
    phone, mail = Mouthpiece("phone"), Mouthpiece("mail")

    async def story(post: Post) -> None:
        board = AlertBoard(Shelf().save)
        board.listen(post.outbox.hear)
        phone.fails = True
        await board.receive(replace(raised("broker", severity=HIGH), at=post.clock.now()))
        for _ in range(240):
            await passes(60)
            for event in post.heard:
                assert isinstance(event, AlertRaised | AlertResolved)
                await board.receive(event)
            post.heard.clear()
        assert {alert.key for alert in board.alerts()} == {"notify.channel.phone", "broker"}
        phone.fails = False
        await passes(1000)
        assert phone.bodies == ["[high] broker is away"]  # nothing of itself

    Post(phone, mail).live(story)
    about = [body for body in mail.bodies if "channel phone failed" in body]
    assert len(about) == 1
    assert len(mail.said) == 2


def test_two_channels_that_are_down_do_not_feed_each_other() -> None:
    phone, mail = Mouthpiece("phone"), Mouthpiece("mail")
    phone.fails = mail.fails = True

    async def story(post: Post) -> None:
        board = AlertBoard(Shelf().save)
        board.listen(post.outbox.hear)
        await board.receive(replace(raised("broker", severity=HIGH), at=post.clock.now()))
        for _ in range(600):
            await passes(60)
            heard, post.heard[:] = post.heard[:], []
            for event in heard:
                assert isinstance(event, AlertRaised | AlertResolved)
                await board.receive(event)
        assert len(board.alerts()) == 3
        phone.fails = mail.fails = False
        await passes(1000)

    Post(phone, mail).live(story)
    assert phone.tried < 60
    assert len(phone.said) == 1
    assert "broker is away" in phone.bodies[0]


def test_what_waits_is_bounded_counted_and_makes_room_for_a_critical() -> None:
    phone = Mouthpiece()
    phone.fails = True

    async def story(post: Post) -> None:
        for number in range(MAX_WAITING + 300):
            post.post(f"cause {number}")
        post.post("money", CRITICAL)
        await passes(5)
        phone.fails = False
        await passes(60)

    Post(phone).live(story)
    (message,) = phone.said
    assert f"{MAX_WAITING + 301} pieces of news" in message.title
    assert message.severity is CRITICAL


def test_news_of_yesterday_is_not_told_as_new() -> None:
    phone = Mouthpiece()
    phone.fails = True

    async def story(post: Post) -> None:
        post.post("old")
        await passes(25 * 3600)
        post.post("new")
        phone.fails = False
        await passes(1000)

    Post(phone).live(story)
    assert phone.bodies == ["[high] new is away\nand 1 more; see `roboinvest alerts ls`"]


def test_a_channel_that_is_not_configured_any_more_has_no_open_alert() -> None:
    async def story(post: Post) -> None:
        await passes(2)

    post = Post(Mouthpiece(), left_open={"pager"}).live(story)
    (over,) = post.heard
    assert isinstance(over, AlertResolved)
    assert over.key == "notify.channel.pager"


def test_a_store_that_takes_nothing_does_not_stop_the_news() -> None:
    phone, shelf = Mouthpiece(), Shelf()
    shelf.is_full = True

    async def story(post: Post) -> None:
        post.post("a")
        await passes(10)
        shelf.is_full = False
        await passes(10)

    Post(phone, shelf=shelf).live(story)
    assert len(phone.said) == 1
    assert DOCUMENT in shelf.texts


def test_the_day_of_a_digest_is_that_of_the_zone() -> None:
    rules = replace(ALWAYS, zone=ZoneInfo("America/New_York"), digest_at=time(18))
    before = datetime.fromisoformat("2026-01-05T22:59:00+00:00")
    assert rules.digest_day(before) == date(2026, 1, 4)
    assert rules.digest_day(before + timedelta(minutes=1)) == date(2026, 1, 5)


def test_news_survives_as_text() -> None:
    said = notice(is_end=True)
    assert Notice.from_plain(said.to_plain()) == said
