"""What must never reach a log: keys of vendors, and whatever looks like one.

Two nets, because each has holes. Names: a field called token or api_key loses its value. Texts:
every configured secret is cut out wherever it stands, also inside a traceback or a URL, and so is
what has the shape of a vendor's key. A redacted event is a fresh tree of plain values, so that
nothing a caller changes later can change a line that waits to be written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

MASK: Final = "[redacted]"
_MAX_DEPTH: Final = 8
_MAX_TEXT: Final = 16_000  # characters; a traceback fits, a page of news does not have to
_MAX_ITEMS: Final = 200  # of one list or mapping
_MIN_SECRET: Final = 6  # shorter ones are hidden only where they stand alone

_NAME: Final = re.compile(
    r"(^|[_\-. ])(secrets?|password|passwd|passphrase|pwd|token|credentials?|authorization|cookie"
    r"|api_?key|secret_?key|access_?key|private_?key|bearer)([_\-. ]|$)",
    re.IGNORECASE,
)
_HARMLESS: Final = (int, float, bool, type(None))
_SHAPES: Final = (
    re.compile(r"\bsk-[A-Za-z0-9_\-]{16,}"),  # OpenAI and its kin
    re.compile(r"\b[AP]K[A-Z0-9]{16,24}\b"),  # Alpaca key ids
    re.compile(r"\bAKIA[A-Z0-9]{16}\b"),  # AWS
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),  # GitHub
    re.compile(r"\beyJ[A-Za-z0-9_\-]{8,1000}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),  # JWT
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|$)", re.DOTALL),
)
_AFTER: Final = (  # the name stays, the value goes
    re.compile(r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE),
    re.compile(
        r"((?:api_?key|apca-api-[a-z\-]{1,40}|secret(?:_?key)?|access_?token|token|password)"
        r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}\]]{4,}",
        re.IGNORECASE,
    ),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


class Redactor:
    """Cuts secrets out of anything."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the configured secrets, as texts."""
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._alone = frozenset(known)
        inside = [re.escape(secret) for secret in known if len(secret) >= _MIN_SECRET]
        self._inside = re.compile("|".join(inside)) if inside else None

    def event(self, event: Mapping[str, object]) -> dict[str, object]:
        """Return a log event as a fresh tree of plain values without secrets."""
        return {self.text(str(key)): self._field(str(key), event[key], 0) for key in event}

    def text(self, text: str) -> str:
        """Return a text without secrets, and not longer than a log line should be."""
        text = self.whole(text)
        if len(text) > _MAX_TEXT:
            text = f"{text[:_MAX_TEXT]}… ({len(text) - _MAX_TEXT} more characters)"
        return text

    def whole(self, text: str) -> str:
        """Return a text without secrets, however long it is: for a record, not for a log."""
        if text in self._alone:
            return MASK
        if self._inside is not None:
            text = self._inside.sub(MASK, text)
        for shape in _SHAPES:
            text = shape.sub(MASK, text)
        for named in _AFTER:
            text = named.sub(rf"\g<1>{MASK}", text)
        return text

    def _field(self, name: str, value: object, depth: int) -> object:
        if _NAME.search(name) and not isinstance(value, (bool, type(None))):
            return MASK
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no such number
        if isinstance(value, _HARMLESS):
            return MASK if str(value) in self._alone else value
        if isinstance(value, str):
            return self.text(value)
        if depth >= _MAX_DEPTH:
            return "…"
        if isinstance(value, Mapping):
            items = list(value.items())[:_MAX_ITEMS]
            return {self.text(str(k)): self._field(str(k), v, depth + 1) for k, v in items}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        return self.text(str(value))
