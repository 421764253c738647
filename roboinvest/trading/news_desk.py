"""NewsDesk: has every new headline of the universe read once, and says what the news comes to.

The records of the news window are stored with the tick that read them, so that a restart pays for
nothing twice and a replay sees what it saw. A tick asks a model about a few items at a time, all at
once, so that reading costs one deadline whatever the flood; the rest is read by the rules. What was
read stays as it was read: a stranger gets one hearing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.market.values import NewsItem
from roboinvest.core.news.factor import NewsFactor, Voices, factor_of
from roboinvest.core.news.reading import READ_NEWS, NewsText, name_of, news_text, read_by_rules
from roboinvest.core.news.records import NewsRecord, read_records
from roboinvest.core.news.sources import voices
from roboinvest.core.ports import LanguageModel, NewsSource
from roboinvest.core.records import canonical_json

NEWS_WINDOW: Final = timedelta(hours=24)
MOST_ASKS: Final = 8  # items a tick that a model is asked about
_TURN: Final = 16  # items read by the rules between two turns of the loop


class NewsShelf:
    """The records of the news window."""

    def __init__(self, records: Iterable[NewsRecord] = ()) -> None:
        self._records = {record.item_id: record for record in records}
        self._by_symbol = _by_symbol(self._records.values())
        self._document: str | None = None

    @classmethod
    def read(cls, document: str | None) -> NewsShelf:
        """Return the shelf as it was stored; an empty one where nothing was."""
        shelf = cls(read_records(document) if document is not None else ())
        shelf._document = document
        return shelf

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._records

    def about(self, symbol: str) -> tuple[NewsRecord, ...]:
        """Return the records of a symbol."""
        return self._by_symbol.get(symbol, ())

    def put(self, records: Sequence[NewsRecord], keep_after: datetime) -> None:
        """Add records, and drop those that were published up to `keep_after`."""
        kept = {name: r for name, r in self._records.items() if r.published_at > keep_after}
        if not records and len(kept) == len(self._records):
            return
        self._records = kept | {record.item_id: record for record in records}
        self._by_symbol = _by_symbol(self._records.values())
        self._document = canonical_json(sorted(self._records.values(), key=_time_then_id))

    def document(self) -> str | None:
        """Return what a restart reads; None while there never was any news."""
        return self._document


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one tick knows of the news."""

    factors: Mapping[str, NewsFactor]  # by symbol, only symbols with news
    read: tuple[NewsRecord, ...]  # in this tick, by time then id


class NewsDesk:
    """Reads for one account."""

    def __init__(
        self,
        source: NewsSource,
        model: LanguageModel,
        shelf: NewsShelf,
        symbols: Sequence[str],
        *,
        most_asks: int = MOST_ASKS,
        grouped: Voices = voices,
    ) -> None:
        """Take the parts; `symbols` is the universe, `grouped` tells who speaks with one voice."""
        self._source = source
        self._model = model
        self._shelf = shelf
        self._symbols = frozenset(symbols)
        self._most_asks = most_asks
        self._grouped = grouped
        self._known: dict[str, _Grouping] = {}

    async def look(self, at: datetime, *, about: str = "") -> News:
        """Return the news as of `at`, having read what is new; `about` is charged for it."""
        items = await self._source.published(at - NEWS_WINDOW, at)
        read = await self._read(self._fresh(items), about)
        self._shelf.put(read, at - NEWS_WINDOW)
        factors = {symbol: self._factor(symbol, at) for symbol in sorted(self._symbols)}
        return News(factors={s: f for s, f in factors.items() if f is not None}, read=read)

    def _fresh(self, items: Iterable[NewsItem]) -> list[NewsText]:
        """Return the items that were not read yet and name our symbols, the newest first."""
        found = {
            name: item
            for item in items
            if not self._symbols.isdisjoint(item.symbols)
            and (name := name_of(item.item_id)) not in self._shelf
        }
        newest = sorted(found.values(), key=_time_then_id, reverse=True)
        return [news_text(item, self._symbols) for item in newest]

    async def _read(self, texts: Sequence[NewsText], about: str) -> tuple[NewsRecord, ...]:
        """Return the records of some items, by time then id."""
        records = await self._ask(texts[: self._most_asks], about)
        for number, text in enumerate(texts[self._most_asks :], 1):
            records.append(read_by_rules(text))
            if not number % _TURN:
                await asyncio.sleep(0)
        return tuple(sorted(records, key=_time_then_id))

    async def _ask(self, texts: Sequence[NewsText], about: str) -> list[NewsRecord]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask_one(text, about)) for text in texts]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _ask_one(self, text: NewsText, about: str) -> NewsRecord:
        answer = await self._model.ask(READ_NEWS, text, about=about)
        return replace(answer.output, reader=answer.source)

    def _factor(self, symbol: str, at: datetime) -> NewsFactor | None:
        grouping = self._known.setdefault(symbol, _Grouping(self._grouped))
        return factor_of(symbol, self._shelf.about(symbol), at, grouped=grouping)


class _Grouping:
    """Remembers the voices of the records it saw last: they change far less often than time."""

    def __init__(self, grouped: Voices) -> None:
        self._grouped = grouped
        self._seen: Sequence[NewsRecord] = ()
        self._voices: Sequence[Sequence[NewsRecord]] = ()

    def __call__(self, records: Sequence[NewsRecord]) -> Sequence[Sequence[NewsRecord]]:
        if list(records) != list(self._seen):
            self._seen, self._voices = records, self._grouped(records)
        return self._voices


def _by_symbol(records: Iterable[NewsRecord]) -> dict[str, tuple[NewsRecord, ...]]:
    found = dict[str, list[NewsRecord]]()
    for record in sorted(records, key=_time_then_id):
        for symbol in record.symbols:
            found.setdefault(symbol, []).append(record)
    return {symbol: tuple(each) for symbol, each in found.items()}


def _time_then_id(entry: NewsItem | NewsRecord) -> tuple[datetime, str]:
    return entry.published_at, entry.item_id
