"""Who says it, and how many say it without having copied it from each other.

Two records are two voices only when their publishers differ and their words are no near copies.
Every doubt makes fewer voices: a publisher whose name is the beginning of another's is the same, a
name that is not plain letters is nobody, and whoever copies from two makes one of all three.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from roboinvest.core.news.records import NewsRecord
from roboinvest.core.text.cleaning import clean

SHINGLE: Final = 3  # words
NEAR_COPY: Final = 0.25  # share of the shorter text's shingles that the other one has, too
FINGERPRINT: Final = 128  # shingles kept: all of an ordinary item, the smallest hashes of a flood
_NAME_CHARS: Final = 40
_SECOND_LEVELS: Final = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
_HOST: Final = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?:[:/].*)?")
_WORDS: Final = re.compile(r"\w+")
_LINKS: Final = re.compile(r"(?:https?://|www\.)\S+")


def source_of(publisher: str) -> str:
    """Return one plain name for a publisher: of a host its registrable domain; "" for nobody.

    Without the list of public suffixes a host gives its last two labels, three where the second
    is a country's "co" or "com": what is taken for one although it is two, is one voice less.
    """
    name = clean(publisher, 200).casefold()
    if _HOST.fullmatch(name):
        return _registrable(name.removeprefix("https://").removeprefix("http://"))
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = re.findall(r"[a-z0-9]+", bare) if bare.isascii() else []
    return "".join(words[1:] if words[:1] == ["the"] else words)[:_NAME_CHARS]


def fingerprint_of(text: str) -> tuple[int, ...]:
    """Return the hashes of a clean text's word shingles, rising; links are left out.

    At most `FINGERPRINT`, the smallest, are kept.
    """
    words = _WORDS.findall(_LINKS.sub(" ", text.casefold()))
    last = max(len(words) - SHINGLE + 1, 1 if words else 0)
    shingles = {" ".join(words[at : at + SHINGLE]) for at in range(last)}
    return tuple(sorted(map(_hashed, shingles))[:FINGERPRINT])


def likeness(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the share of the shorter text's shingles that the other has; 0 where one is empty.

    The shorter one, because a copy with something added is a copy. Of two long texts only the
    hashes are compared that both would have kept.
    """
    if not one or not other:
        return 0.0
    kept = [max(each) for each in (one, other) if len(each) >= FINGERPRINT]
    edge = min(kept, default=max(one[-1], other[-1]))
    first, second = ({h for h in each if h <= edge} for each in (one, other))
    fewer = min(len(first), len(second))
    return len(first & second) / fewer if fewer else 0.0


def independent(one: NewsRecord, other: NewsRecord) -> bool:
    """Return whether two records are two voices."""
    if not (one.source and other.source and one.fingerprint and other.fingerprint):
        return False
    if _same_name(one.source, other.source):
        return False
    return likeness(one.fingerprint, other.fingerprint) < NEAR_COPY


def voices(records: Sequence[NewsRecord]) -> tuple[tuple[NewsRecord, ...], ...]:
    """Return the records of each voice: those that hang together by name or by copying.

    What nobody published, and what has no words, is no voice and is left out.
    """
    groups: list[list[NewsRecord]] = []
    for record in records:
        if not (record.source and record.fingerprint):
            continue
        near = [g for g in groups if not all(independent(record, other) for other in g)]
        groups = [group for group in groups if group not in near]
        groups.append([*(other for group in near for other in group), record])
    return tuple(tuple(group) for group in groups)


def independent_sources(records: Sequence[NewsRecord]) -> int:
    """Return how many voices speak."""
    return len(voices(records))


def _registrable(host: str) -> str:
    labels = re.split(r"[:/]", host, maxsplit=1)[0].split(".")
    kept = 3 if len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS else 2
    return ".".join(labels[-kept:])[-_NAME_CHARS:]


def _same_name(one: str, other: str) -> bool:
    """Return whether one name begins with the other, whatever follows: Reuters, reuters.com."""
    first, second = (name.partition(".")[0] for name in (one, other))
    return first.startswith(second) or second.startswith(first)


def _hashed(shingle: str) -> int:
    return int.from_bytes(hashlib.blake2b(shingle.encode(), digest_size=6).digest(), "big")
