"""A server on loopback with the chat interface of OpenAI, which answers by a script.

    with LanguageModelServer() as server:
        server.script = scripts.valid(action="hold")
        provider = OpenAiProvider(base_url=server.url, ...)
        server.add_fault(kind="stall_after")

It lives in a thread with a loop of its own; its methods may be called from any thread. It writes a
bill for each call that it worked on, whether or not anybody waited for the answer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from roboinvest.runtime.clock import SystemClock
from tests.fakes.language_models.billing import Bill, Rates, Till
from tests.fakes.language_models.said import (
    BYTES_PER_TOKEN,
    Answer,
    Asked,
    Body,
    Refused,
    Said,
    Script,
    tokens_of,
)
from tests.fakes.language_models.scripts import KEY_ECHO, SCRIPTS, valid
from tests.fakes.vendors.http_faults import (
    Fault,
    FaultKind,
    FaultPlan,
    Request,
    Response,
    json_response,
)
from tests.fakes.vendors.http_server import HttpServer
from tests.fakes.vendors.threaded_server import ThreadedServer

CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
CREATED: Final = 1_750_000_000  # Unix time at which everything here was made


class LanguageModelServer(ThreadedServer):
    """A vendor of language models; see the module."""

    def __init__(
        self,
        *,
        script: Script | None = None,
        models: Sequence[str] = ("gpt-loopback",),
        rates: Mapping[str, Rates] | None = None,
        key: str | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare; `start` or `with` opens the port.

        Args:
            script: decides each answer; the smallest valid one by default.
            models: that are listed; any other is answered as well.
            rates: by model, in USD for a million tokens.
            key: the only one that is taken; None: any, or none.
            seed: of faults by chance.
        """
        super().__init__("language-models")
        self.port = 0  # a fixed number may be set before the start
        self.script = script or valid()
        self.faults = FaultPlan(random.Random(f"{seed} faults"))
        self.till = Till(rates)
        self._models = tuple(models)
        self._key = key
        self._count = 0  # of completions
        self._http = HttpServer(
            self._handle, now=SystemClock().now, faults=self.faults, control=self._control
        )

    @property
    def url(self) -> str:
        """Return the base URL as clients take it, with "/v1"."""
        return f"{self._http.url}/v1"

    def go_down(self) -> None:
        """Close the port and break all connections; the bills stay."""
        self._thread.call(self._http.stop)

    def come_back(self) -> None:
        """Open the port again, at the same number."""
        self._thread.run(self._http.start(self._http.port or self.port))

    # ------------------------------------------------------------------ what a test sets

    def set_script(self, name: str, **arguments: Any) -> None:
        """Take a script of `SCRIPTS` by name."""
        if name not in SCRIPTS:
            raise ValueError(f"no script {name!r}; there are {', '.join(sorted(SCRIPTS))}")
        self.script = SCRIPTS[name](**arguments)

    def set_rates(self, model: str, read: str, cached: str, written: str) -> None:
        """Change what a model costs, in USD for a million tokens."""
        rates = Rates(read=Decimal(read), cached=Decimal(cached), written=Decimal(written))
        self._thread.call(self.till.set_rates, model, rates)

    def add_fault(self, *faults: Fault, **fields: Any) -> None:
        """Plant faults; fields describe one more."""
        more = [Fault(**{**fields, "kind": FaultKind(fields["kind"])})] if fields else []
        self._thread.call(self.faults.add, *faults, *more)

    def clear_faults(self) -> None:
        """Take all faults away."""
        self._thread.call(self.faults.clear)

    # ------------------------------------------------------------------ what a test asks

    @property
    def requests(self) -> list[Request]:
        """Return all requests that arrived, spoilt ones too, oldest first."""
        return self._thread.call(lambda: list(self._http.requests))

    @property
    def asked(self) -> list[Body]:
        """Return the bodies of all requests for a completion, oldest first."""
        return [each.parsed for each in self.requests if each.path == CHAT]

    @property
    def bills(self) -> list[Bill]:
        """Return the bills, oldest first."""
        return self._thread.call(lambda: list(self.till.bills))

    @property
    def billed_calls(self) -> int:
        """Return how many calls were worked on."""
        return len(self.bills)

    @property
    def billed_usd(self) -> Decimal:
        """Return what all of them cost, exact."""
        return self._thread.call(lambda: self.till.usd)

    def connections(self) -> int:
        """Return how many connections are open now."""
        return self._thread.call(lambda: len(self._http._open))

    # ------------------------------------------------------------------ inside

    def _handle(self, request: Request) -> Response:
        try:
            return self._answer(request)
        finally:
            with self._changed:
                self._changed.notify_all()

    def _answer(self, request: Request) -> Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key is not None and key != self._key:
            echo = f"{key[:8]}{'*' * 12}{key[-4:]}"
            message = KEY_ECHO.format(echo=echo)
            return _error(Refused(status=401, code="invalid_api_key", message=message))
        match request.method, request.path:
            case "GET", "/v1/models":
                return json_response({"object": "list", "data": [*map(_model, self._models)]})
            case "POST", "/v1/chat/completions":
                return self._complete(request)
        return _error(Refused(status=404, message=f"no {request.method} {request.path}"))

    def _complete(self, request: Request) -> Response:
        body = request.parsed
        if not isinstance(body, dict) or not body.get("messages") or not body.get("model"):
            return _error(Refused(status=400, message="model and messages are required"))
        asked = Asked(body=body, request=request)
        answer: Answer = self.script(asked)
        match answer:
            case Response():
                return answer
            case Refused():
                return _error(answer)
            case Said():
                return self._said(asked, answer)

    def _said(self, asked: Asked, said: Said) -> Response:
        """Do the work: it is billed whatever becomes of the answer."""
        self._count += 1
        text, ended, written = _limited(said, asked.most_tokens)
        read = asked.prompt_tokens
        cached = min(said.cached_tokens, read)
        body = _completion(self._count, asked.model, said, text, ended)
        if said.has_usage:
            body["usage"] = _usage(read, cached, written)
        sent = said.change(body) if said.change is not None else body
        is_told = isinstance(sent, dict) and sent.get("usage") == _usage(read, cached, written)
        self.till.charge(asked.model, read=read, cached=cached, written=written, is_told=is_told)
        return json_response(sent, headers=said.headers)

    def _control(self, request: Request) -> Response:
        return self._controlled(request, CONTROLS)


