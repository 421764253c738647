"""Timestamped headlines out of a file, behind `core.ports.NewsSource`.

Items are kept in the order of their time and found by binary search, so that a tick can only see
what was published before it. A row without an id, a time or a headline is counted and left out; it
never stops the file. The text is carried as it came: whoever scores it takes it for hostile.
"""

from __future__ import annotations

import csv
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import NewsItem

_Row = Mapping[str, object]
_TIME_NAMES: Final = ("ts", "published_at", "created_at", "time")
_SOURCE_NAMES: Final = ("source", "publisher", "provider")
_MILLISECONDS: Final = 1e11  # an epoch number above this counts milliseconds


class NewsFile:
    """The headlines of one file."""

    def __init__(self, items: Iterable[NewsItem], skipped: int = 0) -> None:
        """Take items in any order; of items with one id the first by time is kept."""
        ordered = sorted(items, key=lambda item: (item.published_at, item.item_id))
        first = {item.item_id: item for item in reversed(ordered)}
        self._items = [item for item in ordered if first[item.item_id] is item]
        self._times = [item.published_at for item in self._items]
        self.skipped = skipped + len(ordered) - len(self._items)  # rows that gave no item

    @classmethod
    def open(cls, path: Path) -> NewsFile:
        """Return the items of a .parquet, .csv or .jsonl file.

        Columns: id, ts (or published_at), symbols, headline, and where given summary and source.

        Raises:
            BadInput: there is no such file, or it holds no headlines.
        """
        rows, unreadable = _read(path)
        items = [item for row in rows if (item := _item(row)) is not None]
        if not items:
            raise BadInput(f"{path} holds no headline with an id and a time; see `ts` and `id`.")
        return cls(items, unreadable + len(rows) - len(items))

    def __len__(self) -> int:
        return len(self._items)

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        """Return the items with after < published_at <= until, by time then id."""
        start = bisect_right(self._times, after)
        return self._items[start : bisect_right(self._times, until, lo=start)]


class NoNews(NewsFile):
    """A market without headlines."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__(())


def _read(path: Path) -> tuple[list[_Row], int]:
    """Return a file's rows and how many lines were no rows at all."""
    readers: Mapping[str, Callable[[Path], tuple[list[_Row], int]]] = {
        ".parquet": _read_parquet,
        ".csv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
    }
    if not path.is_file():
        raise BadInput(f"{path} is no file; give a file of headlines.")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path} is in a format we do not read; supported: {', '.join(readers)}.")
    try:
        return reader(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).split("\n", 1)[0][:160]
        raise BadInput(f"{path} cannot be read as {path.suffix} ({reason}).") from error


def _read_parquet(path: Path) -> tuple[list[_Row], int]:
    return pq.read_table(path).to_pylist(), 0


def _read_csv(path: Path) -> tuple[list[_Row], int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)], 0


def _read_json_lines(path: Path) -> tuple[list[_Row], int]:
    rows: list[_Row] = []
    bad = 0
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            bad += 1
    return rows, bad


def _item(row: _Row) -> NewsItem | None:
    """Return the item in a row; None where its id, time or headline is missing."""
    item_id, headline = _text(row.get("id")), _text(row.get("headline"))
    published_at = _instant(next((row[name] for name in _TIME_NAMES if row.get(name)), None))
    if not item_id or not headline or published_at is None:
        return None
    return NewsItem(
        item_id=item_id,
        published_at=published_at,
        symbols=_symbols(row.get("symbols")),
        headline=headline,
        summary=_text(row.get("summary")),
        source=next((text for name in _SOURCE_NAMES if (text := _text(row.get(name)))), ""),
    )


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int) else ""


def _symbols(value: object) -> tuple[str, ...]:
    """Return symbols of a list, or of text that separates them by anything usual."""
    if isinstance(value, str):
        value = re.split(r"[\s,;|\[\]'\"]+", value)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(dict.fromkeys(text.upper() for each in value if (text := _text(each))))


def _instant(value: object) -> datetime | None:
    """Return an aware UTC instant; a time without an offset is UTC."""
    try:
        if isinstance(value, str) and not re.fullmatch(r"\d{9,16}(\.\d+)?", value.strip()):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, str | int | float):
            seconds = float(value)
            return datetime.fromtimestamp(
                seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC
            )
    except (ValueError, OverflowError, OSError):
        return None
    return None
