"""What is left of a headline once it was read: enums, bounded numbers, ids, one short quote.

Nothing here can carry an order: there is no action, no price, no quantity, and no symbol that the
house did not offer. The quote is for people; it is never put before a model again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from roboinvest.core.text.trust import Taint, Trust

QUOTE_CHARS: Final = 200


class EventKind(StrEnum):
    """What a headline is about."""

    EARNINGS = "earnings"
    GUIDANCE = "guidance"
    ANALYST = "analyst"
    MERGER = "merger"
    LEGAL = "legal"
    REGULATORY = "regulatory"
    PRODUCT = "product"
    MANAGEMENT = "management"
    MACRO = "macro"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsRecord:
    """One item as it was read.

    Raises:
        ValueError: the sentiment or the confidence is outside its range, or the quote is too long.
    """

    item_id: str
    symbols: tuple[str, ...]  # of those that were offered
    event: EventKind
    sentiment: float  # in [-1, 1]
    confidence: float  # in [0, 1]; 0 says nothing at all
    source: str  # who published it, see `sources.source_of`; "" where that is not known
    published_at: datetime  # UTC
    fingerprint: tuple[int, ...]  # of the words, see `sources.fingerprint_of`
    reader: str  # who read it: "rules", "safe", or "openai:<model>"
    quote: str = ""  # the stranger's own words, clean; for people only

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sentiment) and -1.0 <= self.sentiment <= 1.0):
            raise ValueError(f"a sentiment of {self.sentiment} is outside -1 to 1")
        if not (math.isfinite(self.confidence) and 0.0 <= self.confidence <= 1.0):
            raise ValueError(f"a confidence of {self.confidence} is outside 0 to 1")
        if len(self.quote) > QUOTE_CHARS:
            raise ValueError(f"a quote has {len(self.quote)} characters, limit {QUOTE_CHARS}")

    @property
    def taint(self) -> Taint:
        """Return where it came from: whoever read it, a stranger wrote it."""
        return Taint(source=self.source, trust=Trust.STRANGER, at=self.published_at)


def read_records(text: str) -> tuple[NewsRecord, ...]:
    """Return the records that `canonical_json` wrote."""
    rows: Iterable[dict[str, Any]] = json.loads(text)
    return tuple(
        NewsRecord(
            item_id=row["item_id"],
            symbols=tuple(row["symbols"]),
            event=EventKind(row["event"]),
            sentiment=float(row["sentiment"]),
            confidence=float(row["confidence"]),
            source=row["source"],
            published_at=datetime.fromisoformat(row["published_at"]),
            fingerprint=tuple(row["fingerprint"]),
            reader=row["reader"],
            quote=row["quote"],
        )
        for row in rows
    )
