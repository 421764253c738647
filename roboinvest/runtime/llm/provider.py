"""What the gateway and a provider of language models say to each other.

A provider sends one request, once, and tells what became of it. It never repeats anything: whether
another attempt is worth its money is the gateway's to say. It has no deadline of its own either;
the gateway's deadline is the only one that counts, and a cancelled request is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from roboinvest.core.tasks import ReadTool

Method = Literal["json_schema", "json_mode", "function_calling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    speaker: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ToolCall, ...] = ()  # of an assistant
    answers: str | None = None  # of a tool: the call's id


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What a model asks to look up; the arguments are as it wrote them, unchecked."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request."""

    messages: tuple[Message, ...]
    form: type[BaseModel]
    reply_tokens: int
    temperature: float
    tools: tuple[ReadTool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that the provider says it counted."""

    input_tokens: int  # cached ones included
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a provider answered in good order; the text is not looked at yet."""

    text: str  # "" where only tools were called, or nothing was said
    usage: Usage | None  # None: it was not told
    is_cut: bool = False  # by the limit of tokens
    refusal: str | None = None  # the model's own words
    tool_calls: tuple[ToolCall, ...] = ()


class Trouble(StrEnum):
    """Why there is no reply."""

    CONNECTION = "connection"  # nobody answers, or the line broke
    TIMEOUT = "timeout"
    RATE = "rate"  # too many requests for now
    QUOTA = "quota"  # the account has no money left
    KEY = "key"  # the key is refused, or lacks a permission
    REQUEST = "request"  # the request is refused as it stands: model, size, parameter
    SERVER = "server"  # 5xx
    GARBAGE = "garbage"  # an answer that is not the interface's


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """A request that came to nothing."""

    trouble: Trouble
    text: str  # one sentence without any secret
    was_sent: bool  # False: certainly not billed
    retry_after_s: float | None = None  # what the server asked for


class Provider(Protocol):
    """One model at one address."""

    @property
    def name(self) -> str:
        """Return the source of its answers: "openai:<model>"."""

    @property
    def model(self) -> str:
        """Return the model's name, as prices are looked up by."""

    async def complete(self, request: ChatRequest) -> Reply | NoReply:
        """Send the request once; it raises nothing but CancelledError."""

    async def close(self) -> None:
        """Close every connection."""


def parameters_of(request: ChatRequest, method: Method) -> Mapping[str, object]:
    """Return what, beside the prompt, makes two requests the same: for versions and replays."""
    return {
        "temperature": request.temperature,
        "reply_tokens": request.reply_tokens,
        "method": method,
        "tools": [tool.name for tool in request.tools],
    }


def schemas_of(tools: Sequence[ReadTool]) -> list[dict[str, Any]]:
    """Return the tools as the chat interface takes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.purpose,
                "parameters": tool.form.model_json_schema(),
            },
        }
        for tool in tools
    ]
