"""A failed question to Alpaca, as the doctor says it: what the vendor did, and whose turn it is."""

from __future__ import annotations

import re
from typing import Final

from roboinvest.brokers.alpaca.errors import Failure

KEY_UNKNOWN: Final = 401
FORBIDDEN: Final = 403
TOO_MANY: Final = 429
_QUOTED: Final = re.compile(
    r": ['\"]"
)  # what follows is the vendor's, and was cut before redaction


def status_of(reply: object) -> int | None:
    """Return the HTTP status of a question that failed with one."""
    return reply.status if isinstance(reply, Failure) else None


def is_away(reply: object) -> bool:
    """Return whether a question failed because nobody answered, or nobody was able to."""
    if not isinstance(reply, Failure):
        return False
    return reply.code in {"timeout", "not-sent", "connection"} or (reply.status or 0) >= 500


def said(failure: Failure) -> str:
    """Return what the vendor did, as the end of a sentence that begins with its address."""
    reason = failure.text.partition("; ")[0]
    match failure.code:
        case "timeout" | "not-sent":
            return "gave no answer in time"
        case "connection":
            return reason.replace("the connection broke", "cannot be reached")
        case "unreadable":
            return f"sent what cannot be read ({_QUOTED.split(reason)[0]})"
    if reason.startswith("answered"):
        return reason
    return f"answered with status {failure.status}, {reason}"
