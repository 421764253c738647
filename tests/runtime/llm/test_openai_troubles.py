"""Whatever goes wrong becomes one outcome with a cause and a sentence that holds no secret."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from roboinvest.runtime.llm.chat.line import HttpLimits
from roboinvest.runtime.llm.provider import Message, NoReply, Reply, Trouble
from tests.fakes.clocks import START
from tests.fakes.language_models import scripts
from tests.fakes.language_models.client import KEY, chat, once, provider, trouble
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.vendors.http_faults import Response

HASTY = HttpLimits(connect_s=1.0, read_s=0.2, pool_s=0.1, connections=1)


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer() as server:
        yield server


async def silence(url: str, **more: Any) -> NoReply:
    """Return a request's failure, after the looks that every failure has to stand."""
    said = await once(url, **more)
    assert isinstance(said, NoReply), said
    assert_harmless(said.text)
    return said


def assert_harmless(text: str) -> None:
    assert text.startswith("openai:gpt-loopback: ")
    assert KEY not in text
    assert KEY[:8] not in text
    assert KEY[-4:] not in text
    assert text.isprintable()
    assert len(text) < 400


BODIES = {
    "insufficient_quota": (Trouble.QUOTA, False),
    "payment_required": (Trouble.QUOTA, False),
    "rate_limited": (Trouble.RATE, False),
    "key_refused": (Trouble.KEY, False),
    "forbidden": (Trouble.KEY, False),
    "bad_request": (Trouble.REQUEST, False),
    "unknown_model": (Trouble.REQUEST, False),
    "server_error": (Trouble.SERVER, True),
    "error_in_body": (Trouble.SERVER, True),
    "null_choices": (Trouble.GARBAGE, True),
    "no_choices": (Trouble.GARBAGE, True),
    "null_message": (Trouble.GARBAGE, True),
    "number_content": (Trouble.GARBAGE, True),
    "text_usage": (Trouble.GARBAGE, True),
    "list_body": (Trouble.GARBAGE, True),
    "number_body": (Trouble.GARBAGE, True),
    "html": (Trouble.GARBAGE, True),
    "garbage": (Trouble.GARBAGE, True),
    "not_utf8": (Trouble.GARBAGE, True),
    "empty_body": (Trouble.GARBAGE, True),
    "deep_body": (Trouble.GARBAGE, True),
    "huge_body": (Trouble.GARBAGE, True),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_answer_is_told_apart_and_never_asked_for_again(
    server: LanguageModelServer, name: str
) -> None:
    server.set_script(name)
    said = await silence(server.url)
    assert (said.trouble, said.was_sent) == BODIES[name]
    assert len(server.requests) == 1


STATUSES = [
    (400, "bad", Trouble.REQUEST, False),
    (400, "billing_hard_limit_reached", Trouble.QUOTA, False),
    (400, "API_KEY_INVALID", Trouble.KEY, False),
    (401, None, Trouble.KEY, False),
    (402, None, Trouble.QUOTA, False),
    (404, None, Trouble.REQUEST, False),
    (408, None, Trouble.SERVER, True),
    (409, None, Trouble.REQUEST, False),
    (413, None, Trouble.REQUEST, False),
    (422, None, Trouble.REQUEST, False),
    (429, None, Trouble.RATE, False),
    (429, "insufficient_quota", Trouble.QUOTA, False),
    (500, "insufficient_quota", Trouble.SERVER, True),
    (502, None, Trouble.SERVER, True),
    (529, None, Trouble.SERVER, True),
    (302, None, Trouble.GARBAGE, True),
]


@pytest.mark.parametrize(("status", "code", "expected", "was_sent"), STATUSES)
async def test_statuses_and_codes_name_the_trouble(
    server: LanguageModelServer, status: int, code: str | None, expected: Trouble, was_sent: bool
) -> None:
    headers = {"Location": f"{server.url}/elsewhere"} if status == 302 else {}
    server.script = scripts.refusing(status, code, headers=headers)
    said = await silence(server.url)
    assert (said.trouble, said.was_sent) == (expected, was_sent)
    assert f"HTTP {status}" in said.text
    assert len(server.requests) == 1  # neither sent again nor sent elsewhere


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (429, Trouble.RATE),
        (402, Trouble.QUOTA),
        ("invalid_api_key", Trouble.KEY),
        ("rate_limit_exceeded", Trouble.RATE),
        ("odd", Trouble.GARBAGE),
    ],
)
async def test_an_error_in_a_body_of_status_200_is_told_by_its_code(
    server: LanguageModelServer, code: object, expected: Trouble
) -> None:
    server.set_script("error_in_body", code=code)
    said = await silence(server.url)
    assert (said.trouble, said.was_sent) == (expected, True)