CONTROLS: Final = frozenset(
    {"set_script", "set_rates", "add_fault", "clear_faults"}
    | {"requests", "asked", "bills", "billed_calls", "billed_usd", "connections"}
)


def _limited(said: Said, most: int | None) -> tuple[str | None, str, int]:
    """Return the text up to the limit of tokens, how it ended, and the tokens written."""
    spoken = (said.text, said.refusal, *(call.arguments for call in said.calls))
    written = sum(tokens_of(part) for part in spoken if part)
    if most is None or written <= most:
        return said.text, said.ended, written
    text = (said.text or "").encode()[: most * BYTES_PER_TOKEN].decode(errors="ignore")
    return text if said.text is not None else None, "length", most


def _completion(number: int, model: str, said: Said, text: str | None, ended: str) -> Body:
    message: Body = {"role": "assistant", "content": text, "refusal": said.refusal}
    if said.calls:
        message["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in said.calls
        ]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": ended}],
        "system_fingerprint": "fp_loopback",
    }


def _usage(read: int, cached: int, written: int) -> Body:
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _model(name: str) -> Body:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "loopback"}


def _error(refused: Refused) -> Response:
    error = {
        "message": refused.message,
        "type": refused.kind,
        "param": None,
        "code": refused.code,
    }
    return json_response({"error": error}, refused.status, refused.headers)
