"""A model behind the chat interface of OpenAI: OpenAI itself, OpenRouter, vLLM, Ollama and others.

One request is sent once. Whatever becomes of it is a `Reply` or a `NoReply`; nothing is raised but
CancelledError, and nothing is parsed: a broken, cut or refused reply comes back as it was said.

The client is made anew after some calls in a row that came to nothing, because a pool of
connections can go bad and stay so; the old one is closed when its last call has left. A client
belongs to one loop: a call on another loop gets a new one.
"""

from __future__ import annotations

import asyncio
import re
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.chat.schemas import form_tool, response_format
from roboinvest.runtime.llm.provider import ChatRequest, Method, NoReply, Reply, schemas_of

if TYPE_CHECKING:
    from roboinvest.runtime.llm.chat.line import ChatLine, HttpLimits

OPENAI_URL: Final = "https://api.openai.com/v1"
ReplyLimit = Literal["max_completion_tokens", "max_tokens"]
_NO_KEY: Final = "none"  # what a server that asks for no key is sent
_WORN_AFTER: Final = 5  # calls in a row that came to nothing
_MOST_FORMS: Final = 64  # whose schemas are kept; there are a dozen
_OWN_TEMPERATURE: Final = re.compile(r"o\d|gpt-5(?!.*chat)", re.IGNORECASE)  # they refuse any other
# What the libraries below raise beside their own classes, where a body is not as they expect;
# `Warning` where warnings are errors.
_PYTHONS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    OSError,
    ArithmeticError,
    AssertionError,
    EOFError,
    Warning,
)