WAITS = [
    ({"Retry-After": "20"}, 20.0),
    ({"Retry-After": "0.5"}, 0.5),
    ({"Retry-After": "86400000"}, 3600.0),
    ({"Retry-After": "-3"}, None),
    ({"Retry-After": "nan"}, None),
    ({"Retry-After": "soon"}, None),
    ({}, None),
    ({"retry-after-ms": "1500", "Retry-After": "20"}, 1.5),
    ({"Retry-After": format_datetime(START - timedelta(days=1), usegmt=True)}, 0.0),
    ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
]


@pytest.mark.parametrize(("headers", "expected"), WAITS)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_wait_that_a_server_asks_for_is_read_and_kept_within_reason(
    server: LanguageModelServer, status: int, headers: dict[str, str], expected: float | None
) -> None:
    server.script = scripts.refusing(status, headers=headers)
    assert (await silence(server.url)).retry_after_s == expected


async def test_a_date_to_come_back_is_read_by_the_servers_own_clock(
    server: LanguageModelServer,
) -> None:
    await once(server.url)
    until = server.requests[0].at + timedelta(seconds=60)  # our own clock is months behind
    server.script = scripts.rate_limited(format_datetime(until, usegmt=True))
    wait_s = (await silence(server.url)).retry_after_s
    assert wait_s is not None
    assert 0 < wait_s <= 60


FAULTS = [
    ({"kind": "stall"}, Trouble.TIMEOUT, True),
    ({"kind": "stall_after"}, Trouble.TIMEOUT, True),
    ({"kind": "slow", "delay_s": 5.0}, Trouble.TIMEOUT, True),
    ({"kind": "reset_before"}, Trouble.CONNECTION, True),
    ({"kind": "reset_after"}, Trouble.CONNECTION, True),
    ({"kind": "cut", "at_byte": 20}, Trouble.CONNECTION, True),
    ({"kind": "truncated", "at_byte": 20}, Trouble.GARBAGE, True),
    ({"kind": "status", "status": 503, "body": "<html>busy</html>"}, Trouble.SERVER, True),
    ({"kind": "status_after", "status": 500}, Trouble.SERVER, True),
]


