"""What a failed call means: refused for certain, or unknown.

Only a readable refusal of the broker itself is a refusal: a status that says the request was not
taken, with a JSON body in the broker's own form. Everything else - a timeout, a broken connection,
any 5xx, a 429, a page of HTML, a reply that cannot be parsed - may have happened after the order
was booked, and is UNKNOWN. A refusal because the client order id is taken is no refusal of the
order; it says that the order may already be there.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from alpaca.common.exceptions import APIError
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError

from roboinvest.core.errors import TryLater
from roboinvest.core.venue import Outcome, OutcomeKind
from roboinvest.runtime.vendors.calls import NotSent

# What a call can raise; RecursionError is a reply nested too deep, ValueError one that is no JSON.
CALL_FAILURES: Final = (
    APIError,
    RequestException,
    HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    RecursionError,
    TryLater,
)
_DEFINITIVE: Final = frozenset({400, 401, 403, 404, 405, 410, 422})
_LONGEST: Final = 240  # characters of a broker's message
AUTH: Final = "auth"
NOT_SENT: Final = "not-sent"


class Unreadable(ValueError):
    """A reply came, and is not what was promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that failed, in our words."""

    is_definitive: bool  # the broker itself refused, so nothing was done
    code: str  # the broker's, or "auth", "timeout", "connection", "unreadable", "http-503", ...
    text: str
    status: int | None = None  # of HTTP
    is_duplicate: bool = False
    retry_after_s: float | None = None

    @property
    def is_missing(self) -> bool:
        """Return whether the broker said, in good order, that there is no such thing."""
        return self.is_definitive and self.status == 404

    @property
    def is_auth(self) -> bool:
        """Return whether the broker refused us, not what we asked for."""
        return self.code == AUTH

    def outcome(self) -> Outcome:
        """Return the failure as the answer to a request that changes something."""
        return Outcome(
            kind=OutcomeKind.REJECTED if self.is_definitive else OutcomeKind.UNKNOWN,
            code=self.code,
            text=self.text,
            is_duplicate=self.is_duplicate,
            retry_after_s=self.retry_after_s,
        )

    def error(self, what: str) -> ReadFailed:
        """Return the failure as the error of a call that only reads."""
        kind = KeysRefused if self.is_auth else ReadFailed
        return kind(f"alpaca: {what}: {self.text}", self)


class ReadFailed(TryLater):
    """A read got no answer that could be believed."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure = failure


class KeysRefused(ReadFailed):
    """The broker does not accept our keys, or not for this; a person has to mend that."""


def failure_of(error: BaseException, redact: Callable[[str], str]) -> Failure:
    """Return what a failed call means; `redact` cuts secrets out of the broker's own words."""
    if isinstance(error, APIError):
        return _failure_of_status(error, redact)
    if isinstance(error, NotSent):
        return Failure(is_definitive=False, code=NOT_SENT, text=str(error))
    if isinstance(error, (Timeout, TryLater, TimeoutError)):
        return Failure(
            is_definitive=False, code="timeout", text="no answer in time; look up what became of it"
        )
    if isinstance(error, (ValueError, RecursionError)):  # requests' JSON error is a ValueError
        detail = f": {error}" if isinstance(error, Unreadable) else ""
        return Failure(
            is_definitive=False, code="unreadable", text=redact(f"the answer is unreadable{detail}")
        )
    return Failure(
        is_definitive=False,
        code="connection",
        text=f"the connection broke ({type(error).__name__}); look up what became of it",
    )


def _failure_of_status(error: APIError, redact: Callable[[str], str]) -> Failure:
    status = int(error.status_code or 0)
    fields = _fields(str(error))
    if fields is None or status not in _DEFINITIVE:
        says = "" if fields is None else f": {_cut(redact(fields[1]))}"
        return Failure(
            is_definitive=False,
            code=f"http-{status}",
            text=f"answered with status {status}{says}; look up what became of it",
            status=status,
            retry_after_s=_retry_after(error),
        )
    code, message = fields
    text = f"refused: {_cut(redact(message)) or 'no reason given'} (code {code or 'none'})"
    if status == 401 or (status == 403 and not code):
        return Failure(
            is_definitive=True,
            code=AUTH,
            text=f"{text}; check the keys, their permissions, and paper against live",
            status=status,
        )
    return Failure(
        is_definitive=True,
        code=code or f"http-{status}",
        text=text,
        status=status,
        is_duplicate=_is_duplicate(message),
    )


def _fields(body: str) -> tuple[str, str] | None:
    """Return code and message of the broker's error form; None where the body is another's."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    code, message = parsed.get("code"), parsed.get("message")
    if not isinstance(message, str):
        return None
    return (str(code) if isinstance(code, (int, str)) else "", message)


def _is_duplicate(message: str) -> bool:
    words = message.lower()
    return "client_order_id" in words and "unique" in words


def _retry_after(error: APIError) -> float | None:
    response = error.response
    text = None if response is None else response.headers.get("retry-after")
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
