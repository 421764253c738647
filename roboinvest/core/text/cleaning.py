"""Strangers' text, made as harmless to read as text can be made.

Cleaning takes away what people cannot see and models can: other encodings of the same letters,
invisible and direction-changing characters, markup and what markup hides. It says nothing about
what the words say: a reader can still be lied to, and the house's safety does not rest here but on
what a reader's answer may do.

A clean text is a fixed point: cleaning it again changes nothing, so that it may be cleaned wherever
it passes by.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from roboinvest.core.text.visible import visible_text

MAX_CHARS: Final = 4_000  # of a clean text, unless a caller says otherwise
RAW_CHARS: Final = 64_000  # looked at; a page's text is in there or nowhere
CUT: Final = " [cut]"  # ends a text that was longer
_ROUNDS: Final = 4  # of markup within markup; what is still markup then is taken apart
_SETTLING: Final = 16

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format, surrogate, private
_INVISIBLE_MARKS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)
_SPACES: Final = re.compile(r"\s+")
_MARKUP: Final = re.compile("[<>&]")
_MARKER: Final = re.compile(r"[A-Za-z0-9]{8,64}")


def clean(text: str, limit: int = MAX_CHARS) -> str:
    """Return a text in NFKC, on one line, without markup or what is not seen, cut to `limit`.

    A text that was longer ends with `CUT`, which counts. `limit` is at least 16 characters.

    Raises:
        ValueError: the limit is under 16.
    """
    if limit < 16:
        raise ValueError(f"a text cannot be cut to {limit} characters; the least is 16")
    is_cut = len(text) > RAW_CHARS
    now = _plain(text[:RAW_CHARS])
    for _ in range(_ROUNDS):
        before, now = now, _plain(visible_text(now))
        if now == before:
            break
    else:
        now = _settled(_MARKUP.sub(" ", now))
    if is_cut or len(now) > limit:
        now = _cut(now, limit)
    return now


def fenced(text: str, marker: str) -> str:
    """Return a text between two lines that carry `marker`, which the caller drew for this call.

    Raises:
        ValueError: the marker is no word of 8 to 64 letters and digits, or it is in the text.
    """
    if not _MARKER.fullmatch(marker):
        raise ValueError("a marker is one word of 8 to 64 letters and digits; draw another")
    if marker.casefold() in text.casefold():
        raise ValueError("the marker stands in the text that it is to fence off; draw another")
    return f"[[data {marker}]]\n{text}\n[[end of data {marker}]]"


def _plain(text: str) -> str:
    """Return a text in NFKC on one line, without a character that is not seen."""
    if not (text.isascii() and text.isprintable()):
        spread = unicodedata.normalize("NFKC", text)[:RAW_CHARS]  # one character may become 18
        text = _INVISIBLE_MARKS.sub("", "".join(map(_seen, spread)))
    return _SPACES.sub(" ", text).strip()


def _seen(character: str) -> str:
    """Return the character, a space for a break of line, nothing for what is not seen."""
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _HIDDEN else character


def _settled(text: str) -> str:
    """Return a text without markup that `_plain` leaves as it is."""
    for _ in range(_SETTLING):
        after = _plain(text)
        if after == text:
            break
        text = after
    return text


def _cut(text: str, limit: int) -> str:
    """Return the begin of a clean text with the mark of a cut; clean itself."""
    body = text.removesuffix(CUT)[: limit - len(CUT)]
    body = _MARKUP.sub(" ", body) if visible_text(body) != body else body
    return (_settled(body).rstrip() + CUT).lstrip()
