"""Channels by the real apprise, against servers on loopback."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from roboinvest.core.events import Severity
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.channel import AppriseChannel
from roboinvest.runtime.notifications.notice import Message, Pending, message_of
from tests.fakes.listeners import Listener, Postman
from tests.fakes.notices import notice
from tests.fakes.vendors.http_faults import Fault, FaultKind

MESSAGE = Message(title="RoboInvest, high: broker", body="[high] away", severity=Severity.HIGH)
TOKEN = "hunter2secret"  # noqa: S105 of no channel

# apprise imports it for one of its plugins
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def house_log() -> Iterator[list[str]]:
    """Return what reaches the root logger, whose lines the house writes down."""
    lines: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, handler = logging.getLogger(), Keeps(logging.WARNING)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        yield server


def channel(url: str, *, deadline_s: float = 10.0, loopback_only: bool = True) -> AppriseChannel:
    return AppriseChannel(
        "phone",
        Secret(url),
        deadline_s=deadline_s,
        in_flight=InFlight(),
        monotonic=monotonic,
        loopback_only=loopback_only,
    )


async def test_a_webhook_is_given_title_body_and_kind(listener: Listener) -> None:
    sent = await channel(f"json://{listener.address}/hook/{TOKEN}").send(MESSAGE)
    assert (sent.ok, sent.text, sent.channel) == (True, "sent", "phone")
    (request,) = listener.requests
    assert request.path == f"/hook/{TOKEN}"
    body = request.parsed
    assert (body["title"], body["message"]) == (MESSAGE.title, MESSAGE.body)
    assert body["type"] == "failure"


async def test_ntfy_is_given_the_message(listener: Listener) -> None:
    sent = await channel(f"ntfy://{listener.address}/topic").send(MESSAGE)
    assert sent.ok, sent.text
    (request,) = listener.requests
    assert MESSAGE.body in request.body.decode()


async def test_mail_is_given_to_a_postman() -> None:
    with Postman() as postman:
        url = f"mailto://127.0.0.1:{postman.port}?from=robo@example.com&to=ann@example.com"
        sent = await channel(url + "&mode=insecure").send(MESSAGE)
        assert sent.ok, sent.text
        (letter,) = postman.letters
        assert letter["Subject"] == MESSAGE.title
        assert letter["To"] == "ann@example.com"
        assert "away" in letter.as_string()
        postman.refuses = True
        refused = await channel(url + "&mode=insecure").send(MESSAGE)
        assert not refused.ok
        assert refused.text


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_a_server_that_says_no_is_a_failure_in_words(
    listener: Listener, status: int, house_log: list[str]
) -> None:
    listener.faults.add(Fault(kind=FaultKind.STATUS, status=status, body=TOKEN))
    sent = await channel(f"json://ann:{TOKEN}@{listener.address}/x/{TOKEN}").send(MESSAGE)
    assert not sent.ok
    assert str(status) in sent.text
    assert TOKEN not in sent.text
    assert house_log == []


async def test_a_server_that_is_away_is_a_failure_without_its_address(
    house_log: list[str],
) -> None:
    with Listener() as gone:
        address = gone.address
    sent = await channel(f"json://ann:{TOKEN}@{address}/{TOKEN}?+X-Key={TOKEN}").send(MESSAGE)
    assert not sent.ok
    assert TOKEN not in sent.text
    assert house_log == []
    assert address.partition(":")[0] not in sent.text


async def test_a_send_ends_at_its_deadline_and_the_next_one_waits_for_its_thread(
    listener: Listener,
) -> None:
    listener.faults.add(Fault(kind=FaultKind.DRIP, drip_s=0.05, count=None))
    slow = channel(f"json://{listener.address}", deadline_s=0.3)
    sent = await slow.send(MESSAGE)
    assert (sent.ok, sent.text) == (False, "no answer within 0.3 s")
    assert 0.25 < sent.took_s < 2
    threads = threading.active_count()
    again = await slow.send(MESSAGE)
    assert (again.ok, again.took_s < 0.2) == (False, True)
    assert "has not come back" in again.text
    assert threading.active_count() <= threads
    listener.go_down()


async def test_the_loop_turns_while_a_message_is_under_way(listener: Listener) -> None:
    listener.faults.add(Fault(kind=FaultKind.SLOW, delay_s=0.3))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        turning = group.create_task(turn())
        assert (await channel(f"json://{listener.address}").send(MESSAGE)).ok
        turning.cancel()
    assert turns > 10


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://host/x", f"json://:::{TOKEN}", "://"])
async def test_a_url_that_is_none_is_said_without_showing_it(url: str) -> None:
    sent = await channel(url, loopback_only=False).send(MESSAGE)
    assert not sent.ok
    assert sent.text
    assert TOKEN not in sent.text


@pytest.mark.parametrize(
    "url",
    [
        "json://example.com/x",
        "tgram://123456:ABCdef/1",
        "mailto://127.0.0.1?from=a@example.com&to=b@example.com&smtp=example.com",
    ],
)
async def test_where_only_this_machine_may_be_called_nothing_else_is(url: str) -> None:
    sent = await channel(url).send(MESSAGE)
    assert not sent.ok
    assert "loopback_only" in sent.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"tgram://{TOKEN}/1", "tgram://****"),
        (f"json://ann:{TOKEN}@host/{TOKEN}", "json://****"),
        (TOKEN, "****://****"),
        (f"{TOKEN} x://y", "****://****"),
    ],
)
def test_of_a_url_only_the_scheme_is_shown(url: str, shown: str) -> None:
    assert channel(url).shown == shown
    assert TOKEN not in repr(channel(url))


async def test_hostile_news_is_harmless_in_what_is_sent(listener: Listener) -> None:
    text = "\x1b[2J\r\nSubject: x\r\n\r\n<script>x</script> @everyone <!channel> `rm`"
    one = notice(text=text)
    message = message_of([Pending(notice=one, since=one.at, count=1, due=one.at)], more=0)
    assert (await channel(f"json://{listener.address}").send(message)).ok
    body = listener.requests[0].parsed["message"]
    assert body.isprintable()
    assert not {"<", ">", "`"} & set(body)
    assert "@everyone" not in body
