"""Ready-made scripts: what a good model says, and everything that can be wrong with an answer.

Each entry of `SCRIPTS` makes a script from plain arguments, so that another process can choose it
by name. A script that needs code is made by `saying`, `in_turn` or by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Any, Final

from tests.fakes.language_models.filled import filled
from tests.fakes.language_models.said import Answer, Asked, Body, Call, Refused, Said, Script
from tests.fakes.vendors.http_faults import Response

KEY_ECHO: Final = "Incorrect API key provided: {echo}. You can find your key at the usual place."


def answering(asked: Asked, text: str, **more: Any) -> Said:
    """Return a text as the answer, given the way it was asked for."""
    if asked.form is not None:
        call = Call(name=asked.form["name"], arguments=text)
        return Said(calls=(call,), **{"ended": "tool_calls", **more})
    return Said(text=text, **more)


def saying(text: str | Callable[[Asked], str], **more: Any) -> Script:
    """Return a script that answers a text, or what a function makes of the request."""
    return lambda asked: answering(asked, text if isinstance(text, str) else text(asked), **more)


def valid(**values: Any) -> Script:
    """Return a script that fills in the schema that came; `values` replace fields at the top."""

    def script(asked: Asked) -> Answer:
        found = filled(asked.schema) if asked.schema is not None else {}
        return answering(asked, json.dumps({**found, **values}))

    return script


def echo() -> Script:
    """Return a script that says the last message again."""
    return lambda asked: answering(asked, str(asked.messages[-1].get("content")))


def calling(*calls: Call, text: str | None = None) -> Script:
    """Return a script that calls tools."""
    return lambda asked: Said(text=text, calls=calls, ended="tool_calls")


def changed(change: Callable[[Body], object], inner: Script | None = None) -> Script:
    """Return a script whose good answer has its body changed before it is sent; it is billed."""

    def script(asked: Asked) -> Answer:
        said = (inner or valid())(asked)
        if not isinstance(said, Said):
            return said
        return Said(
            text=said.text, calls=said.calls, ended=said.ended, refusal=said.refusal, change=change
        )

    return script


def in_turn(*scripts: Script) -> Script:
    """Return a script that takes one script after the other, and the last one for ever."""
    rest = chain(scripts, repeat(scripts[-1]))
    return lambda asked: next(rest)(asked)


def refusing(status: int, code: str | None = None, **more: Any) -> Script:
    """Return a script that answers an error."""
    return lambda asked: Refused(status=status, code=code, **more)


def rate_limited(retry_after: str | None = "20") -> Script:
    """Return a script that answers 429, as for too many requests."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return refusing(429, "rate_limit_exceeded", kind="requests", headers=headers)


def raw(body: bytes, *, status: int = 200, content_type: str = "application/json") -> Script:
    """Return a script that answers bytes."""
    return lambda asked: Response(status=status, body=body, content_type=content_type)


def key_refused() -> Script:
    """Return a script that refuses the key, and repeats part of it as vendors do."""

    def script(asked: Asked) -> Answer:
        key = asked.request.headers.get("authorization", "").removeprefix("Bearer ")
        shown = KEY_ECHO.format(echo=f"{key[:8]}{'*' * 12}{key[-4:]}")
        return Refused(status=401, code="invalid_api_key", message=shown)

    return script


def prose() -> Script:
    """Return a script that talks before and after its JSON."""

    def script(asked: Asked) -> Answer:
        text = json.dumps(filled(asked.schema or {"type": "object", "properties": {}}))
        return answering(asked, f"Sure, here it is:\n```json\n{text}\n```\nGood luck!")

    return script


def cut() -> Script:
    """Return a script whose JSON ends in the middle, at the limit of tokens."""
    return saying('{"action": "bu', ended="length")


def _message(**fields: Any) -> Callable[[Body], object]:
    """Return a change of the message, and of the choice where it says "choice_..."."""

    def change(body: Body) -> object:
        for name, value in fields.items():
            place = body["choices"][0]
            if not name.startswith("choice_"):
                place = place["message"]
            place[name.removeprefix("choice_")] = value
        return body

    return change


def _body(**fields: Any) -> Callable[[Body], object]:
    """Return a change of fields of the body."""
    return lambda body: {**body, **fields}


def _without(name: str) -> Callable[[Body], object]:
    return lambda body: {key: value for key, value in body.items() if key != name}


SCRIPTS: Final[Mapping[str, Callable[..., Script]]] = {
    "valid": valid,
    "text": saying,
    "echo": echo,
    "prose": prose,
    "broken_json": lambda: saying('{"action": "buy", '),
    "wrong_type": lambda: saying('{"action": ["buy"], "confidence": "very"}'),
    "cut": cut,
    "refusal": lambda: lambda asked: Said(refusal="I cannot help with that."),
    "content_filter": lambda: saying('{"act', ended="content_filter"),
    "null_content": lambda: lambda asked: Said(),
    "null_tool_calls": lambda: changed(_message(tool_calls=None), saying("{}")),
    "tool_call": lambda name="look", arguments="{}": calling(Call(name=name, arguments=arguments)),
    "empty_choices": lambda: changed(_body(choices=[])),
    "null_choices": lambda: changed(_body(choices=None)),
    "no_choices": lambda: changed(_without("choices")),
    "null_message": lambda: changed(_message(choice_message=None)),
    "number_content": lambda: changed(_message(content=7)),
    "no_finish_reason": lambda: changed(_message(choice_finish_reason=None)),
    "no_usage": lambda: lambda asked: answering(asked, "{}", has_usage=False),
    "null_usage": lambda: changed(_body(usage=None)),
    "text_usage": lambda: changed(_body(usage="many")),
    "half_usage": lambda: changed(_body(usage={"prompt_tokens": 5})),
    "cached": lambda tokens=8: lambda asked: answering(asked, "{}", cached_tokens=tokens),
    "error_in_body": lambda code=502, message="upstream failed": changed(
        lambda body: {"error": {"code": code, "message": message}}
    ),
    "list_body": lambda: changed(lambda body: [body]),
    "number_body": lambda: changed(lambda body: 7),
    "html": lambda: raw(b"<html>Welcome</html>", content_type="text/html"),
    "garbage": lambda: raw(b"{not json"),
    "not_utf8": lambda: raw(b'{"choices": "\xff\xfe"}'),
    "empty_body": lambda: raw(b""),
    "deep_body": lambda: raw(b"[" * 100_000),
    "huge_body": lambda size=6 << 20: raw(b'{"x": "' + b"x" * size + b'"}'),
    "insufficient_quota": lambda: refusing(429, "insufficient_quota", kind="insufficient_quota"),
    "payment_required": lambda: refusing(402, None, kind="billing"),
    "rate_limited": rate_limited,
    "key_refused": key_refused,
    "forbidden": lambda: refusing(403, "model_not_allowed"),
    "bad_request": lambda message="no": refusing(400, "bad", message=message),
    "unknown_model": lambda: refusing(404, "model_not_found", message="there is no such model"),
    "server_error": lambda status=500: refusing(status, None, kind="server_error"),
}
