"""The loopback server speaks the published interface, and its bills are true."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from roboinvest.runtime.llm.chat.line import HttpLimits
from roboinvest.runtime.llm.provider import Method
from tests.fakes.language_models import scripts
from tests.fakes.language_models.billing import Rates
from tests.fakes.language_models.client import LOOK, MODEL, chat, once, reply, trouble
from tests.fakes.language_models.main import LanguageModelProcess
from tests.fakes.language_models.said import Asked, Call
from tests.fakes.language_models.server import LanguageModelServer

REPOSITORY: Final = Path(__file__).resolve().parents[3]
CONTRACTS: Final = Path(
    os.environ.get("ROBOINVEST_CONTRACTS", REPOSITORY.parent / "shared" / "contracts")
)
ASK: Final = {"model": MODEL, "messages": [{"role": "user", "content": "What now?"}]}
# Bodies that are wrong on purpose, or bytes.
WRONG: Final = re.compile(
    r"(null|no|empty|number|list|text|half)_(choices|message|content|usage|body|finish_reason)"
    r"|error_in_body|html|garbage|not_utf8|deep_body|huge_body|null_tool_calls"
)


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    file = CONTRACTS / "specs" / "openai" / "openapi.json.gz"
    if not file.exists():
        pytest.skip("the published interface is not here (set ROBOINVEST_CONTRACTS)")
    found = json.loads(gzip.decompress(file.read_bytes()))
    assert isinstance(found, dict)
    return found


def assert_fits(contract: dict[str, Any], name: str, value: object) -> None:
    """Fail where a value is not what the interface calls by this name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": contract["components"]}
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(value)]
    assert errors == [], name


def ask(url: str, path: str = "/chat/completions", body: object = None) -> tuple[int, Any]:
    """Send one request as it is, without any client library."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        method = "GET" if body is None else "POST"
        text = None if body is None else json.dumps(body)
        connection.request(method, f"{parts.path}{path}", text)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("name", sorted(name for name in scripts.SCRIPTS if not WRONG.search(name)))
def test_bodies_are_those_of_the_published_interface(
    server: LanguageModelServer, contract: dict[str, Any], name: str
) -> None:
    server.set_script(name, **({"text": "Hm."} if name == "text" else {}))
    status, body = ask(server.url, body=ASK)
    assert_fits(
        contract, "CreateChatCompletionResponse" if status == 200 else "ErrorResponse", body
    )


def test_models_are_listed_and_other_paths_are_errors(
    server: LanguageModelServer, contract: dict[str, Any]
) -> None:
    status, body = ask(server.url, "/models")
    assert status == 200
    assert_fits(contract, "ListModelsResponse", body)
    assert [model["id"] for model in body["data"]] == [MODEL]
    for path, sent, expected in (("/nothing", None, 404), ("/chat/completions", {}, 400)):
        status, body = ask(server.url, path, sent)
        assert status == expected
        assert_fits(contract, "ErrorResponse", body)


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_what_the_real_client_sends_is_the_published_interface(
    server: LanguageModelServer, contract: dict[str, Any], method: Method
) -> None:
    for limit in ("max_tokens", "max_completion_tokens"):
        await once(server.url, chat(tools=(LOOK,)), method=method, reply_limit=limit)
    for body in server.asked:
        assert_fits(contract, "CreateChatCompletionRequest", body)


async def test_a_script_sees_what_was_asked_and_scripts_take_turns(
    server: LanguageModelServer,
) -> None:
    def by_prompt(asked: Asked) -> str:
        assert asked.schema is not None
        return f"{asked.prompt.splitlines()[-1]} {sorted(asked.schema['properties'])}"

    server.script = scripts.in_turn(
        scripts.saying(by_prompt), scripts.echo(), scripts.valid(action="buy")
    )
    texts = [reply(await once(server.url)).text for _ in range(4)]
    assert texts[:2] == ["What now? ['action', 'confidence']", "What now?"]
    assert [json.loads(text)["action"] for text in texts[2:]] == ["buy", "buy"]


async def test_the_bill_is_tokens_at_the_price_of_the_model(server: LanguageModelServer) -> None:
    server.set_rates(MODEL, "3", "0.5", "20")
    server.set_script("cached", tokens=6)
    told = reply(await once(server.url)).usage
    assert told is not None
    fresh = told.input_tokens - 6
    usd = (fresh * 3 + 6 * Decimal("0.5") + told.output_tokens * 20) / Decimal(1_000_000)
    assert (server.billed_calls, server.billed_usd) == (1, usd)
    assert server.bills[0].is_told


@pytest.mark.parametrize(
    ("kind", "is_billed"),
    [
        ("stall", False),
        ("reset_before", False),
        ("status", False),
        ("reset_after", True),
        ("cut", True),
        ("truncated", True),
        ("status_after", True),
    ],
)
async def test_work_is_billed_whether_or_not_its_answer_arrives(
    server: LanguageModelServer, kind: str, is_billed: bool
) -> None:
    server.add_fault(kind=kind)
    trouble(await once(server.url, limits=HttpLimits(read_s=0.1)))
    assert server.billed_calls == is_billed
    assert (server.billed_usd > 0) is is_billed


@pytest.mark.parametrize("name", ["rate_limited", "insufficient_quota", "server_error", "html"])
async def test_refusals_are_not_billed(server: LanguageModelServer, name: str) -> None:
    server.set_script(name)
    trouble(await once(server.url))
    assert server.billed_usd == 0


async def test_tools_and_schemas_are_billed_as_read(server: LanguageModelServer) -> None:
    for tools in ((), (LOOK,)):
        await once(server.url, chat(tools=tools))
    without, with_tools = (bill.prompt_tokens for bill in server.bills)
    assert with_tools > without


async def test_it_goes_down_and_comes_back_at_the_same_port_with_its_bills(
    server: LanguageModelServer,
) -> None:
    url = server.url
    reply(await once(url))
    server.go_down()
    trouble(await once(url))
    server.come_back()
    assert server.url == url
    reply(await once(url))
    assert server.billed_calls == 2


async def test_as_a_process_it_is_commanded_over_the_wire() -> None:
    with LanguageModelProcess("--script", "text", "--script-arguments", '{"text": "Hi."}') as child:
        assert reply(await once(child.url)).text == "Hi."
        child.call("set_script", name="tool_call", arguments='{"a": 1}')
        assert reply(await once(child.url)).tool_calls[0].arguments == {"a": 1}
        child.call("add_fault", kind="reset_after")
        trouble(await once(child.url))
        assert child.billed_calls == 3
        assert child.billed_usd == sum(Decimal(bill["usd"]) for bill in child.call("bills")) > 0
        assert len(child.call("asked")) == 3
        with pytest.raises(ValueError, match="no script 'nonsense'"):
            child.call("set_script", name="nonsense")
        with pytest.raises(ValueError, match="no control"):
            child.call("stop")
        child.kill()
        trouble(await once(child.url))


def test_rates_can_be_given_at_the_start() -> None:
    free = Rates(read=Decimal(0), cached=Decimal(0), written=Decimal(0))
    with LanguageModelServer(rates={MODEL: free}, script=scripts.calling(Call(name="x"))) as server:
        ask(server.url, body=ASK)
        assert (server.billed_calls, server.billed_usd) == (1, Decimal(0))
