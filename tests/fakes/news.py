"""News records and items with the figures a test cares for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from roboinvest.core.market.values import NewsItem
from roboinvest.core.news.factor import NewsFactor, factor_of
from roboinvest.core.news.records import EventKind, NewsRecord
from roboinvest.core.news.sources import fingerprint_of, source_of

NOON = datetime(2024, 3, 5, 17, 0, tzinfo=UTC)
TEXTS = (
    "Acme wins a contract for two hundred trains in the north",
    "Quarterly figures of Acme please a broker who expected less",
    "A court clears Acme of all claims by its former supplier",
    "Orders at Acme run ahead of last spring, says its sales chief",
)


def record(
    number: int = 0,
    *,
    source: str | None = None,
    sentiment: float = 1.0,
    confidence: float = 1.0,
    age: timedelta = timedelta(0),
    text: str | None = None,
    symbols: tuple[str, ...] = ("ACME",),
) -> NewsRecord:
    """Return a record; those of different numbers are voices of their own."""
    names = ("Ledger", "Herald", "Observer", "Courier")
    return NewsRecord(
        item_id=f"n{number}",
        symbols=symbols,
        event=EventKind.OTHER,
        sentiment=sentiment,
        confidence=confidence,
        source=source_of(names[number % 4] if source is None else source),
        published_at=NOON - age,
        fingerprint=fingerprint_of(TEXTS[number % 4] if text is None else text),
        reader="rules",
    )


def factor(*tones: float) -> NewsFactor:
    """Return the factor of independent voices with these tones."""
    made = factor_of("ACME", [record(n, sentiment=tone) for n, tone in enumerate(tones)], NOON)
    assert made is not None
    return made


def item(
    number: int = 0,
    *,
    at: datetime = NOON,
    symbols: tuple[str, ...] = ("ACME",),
    headline: str | None = None,
    source: str = "Ledger",
    item_id: str | None = None,
) -> NewsItem:
    """Return an item."""
    return NewsItem(
        item_id=f"n{number}" if item_id is None else item_id,
        published_at=at,
        symbols=symbols,
        headline=TEXTS[number % 4] if headline is None else headline,
        summary="",
        source=source,
    )
