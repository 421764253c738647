"""Whatever a server answers in good order comes back as it was said, through the real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from roboinvest.runtime.llm.provider import Message, Method, Reply, ToolCall, Usage
from tests.fakes.language_models import scripts
from tests.fakes.language_models.client import LOOK, Choice, chat, once, reply
from tests.fakes.language_models.said import Call, Said
from tests.fakes.language_models.server import LanguageModelServer

GOOD = '{"action": "buy", "confidence": 0.5}'


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer() as server:
        yield server


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_a_good_answer_is_its_text_and_its_tokens(
    server: LanguageModelServer, method: Method
) -> None:
    server.script = scripts.saying(GOOD)
    said = reply(await once(server.url, method=method))
    bill = server.bills[0]
    assert Choice.model_validate_json(said.text) == Choice(action="buy", confidence=0.5)
    assert said == Reply(
        text=said.text,
        usage=Usage(
            input_tokens=bill.prompt_tokens, cached_tokens=0, output_tokens=bill.completion_tokens
        ),
    )


async def test_a_schema_is_sent_strict_and_a_form_is_never_parsed_by_the_client(
    server: LanguageModelServer,
) -> None:
    await once(server.url)
    body = server.asked[0]
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "Choice",
            "strict": True,
            "schema": {
                "type": "object",
                "description": "What a test's model decides.",
                "properties": {
                    "action": {"type": "string", "enum": ["buy", "hold"]},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "required": ["action", "confidence"],
                "additionalProperties": False,
            },
        },
    }
    assert (body["model"], body["temperature"], body["stream"]) == ("gpt-loopback", 0.2, False)
    assert body["messages"][0] == {"role": "system", "content": "Answer in JSON."}
    assert "tools" not in body


async def test_json_mode_asks_for_an_object_and_function_calling_for_a_call(
    server: LanguageModelServer,
) -> None:
    await once(server.url, method="json_mode")
    await once(server.url, method="function_calling")
    mode, calling = server.asked
    assert mode["response_format"] == {"type": "json_object"}
    assert "response_format" not in calling
    assert calling["tool_choice"] == {"type": "function", "function": {"name": "Choice"}}
    assert [tool["function"]["name"] for tool in calling["tools"]] == ["Choice"]


async def test_the_limit_of_tokens_has_the_name_that_the_server_knows(
    server: LanguageModelServer,
) -> None:
    await once(server.url)
    await once(server.url, reply_limit="max_completion_tokens")
    limits = [
        {name: body.get(name) for name in ("max_tokens", "max_completion_tokens")}
        for body in server.asked
    ]
    assert limits == [
        {"max_tokens": 200, "max_completion_tokens": None},
        {"max_tokens": None, "max_completion_tokens": 200},
    ]


@pytest.mark.parametrize(
    ("model", "is_sent"),
    [("gpt-4o", True), ("gpt-5-chat-latest", True), ("gpt-5-mini", False), ("o3", False)],
)
async def test_a_model_that_takes_no_temperature_is_sent_none(
    server: LanguageModelServer, model: str, is_sent: bool
) -> None:
    await once(server.url, model=model)
    assert ("temperature" in server.asked[0]) is is_sent


TEXTS: dict[str, dict[str, Any]] = {
    "broken_json": {"text": '{"action": "buy", '},
    "wrong_type": {"text": '{"action": ["buy"], "confidence": "very"}'},
    "cut": {"text": '{"action": "bu', "is_cut": True},
    "refusal": {"text": "", "refusal": "I cannot help with that."},
    "content_filter": {
        "text": '{"act',
        "refusal": "the provider's content filter stopped the answer",
    },
    "null_content": {"text": ""},
    "null_tool_calls": {"text": "{}"},
    "empty_choices": {"text": ""},
    "no_finish_reason": {"text": '{"action": "buy", "confidence": 0}'},
}


@pytest.mark.parametrize("name", TEXTS)
async def test_a_bad_answer_comes_back_as_it_was_said(
    server: LanguageModelServer, name: str
) -> None:
    server.set_script(name)
    said = reply(await once(server.url))
    expected = {"is_cut": False, "refusal": None, **TEXTS[name]}
    assert {key: getattr(said, key) for key in expected} == expected
    assert said.usage is not None
    assert said.usage.output_tokens == server.bills[0].completion_tokens
    assert len(server.requests) == 1


async def test_prose_around_an_answer_is_left_there(server: LanguageModelServer) -> None:
    server.set_script("prose")
    said = reply(await once(server.url))
    assert said.text.startswith("Sure")
    assert said.text.endswith("Good luck!")


async def test_an_answer_over_the_limit_is_cut_and_says_so(server: LanguageModelServer) -> None:
    server.script = scripts.saying("word " * 100)
    said = reply(await once(server.url, chat(reply_tokens=10)))
    assert said.is_cut
    assert said.usage is not None
    assert said.usage.output_tokens == 10


@pytest.mark.parametrize("name", ["no_usage", "null_usage", "half_usage"])
async def test_tokens_that_are_not_told_in_full_are_not_told(
    server: LanguageModelServer, name: str
) -> None:
    server.set_script(name)
    assert reply(await once(server.url)).usage is None
    assert server.billed_calls == 1


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 20}, (9, 0, 11)),
        ({"prompt_tokens": 9, "completion_tokens": 4}, (9, 0, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 1}, (9, 0, 4)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (0, 0, 0)),
    ],
)
async def test_tokens_that_disagree_are_counted_high(
    server: LanguageModelServer, usage: dict[str, int], expected: tuple[int, int, int]
) -> None:
    server.script = scripts.changed(lambda body: {**body, "usage": usage})
    told = reply(await once(server.url)).usage
    assert told is not None
    assert (told.input_tokens, told.cached_tokens, told.output_tokens) == expected


@pytest.mark.parametrize("usage", [{"prompt_tokens": -5, "completion_tokens": 4}, {}])
async def test_tokens_below_zero_are_none(
    server: LanguageModelServer, usage: dict[str, int]
) -> None:
    server.script = scripts.changed(lambda body: {**body, "usage": usage})
    assert reply(await once(server.url)).usage is None


async def test_cached_tokens_are_told(server: LanguageModelServer) -> None:
    server.set_script("cached", tokens=8)
    told = reply(await once(server.url)).usage
    assert told is not None
    assert told.cached_tokens == 8 < told.input_tokens


async def test_content_in_blocks_is_put_together(server: LanguageModelServer) -> None:
    blocks = [{"type": "text", "text": "{"}, {"type": "image"}, {"type": "text", "text": "}"}]

    def change(body: dict[str, Any]) -> object:
        body["choices"][0]["message"]["content"] = blocks
        return body

    server.script = scripts.changed(change)
    assert reply(await once(server.url)).text == "{}"


# ---------------------------------------------------------------------- tools


@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
async def test_a_look_up_comes_back_with_its_arguments(
    server: LanguageModelServer, method: Method
) -> None:
    server.script = scripts.calling(Call(name="look", arguments='{"symbol": "SPY"}', call_id="c7"))
    said = reply(await once(server.url, chat(tools=(LOOK,)), method=method))
    assert said.text == ""
    assert said.tool_calls == (ToolCall(call_id="c7", name="look", arguments={"symbol": "SPY"}),)
    tools = {tool["function"]["name"]: tool["function"] for tool in server.asked[0]["tools"]}
    assert tools["look"]["parameters"]["required"] == ["symbol"]
    assert ("Choice" in tools) is (method == "function_calling")
    if method == "function_calling":
        assert server.asked[0]["tool_choice"] == "required"


async def test_a_conversation_with_look_ups_is_told_whole(server: LanguageModelServer) -> None:
    call = ToolCall(call_id="c1", name="look", arguments={"symbol": "SPY"})
    request = chat(
        Message(speaker="user", text="What now?"),
        Message(speaker="assistant", text="", tool_calls=(call,)),
        Message(speaker="tool", text="SPY: 100 USD", answers="c1"),
        tools=(LOOK,),
    )
    reply(await once(server.url, request))
    _, assistant, tool = server.asked[0]["messages"]
    assert assistant["role"] == "assistant"
    assert assistant["content"] is None
    assert assistant["tool_calls"][0]["id"] == "c1"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"symbol": "SPY"}
    assert tool == {"role": "tool", "content": "SPY: 100 USD", "tool_call_id": "c1"}


@pytest.mark.parametrize("arguments", ["{broken", '["SPY"]', "7", "null"])
async def test_arguments_that_are_no_object_are_no_call_but_text_to_be_repaired(
    server: LanguageModelServer, arguments: str
) -> None:
    server.script = scripts.calling(Call(name="look", arguments=arguments))
    said = reply(await once(server.url, chat(tools=(LOOK,))))
    assert said.tool_calls == ()
    assert said.text == arguments
    assert said.usage is not None


@pytest.mark.parametrize("arguments", ["", None, {"symbol": "SPY"}])
async def test_arguments_that_are_left_out_or_not_text_are_taken_as_an_object(
    server: LanguageModelServer, arguments: object
) -> None:
    def change(body: dict[str, Any]) -> object:
        body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = arguments
        return body

    server.script = scripts.changed(change, scripts.calling(Call(name="look")))
    said = reply(await once(server.url, chat(tools=(LOOK,))))
    assert [call.arguments for call in said.tool_calls] == [arguments or {}]


@pytest.mark.parametrize("calls", ["none", 7, [], [7], [{}], [{"function": None}], {"a": 1}])
async def test_tool_calls_that_are_none_do_not_spoil_what_was_said(
    server: LanguageModelServer, calls: object
) -> None:
    def change(body: dict[str, Any]) -> object:
        body["choices"][0]["message"]["tool_calls"] = calls
        return body

    server.script = scripts.changed(change, scripts.saying(GOOD))
    said = reply(await once(server.url, chat(tools=(LOOK,))))
    assert (said.text, said.tool_calls) == (GOOD, ())


async def test_a_call_without_an_id_gets_one(server: LanguageModelServer) -> None:
    calls = [Call(name="look", arguments="{}", call_id=None) for _ in range(2)]
    server.script = scripts.calling(*calls)
    said = reply(await once(server.url, chat(tools=(LOOK,))))
    assert [call.call_id for call in said.tool_calls] == ["call-0", "call-1"]


async def test_with_function_calling_the_form_is_the_answer_and_prose_is_taken_as_text(
    server: LanguageModelServer,
) -> None:
    server.script = scripts.in_turn(
        lambda asked: Said(calls=(Call(name="look"), Call(name="Choice", arguments=GOOD))),
        lambda asked: Said(text="I would rather talk."),
    )
    request = chat(tools=(LOOK,))
    both = reply(await once(server.url, request, method="function_calling"))
    prose = reply(await once(server.url, request, method="function_calling"))
    assert both.text == GOOD
    assert both.tool_calls == ()
    assert (prose.text, prose.tool_calls) == ("I would rather talk.", ())


async def test_half_a_character_is_replaced_wherever_it_is_said(
    server: LanguageModelServer,
) -> None:
    half = "\ud83d"

    def change(body: dict[str, Any]) -> object:
        body["choices"][0]["message"] |= {"content": half, "refusal": half}
        return body

    call = Call(name="look", arguments='{"symbol": "\\ud83d"}', call_id="c")
    server.script = scripts.changed(change, scripts.calling(call))
    said = reply(await once(server.url, chat(tools=(LOOK,))))
    assert (said.text, said.refusal) == ("?", "?")
    assert said.tool_calls[0].arguments == {"symbol": "?"}