@pytest.mark.parametrize(
    ("fault", "expected", "was_sent"),
    FAULTS,
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
async def test_faults_of_the_wire_are_told_apart(
    server: LanguageModelServer, fault: dict[str, Any], expected: Trouble, was_sent: bool
) -> None:
    server.add_fault(**fault)
    said = await silence(server.url, limits=HASTY)
    assert (said.trouble, said.was_sent) == (expected, was_sent)
    assert len(server.requests) == 1


async def test_an_answer_that_drips_ends_at_the_callers_deadline(
    server: LanguageModelServer,
) -> None:
    server.add_fault(kind="drip", drip_s=0.05)
    asked = provider(server.url, limits=HASTY)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await asked.complete(chat())
    await asked.close()
    server.until(lambda: server.connections() == 0)
    assert server.billed_calls == 1  # the work was done, and the vendor wants its money


@pytest.mark.parametrize("is_packed", [False, True])
async def test_an_answer_longer_than_any_is_not_taken_in(
    server: LanguageModelServer, is_packed: bool
) -> None:
    server.script = scripts.saying("x" * (5 << 20))
    request = chat(reply_tokens=2_000_000)
    if is_packed:
        body = gzip.compress(json.dumps({"x": "x" * (200 << 20)}).encode(), 1)
        packed = Response(body=body, headers={"Content-Encoding": "gzip"})
        server.script = lambda asked: packed
    said = await once(server.url, request)
    assert isinstance(said, NoReply)
    assert said.trouble is Trouble.GARBAGE
    assert "more than" in said.text


async def test_nobody_at_the_address_is_certainly_not_billed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = await silence(f"http://127.0.0.1:{port}/v1")
    assert (said.trouble, said.was_sent) == (Trouble.CONNECTION, False)


async def test_a_server_without_tls_is_a_broken_connection(server: LanguageModelServer) -> None:
    said = await silence(server.url.replace("http:", "https:"))
    assert (said.trouble, said.was_sent) == (Trouble.CONNECTION, False)


async def test_a_name_that_does_not_resolve_is_a_broken_connection() -> None:
    said = await silence("http://no-such-host.invalid/v1")
    assert (said.trouble, said.was_sent) == (Trouble.CONNECTION, False)


async def test_no_free_connection_is_a_timeout_that_nobody_bills(
    server: LanguageModelServer,
) -> None:
    server.add_fault(kind="stall")
    asked = provider(server.url, limits=HttpLimits(connections=1, pool_s=0.05))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(asked.complete(chat()))
        await asyncio.to_thread(server.until, lambda: len(server.requests) == 1)
        said = await asked.complete(chat())
        assert isinstance(said, NoReply)
        assert (said.trouble, said.was_sent) == (Trouble.TIMEOUT, False)
        first.cancel()
    await asked.close()


async def test_text_that_cannot_be_sent_is_refused_here(server: LanguageModelServer) -> None:
    said = await once(server.url, chat(Message(speaker="user", text="half a \ud83d")))
    assert isinstance(said, NoReply)
    assert (said.trouble, said.was_sent) == (Trouble.REQUEST, False)
    assert server.requests == []


@pytest.mark.parametrize(
    "message",
    [
        f"Incorrect API key provided: {KEY}. Find yours at the usual place.",
        f"Incorrect API key provided: {KEY[:8]}************{KEY[-4:]}.",
        f"Incorrect API key provided: {KEY[:3]}*****{KEY[-2:]}.",
        f"Your key {KEY[:7]}...{KEY[-4:]} may not do that",
        f"Authorization: Bearer {KEY}",
        f"line\nbreak \x1b[31m{KEY}\x00\u202e\u200b",
        "x" * 5_000 + KEY,
        "sk-" + "another0" * 4,
    ],
)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_no_text_holds_the_key_or_a_part_of_it(
    server: LanguageModelServer, status: int, message: str
) -> None:
    server.script = scripts.refusing(status, message=message)
    text = (await silence(server.url)).text
    assert "another0another0" not in text
    assert "***" not in text


async def test_a_key_in_a_body_that_cannot_be_read_stays_there(
    server: LanguageModelServer,
) -> None:
    for body in (KEY.encode(), f'{{"choices": "{KEY}"}}'.encode(), f'"{KEY}"'.encode()):
        for content_type in ("application/json", "text/plain"):
            server.script = scripts.raw(body, content_type=content_type)
            assert (await silence(server.url)).trouble is Trouble.GARBAGE


async def test_the_vendors_own_words_are_quoted_where_they_help(
    server: LanguageModelServer,
) -> None:
    server.set_script("bad_request", message="Unsupported value: 'temperature'.\n Use 1.")
    said = await silence(server.url)
    assert said.text == (
        "openai:gpt-loopback: the request is refused (HTTP 400, bad): "
        "Unsupported value: 'temperature'. Use 1."
    )
    server.set_script("key_refused")
    assert (await silence(server.url)).text == (
        "openai:gpt-loopback: the key is refused (HTTP 401, invalid_api_key)"
    )


async def test_a_server_that_asks_for_no_key_is_sent_a_placeholder(
    server: LanguageModelServer,
) -> None:
    assert isinstance(await once(server.url, api_key=None), Reply)
    assert server.requests[0].headers["authorization"] == "Bearer none"


async def test_a_wrong_key_is_refused_and_the_right_one_taken() -> None:
    with LanguageModelServer(key="sk-other") as server:
        assert trouble(await once(server.url)) is Trouble.KEY
    with LanguageModelServer(key=KEY) as server:
        assert isinstance(await once(server.url), Reply)


def test_no_repr_shows_the_key(server: LanguageModelServer) -> None:
    asked = provider(server.url)
    assert KEY not in repr(asked)
    assert KEY not in repr(vars(asked))
