"""An error as one short line that can be counted, and that line as evidence again.

Figures in a text are struck out, so that the same error is the same line however often it comes.
The line begins with the class; `HUNG` and `RETURNED` stand for ends that had no exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from roboinvest.core.oversight.evidence import ErrorSeen, HttpSeen, Origin
from roboinvest.core.text.cleaning import clean

HUNG: Final = "Hung"
RETURNED: Final = "Returned"
HTTP: Final = "Http"
MOST: Final = 120  # characters
_NOBODYS: Final = ("<frozen", "<string>", "/lib/python3")
_VENDORS: Final = ("site-packages", "dist-packages")
_PLAIN: Final = frozenset({"Exception", "object", "BaseException", "RoboInvestError"})
_LINE: Final = re.compile(
    r"(?P<kind>\w+)(?:<(?P<family>\w+)>)?(?: (?P<origin>own|vendor)(?: (?P<where>[\w.]+:\d+))?)?"
    r"(?: errno=(?P<number>\d+))?(?:: (?P<text>.*))?"
)
_HTTP_LINE: Final = re.compile(r"Http (?P<status>\d{3})(?: (?P<code>\w+))?")


def fingerprint_of(error: BaseException, *, past_libraries: bool = False) -> str:
    """Return the line of an exception; of a group, that of the first that counts.

    `past_libraries` blames the code that called a library, and not the library that raised.
    """
    if isinstance(error, BaseExceptionGroup):
        return fingerprint_of(error.exceptions[0], past_libraries=past_libraries)
    origin, where = _raised_at(error.__traceback__, past_libraries=past_libraries)
    bases = [each.__name__ for each in type(error).__mro__[1:2] if each.__name__ not in _PLAIN]
    number = error.errno if isinstance(error, OSError) else None
    return line_of(
        type(error).__name__,
        family=bases[0] if bases else "",
        origin=origin,
        where=where,
        number=number,
        text=str(error),
    )


def line_of(
    kind: str,
    *,
    family: str = "",
    origin: Origin = Origin.UNKNOWN,
    where: str = "",
    number: int | None = None,
    text: str = "",
) -> str:
    """Return the line of an error of which these things are known."""
    line = kind + (f"<{family}>" if family else "")
    if origin is not Origin.UNKNOWN:
        line += f" {origin}" + (f" {where}" if where else "")
    line += f" errno={number}" if number is not None else ""
    shown = re.sub(r"\d+", "#", clean(text, MOST))
    return (line + (f": {shown}" if shown else ""))[:MOST]


def http_line(status: int, code: str = "") -> str:
    """Return the line of a provider's answer."""
    return f"{HTTP} {status}" + (f" {code}" if code else "")


def error_of(line: str, count: float) -> ErrorSeen | None:
    """Return what was seen, from its line; None where it was no exception.

    Args:
        line: of `fingerprint_of`, or any text.
        count: how often, of the last minutes; the older, the less.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return ErrorSeen(kind=clean(line, 40) or "Unknown", count=max(round(count), 1))
    if found["kind"] in (HUNG, RETURNED) or _HTTP_LINE.fullmatch(line):
        return None
    return ErrorSeen(
        kind=found["kind"],
        family=found["family"] or "",
        count=max(round(count), 1),
        origin=Origin(found["origin"]) if found["origin"] else Origin.UNKNOWN,
        where=found["where"] or "",
        number=int(found["number"]) if found["number"] else None,
        text=found["text"] or "",
    )


def http_of(line: str, count: float, provider: str) -> HttpSeen | None:
    """Return a provider's answer, from its line; None where it was something else."""
    found = _HTTP_LINE.fullmatch(line)
    if found is None:
        return None
    return HttpSeen(
        provider=provider,
        status=int(found["status"]),
        count=max(round(count), 1),
        code=found["code"] or "",
    )


def _raised_at(trace: TracebackType | None, *, past_libraries: bool) -> tuple[Origin, str]:
    """Return whose code raised, and where: the innermost frame that is anybody's."""
    for path, line in reversed(list(_frames(trace))):
        where = f"{path.rpartition('/')[2]}:{line}"
        if any(mark in path for mark in _VENDORS):
            if past_libraries:
                continue
            return Origin.VENDOR, where
        if not any(mark in path for mark in _NOBODYS):
            return Origin.OWN, where
    return Origin.UNKNOWN, ""


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
