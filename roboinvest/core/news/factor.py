"""What the news of one symbol comes to, and how far it may lean on the size of an entry.

One voice counts once, however often it speaks: a flood of headlines from one publisher weighs as
much as its last one. News never says whether, what or when to trade; see `gate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.core.news.records import NewsRecord
from roboinvest.core.news.sources import voices
from roboinvest.core.text.trust import Taint, joined

HALF_LIFE: Final = timedelta(hours=2)
TAINT_LIMIT: Final = Decimal("0.25")  # of the untainted size; what news may add or take
LEAST_SOURCES: Final = 2  # independent ones that must agree
MOST_RECORDS: Final = 64  # the newest of a symbol; older ones say nothing
_DIGITS: Final = 6
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """All that hangs together by publisher or by copying."""

    source: str  # the publisher of its latest record
    tone: float  # in [-1, 1]: sentiment times confidence, decayed
    weight: float  # in (0, 1]: 2^(-age of its latest record / half-life)
    items: tuple[str, ...]  # ids, by time


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsFactor:
    """The news of one symbol at one instant."""

    symbol: str
    tone: float  # in [-1, 1]: the mean of the voices by their weights
    voices: tuple[Voice, ...]  # by source
    agreeing: int  # independent voices that lean as the tone does
    taint: Taint  # the lowest trust of the records
    records: tuple[str, ...]  # ids of all that was looked at, also of what nobody published


Voices = Callable[[Sequence[NewsRecord]], Sequence[Sequence[NewsRecord]]]


def factor_of(
    symbol: str,
    records: Sequence[NewsRecord],
    at: datetime,
    half_life: timedelta = HALF_LIFE,
    grouped: Voices = voices,
) -> NewsFactor | None:
    """Return what was known of `symbol` at `at`; None where nothing was.

    A confidence below 1 draws towards neutral, and so does a reader that understood nothing: the
    tone of a voice is the mean of sentiment x confidence over its records by 2^(-age / half_life).
    """
    known = sorted(
        (r for r in records if symbol in r.symbols and r.published_at <= at),
        key=lambda record: (record.published_at, record.item_id),
    )[-MOST_RECORDS:]
    if not known:
        return None
    heard = sorted(
        (_voice(group, at, half_life) for group in grouped(known)),
        key=lambda v: (v.source, v.items),
    )
    whole = sum(voice.weight for voice in heard)
    tone = sum(v.weight * v.tone for v in heard) / whole if whole > 0.0 else 0.0
    tone = round(tone, _DIGITS) + 0.0
    return NewsFactor(
        symbol=symbol,
        tone=tone,
        voices=tuple(heard),
        agreeing=sum(voice.tone * tone > 0.0 for voice in heard),
        taint=joined(record.taint for record in known),
        records=tuple(record.item_id for record in known),
    )


def tilt(factor: NewsFactor | None) -> Decimal:
    """Return the multiple of an entry's size that news asks for, in [0.75, 1.25].

    It is 1 unless `LEAST_SOURCES` independent sources agree with the tone, else 1 + a quarter of
    the tone, so that the limit is reached only where everybody shouts the same.
    """
    if factor is None or factor.agreeing < LEAST_SOURCES or not math.isfinite(factor.tone):
        return _ONE
    tone = min(max(Decimal(str(factor.tone)), -_ONE), _ONE)
    return _ONE + TAINT_LIMIT * tone


def _voice(group: Sequence[NewsRecord], at: datetime, half_life: timedelta) -> Voice:
    ordered = sorted(group, key=lambda record: (record.published_at, record.item_id))
    weights = [0.5 ** ((at - record.published_at) / half_life) for record in ordered]
    whole = sum(weights)
    tones = (record.sentiment * record.confidence for record in ordered)
    said = sum(w * t for w, t in zip(weights, tones, strict=True)) / whole if whole > 0.0 else 0.0
    return Voice(
        source=ordered[-1].source,
        tone=round(said, _DIGITS) + 0.0,
        weight=round(weights[-1], _DIGITS),
        items=tuple(record.item_id for record in ordered),
    )
