"""What the loopback data vendor knows: minute bars, news, splits, dividends and tickers.

Bodies are made to the shape of the vendor's published specification and recordings. Longer bars
are put together from the minutes on request, as the vendor does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from roboinvest.core.market.rows import RawRows

Aggregate = dict[str, Any]  # o h l c v vw t n, t in ms
_UNIT_MS = {"minute": 60_000, "hour": 3_600_000}
_NEW_YORK = ZoneInfo("America/New_York")


def aggregates_of(rows: RawRows) -> list[Aggregate]:
    """Return rows as the vendor writes them, by time."""
    return [
        {"v": v, "vw": round((h + low) / 2, 4), "o": o, "c": c, "h": h, "l": low, "t": ts, "n": 9}
        for ts, (o, h, low, c, v) in zip(
            (rows.ts // 1_000_000).tolist(), rows.values.T.tolist(), strict=True
        )
    ]


def ms(instant: datetime) -> int:
    """Return milliseconds since the epoch."""
    return int(instant.timestamp() * 1000)


@dataclass(slots=True)
class PolygonBooks:
    """Everything the vendor can be asked about; a test fills it."""

    minutes: dict[str, list[Aggregate]] = field(default_factory=dict)  # by symbol, ascending
    news: list[dict[str, Any]] = field(default_factory=list)
    splits: list[dict[str, Any]] = field(default_factory=list)
    dividends: list[dict[str, Any]] = field(default_factory=list)

    def add(self, symbol: str, rows: RawRows) -> None:
        """Take minute bars in; of one minute the newest counts."""
        known = {row["t"]: row for row in self.minutes.get(symbol, [])}
        known |= {row["t"]: row for row in aggregates_of(rows)}
        self.minutes[symbol] = [known[t] for t in sorted(known)]

    def add_split(self, symbol: str, day: date, old: int, new: int) -> None:
        self.splits.append(
            {"execution_date": str(day), "split_from": old, "split_to": new, "ticker": symbol}
        )

    def add_dividend(self, symbol: str, day: date, cash: float) -> None:
        self.dividends.append(
            {
                "cash_amount": cash,
                "currency": "USD",
                "declaration_date": str(day),
                "dividend_type": "CD",
                "ex_dividend_date": str(day),
                "frequency": 4,
                "pay_date": str(day),
                "record_date": str(day),
                "ticker": symbol,
            }
        )

    def add_news(self, item_id: str, at: datetime, symbols: Sequence[str], title: str) -> None:
        self.news.append(
            {
                "id": item_id,
                "publisher": {"name": "Loopback Wire", "homepage_url": "http://127.0.0.1/"},
                "title": title,
                "author": "nobody",
                "published_utc": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "article_url": "http://127.0.0.1/article",
                "tickers": list(symbols),
                "description": f"About {title}",
            }
        )

    def aggregates(
        self, symbol: str, multiplier: int, unit: str, start_ms: int, end_ms: int
    ) -> list[Aggregate]:
        """Return the bars with start <= t < end, of any length, ascending."""
        inside = [row for row in self.minutes.get(symbol, []) if start_ms <= row["t"] < end_ms]
        if unit == "minute" and multiplier == 1:
            return inside
        buckets: dict[int, list[Aggregate]] = {}
        for row in inside:
            buckets.setdefault(_bucket(row["t"], multiplier, unit), []).append(row)
        return [_merged(t, rows) for t, rows in sorted(buckets.items())]


def _bucket(t: int, multiplier: int, unit: str) -> int:
    if unit == "day":
        day = datetime.fromtimestamp(t / 1000, _NEW_YORK).date()
        return ms(datetime.combine(day, time(), _NEW_YORK))
    length = _UNIT_MS[unit] * multiplier
    return t - t % length


def _merged(t: int, rows: Sequence[Aggregate]) -> Aggregate:
    return {
        "v": sum(row["v"] for row in rows),
        "vw": rows[0]["vw"],
        "o": rows[0]["o"],
        "c": rows[-1]["c"],
        "h": max(row["h"] for row in rows),
        "l": min(row["l"] for row in rows),
        "t": t,
        "n": sum(row["n"] for row in rows),
    }


def matching(
    rows: Iterable[Mapping[str, Any]], query: Mapping[str, str], names: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return the rows that a reference query asks for: name, name.gt, .gte, .lt and .lte."""
    return [row for row in rows if all(_fits(row, query, name) for name in names)]


def _fits(row: Mapping[str, Any], query: Mapping[str, str], name: str) -> bool:
    value = row.get(name)
    asked = query.get(name)
    if isinstance(value, list):
        return asked is None or asked in value
    text = str(value)
    return (
        (asked is None or text == asked)
        and text > query.get(f"{name}.gt", "")
        and text >= query.get(f"{name}.gte", "")
        and text < query.get(f"{name}.lt", "~")
        and text <= query.get(f"{name}.lte", "~")
    )
