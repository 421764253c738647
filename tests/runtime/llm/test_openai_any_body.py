"""Whatever bytes a server sends, the real client's answer to them is an outcome, never an error."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from roboinvest.runtime.llm.provider import NoReply, Reply, Trouble
from tests.fakes.language_models import scripts
from tests.fakes.language_models.client import KEY, LOOK, chat, provider
from tests.fakes.language_models.said import Asked, Call, Said
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.vendors.http_faults import Response


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer() as server:
        yield server


JUNK: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        -1,
        0,
        1.5,
        1e308,
        "",
        "x",
        "\ud83d",
        [],
        [None],
        [[]],
        {},
        {"a": 1},
        [{"a": []}],
    ),
    *(
        "stop",
        "length",
        "assistant",
        "tool",
        "user",
        "function",
        {"role": "tool"},
        {"type": "text"},
    ),
)


def spoilt(body: object, rng: random.Random) -> object:
    """Return a body with one place in it replaced, left out, or said twice."""
    if rng.random() < 0.15 or not isinstance(body, dict | list) or not body:
        return rng.choice(JUNK)
    if isinstance(body, list):
        return [spoilt(body[0], rng), *body[1:]] if rng.random() < 0.9 else body * 2
    name = rng.choice(sorted(body))
    if rng.random() < 0.1:
        return {key: value for key, value in body.items() if key != name}
    return {**body, name: spoilt(body[name], rng)}


@pytest.mark.parametrize("seed", range(4))
async def test_no_body_makes_it_raise(server: LanguageModelServer, seed: int) -> None:
    rng = random.Random(seed)
    server.script = scripts.changed(
        lambda body: spoilt(spoilt(body, rng), rng),
        lambda asked: Said(text="{}", calls=(Call(name="look"),), refusal="no"),
    )
    asked = provider(server.url)
    outcomes = [await asked.complete(chat(tools=(LOOK,))) for _ in range(100)]
    await asked.close()
    kinds = {type(said) for said in outcomes}
    assert kinds == {Reply, NoReply}
    troubles = {said.trouble for said in outcomes if isinstance(said, NoReply)}
    assert troubles <= {Trouble.GARBAGE}
    for said in outcomes:
        if isinstance(said, Reply):
            (said.text + (said.refusal or "")).encode()  # what can be written down
            assert all(call.call_id.encode() for call in said.tool_calls)


@pytest.mark.parametrize("seed", range(4))
async def test_no_error_makes_it_raise(server: LanguageModelServer, seed: int) -> None:
    rng = random.Random(seed)
    good = {"error": {"message": f"no {KEY}", "type": "t", "param": None, "code": "c"}}

    def script(asked: Asked) -> Response:
        body = spoilt(spoilt(good, rng), rng)
        raw = json.dumps(body).encode() if rng.random() < 0.8 else rng.randbytes(40)
        wait = rng.choice(["", "1e400", "-0", "Mon, 99 Foo", "1, 2", "Mon, 05 Jan 0001 00:00:00"])
        headers = {"Retry-After": wait, "Retry-After-Ms": rng.choice(["inf", "x", ""])}
        status = rng.choice([300, 304, 400, 401, 404, 418, 429, 451, 500, 503, 599])
        return Response(status=status, body=b"" if status == 304 else raw, headers=headers)

    server.script = script
    asked = provider(server.url)
    outcomes = [await asked.complete(chat()) for _ in range(100)]
    await asked.close()
    for said in outcomes:
        assert isinstance(said, NoReply)
        assert KEY not in said.text
        assert said.text.isprintable()
        assert said.retry_after_s is None or 0 <= said.retry_after_s <= 3600
