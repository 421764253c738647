"""Requests and providers for tests, and the door to the real client's loopback server."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from roboinvest.core.tasks import ReadTool
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.openai import OpenAiProvider
from roboinvest.runtime.llm.provider import ChatRequest, Message, NoReply, Reply, Trouble
from tests.fakes.clocks import ManualClock

KEY: Final = "sk-loopback-0123456789abcdefWXYZ"
MODEL: Final = "gpt-loopback"


class Choice(BaseModel):
    """What a test's model decides."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["buy", "hold"] = "hold"
    confidence: float = Field(ge=0, le=1)


class Place(BaseModel):
    """What a test's tool is asked for."""

    symbol: str


def chat(*messages: Message, **more: Any) -> ChatRequest:
    """Return a request; without messages, one that asks what to do."""
    said = messages or (
        Message(speaker="system", text="Answer in JSON."),
        Message(speaker="user", text="What now?"),
    )
    terms = {"form": Choice, "reply_tokens": 200, "temperature": 0.2, **more}
    return ChatRequest(messages=said, **terms)


def provider(url: str | None, **more: Any) -> OpenAiProvider:
    """Return the real provider for a server; it has a key that no text may hold."""
    terms = {
        "model": MODEL,
        "api_key": Secret(KEY),
        "method": "json_schema",
        "clock": ManualClock(),
        "in_flight": InFlight(),
    }
    return OpenAiProvider(base_url=url, **{**terms, **more})


async def once(url: str | None, request: ChatRequest | None = None, **more: Any) -> Reply | NoReply:
    """Return what one request comes to, with a provider of its own."""
    asked = provider(url, **more)
    try:
        return await asked.complete(request or chat())
    finally:
        await asked.close()


async def look_up(place: Place) -> str:
    return f"{place.symbol}: 100 USD"


LOOK: Final = ReadTool(name="look", purpose="Return a price.", form=Place, look_up=look_up)


def reply(said: Reply | NoReply) -> Reply:
    """Return a reply, where there is one."""
    assert isinstance(said, Reply), said
    return said


def trouble(said: Reply | NoReply) -> Trouble:
    """Return why there is none."""
    assert isinstance(said, NoReply), said
    return said.trouble
