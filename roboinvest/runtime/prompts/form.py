"""The form of a prompt: a head, two sections, and one block that no optimiser may touch.

`config/prompts/README.md` describes it for people. The protected block is cut out here and never
passes through the template engine: whatever stands before or after it must be complete by itself,
so that no condition, comment or loop can be laid around it. A fault is one sentence with the place,
the line and what to write; it is a `BadInput`, which a file's reader makes a `BadSettings` of.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

from roboinvest.core.errors import BadInput

MAX_BYTES: Final = 64 * 1024
MAX_TEMPERATURE: Final = 2.0
NAME: Final = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
FENCE: Final = "+++"
SYSTEM: Final = "--- system ---"
USER: Final = "--- user ---"
PROTECTED: Final = "{# protected #}"
END_PROTECTED: Final = "{# end protected #}"
_PLACEHOLDER: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\uf8ff\ufe00-\ufe0f\ufeff\ufff0-\ufffb\U000e0000-\U0010ffff]"
)
_TAKEN: Final = frozenset({"loop", "self", "super", "caller", "varargs", "kwargs", "context"})


class Kind(StrEnum):
    """What a placeholder holds."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    DATE = "date"
    LIST = "list"
    JSON = "json"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a section, in order."""

    text: str
    line: int  # of the file, where it begins
    is_literal: bool = False  # the protected block: sent as it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """A prompt that keeps every rule of the form."""

    text: str  # all of it
    placeholders: Mapping[str, Kind]
    temperature: float
    system: tuple[Piece, ...]
    user: tuple[Piece, ...]
    protected: str

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the text."""
        return digest_of(self.text)


def digest_of(text: str) -> str:
    """Return the hex SHA-256 of a prompt's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def parts_of(text: str, where: str) -> PromptText:
    """Return a prompt's parts, their templates unread; `where` names it in errors.

    Raises:
        BadInput: a rule of the form is broken.
    """
    size = len(text.encode(errors="surrogatepass"))
    if not text.strip() or size > MAX_BYTES:
        raise BadInput(f"{where} has {size} bytes; 1 to {MAX_BYTES} are read")
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if odd := _INVISIBLE.search(line):
            _say(where, number, f"the character U+{ord(odd[0]):04X} cannot be seen; delete it")
    body_at = _closing_fence(lines, where) + 1
    temperature, placeholders = _head("\n".join(lines[1 : body_at - 1]), lines, where)
    system_at, user_at = _sections(lines, body_at, where)
    system, protected = _with_protected(lines[:user_at], system_at + 1, where)
    for number, line in enumerate(lines[user_at:], user_at + 1):
        if line in (PROTECTED, END_PROTECTED):
            _say(where, number, "the protected block belongs in the system section")
    user = (Piece(text="\n".join(lines[user_at + 1 :]), line=user_at + 2),)
    return PromptText(
        text=text,
        placeholders=placeholders,
        temperature=temperature,
        system=system,
        user=user,
        protected=protected,
    )


def _closing_fence(lines: list[str], where: str) -> int:
    """Return the index of the line that ends the head."""
    if lines[0] != FENCE:
        _say(where, 1, f"a prompt begins with a line of {FENCE}, its head, and {FENCE} again")
    try:
        return lines.index(FENCE, 1)
    except ValueError:
        _say(where, 1, f"the head is not closed; write a line of {FENCE} after it")


def _head(toml: str, lines: list[str], where: str) -> tuple[float, dict[str, Kind]]:
    try:
        head = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        _say(where, 1, f"the head is not TOML ({error}, counted from the line after {FENCE})")
    unknown = sorted(head.keys() - {"temperature", "placeholders"})
    if unknown:
        _say(where, _line_of(lines, unknown[0]), f"the head knows no {unknown[0]!r}")
    temperature = head.get("temperature")
    if (
        not isinstance(temperature, int | float)
        or isinstance(temperature, bool)
        or not 0 <= temperature <= MAX_TEMPERATURE
    ):
        line = _line_of(lines, "temperature")
        _say(where, line, f"write temperature = a number from 0 to {MAX_TEMPERATURE:g}")
    declared = head.get("placeholders", {})
    if not isinstance(declared, dict):
        _say(where, _line_of(lines, "placeholders"), 'write [placeholders] and name = "type" below')
    return float(temperature), {
        name: _kind(name, kind, _line_of(lines, name), where) for name, kind in declared.items()
    }


def _kind(name: str, kind: object, line: int, where: str) -> Kind:
    if not _PLACEHOLDER.fullmatch(name) or name in _TAKEN:
        _say(
            where,
            line,
            f"{name[:60]!r} is no name of a placeholder; write 1 to 40 of a-z, 0-9 and _",
        )
    if kind not in {item.value for item in Kind}:
        known = ", ".join(item.value for item in Kind)
        _say(where, line, f"the placeholder {name} has the type {kind!r}; there are {known}")
    return Kind(str(kind))


def _sections(lines: list[str], start: int, where: str) -> tuple[int, int]:
    """Return the indices of the two lines that begin the sections."""
    found = [number for number, line in enumerate(lines) if line in (SYSTEM, USER)]
    if [lines[number] for number in found] != [SYSTEM, USER] or found[0] < start:
        line = found[0] + 1 if found else start + 1
        _say(where, line, f"write {SYSTEM!r} once, then {USER!r} once, each on its own line")
    if "".join(lines[start : found[0]]).strip():
        _say(where, start + 1, f"text stands before {SYSTEM!r}; move it into a section")
    if not "".join(lines[found[1] + 1 :]).strip():
        _say(where, found[1] + 1, "the user section is empty; write what the model is asked")
    return found[0], found[1]


def _with_protected(lines: list[str], start: int, where: str) -> tuple[tuple[Piece, ...], str]:
    """Return the pieces of the system section, and its protected block."""
    begins = [n for n in range(start, len(lines)) if lines[n] == PROTECTED]
    ends = [n for n in range(start, len(lines)) if lines[n] == END_PROTECTED]
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        line = (begins or ends or [start])[-1] + 1
        _say(
            where,
            line,
            f"the system section has exactly one protected block; write it between lines of "
            f"{PROTECTED} and {END_PROTECTED}",
        )
    first, last = begins[0], ends[0]
    protected = "\n".join(lines[first + 1 : last])
    if not protected.strip():
        _say(where, first + 1, "the protected block is empty; write the rules and the form")
    return (
        Piece(text="\n".join(lines[start:first]), line=start + 1),
        Piece(text=protected, line=first + 2, is_literal=True),
        Piece(text="\n".join(lines[last + 1 :]), line=last + 2),
    ), protected


def _line_of(lines: list[str], key: str) -> int:
    """Return the line of the file on which a key of the head stands; 1 where it is not seen."""
    pattern = re.compile(rf'\s*\[?"?{re.escape(key)}\b')
    return next((n for n, line in enumerate(lines, 1) if pattern.match(line)), 1)


def _say(where: str, line: int, what: str) -> NoReturn:
    raise BadInput(f"{where}, line {line}: {what}")
