"""What texts give away or hide: secrets, hosts, addresses, blobs, characters that are not seen.

A text in code, a comment, a docstring, JSON or markdown is judged alike, because all of them
travel. A plain address in prose is a source that somebody cites, and only a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from roboinvest.runtime.redaction import Redactor
from tools.code_checks.findings import CodeFinding, error, shown, warning
from tools.code_checks.rules.pieces import Piece
from tools.code_checks.source import lines_of

_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ue000-\uf8ff"
    "\U000e0000-\U000e0fff\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]"
)
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_TOKEN: Final = re.compile(r"[^\s\"'`,;:=(){}\[\]<>]{12,400}")
_KEY: Final = re.compile(r"PRIVATE KEY-----")
_SECRET_NAME: Final = re.compile(
    r"secret|passw|passphrase|token|api_?key|access_?key|private_?key|credential|bearer",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    r"(?:secret|passw(?:or)?d|passphrase|token|api[_ -]?key|access[_ -]?key|private[_ -]?key)"
    r"[\"']?\s{0,4}[=:]\s{0,4}[\"']?([^\s\"'&,;)}\]]{8,200})",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"\b([a-z][a-z0-9+.-]{1,15})://([^\s\"'<>)\]}|\\]{1,2000})", re.IGNORECASE)
_V4: Final = re.compile(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_V6: Final = re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}(?![\w:])", re.IGNORECASE)
_HOST: Final = re.compile(
    r"(?<![\w.@/-])(?:[a-z0-9-]{1,40}\.){1,5}"
    r"(?:com|net|org|io|dev|app|ai|xyz|info|biz|ru|cn|cloud|site|online|top|onion)(?![\w-])",
    re.IGNORECASE,
)
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{2,60}")
_HEX: Final = re.compile(r"(?<![0-9a-zA-Z])(?:0x)?[0-9a-fA-F]{32,}")
_BLOB: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_LONGEST_TOKEN: Final = 80
_DIGEST: Final = 64  # hex digits of the longest digest that is cited


def character_findings(path: str, text: str, *, is_code: bool) -> list[CodeFinding]:
    """Return characters that are not seen, or are taken for others."""
    found: list[CodeFinding] = []
    if _HIDDEN.search(text) or _LONE_RETURN.search(text):
        for number, line in enumerate(lines_of(text), 1):
            for hidden in sorted(set(_HIDDEN.findall(line))):
                said = f"the character U+{ord(hidden):04X} is not seen; take it out"
                found.append(error("ROBO-hidden", path, number, said))
        for match in _LONE_RETURN.finditer(text):
            number = len(lines_of(text[: match.start()]))
            said = "a lone carriage return ends a line that looks like one with the next"
            found.append(error("ROBO-hidden", path, number, said))
            break
    if is_code and not text.isascii():
        for number, line in enumerate(lines_of(text), 1):
            found += _look_alikes(path, number, line)
    return found


def text_findings(path: str, pieces: list[Piece]) -> list[CodeFinding]:
    """Return what the texts of a file give away."""
    redactor = Redactor()
    return [
        finding
        for piece in pieces
        for search in (_hidden, _secrets, _addresses, _blobs)
        for finding in search(path, piece, redactor)
    ]


def _look_alikes(path: str, number: int, line: str) -> Iterator[CodeFinding]:
    """Find names that mix alphabets; in a text of another language a word has one."""
    for name in _NAME.findall(line):
        if name.isascii():
            continue
        mixed = any(each.isascii() for each in name) and not _is_latin(name)
        is_wide = any("\uff00" <= each <= "\uffef" or each >= "\U0001d400" for each in name)
        if mixed or is_wide:
            text = f"{shown(name)} holds letters that look like others; write ASCII names"
            yield error("ROBO-lookalike", path, number, text)


def _is_latin(name: str) -> bool:
    """Return whether the letters are those of Western words: cafe with its accent."""
    return all(each < "\u0250" for each in name)


def _hidden(path: str, piece: Piece, _: Redactor) -> Iterator[CodeFinding]:
    if piece.is_code or not piece.line:
        for hidden in sorted(set(_HIDDEN.findall(piece.text)) - {"\x00"})[:1]:
            is_bytes = all(each < "\u0100" for each in piece.text)
            if not is_bytes:
                text = f"a text makes the character U+{ord(hidden):04X}, which is not seen"
                yield error("ROBO-hidden", path, piece.line, text)


def _secrets(path: str, piece: Piece, redactor: Redactor) -> Iterator[CodeFinding]:
    """Find keys; what is found is never quoted."""
    text = piece.text
    named = _NAMED.findall(text)
    if piece.called and _SECRET_NAME.search(piece.called) and " " not in text:
        named.append(text)
    if any(map(_is_keylike, named)):
        said = "a value that its name calls a secret stands here; the house keeps secrets"
        yield error("ROBO-secret", path, piece.line, said)
    elif _KEY.search(text):
        yield error("ROBO-secret", path, piece.line, "a private key stands here")
    elif redactor.whole(text) != text:
        tokens = _TOKEN.findall(text)
        if any(redactor.whole(each) != each for each in tokens):
            said = "a text has the shape of a vendor's key; take it out, and have it replaced"
            yield error("ROBO-secret", path, piece.line, said)
        else:
            said = "a text looks as if it named a secret; leave secrets to the house"
            yield warning("ROBO-secret", path, piece.line, said)


def _is_keylike(value: str) -> bool:
    return len(value) >= 8 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _addresses(path: str, piece: Piece, _: Redactor) -> Iterator[CodeFinding]:
    text = piece.text
    for scheme, rest in _URL.findall(text):
        if "?" in rest or "@" in rest.partition("/")[0] or scheme.casefold() in ("data", "file"):
            said = "an address carries data; nothing is sent from here"
            yield error("ROBO-query", path, piece.line, said)
        else:
            host = rest.partition("/")[0]
            say = error if piece.is_code and scheme.casefold() not in ("http", "https") else warning
            said = f"names the address {shown(f'{scheme}://{host}')}; nothing is fetched from here"
            yield say("ROBO-host", path, piece.line, said)
    if any(max(map(int, parts)) <= 255 for parts in _V4.findall(text)) or _V6.search(text):
        said = "an IP address stands here; code has no network"
        yield error("ROBO-address", path, piece.line, said)
    if not _URL.search(text):
        for match in list(_HOST.finditer(text))[:3]:
            said = f"names the host {shown(match[0])}; code has no network"
            yield warning("ROBO-host", path, piece.line, said)
    if _MAIL.search(text):
        yield warning("ROBO-host", path, piece.line, "names a mail address")


def _blobs(path: str, piece: Piece, _: Redactor) -> Iterator[CodeFinding]:
    text = piece.text
    hexes = [len(each.removeprefix("0x")) for each in _HEX.findall(text)]
    if hexes and max(hexes) > _DIGEST:
        said = f"{max(hexes)} hex digits in a row; write what they say"
        yield error("ROBO-blob", path, piece.line, said)
    elif hexes and piece.is_code:
        said = f"{max(hexes)} hex digits in a row: a digest, or a key"
        yield warning("ROBO-blob", path, piece.line, said)
    dense = [len(each) for each in _BLOB.findall(text) if _is_dense(each)]
    if dense and max(dense) >= _LONGEST_TOKEN:
        said = f"{max(dense)} characters that are no words; write what they say"
        yield error("ROBO-blob", path, piece.line, said)
    elif dense:
        yield warning("ROBO-blob", path, piece.line, "a long run of characters that is no word")
    strange = sum(map(_is_strange, text))
    if piece.is_code and strange > 32 and strange > len(text) / 4:
        said = f"{strange} bytes that are no text; write what they say"
        yield error("ROBO-blob", path, piece.line, said)


def _is_strange(each: str) -> bool:
    """Return whether a byte, as a character, is no text."""
    return (each < " " and each not in "\t\r\n") or "\x7e" < each < "\u0100"


def _is_dense(text: str) -> bool:
    """Return whether a run of letters and digits is an encoding and not a long name."""
    kinds = (str.isupper, str.islower, str.isdigit)
    classes = sum(any(map(kind, text)) for kind in kinds)
    return classes >= 2 and any(map(str.isdigit, text)) and len(set(text)) >= 12