class OpenAiProvider:
    """One model at one address; a `Provider`."""

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None,
        api_key: Secret | None,
        method: Method,
        clock: Clock,
        in_flight: InFlight,
        max_connections: int = 8,
        limits: HttpLimits | None = None,
        reply_limit: ReplyLimit | None = None,
        worn_after: int = _WORN_AFTER,
    ) -> None:
        """Load the client library, which takes seconds; connections are made by the first call.

        Args:
            model: as the server names it.
            base_url: with "/v1" or the like at its end, and already checked (`checked_host`);
                None: OpenAI.
            api_key: None where the server asks for none.
            method: how the form of an answer is asked for.
            clock: for servers that name a time to come back.
            in_flight: counts the calls under way.
            max_connections: as many calls as may be under way at once.
            limits: of the connections, instead of the usual ones.
            reply_limit: the name under which the server takes the limit of tokens; None: OpenAI's
                own for OpenAI, and the older one, which all others know, elsewhere.
            worn_after: calls in a row that come to nothing before the client is made anew.
        """
        from httpx2 import HTTPError, create_ssl_context
        from langchain_core.exceptions import LangChainException
        from openai import OpenAIError

        from roboinvest.runtime.llm.chat import errors, line

        url = base_url or OPENAI_URL
        key = api_key.reveal() if api_key is not None else None
        self._raised = (OpenAIError, LangChainException, HTTPError, *_PYTHONS)
        self._line_module = line
        self._address = line.Address(
            model=model,
            base_url=url,
            key=key or _NO_KEY,
            limits=limits or line.HttpLimits(connections=max_connections),
            trust=create_ssl_context(trust_env=False) if url.startswith("https:") else _no_trust(),
        )
        self._complaints = errors.Complaints(self.name, key)
        self._method = method
        self._clock = clock
        self._in_flight = in_flight
        self._reply_limit = reply_limit or _reply_limit_of(url)
        self._takes_temperature = _OWN_TEMPERATURE.match(model) is None
        self._worn_after = worn_after
        self._in_vain = 0  # calls in a row that came to nothing
        self._lines: list[
            ChatLine
        ] = []  # that are not closed; the last may be in use for new calls
        self._forms: dict[type[BaseModel], dict[str, Any]] = {}

    @property
    def name(self) -> str:
        """Return the source of its answers: "openai:<model>"."""
        return f"openai:{self.model}"

    @property
    def model(self) -> str:
        """Return the model's name, as prices are looked up by."""
        return self._address.model

    async def complete(self, request: ChatRequest) -> Reply | NoReply:
        """Send the request once; it raises nothing but CancelledError.

        A reply's text is what the model said, or, with `function_calling`, the arguments it gave
        the form.
        """
        with self._in_flight:
            line = self._line()
            line.users += 1
            reply: Reply | NoReply | None = None
            try:
                reply = await self._ask(line, request)
            finally:
                line.users -= 1
                self._note(line, isinstance(reply, Reply))
                if line.is_worn and not line.users:
                    await self._close(line)
            return reply

    async def renew(self) -> None:
        """Take no connection into use again; those that are in use end with their calls."""
        loop = asyncio.get_running_loop()
        for line in tuple(self._lines):
            if line.loop is loop:
                line.is_worn = True
                if not line.users:
                    await self._close(line)

    async def close(self) -> None:
        """Close every connection of this loop; a later call opens new ones."""
        loop = asyncio.get_running_loop()
        for line in tuple(self._lines):
            if line.loop is loop:
                line.is_worn = True
                await self._close(line)

    async def _ask(self, line: ChatLine, request: ChatRequest) -> Reply | NoReply:
        try:
            messages = self._line_module.spoken(request.messages)
            result = await line.ask(messages, self._terms(request))
            by_tool = self._method == "function_calling"
            return self._line_module.reply_of(result, request.form.__name__ if by_tool else None)
        except self._raised as error:
            return self._complaints.no_reply(error, self._clock.now())

    def _terms(self, request: ChatRequest) -> dict[str, Any]:
        """Return everything of a request but its messages."""
        terms: dict[str, Any] = {}
        body: dict[str, Any] = {}
        if self._takes_temperature:
            terms["temperature"] = request.temperature
        if self._reply_limit == "max_tokens":  # the client would rename it
            body["max_tokens"] = request.reply_tokens
        else:
            terms["max_completion_tokens"] = request.reply_tokens
        tools = schemas_of(request.tools)
        form = self._form(request.form)
        if self._method == "function_calling":
            chosen = {"type": "function", "function": {"name": request.form.__name__}}
            terms |= {"tools": [form, *tools], "tool_choice": "required" if tools else chosen}
        else:
            body["response_format"] = form
            terms |= {"tools": tools} if tools else {}
        return {**terms, "extra_body": body} if body else terms

    def _form(self, form: type[BaseModel]) -> dict[str, Any]:
        found = self._forms.get(form)
        if found is None:
            found = response_format(form, self._method) or form_tool(form)
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            self._forms[form] = found
        return found

    def _line(self) -> ChatLine:
        """Return the client for a new call on this loop."""
        loop = asyncio.get_running_loop()
        # The sockets of a loop that has ended can only be dropped: closing them needs that loop.
        self._lines = [line for line in self._lines if not line.loop.is_closed()]
        for line in self._lines:
            if line.loop is loop and not line.is_worn:
                return line
        made = self._line_module.ChatLine(self._address)
        self._lines.append(made)
        return made

    def _note(self, line: ChatLine, is_reply: bool) -> None:
        self._in_vain = 0 if is_reply else self._in_vain + 1
        if self._in_vain >= self._worn_after:
            self._in_vain = 0
            line.is_worn = True

    async def _close(self, line: ChatLine) -> None:
        if line in self._lines:
            self._lines.remove(line)
        try:
            await line.close()
        except self._raised:
            return  # the connection broke while it was closed


def _no_trust() -> SSLContext:
    """Return what knows no authority, for an address in clear text: reading them all takes long."""
    return SSLContext(PROTOCOL_TLS_CLIENT)


def _reply_limit_of(url: str) -> ReplyLimit:
    host = urlsplit(url).hostname or ""
    is_openai = host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if is_openai else "max_tokens"
