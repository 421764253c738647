"""Connections end with their calls, whatever ends those, and lead nowhere but to the model."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.chat.line import ChatLine
from roboinvest.runtime.llm.openai import OpenAiProvider
from roboinvest.runtime.llm.provider import NoReply, Reply
from tests.fakes.language_models.client import chat, provider
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.virtual_time import run_virtual

REPOSITORY: Final = Path(__file__).resolve().parents[3]
CANCELS: Final = 1_000
AT_ONCE: Final = 20


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer() as server:
        yield server


def open_files() -> int:
    return int(psutil.Process().num_fds())


async def cut_short(asked: OpenAiProvider, after_s: float) -> None:
    """Make one call and cancel it."""
    try:
        async with asyncio.timeout(after_s):
            await asked.complete(chat())
    except TimeoutError:
        return
    raise AssertionError("the call ended by itself")


async def test_one_connection_serves_one_call_after_the_other(server: LanguageModelServer) -> None:
    asked = provider(server.url)
    for _ in range(5):
        assert isinstance(await asked.complete(chat()), Reply)
    assert server.connections() == 1
    await asked.close()
    server.until(lambda: server.connections() == 0)


async def test_no_more_connections_are_open_than_allowed(server: LanguageModelServer) -> None:
    server.add_fault(kind="slow", delay_s=0.02, count=None)
    asked = provider(server.url, max_connections=3)
    said = await asyncio.gather(*(asked.complete(chat()) for _ in range(12)))
    assert all(isinstance(each, Reply) for each in said)
    assert 1 <= server.connections() <= 3
    await asked.close()


async def test_a_cancelled_call_closes_its_connection_and_raises(
    server: LanguageModelServer,
) -> None:
    server.add_fault(kind="stall_after")
    in_flight = InFlight()
    asked = provider(server.url, in_flight=in_flight)
    call = asyncio.ensure_future(asked.complete(chat()))
    await asyncio.to_thread(server.until, lambda: len(server.requests) == 1)
    assert in_flight.count == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert in_flight.count == 0
    await asyncio.to_thread(server.until, lambda: server.connections() == 0)
    assert isinstance(await asked.complete(chat()), Reply)
    await asked.close()
    assert server.billed_calls == 2  # the one that was cut was worked on


async def test_a_thousand_cancelled_calls_leave_nothing_open(server: LanguageModelServer) -> None:
    asked = provider(server.url, max_connections=AT_ONCE)
    assert isinstance(await asked.complete(chat()), Reply)
    before = open_files()
    server.add_fault(kind="stall", count=None)
    for number in range(CANCELS // AT_ONCE):
        after_s = 0.001 * (number % 8)  # while it connects, sends, and waits
        await asyncio.gather(*(cut_short(asked, after_s) for _ in range(AT_ONCE)))
    server.clear_faults()
    assert isinstance(await asked.complete(chat()), Reply)
    await asyncio.to_thread(server.until, lambda: server.connections() == 1)
    assert open_files() <= before + 2
    await asked.close()


async def test_after_calls_in_vain_the_client_is_made_anew_and_the_old_one_closed(
    server: LanguageModelServer,
) -> None:
    asked = provider(server.url, worn_after=3)
    first = await line_after(asked)
    server.set_script("server_error")
    await line_after(asked)
    assert await line_after(asked) is first
    await asked.complete(chat())
    assert first.is_worn
    server.until(lambda: server.connections() == 0)
    server.set_script("valid")
    assert await line_after(asked) is not first
    assert server.connections() == 1
    await asked.close()


async def test_an_old_client_is_closed_only_when_its_last_call_has_left(
    server: LanguageModelServer,
) -> None:
    server.add_fault(kind="slow", delay_s=0.3)
    asked = provider(server.url, worn_after=1)
    slow = asyncio.ensure_future(asked.complete(chat()))
    await asyncio.to_thread(server.until, lambda: len(server.requests) == 1)
    server.set_script("server_error")
    assert isinstance(await asked.complete(chat()), NoReply)
    assert isinstance(await slow, Reply)
    await asyncio.to_thread(server.until, lambda: server.connections() == 0)
    await asked.close()


async def test_cancelled_calls_count_as_calls_in_vain(server: LanguageModelServer) -> None:
    server.add_fault(kind="stall", count=None)  # a call may be cut before it is even sent
    asked = provider(server.url, worn_after=2)
    await cut_short(asked, 0.05)
    (first,) = asked._lines
    await cut_short(asked, 0.05)
    assert first.is_worn
    server.clear_faults()
    assert isinstance(await asked.complete(chat()), Reply)
    await asked.close()


async def line_after(asked: OpenAiProvider) -> ChatLine:
    """Return the client after one more call."""
    await asked.complete(chat())
    return asked._lines[-1]


def test_one_provider_serves_two_loops_one_after_the_other(server: LanguageModelServer) -> None:
    asked = provider(server.url)

    async def use() -> None:
        for _ in range(2):
            assert isinstance(await asked.complete(chat()), Reply)
        await asked.close()

    before = open_files()
    asyncio.run(use())
    asyncio.run(use())
    assert len(server.requests) == 4
    assert open_files() <= before + 1


def test_a_loop_that_ended_without_closing_does_no_harm_to_the_next(
    server: LanguageModelServer,
) -> None:
    asked = provider(server.url)

    async def use() -> Reply | NoReply:
        return await asked.complete(chat())

    async def use_and_close() -> Reply | NoReply:
        try:
            return await asked.complete(chat())
        finally:
            await asked.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its sockets are dropped, not closed
        assert isinstance(asyncio.run(use()), Reply)
        assert isinstance(asyncio.run(use_and_close()), Reply)
        gc.collect()
    assert len(server.requests) == 2  # nothing was sent twice
    server.until(lambda: server.connections() == 0)


def test_two_loops_beside_each_other_have_a_client_each(server: LanguageModelServer) -> None:
    asked = provider(server.url)
    with asyncio.Runner() as one, asyncio.Runner() as other:
        for runner in (one, other, one, other):
            assert isinstance(runner.run(asked.complete(chat())), Reply)
        assert server.connections() == 2
        one.run(asked.close())
        server.until(lambda: server.connections() == 1)
        assert isinstance(other.run(asked.complete(chat())), Reply)
        other.run(asked.close())
    server.until(lambda: server.connections() == 0)


def test_virtual_time_stands_still_while_a_call_is_under_way(server: LanguageModelServer) -> None:
    in_flight = InFlight()
    asked = provider(server.url, in_flight=in_flight)
    server.add_fault(kind="slow", delay_s=0.2, count=None)

    async def use() -> float:
        for _ in range(2):
            assert isinstance(await asked.complete(chat()), Reply)
        await asked.close()
        return asyncio.get_running_loop().time()

    assert run_virtual(use, in_flight) < 1.0


# ---------------------------------------------------------------------- where nothing may go

TRACED: Final = """
import asyncio, json, sys
seen = []
def hook(event, arguments):
    if event == "socket.connect":
        seen.append(list(arguments[1]) if isinstance(arguments[1], tuple) else str(arguments[1]))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        seen.append([str(arguments[0]), 0])
