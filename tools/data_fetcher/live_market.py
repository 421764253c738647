"""The real market of today as a `Market`: bars by stream, holes and history by question, news."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.service import Child
from roboinvest.runtime.vendors.endpoints import checked_host
from tools.bars.files import read_vix
from tools.calendar import ExchangeCalendar
from tools.data_fetcher.desk import DataDesk, open_desk
from tools.data_fetcher.polygon.client import KEY_VARIABLE, NAME, VENDOR_STREAM
from tools.feeds.live_care import CareTerms, LiveCare
from tools.feeds.live_feed import FeedPatience, LiveFeed
from tools.feeds.live_stream import LiveStream, StreamPatience
from tools.feeds.minute_book import MinuteBook
from tools.feeds.polled_news import PolledNews
from tools.markets import Market

_PREPARED_WITHIN_S: Final = 900.0  # five symbols and five calls a minute, with room
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTerms:
    """How patient each part is; tests are less so."""

    feed: FeedPatience = field(default_factory=FeedPatience)
    stream: StreamPatience = field(default_factory=StreamPatience)
    care: CareTerms = field(default_factory=CareTerms)
    news_interval_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMarket:
    """A market, whose children have to be started before who trades, and what it is made of."""

    market: Market
    desk: DataDesk
    book: MinuteBook  # for who reports on the stream and its holes


def live_market(
    settings: Settings,
    secrets: Secrets,
    *,
    bars: Path,
    clock: Clock,
    in_flight: InFlight,
    terms: LiveTerms | None = None,
) -> LiveMarket:
    """Return the market of `market.source = polygon`; nothing is asked before its children run.

    Args:
        settings: `market`, `polygon` and `testing` are used.
        secrets: hold the vendor's key.
        bars: folder of the store of bars.
        clock: the machine's.
        in_flight: counts the calls under way.
        terms: see there.

    Raises:
        BadSettings: there is no key, there are no symbols, or bars are not minutes.
        BadInput: the file of VIX closes is wrong.
    """
    terms = terms or LiveTerms()
    symbols = _wanted_symbols(settings)
    calendar = ExchangeCalendar()
    desk = open_desk(
        settings, secrets, bars=bars, calendar=calendar, clock=clock, in_flight=in_flight
    )
    key = secrets.polygon_api_key
    if key is None:
        raise BadSettings(f"{NAME} wants a key and {KEY_VARIABLE} is not set; set it")
    book = MinuteBook(symbols, clock)
    loopback_only = settings.testing.loopback_only == "on"
    url = checked_host(settings.polygon.stream_url or VENDOR_STREAM, loopback_only=loopback_only)
    stream = LiveStream(book, key, calendar, url=url, clock=clock, patience=terms.stream)
    care = LiveCare(book, desk.fetcher, desk.cache, calendar, clock=clock, terms=terms.care)
    news = PolledNews(desk.fetcher, symbols, clock=clock, interval_s=terms.news_interval_s)
    vix = _vix(settings)
    children = (
        Child(service=stream, patience_s=_PATIENCE_S),
        Child(service=care, patience_s=_PATIENCE_S, ready_within_s=_PREPARED_WITHIN_S),
        Child(service=news, patience_s=_PATIENCE_S),
    )
    market = Market(
        mode="paper",
        is_simulated=False,
        symbols=book.symbols,
        timeframe=Timeframe.MINUTE,
        calendar=calendar,
        news=news,
        starts_at=clock.now(),
        last_day=None,
        speed=1.0,
        stamp={"mode": "paper", "source": "polygon", "symbols": list(book.symbols)},
        new_feed=lambda: LiveFeed(book, calendar, clock=clock, patience=terms.feed, vix=vix),
        is_live=True,
        children=children,
        close=desk.close,
        away=care.away,
        tell=care.tell,
    )
    return LiveMarket(market=market, desk=desk, book=book)


def _wanted_symbols(settings: Settings) -> tuple[str, ...]:
    if settings.market.timeframe is not Timeframe.MINUTE:
        raise BadSettings(
            f"market.timeframe is {settings.market.timeframe} and the stream has bars of 1m; "
            "set it to 1m"
        )
    if not settings.market.symbols:
        raise BadSettings(
            "market.symbols is empty and market.source is polygon; name the tickers to trade"
        )
    return tuple(settings.market.symbols)


def _vix(settings: Settings) -> dict[date, float] | None:
    path = settings.market.vix_path
    return None if path is None else read_vix(path)
