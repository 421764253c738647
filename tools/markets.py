"""The markets a run can live in: an invented one, or one that happened.

A `Market` is everything a house has to know of the world it trades in. Who asks for one gets it
ready to use or a clear refusal; nothing is read later that could have been refused at the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.events import Event
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Calendar, MarketFeed, NewsSource
from roboinvest.runtime.configuration.sections import ReplaySettings, Source
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.supervision.service import Child
from tools.bars.actions import KEPT_ACTIONS, read_actions
from tools.bars.files import read_vix
from tools.bars.store import load_store
from tools.calendar import ExchangeCalendar
from tools.feeds.file_source import FileSource
from tools.feeds.market_feed import SessionFeed
from tools.news import NewsFile, NoNews
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

MOST_WARM_UP: Final = 5  # sessions before a replay: more than any window looks back on minutes
MID_SESSION: Final = timedelta(hours=2)  # after the open: where the simulated day is joined
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A world to trade in."""

    mode: str  # "simulation" or "replay"
    is_simulated: bool
    symbols: tuple[str, ...]
    timeframe: Timeframe
    calendar: Calendar
    news: NewsSource
    starts_at: datetime  # UTC; the first tick is the first one at or after this
    last_day: date | None  # exchange date; None: it does not end
    speed: float | None  # market minutes per real minute; None: as fast as possible
    stamp: Mapping[str, Any]  # what tells this run from others, for the data folder
    new_feed: Callable[[], MarketFeed]  # a feed that has shown nothing yet
    is_live: bool = False  # it goes by whether we look or not
    children: tuple[Child, ...] = ()  # services that have to run for it, in order of start
    close: Callable[[], None] | None = None  # after they have stopped
    away: Callable[[], str | None] = lambda: None  # key of the alert that its vendor is away
    tell: Callable[[Callable[[Event], None]], None] = lambda _: None  # takes who hears of that


def open_market(settings: Settings) -> Market:
    """Return the market that the settings ask for. Blocking: it may read files.

    Raises:
        BadInput: a file, a symbol or a range that they name is wrong.
    """
    if settings.market.source is Source.REPLAY:
        return _recorded(settings)
    return _invented(settings)


def _invented(settings: Settings) -> Market:
    chosen, calendar = settings.simulated, ExchangeCalendar()
    symbols = settings.market.symbols or chosen.symbols
    begins = chosen.start + timedelta(days=chosen.history_days)
    first = _first_session(calendar, begins)
    world = SimulatedMarket(
        SimulatedMarketSettings(seed=chosen.seed, symbols=tuple(symbols), first=chosen.start),
        calendar,
    )
    history = len(calendar.sessions(chosen.start, first.day - _ONE_DAY))
    return Market(
        mode="simulation",
        is_simulated=True,
        symbols=world.symbols,
        timeframe=world.timeframe,
        calendar=calendar,
        news=world,
        starts_at=first.opens_at + MID_SESSION,
        last_day=None,
        speed=None if chosen.speed == "max" else chosen.speed,
        stamp={
            "mode": "simulation",
            "source": "simulated",
            "symbols": list(world.symbols),
            "seed": chosen.seed,
            "start": chosen.start.isoformat(),
            "history_days": chosen.history_days,
        },
        new_feed=lambda: SessionFeed(
            world, calendar, first=first.day, warm_up_sessions=history, vix=_vix(settings)
        ),
    )


def _recorded(settings: Settings) -> Market:
    chosen, calendar = settings.replay, ExchangeCalendar()
    source = _source(settings, calendar)
    first, last = _first_session(calendar, source.first), source.last
    if first.day > last:
        raise BadInput(f"no session lies between {source.first} and {last}; widen --from and --to")
    actions, vix = _actions(_factors(chosen), calendar, source), _vix(settings)
    return Market(
        mode="replay",
        is_simulated=False,
        symbols=source.symbols,
        timeframe=source.timeframe,
        calendar=calendar,
        news=NewsFile.open(chosen.news_path) if chosen.news_path else NoNews(),
        starts_at=first.opens_at,
        last_day=last,
        speed=None if chosen.speed == "max" else chosen.speed,
        stamp=_replay_stamp(settings, source),
        new_feed=lambda: SessionFeed(
            source,
            calendar,
            first=first.day,
            warm_up_sessions=min(source.warm_up_sessions, MOST_WARM_UP),
            actions=actions,
            vix=vix,
        ),
    )


def _source(settings: Settings, calendar: Calendar) -> FileSource:
    """Return the bars of a replay: from a file, or from a folder that `data import` filled."""
    chosen = settings.replay
    if chosen.path is None:
        raise BadInput("a replay needs bars; add --replay PATH, a file or a store")
    symbols, days = settings.market.symbols or None, (chosen.first, chosen.last)
    if chosen.path.is_dir():
        loaded = load_store(chosen.path, symbols=symbols, first=days[0], last=days[1])
        source = FileSource(loaded, calendar)
    else:
        source = FileSource.open(
            chosen.path,
            calendar=calendar,
            symbols=symbols,
            source=chosen.source,
            first=days[0],
            last=days[1],
        )
    if source.timeframe is Timeframe.DAY:
        raise BadInput(
            f"{chosen.path} has bars of a day, and a trading day needs bars of 1m to 1h; "
            "give a file of shorter bars"
        )
    return source


def _replay_stamp(settings: Settings, source: FileSource) -> dict[str, Any]:
    """Return what a replay is told by: its bars, wherever their file lies and however sorted."""
    chosen = settings.replay
    return {
        "mode": "replay",
        "source": chosen.source or "the only one",
        "symbols": list(source.symbols),
        "from": source.first.isoformat(),
        "to": source.last.isoformat(),
        "bars": source.content_digest,
        "actions": _digest(_factors(chosen)),
        "news": _digest(chosen.news_path),
        "vix": _digest(settings.market.vix_path),
    }


def _first_session(calendar: Calendar, day: date) -> Session:
    found = calendar.sessions(day, day + timedelta(days=14))
    if not found:
        raise BadInput(f"the exchange has no session in the two weeks from {day}; choose a date")
    return found[0]


def _factors(chosen: ReplaySettings) -> Path | None:
    """Return the file of splits and dividends: the one that was named, or the store's own."""
    if chosen.actions_path is not None or chosen.path is None:
        return chosen.actions_path
    kept = chosen.path / KEPT_ACTIONS
    return kept if kept.is_file() else None


def _actions(
    path: Path | None, calendar: ExchangeCalendar, source: FileSource
) -> list[CorporateAction]:
    """Return the actions of symbols whose prices are raw; adjusted ones have them inside."""
    if path is None:
        return []
    found = read_actions(path, calendar, source.symbols)
    return [action for action in found if action.symbol not in source.adjusted]


def _vix(settings: Settings) -> dict[date, float] | None:
    path = settings.market.vix_path
    return None if path is None else read_vix(path)


def _digest(path: Path | None) -> str | None:
    """Return what stands for a file's content in a stamp."""
    if path is None:
        return None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); correct the path") from error
