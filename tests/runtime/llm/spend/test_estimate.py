"""What is reserved for a request: never less than any tokenizer that cuts text could count."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from roboinvest.core.tasks import ReadTool
from roboinvest.runtime.llm.provider import ChatRequest, Message, ToolCall
from roboinvest.runtime.llm.spend.estimate import tokens_at_most

ANY_TEXT = st.text(st.characters(), max_size=200)  # halves of characters included


class Small(BaseModel):
    """A form."""

    action: str


class Large(BaseModel):
    """A form with more to fill in."""

    action: str
    confidence: float
    rationale: str


class Symbol(BaseModel):
    """The argument of a tool."""

    symbol: str


async def nothing(_: Symbol) -> str:
    return ""


def most(
    *texts: str,
    form: type[BaseModel] = Small,
    tools: tuple[ReadTool, ...] = (),
    calls: tuple[ToolCall, ...] = (),
) -> int:
    messages = tuple(
        Message(speaker="assistant" if calls else "user", text=text, tool_calls=calls)
        for text in texts
    )
    return tokens_at_most(
        ChatRequest(messages=messages, form=form, reply_tokens=100, temperature=0.0, tools=tools)
    )


@given(ANY_TEXT)
def test_each_byte_of_a_text_is_reserved_for(text: str) -> None:
    assert most(text) - most("") == len(text.encode("utf-8", "surrogatepass"))


@given(st.lists(ANY_TEXT, max_size=4))
def test_each_message_costs_a_frame(texts: list[str]) -> None:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert most(*texts) >= most() + size + 8 * len(texts)


def test_forms_tools_and_calls_are_reserved_for_as_well() -> None:
    one = most("hello")
    assert one > len("hello") + len(json.dumps(Small.model_json_schema()))
    larger = len(json.dumps(Large.model_json_schema())) - len(json.dumps(Small.model_json_schema()))
    assert most("hello", form=Large) == one + larger
    tool = ReadTool(name="look", purpose="Look a symbol up.", form=Symbol, look_up=nothing)
    assert most("hello", tools=(tool,)) > one + len(json.dumps(Symbol.model_json_schema()))
    call = ToolCall(call_id="1", name="look", arguments={"symbol": "SPY" * 100})
    assert most("hello", calls=(call,)) > one + 300
