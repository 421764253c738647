"""How a headline leans, in [-1, 1], by a finance lexicon: no model, no network, no state.

One pass over the tokens; phrases outrank words. What a reader might question: movement words carry
no fixed sign. "Rises" is good for sales and bad for costs, and "cuts" is bad for a price target
and says nothing about a central bank's rate, so a movement takes its sign from what moves.

Text is hostile input: it is cut to `MAX_CHARS`, normalised and scored, and nothing else is ever
done with it. Deliberately absent: sarcasm, comparison between two companies of one headline.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Literal

from roboinvest.core.quant import lexicon

Label = Literal["bullish", "bearish", "neutral"]

MAX_CHARS: Final = 600
BULLISH_FROM: Final = 0.40  # score at or above which a headline is called bullish
BEARISH_FROM: Final = -0.35  # both fitted on the even rows of a labelled set; odd rows were kept
_SATURATION: Final = 3.0  # weight at which the score reaches tanh(1) = 0.76
_REACH: Final = 4  # tokens between a movement and what moves
_NEGATION_REACH: Final = 3  # tokens
_NEGATED: Final = -0.6  # "not strong" is weaker than "weak"
_CONCEDED: Final = 0.3
_STRONGER: Final = 1.4
_SOFTER: Final = 0.6
_TOPIC_MOVED: Final = 1.6  # "sales rise"
_MOVED_BY: Final = 2.0  # "up 5 %"
_SIZED: Final = 1.4  # "sales rise 5 %", against "sales rise"
_FIGURE_CHANGED: Final = 1.5  # "$56 vs $52"
_RATING_CHANGED: Final = 3.0  # "to buy from hold", per direction
_RATING_GIVEN: Final = 2.0  # "started at buy", per rung
_ASKED: Final = 0.7  # a headline that asks states less

_LINKS: Final = re.compile(r"https?://\S{1,200}|www\.\S{1,200}|\$[a-z][a-z.]{0,6}\b|[@#]\w{1,60}")
_TOKENS: Final = re.compile(
    r"(?:(?<![\w%.])[+-])?[$€£¥]?\d[\d,]*(?:\.\d+)?%?|[a-z]+(?:['&][a-z]+)*|[;:?!]|,(?=\s)|%",
    re.ASCII,
)
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]"
)
_BREAKS: Final = frozenset(";:?!,")
_SIZES: Final = {
    "cents": 0.01,
    "k": 1e3,
    "m": 1e6,
    "mln": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bln": 1e9,
    "billion": 1e9,
}
_AGAINST: Final = frozenset({"vs", "versus", "from"})
_AS_RATING: Final = frozenset({"at", "as", "with", "a", "an", "to"})


@dataclass(frozen=True, slots=True)
class _Words:
    """The lexicon, indexed for one pass."""

    phrases: Mapping[str, tuple[tuple[tuple[str, ...], float], ...]]  # by first word, longest first
    singles: Mapping[str, float]
    moves: Mapping[str, int]  # +1 up, -1 down
    topics: Mapping[str, int]  # +1 welcome when it rises, -1 unwelcome, 0 dull
    scales: Mapping[str, float]  # strengtheners and softeners
    negations: frozenset[str]
    concessions: frozenset[str]
    ratings: Mapping[tuple[str, ...], int]
    rating_starts: frozenset[str]


_Hit = tuple[int, float]  # token index, weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the known words of a text come to."""

    score: float  # in [-1, 1]; 0 where no known word speaks
    agreement: float  # in [0, 1]: |sum of weights| / sum of |weights|; 0 where no word speaks


