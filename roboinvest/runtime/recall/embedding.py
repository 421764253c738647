"""Our embedding: where a remembered setup stands, from its market features and its words.

Eighty numbers hold the hashed words, word pairs and letter triples of the text, sixteen the setup
vector. Both halves of a row have length one; a query shares its length of one between the halves it
has, so that the inner product is the mean likeness of what was asked for, and a question in words
alone is not blurred by the market. BLAKE2 places the features, so every machine, process and hash
seed agrees and nothing is downloaded. It matches words, not meaning: no model stands behind it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

TEXT_DIMENSIONS: Final = 80
SETUP_DIMENSIONS: Final = 16
DIMENSIONS: Final = TEXT_DIMENSIONS + SETUP_DIMENSIONS
EMBEDDING_NAME: Final = "ngram-setup-96.1"  # a change of any rule below needs another name

_WORD: Final = re.compile(r"[^\W_]+(?:[.'-][^\W_]+)*")
_WORD_WEIGHT: Final = 1.0
_PAIR_WEIGHT: Final = 0.6
_TRIPLE_WEIGHT: Final = 0.25  # lets "breakouts" find "breakout"
_LONGEST_TEXT: Final = 4000  # characters; what stands beyond adds noise to so few dimensions
_FARTHEST: Final = 1e6  # setup-vector units; a real one is about 3
_STOP_WORDS: Final = frozenset(
    {"a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "it", "its", "of"}
    | {"on", "or", "that", "the", "this", "to", "was", "were", "with"}
)


def embed_row(text: str, setup: Sequence[float] = ()) -> tuple[float, ...]:
    """Return the (96,) vector to store: each half of length one, or zero where there is nothing."""
    return (*_unit(_text_part(text)), *_unit(_setup_part(setup)))


def embed_query(text: str, setup: Sequence[float] = ()) -> tuple[float, ...]:
    """Return the (96,) vector to ask with: the halves that are there share the weight equally."""
    row = embed_row(text, setup)
    halves = (any(row[:TEXT_DIMENSIONS]), any(row[TEXT_DIMENSIONS:]))
    share = 1.0 / max(1, sum(halves))
    return tuple(value * share for value in row)


def _text_part(text: str) -> list[float]:
    part = [0.0] * TEXT_DIMENSIONS
    for (feature, weight), count in Counter(_features(text[:_LONGEST_TEXT])).items():
        for place, sign in _places(feature):
            part[place] += sign * weight * (1.0 + math.log(count))
    return part


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = [word for word in _WORD.findall(text.casefold()) if word not in _STOP_WORDS]
    for word in words:
        yield f"w {word}", _WORD_WEIGHT
        framed = f"<{word}>"
        for start in range(len(framed) - 2):
            yield f"t {framed[start : start + 3]}", _TRIPLE_WEIGHT
    for left, right in pairwise(words):
        yield f"p {left} {right}", _PAIR_WEIGHT


@lru_cache(maxsize=16_384)
def _places(feature: str) -> tuple[tuple[int, float], ...]:
    """Return two signed places: features that collide in one are still told apart by the other."""
    digest = hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest()
    pairs = (int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big"))
    return tuple((n % TEXT_DIMENSIONS, 1.0 if n & 0x8000_0000 else -1.0) for n in pairs)


def _setup_part(setup: Sequence[float]) -> list[float]:
    part = [0.0] * SETUP_DIMENSIONS
    for number, value in enumerate(setup):
        if math.isfinite(value):
            part[number % SETUP_DIMENSIONS] += max(-_FARTHEST, min(_FARTHEST, value))
    return part


def _unit(part: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(value * value for value in part))
    if length == 0.0:
        return part
    return [round(value / length, 6) + 0.0 for value in part]
