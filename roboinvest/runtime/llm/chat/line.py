"""ChatOpenAI over a few connections of its own, and what it is given and gives back.

This is the only module that knows langchain, and it is imported when a provider is made and not
before, because that takes seconds.

The reply is asked of ChatOpenAI below its callbacks. Whatever the environment says of tracing, no
tracer is ever made, so that no prompt can leave for another host than the model's.

A form is sent by `extra_body`, because ChatOpenAI hands a `response_format` that it sees to a
parser which raises for a reply that was cut, and tool calls are taken out before langchain reads
them, which raises for some. What was said comes back as text; it is not judged here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages import ToolCall as LangchainToolCall
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI

from roboinvest.runtime.llm.provider import Message, Reply, ToolCall, Usage

_IDLE_S: Final = 30.0  # how long an unused connection is kept
_LONGEST_PACKED: Final = 64 << 10  # bytes of a compressed body: it may grow a thousandfold
_CALLS: Final = "roboinvest_calls"  # where tool calls wait, as (id, name, arguments)
_FILTERED: Final = "the provider's content filter stopped the answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one client may hold, and how long each step may take; none replaces a deadline."""

    connections: int = 8
    connect_s: float = 5.0
    read_s: float = 60.0  # between two pieces of an answer
    write_s: float = 10.0
    pool_s: float = 5.0  # for a free connection
    body_bytes: int = 4 << 20  # of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a model is, and how it is greeted."""

    model: str
    base_url: str
    key: str  # never shown
    limits: HttpLimits
    trust: ssl.SSLContext

    def __repr__(self) -> str:
        return f"Address({self.model!r}, {self.base_url!r})"


class ChatLine:
    """One client, bound to the loop it is made on."""

    def __init__(self, address: Address) -> None:
        self.loop = asyncio.get_running_loop()
        self.users = 0  # calls under way
        self.is_worn = False  # takes no new calls, and is closed when the last user leaves
        self._http = _http_client(address)

        async def key() -> str:  # a function, so that no repr of the client shows the key
            return address.key

        self._chat = _Chat(
            model=address.model,
            api_key=key,
            base_url=address.base_url,
            http_async_client=self._http,
            max_retries=0,
            timeout=self._http.timeout,
            cache=False,
            streaming=False,
            disable_streaming=True,
            use_responses_api=False,
            output_version="v0",
            openai_proxy=None,
            http_socket_options=(),
        )

    async def ask(self, messages: Sequence[BaseMessage], terms: Mapping[str, Any]) -> ChatResult:
        """Send one request; it raises whatever the client does."""
        return await self._chat._agenerate(list(messages), **terms)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()


class _Chat(ChatOpenAI):
    """Leaves tool calls as they came."""

    def _create_chat_result(
        self,
        response: Any,  # noqa: ANN401 whatever the body was
        generation_info: dict[str, Any] | None = None,
    ) -> ChatResult:
        calls = _taken_out(response)
        result = super()._create_chat_result(response, generation_info)
        if result.generations:
            result.generations[0].message.additional_kwargs[_CALLS] = calls
        return result


_RawCall = tuple[str | None, str, str]


def _taken_out(response: Any) -> list[_RawCall]:  # noqa: ANN401 whatever the body was
    """Remove the tool calls of the first choice, and return those that name a function."""
    choices = getattr(response, "choices", None)
    message = (
        getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    )
    said = getattr(message, "tool_calls", None)
    if message is None or said is None:
        return []
    message.tool_calls = None
    calls = list[_RawCall]()
    for each in said if isinstance(said, list) else ():
        name = getattr(getattr(each, "function", None), "name", None)
        if isinstance(name, str) and name:
            arguments = each.function.arguments
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            call_id = _whole(each.id) if isinstance(each.id, str) and each.id else None
            calls.append((call_id, _whole(name), text or "{}"))
    return calls