@lru_cache(maxsize=4096)  # the same text comes by under several ids
def weigh(text: str) -> Evidence:
    """Return how `text` leans, and how far its words agree on that."""
    tokens = _tokenise(text)
    words = _words()
    taken = [False] * len(tokens)
    hits = _rating_hits(tokens, words, taken)
    hits += _phrase_hits(tokens, words, taken)
    hits += _movement_hits(tokens, words, taken)
    hits += _figure_hits(tokens)
    hits += [
        (i, words.singles[token])
        for i, token in enumerate(tokens)
        if not taken[i] and token in words.singles
    ]
    weights = [weight * _context(tokens, at, words) for at, weight in hits]
    total, spoken = sum(weights), sum(map(abs, weights))
    asked = _ASKED if "?" in tokens else 1.0
    return Evidence(
        score=math.tanh(asked * total / _SATURATION),
        agreement=min(abs(total) / spoken, 1.0) if spoken > 0.0 else 0.0,
    )


def score(text: str) -> float:
    """Return how `text` leans, in [-1, 1]; 0.0 where no known word speaks."""
    return weigh(text).score


def label(text: str) -> Label:
    """Return the side that the score of `text` is clearly on, or neutral."""
    value = score(text)
    if value >= BULLISH_FROM:
        return "bullish"
    return "bearish" if value <= BEARISH_FROM else "neutral"


def _tokenise(text: str) -> list[str]:
    """Return lower-case words, signed figures and clause breaks of the first `MAX_CHARS`."""
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARS])[:MAX_CHARS].lower()
    plain = _INVISIBLE.sub("", plain).replace("\u2019", "'")
    tokens = _TOKENS.findall(_LINKS.sub(" ", plain))
    return [_bare(token) for token in tokens]


def _bare(token: str) -> str:
    if "'" in token or "&" in token:
        return token.removesuffix("'s").replace("'", "").replace("&", "")
    return "%" if token in ("percent", "pct") else token


def _phrase_hits(tokens: Sequence[str], words: _Words, taken: list[bool]) -> list[_Hit]:
    """Return the phrases of two and more words, longest first, and mark their tokens."""
    hits: list[_Hit] = []
    for i, token in enumerate(tokens):
        if taken[i]:
            continue
        for phrase, weight in words.phrases.get(token, ()):
            if tuple(tokens[i : i + len(phrase)]) == phrase:
                taken[i : i + len(phrase)] = [True] * len(phrase)
                hits.append((i, weight))
                break
    return hits


def _movement_hits(tokens: Sequence[str], words: _Words, taken: list[bool]) -> list[_Hit]:
    """Return what rose or fell, signed by whether its rise is welcome."""
    hits: list[_Hit] = []
    for i, token in enumerate(tokens):
        if token[-1] == "%" and token[0] in "+-":
            hits.append((i, _MOVED_BY if token[0] == "+" else -_MOVED_BY))
        direction = 0 if taken[i] else words.moves.get(token, 0)
        if not direction:
            continue
        sized = any(after[-1] == "%" for after in tokens[i + 1 : i + 5])
        topic = _nearest_topic(tokens, i, words)
        if topic is not None:
            taken[i] = True
            hits.append((i, direction * topic * _TOPIC_MOVED * (_SIZED if sized else 1.0)))
        elif sized:
            taken[i] = True
            hits.append((i, direction * _MOVED_BY))
    return hits


def _nearest_topic(tokens: Sequence[str], at: int, words: _Words) -> int | None:
    """Return the sign of the nearest topic of the same clause; what stands before wins a tie."""
    open_sides = {-1, 1}
    for distance in range(1, _REACH + 1):
        for side in (-1, 1):
            i = at + side * distance
            if side not in open_sides or not 0 <= i < len(tokens):
                continue
            if tokens[i] in _BREAKS:
                open_sides.discard(side)
            elif tokens[i] in words.topics:
                return words.topics[tokens[i]]
    return None


def _figure_hits(tokens: Sequence[str]) -> list[_Hit]:
    """Return comparisons of money, "$56 vs $52", signed by which figure is larger."""
    hits: list[_Hit] = []
    for i, token in enumerate(tokens):
        if token not in _AGAINST:
            continue
        sized = i >= 2 and tokens[i - 1] in _SIZES
        new, old = _amount(tokens, i - 2 if sized else i - 1), _amount(tokens, i + 1)
        if new is not None and old is not None and new != old:
            worse = "loss" in tokens[max(0, i - 6) : i]
            hits.append((i, _FIGURE_CHANGED * (1 if (new > old) != worse else -1)))
    return hits


