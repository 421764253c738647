"""What an error of the OpenAI client means: which trouble, billed or not, and one safe sentence.

Judged by status and error code, never by message. A vendor's own words are quoted where they help,
short and without control characters; they are left out where the key is the subject, because
vendors repeat parts of a refused key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
import openai

from roboinvest.runtime.llm.provider import NoReply, Trouble
from roboinvest.runtime.redaction import MASK, Redactor

LONGEST_WAIT_S: Final = 3_600.0  # a server that asks for more is not believed
_MOST_QUOTED: Final = 200  # characters of a vendor's own words
_LOOKED_AT: Final = 8_000  # characters of them that are read at all
_STARRED: Final = re.compile(r"\S*\*{3}\S*")  # a key, as vendors repeat it
_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,60}")
_BILLING: Final = re.compile(
    r"billing_|insufficient_(quota|balance|credits?|funds)|exceeded_current_quota|payment_required"
)
_BAD_KEY: Final = re.compile(r"(invalid|incorrect|missing)_api_key|api_key_invalid|authentication")
_TOO_MANY: Final = re.compile(r"rate_limit|too_many_requests")
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_FACTS: Final = {
    Trouble.CONNECTION: "the connection failed",
    Trouble.TIMEOUT: "no answer came in time",
    Trouble.RATE: "too many requests for now",
    Trouble.QUOTA: "the account has no money left",
    Trouble.KEY: "the key is refused",
    Trouble.REQUEST: "the request is refused",
    Trouble.SERVER: "the server failed",
    Trouble.GARBAGE: "the answer is not one of a chat interface",
}


class Complaints:
    """Turns the errors of one model's client into outcomes."""

    def __init__(self, name: str, key: str | None) -> None:
        """Take what each sentence begins with, and the key that none may hold."""
        self._name = name
        self._redactor = Redactor((key,) if key else ())
        self._pieces = _pieces_of(key)

    def no_reply(self, error: Exception, now: datetime) -> NoReply:
        """Return what a call that raised came to; `now` is the aware UTC time."""
        if isinstance(error, openai.APIStatusError):
            return self._refused(error, now)
        cause = next((each for each in _causes(error) if isinstance(each, _NOT_SENT)), None)
        if isinstance(error, openai.APITimeoutError | TimeoutError):
            return self._told(Trouble.TIMEOUT, _last(error), was_sent=cause is None)
        if isinstance(error, openai.APIConnectionError | OSError):
            return self._told(Trouble.CONNECTION, _last(error), was_sent=cause is None)
        if isinstance(error, UnicodeEncodeError):  # raised while the request was built
            return self._told(Trouble.REQUEST, error, was_sent=False)
        if isinstance(error, RuntimeError) and not isinstance(error, RecursionError):
            return self._told(Trouble.CONNECTION, error, was_sent=True)  # a closed client, or loop
        return self._unreadable(error)

    def _refused(self, error: openai.APIStatusError, now: datetime) -> NoReply:
        status = error.status_code
        codes = _codes(error.body)
        trouble = _trouble_of(status, codes)
        return self._told(
            trouble,
            _message(error.body),
            where=", ".join((f"HTTP {status}", *codes[:1])),
            was_sent=not 400 <= status < 500 or status == 408,
            retry_after_s=_wait_asked_for(error.response.headers, now),
        )

    def _unreadable(self, error: Exception) -> NoReply:
        """Judge an answer of status 200; some servers put an error into its body."""
        body = error.args[0] if error.args else None
        if not isinstance(body, Mapping):
            return self._told(Trouble.GARBAGE, error, was_sent=True)
        codes = _codes(body)
        status = next((int(each) for each in codes if re.fullmatch(r"[45]\d\d", each)), 200)
        trouble = _trouble_of(status, codes)
        return self._told(
            trouble, _message(body), where=", ".join(("in its body", *codes[:1])), was_sent=True
        )

    def _told(
        self,
        trouble: Trouble,
        said: BaseException | str,
        *,
        was_sent: bool,
        where: str = "",
        retry_after_s: float | None = None,
    ) -> NoReply:
        parts = [f"{self._name}: {_FACTS[trouble]}"]
        parts += [f" ({self._plain(where)})"] if where else []
        parts += [f"; it asks to wait {retry_after_s:g} s"] if retry_after_s is not None else []
        if trouble is not Trouble.KEY:
            text = said if isinstance(said, str) else f"{type(said).__name__}: {said}"
            parts += [f": {quoted}"] if (quoted := self._plain(text).rstrip(" :")) else []
        return NoReply(
            trouble=trouble,
            text="".join(parts),
            was_sent=was_sent,
            retry_after_s=retry_after_s,
        )

    def _plain(self, text: str) -> str:
        """Return a stranger's text short, printable, on one line and without any key."""
        text = "".join(c if c.isprintable() else " " for c in text[:_LOOKED_AT])
        text = _STARRED.sub(MASK, self._redactor.text(text))
        if self._pieces is not None:
            text = self._pieces.sub(MASK, text)
        text = " ".join(text.split())
        return text if len(text) <= _MOST_QUOTED else f"{text[: _MOST_QUOTED - 1]}…"


def _pieces_of(key: str | None) -> re.Pattern[str] | None:
    """Return what finds a word that begins or ends as the key does; short keys have no pieces."""
    if key is None or len(key) < 12:
        return None
    first, last = re.escape(key[:6]), re.escape(key[-4:])
    return re.compile(rf"\S*{first}\S*|\S*{last}(?!\w)")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, the outermost first."""
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _last(error: BaseException) -> BaseException:
    """Return the HTTP client's own error, which says more than the wrappers around it."""
    return next((each for each in _causes(error) if isinstance(each, httpx2.HTTPError)), error)


def _trouble_of(status: int, codes: tuple[str, ...]) -> Trouble:
    def named(pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(code) for code in codes)

    if status == 402 or (status < 500 and named(_BILLING)):
        return Trouble.QUOTA
    if status == 429 or (status == 200 and named(_TOO_MANY)):
        return Trouble.RATE
    if status in (401, 403) or (status < 500 and named(_BAD_KEY)):
        return Trouble.KEY
    if status >= 500 or status == 408:
        return Trouble.SERVER
    return Trouble.REQUEST if status >= 400 else Trouble.GARBAGE


def _codes(body: object) -> tuple[str, ...]:
    """Return the error's code and type as they may be shown, in lower case."""
    if not isinstance(body, Mapping):
        return ()
    said = (body.get(name) for name in ("code", "type"))
    texts = (str(each) for each in said if isinstance(each, str | int))
    return tuple(text.lower() for text in texts if _CODE.fullmatch(text))


def _message(body: object) -> str:
    message = body.get("message") if isinstance(body, Mapping) else body
    return message if isinstance(message, str) else ""


def _wait_asked_for(headers: Mapping[str, Any], now: datetime) -> float | None:
    """Return the seconds that a refusal asks for; None: none, or none that can be read."""
    asked = _number(headers.get("retry-after-ms"))
    if asked is not None:
        return min(asked / 1000, LONGEST_WAIT_S)
    text = headers.get("retry-after")
    asked = _number(text)
    if asked is None and (until := _date(text)) is not None:
        asked = max(0.0, (until - (_date(headers.get("date")) or now)).total_seconds())
    return None if asked is None else min(asked, LONGEST_WAIT_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)