sys.addaudithook(hook)
before = set(sys.modules)
import roboinvest.runtime.llm.openai
import roboinvest.runtime.llm.breaker
early = [name for name in ("openai", "langchain_core", "httpx2") if name in sys.modules]
from tests.fakes.language_models.client import LOOK, chat, once, provider
from roboinvest.runtime.llm.provider import Reply
for method in ("json_schema", "json_mode", "function_calling"):
    said = asyncio.run(once(sys.argv[1], chat(tools=(LOOK,)), method=method))
    assert isinstance(said, Reply), said
async def where():
    asked = provider(None)
    line = asked._line()
    await asked.close()
    return str(line._chat.root_async_client.base_url)
import tiktoken.registry, threading
json.dump(
    {
        "usual": asyncio.run(where()),
        "seen": seen,
        "early": early,
        "tables": list(tiktoken.registry.ENCODINGS),
        "threads": [thread.name for thread in threading.enumerate()],
    },
    sys.stdout,
)
"""


def test_whatever_the_environment_says_only_the_model_is_spoken_to(
    server: LanguageModelServer, tmp_path: Path
) -> None:
    elsewhere = "http://tracing.invalid"
    tracing = dict.fromkeys(
        (
            "LANGSMITH_TRACING",
            "LANGSMITH_TRACING_V2",
            "LANGCHAIN_TRACING",
            "LANGCHAIN_TRACING_V2",
            "LANGSMITH_GATEWAY",
        ),
        "true",
    )
    hosts = dict.fromkeys(
        (
            "LANGSMITH_ENDPOINT",
            "LANGCHAIN_ENDPOINT",
            "OPENAI_API_BASE",
            "OPENAI_BASE_URL",
            "OPENAI_PROXY",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
        ),
        elsewhere,
    )
    keys = {"LANGSMITH_API_KEY": "lsv2_x", "LANGCHAIN_API_KEY": "lsv2_x", "OPENAI_API_KEY": "sk-e"}
    ended = subprocess.run(
        [sys.executable, "-c", TRACED, server.url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **tracing, **hosts, **keys},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    assert {(host, number) for host, number in said["seen"]} <= {
        ("127.0.0.1", port),
        ("127.0.0.1", 0),
    }
    assert said["seen"]
    assert said["usual"] == "https://api.openai.com/v1/"  # where no address is named
    assert said["early"] == []  # nothing heavy until a provider is made
    assert said["tables"] == []  # of tiktoken, which would download them
    assert not [name for name in said["threads"] if "tracing" in name.lower()]
    keys_sent = {request.headers["authorization"] for request in server.requests}
    assert keys_sent == {"Bearer sk-loopback-0123456789abcdefWXYZ"}
    assert len(server.requests) == 3


def test_connections_are_made_anew_on_request_and_calls_under_way_end_well(
    server: LanguageModelServer,
) -> None:
    async def main() -> None:
        asked = provider(server.url)
        assert isinstance(await asked.complete(chat()), Reply)
        lines = list(asked._lines)
        await asked.renew()
        assert asked._lines == []  # nobody used it
        async with asyncio.TaskGroup() as group:
            call = group.create_task(asked.complete(chat()))
            await asyncio.sleep(0)
            await asked.renew()
        assert isinstance(call.result(), Reply)
        assert asked._lines == []
        assert isinstance(await asked.complete(chat()), Reply)
        assert asked._lines != lines
        await asked.close()

    asyncio.run(main())