def _amount(tokens: Sequence[str], at: int) -> float | None:
    """Return the figure at `at` in units of its currency; None where there is none."""
    if not 0 <= at < len(tokens):
        return None
    digits = tokens[at].lstrip("+-$€£¥").replace(",", "")
    if not digits[:1].isdigit() or digits[-1] == "%":
        return None
    unit = tokens[at + 1] if at + 1 < len(tokens) else ""
    return float(digits) * _SIZES.get(unit, 1.0)


def _rating_hits(tokens: Sequence[str], words: _Words, taken: list[bool]) -> list[_Hit]:
    """Return analysts' verdicts: changes ("to buy from hold") and first ones ("started at buy")."""
    hits: list[_Hit] = []
    started = -_REACH
    for i, word in enumerate(tokens):
        if word in words.rating_starts:
            started = i
        rung, end = _rating_at(tokens, i + 1, words)
        if rung is None:
            continue
        if word == "to" and end < len(tokens) and tokens[end] == "from":
            old, old_end = _rating_at(tokens, end + 1, words)
            if old is not None and old != rung:
                hits.append((i, _RATING_CHANGED if rung > old else -_RATING_CHANGED))
                taken[i:old_end] = [True] * (old_end - i)
        elif (word in _AS_RATING or i == started) and i - started <= _REACH:
            hits.append((i, _RATING_GIVEN * rung))
            taken[i:end] = [True] * (end - i)
    return hits


def _rating_at(tokens: Sequence[str], at: int, words: _Words) -> tuple[int | None, int]:
    """Return the rung of the longest rating that starts at `at`, and where it ends."""
    for length in (2, 1):
        rung = words.ratings.get(tuple(tokens[at : at + length]))
        if rung is not None:
            return rung, at + length
    return None, at


def _context(tokens: Sequence[str], at: int, words: _Words) -> float:
    """Return the factor that the words before `at` put on its weight."""
    factor = 1.0
    for distance in range(1, _NEGATION_REACH + 1):
        i = at - distance
        if i < 0 or tokens[i] in _BREAKS:
            break
        if tokens[i] in words.negations:
            factor *= _NEGATED
        elif distance == 1:
            factor *= words.scales.get(tokens[i], 1.0)
        if tokens[i] in words.concessions:
            factor *= _CONCEDED
    return factor


def _split(text: str) -> Iterable[str]:
    return (" ".join(term.split()) for term in text.split(";") if term.strip())


@cache
def _words() -> _Words:
    """Return the indexed lexicon, built on first use."""
    phrases: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    singles: dict[str, float] = {}
    for weight, terms in lexicon.PHRASES.items():
        for term in _split(terms):
            first, *rest = term.split()
            if rest:
                phrases.setdefault(first, []).append(((first, *rest), weight))
            else:
                singles[first] = weight
    return _Words(
        phrases={k: tuple(sorted(v, key=lambda p: -len(p[0]))) for k, v in phrases.items()},
        singles=singles,
        moves=dict.fromkeys(_split(lexicon.RISES), 1) | dict.fromkeys(_split(lexicon.FALLS), -1),
        topics=dict.fromkeys(_split(lexicon.WELCOME), 1)
        | dict.fromkeys(_split(lexicon.UNWELCOME), -1)
        | dict.fromkeys(_split(lexicon.DULL), 0),
        scales=dict.fromkeys(_split(lexicon.STRENGTHENERS), _STRONGER)
        | dict.fromkeys(_split(lexicon.SOFTENERS), _SOFTER),
        negations=frozenset(_split(lexicon.NEGATIONS)),
        concessions=frozenset(_split(lexicon.CONCESSIONS)),
        ratings={
            tuple(term.split()): rung
            for rung, terms in lexicon.RATINGS.items()
            for term in _split(terms)
        },
        rating_starts=frozenset(_split(lexicon.RATING_STARTS)),
    )
