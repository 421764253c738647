"""Bodies about news, splits, dividends, trades and the market itself, into our values.

Money arrives as Decimal and never passes through float. A news item, a split or a dividend that
cannot be read is left out and counted by nobody here: one odd row must not hide the others. A
price that was asked for by name and is not there is `Incomplete`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from roboinvest.core.market.bars import from_ns
from roboinvest.core.market.rows import exchange_days
from roboinvest.core.market.values import ActionKind, CorporateAction, NewsItem
from tools.data_fetcher.failures import Incomplete
from tools.data_fetcher.polygon.client import Body
from tools.data_fetcher.values import LastTrade, MarketPhase, MarketState, PreviousClose, Snapshot

_PHASES: Final = {phase.value: phase for phase in MarketPhase}
_CASH_ABROAD: Final = "USD"


def results_of(body: Body) -> Sequence[Mapping[str, Any]]:
    """Return the records of a reference page.

    Raises:
        Incomplete: it has none, not even an empty list.
    """
    results = body.get("results")
    if not isinstance(results, list):
        raise Incomplete("an answer came without its results; try again")
    return [row for row in results if isinstance(row, dict)]


def news_items(
    rows: Sequence[Mapping[str, Any]], symbols: Collection[str] | None = None
) -> list[NewsItem]:
    """Return the items about any of `symbols` (all by default), in the order given."""
    found = []
    for row in rows:
        tickers = row.get("tickers")
        tickers = tickers if isinstance(tickers, list) else []
        about = tuple(dict.fromkeys(str(each).upper() for each in tickers))
        at, title, item_id = _instant(row.get("published_utc")), row.get("title"), row.get("id")
        if at is None or not _is_text(title) or not _is_text(item_id):
            continue
        if symbols is not None and not set(about) & set(symbols):
            continue
        publisher = row.get("publisher")
        found.append(
            NewsItem(
                item_id=str(item_id),
                published_at=at,
                symbols=about,
                headline=str(title).strip(),
                summary=str(row.get("description") or "").strip(),
                source=str(publisher.get("name", "")) if isinstance(publisher, dict) else "",
            )
        )
    return found


def split_actions(rows: Sequence[Mapping[str, Any]], symbol: str) -> list[CorporateAction]:
    """Return the splits of a symbol."""
    found = []
    for row in rows:
        day = _day(row.get("execution_date"))
        new, old = _number(row.get("split_to")), _number(row.get("split_from"))
        if row.get("ticker") != symbol or day is None or not new or not old:
            continue
        if new > 0 and old > 0 and new != old:
            found.append(
                CorporateAction(symbol=symbol, kind=ActionKind.SPLIT, ex_date=day, ratio=new / old)
            )
    return found


def dividend_actions(rows: Sequence[Mapping[str, Any]], symbol: str) -> list[CorporateAction]:
    """Return the cash dividends of a symbol in USD, those of one day added up."""
    by_day: dict[date, Decimal] = {}
    for row in rows:
        day, cash = _day(row.get("ex_dividend_date")), _number(row.get("cash_amount"))
        if row.get("ticker") != symbol or day is None or cash is None or cash <= 0:
            continue
        if row.get("currency", _CASH_ABROAD) == _CASH_ABROAD:
            by_day[day] = by_day.get(day, Decimal(0)) + cash
    return [
        CorporateAction(symbol=symbol, kind=ActionKind.DIVIDEND, ex_date=day, cash=cash)
        for day, cash in sorted(by_day.items())
    ]


def previous_close_of(body: Body, symbol: str) -> PreviousClose:
    """Return the previous close.

    Raises:
        Incomplete: the body has none of this symbol.
    """
    for row in results_of(body):
        close, at = _number(row.get("c")), row.get("t")
        if row.get("T", symbol) == symbol and close is not None and isinstance(at, int):
            day = int(exchange_days(np.array([at * 1_000_000]))[0])
            return PreviousClose(symbol=symbol, day=date.fromordinal(day), close=close)
    raise Incomplete(f"{symbol}: the vendor has no previous close; is the symbol traded?")


def last_trade_of(body: Body, symbol: str) -> LastTrade:
    """Return the last trade.

    Raises:
        Incomplete: the body has none of this symbol.
    """
    row = body.get("results")
    if isinstance(row, dict) and row.get("T", symbol) == symbol:
        price, shares, at = _number(row.get("p")), _number(row.get("s")), row.get("t")
        if price is not None and isinstance(at, int):
            return LastTrade(
                symbol=symbol, at=from_ns(at), price=price, shares=shares or Decimal(0)
            )
    raise Incomplete(f"{symbol}: the vendor has no last trade; is the symbol traded?")


def snapshots_of(body: Body, symbols: Sequence[str]) -> tuple[Snapshot, ...]:
    """Return a snapshot of each symbol, in the order asked.

    Raises:
        Incomplete: one is missing.
    """
    rows = body.get("tickers")
    rows = rows if isinstance(rows, list) else []
    found = {row.get("ticker"): row for row in rows if isinstance(row, dict)}
    absent = [symbol for symbol in symbols if symbol not in found]
    if absent:
        raise Incomplete(f"the snapshot lacks {', '.join(absent)}; try again")
    return tuple(_snapshot(symbol, found[symbol]) for symbol in symbols)


def market_state_of(body: Body) -> MarketState:
    """Return whether the exchange trades.

    Raises:
        Incomplete: the body does not say.
    """
    phase, at = _PHASES.get(str(body.get("market"))), _instant(body.get("serverTime"))
    if phase is None or at is None:
        raise Incomplete("the vendor does not say whether the market is open; try again")
    return MarketState(phase=phase, server_time=at)


def _snapshot(symbol: str, row: Mapping[str, Any]) -> Snapshot:
    updated = row.get("updated")

    def price(part: str, name: str) -> Decimal | None:
        inside = row.get(part)
        value = _number(inside.get(name)) if isinstance(inside, dict) else None
        return value if value is not None and value > 0 else None  # 0 is how it says "none yet"

    return Snapshot(
        symbol=symbol,
        at=from_ns(updated) if isinstance(updated, int) else from_ns(0),
        last=price("lastTrade", "p"),
        bid=price("lastQuote", "p"),
        ask=price("lastQuote", "P"),
        day_close=price("day", "c"),
        previous_close=price("prevDay", "c"),
    )


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _instant(value: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if read is None:
        return None
    return read.astimezone(UTC) if read.tzinfo is not None else read.replace(tzinfo=UTC)