def _http_client(address: Address) -> httpx2.AsyncClient:
    limits = address.limits

    async def bound(response: httpx2.Response) -> None:
        is_packed = response.headers.get("content-encoding", "identity").lower() != "identity"
        longest = min(limits.body_bytes, _LONGEST_PACKED) if is_packed else limits.body_bytes
        response.stream = _Bounded(response.stream, longest)

    return httpx2.AsyncClient(
        limits=httpx2.Limits(
            max_connections=limits.connections,
            max_keepalive_connections=limits.connections,
            keepalive_expiry=_IDLE_S,
        ),
        timeout=httpx2.Timeout(
            connect=limits.connect_s,
            read=limits.read_s,
            write=limits.write_s,
            pool=limits.pool_s,
        ),
        headers={"Accept-Encoding": "identity"},
        trust_env=False,
        follow_redirects=False,
        verify=address.trust,
        event_hooks={"response": [bound]},
    )


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error where it is longer than an answer can be."""

    def __init__(self, stream: Any, longest: int) -> None:  # noqa: ANN401 httpx2's own
        self._stream = stream
        self._longest = longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for piece in self._stream:
            count += len(piece)
            if count > self._longest:
                raise ValueError(f"a body of more than {self._longest} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def spoken(messages: Sequence[Message]) -> list[BaseMessage]:
    """Return a conversation as langchain takes it."""
    return [_spoken(message) for message in messages]


def _spoken(message: Message) -> BaseMessage:
    match message.speaker:
        case "system":
            return SystemMessage(message.text)
        case "user":
            return HumanMessage(message.text)
        case "tool":
            return ToolMessage(message.text, tool_call_id=message.answers or "")
        case "assistant":
            calls = [
                LangchainToolCall(name=call.name, args=dict(call.arguments), id=call.call_id)
                for call in message.tool_calls
            ]
            return AIMessage(message.text, tool_calls=calls)


def reply_of(result: ChatResult, form_name: str | None) -> Reply:
    """Return what was said.

    A call of `form_name` is the answer itself: its arguments become the text. A call whose
    arguments are no JSON object is no call; they become the text where nothing else was said.
    """
    usage = _usage((result.llm_output or {}).get("token_usage"))
    if not result.generations:
        return Reply(text="", usage=usage)
    generation = result.generations[0]
    message = generation.message
    ended = (generation.generation_info or {}).get("finish_reason")
    refusal = message.additional_kwargs.get("refusal")
    if ended == "content_filter" and not refusal:
        refusal = _FILTERED
    raw: list[_RawCall] = message.additional_kwargs.get(_CALLS, [])
    answer = next((text for _, name, text in raw if name == form_name), None)
    calls, broken = _read_calls(raw) if answer is None else ((), "")
    return Reply(
        text=_whole(answer or _text(message.content) or broken),
        usage=usage,
        is_cut=ended == "length",
        refusal=_whole(refusal) if isinstance(refusal, str) and refusal else None,
        tool_calls=calls,
    )


def _read_calls(raw: Sequence[_RawCall]) -> tuple[tuple[ToolCall, ...], str]:
    """Return the calls, and the arguments of the first one that cannot be read."""
    calls = list[ToolCall]()
    broken = ""
    for number, (call_id, name, text) in enumerate(raw):
        try:
            arguments = json.loads(_whole(json.dumps(json.loads(text), ensure_ascii=False)))
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            calls.append(
                ToolCall(call_id=call_id or f"call-{number}", name=name, arguments=arguments)
            )
        else:
            broken = broken or text
    return tuple(calls), broken


def _whole(text: str) -> str:
    """Return a text that can be written down: half a character, which JSON can name, is none."""
    return text.encode(errors="replace").decode()


def _text(content: str | list[str | dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    parts = (part if isinstance(part, str) else part.get("text") for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _usage(said: object) -> Usage | None:
    """Return the tokens counted, the larger figure where two disagree; None: not told in full."""
    if not isinstance(said, Mapping):
        return None
    read, written = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens"))
    if read is None or written is None:
        return None
    total = _count(said.get("total_tokens")) or 0
    details = said.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return Usage(
        input_tokens=read,
        cached_tokens=min(cached or 0, read),
        output_tokens=max(written, total - read),  # some leave what was thought out of the parts
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
