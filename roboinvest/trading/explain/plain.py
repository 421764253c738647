"""Text as a person may see it: without what moves a cursor, hides itself or turns lines around.

Headlines, a model's words and a broker's notes are written by strangers. Whatever they hold, a
terminal that shows a cleaned text shows its letters and does nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final

from pydantic import BeforeValidator

_ESCAPES: Final = re.compile(
    # strings up to their end, sequences with parameters, short ones
    r"(?:\x1b[P\]X^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"
    r"|\x1b[ -/]{0,8}[0-~]?"
)
_BREAKS: Final = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format, surrogate, private
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters without a shape
_MOST_MARKS: Final = 4  # combining marks on one character; more climb over the lines around it


def one_line(text: str) -> str:
    """Return a text on one line, as it can be shown."""
    return " ".join(lines_of(text).split())


def lines_of(text: str) -> str:
    """Return a text with its lines, as it can be shown; a tab becomes spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _BREAKS.sub("\n", _ESCAPES.sub("", text)).replace("\t", "    ")
    seen = list[str]()
    marks = 0
    for character in text:
        if character == "\n":
            seen.append(character)
            marks = 0
            continue
        category = unicodedata.category(character)
        if category in _UNSEEN or character in _FILLERS:
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MOST_MARKS:
            seen.append(character)
    return "".join(seen)


def _one_line_of(value: object) -> object:
    return one_line(str(value)) if isinstance(value, str) else value


def _lines_of(value: object) -> object:
    return lines_of(str(value)) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_one_line_of)]  # one line that can be shown
Prose = Annotated[str, BeforeValidator(_lines_of)]  # the same with its lines
