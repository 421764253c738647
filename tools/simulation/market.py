"""A market for running with nothing at hand: seeded minute bars and the news that moves them.

Everything follows from (seed, symbol, number of the session since the first one). A session is
drawn from streams of its own, so that the order of the questions, the process and the presence of
other symbols change nothing; only the last close and a few log-volatilities are handed from one
session to the next. A market that is asked for a later session first runs the ones before it.

Deliberately absent: the hidden regime on any port. `regime` exists to judge what found it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import NewsItem, Regime, Timeframe
from roboinvest.core.ports import Calendar
from tools.simulation import prices
from tools.simulation.news import EARLIEST, MARKET, SimulatedItem, Subject, draw_items

_KEPT: Final = 8  # sessions whose bars are kept
_THIN: Final = 0.08  # chance that a symbol has a few thin minutes in a session
_THINNEST: Final = 30  # minutes; shorter sessions have no thin minutes
_ONE_DAY: Final = timedelta(days=1)
_MINUTE_NS: Final = 60 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMarketSettings:
    """Which of all possible markets it is."""

    seed: int  # >= 0
    symbols: tuple[str, ...]
    first: date  # first simulated exchange day


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What one session leaves to the next."""

    market: prices.MarketState
    symbols: tuple[prices.SymbolState, ...]  # in the order of the universe


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """One session, drawn."""

    rows: Mapping[str, RawRows]
    items: tuple[SimulatedItem, ...]  # by time then id
    left: _State


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """What every symbol of a session shares."""

    number: int
    session: Session
    market: prices.MarketState
    shared: prices.Factor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traded:
    """One symbol's session."""

    rows: RawRows
    items: tuple[SimulatedItem, ...]
    left: prices.SymbolState


class SimulatedMarket:
    """Bars and news of one invented world; a `BarSource` and a `NewsSource`."""

    timeframe: Final = Timeframe.MINUTE

    def __init__(self, settings: SimulatedMarketSettings, calendar: Calendar) -> None:
        _check(settings)
        self._settings = settings
        self._calendar = calendar
        self.symbols: Final = tuple(sorted(settings.symbols))
        self._profiles = tuple(prices.profile(s, self._stream("profile", s)) for s in self.symbols)
        self._sessions: list[Session] = []
        self._numbers: dict[date, int] = {}
        self._known_until = settings.first - _ONE_DAY
        self._states = [self._first_state()]  # states[n] is what session n starts from
        self._items: list[tuple[SimulatedItem, ...]] = []
        self._rows: OrderedDict[int, Mapping[str, RawRows]] = OrderedDict()

    async def session_rows(self, session: Session) -> Mapping[str, RawRows]:
        """Return all bars of `session` by symbol, oldest first; prices are whole cents.

        Raises:
            BadInput: the day is before the first simulated one, or the exchange is closed on it.
        """
        number = self._number(session.day)
        await self._run(number + 1)
        if number not in self._rows:
            self._keep(number, self._draw(number))
        return self._rows[number]

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        """Return the items with after < published_at <= until, by time then id."""
        return tuple(found.item for found in await self.truth(after, until))

    async def truth(self, after: datetime, until: datetime) -> Sequence[SimulatedItem]:
        """Return the items of `published` with what each really does, to judge who read them."""
        if until <= after:
            return ()
        self._learn_sessions(until.date() + _ONE_DAY)
        begun = sum(session.opens_at - EARLIEST <= until for session in self._sessions)
        await self._run(begun)
        return sorted(
            (
                found
                for session, items in zip(self._sessions, self._items, strict=False)
                if session.closes_at > after
                for found in items
                if after < found.item.published_at <= until
            ),
            key=_by_time,
        )

    async def regime(self, session: Session) -> Regime:
        """Return the hidden regime of `session`, to judge who looked for it.

        Raises:
            BadInput: as for `session_rows`.
        """
        number = self._number(session.day)
        await self._run(number + 1)
        market = self._states[number + 1].market
        return Regime(trend=market.trend, volatility=market.volatility, vix=None)

    async def _run(self, until: int) -> None:
        """Draw every session before number `until` once, giving way to the loop in between."""
        while len(self._items) < until:
            number = len(self._items)
            drawn = self._draw(number)  # nothing is awaited between here and the end of the turn
            self._states.append(drawn.left)
            self._items.append(drawn.items)
            self._keep(number, drawn)
            await asyncio.sleep(0)

    def _keep(self, number: int, drawn: _Drawn) -> None:
        self._rows[number] = drawn.rows
        while len(self._rows) > _KEPT:
            self._rows.popitem(last=False)

    def _draw(self, number: int) -> _Drawn:
        """Return session `number` from the state before it; the same whenever it is asked."""
        session, state = self._sessions[number], self._states[number]
        market = prices.next_regime(state.market, self._stream("regime", MARKET, number))
        subject = Subject(name=MARKET, symbols=self.symbols, price=0.0)
        items = draw_items(subject, session, market.trend, self._stream("news", MARKET, number))
        day = _Day(
            number=number,
            session=session,
            market=market,
            shared=prices.factor(
                prices.MOODS[market.trend, market.volatility],
                market.heat,
                _minutes(session),
                _shocks(items),
                self._stream("path", MARKET, number),
            ),
        )
        rows: dict[str, RawRows] = {}
        left: list[prices.SymbolState] = []
        for share, before in zip(self._profiles, state.symbols, strict=True):
            traded = self._trade(day, share, before)
            rows[share.symbol] = traded.rows
            left.append(traded.left)
            items += traded.items
        return _Drawn(
            rows=rows,
            items=tuple(sorted(items, key=_by_time)),
            left=_State(market=market, symbols=tuple(left)),
        )

    def _trade(self, day: _Day, share: prices.Profile, before: prices.SymbolState) -> _Traded:
        """Return one symbol's session."""
        name, number = share.symbol, day.number
        items: tuple[SimulatedItem, ...] = ()
        if name not in prices.FUNDS:  # a fund has no earnings and no scandals
            subject = Subject(name=name, symbols=(name,), price=before.close)
            news = self._stream("news", name, number)
            items = draw_items(subject, day.session, day.market.trend, news)
        rng = self._stream("path", name, number)
        heat = prices.next_heat(before.heat, rng)
        mood = prices.own_mood(share, prices.MOODS[day.market.trend, day.market.volatility])
        own = prices.factor(mood, heat, _minutes(day.session), _shocks(items), rng)
        bars = prices.candles(share, before, day.shared, own, rng)
        return _Traded(
            rows=_to_rows(day.session, bars, self._stream("thin", name, number)),
            items=items,
            left=prices.SymbolState(close=float(bars.close[-1]), heat=heat),
        )

    def _first_state(self) -> _State:
        return _State(
            market=prices.first_market_state(self._stream("first", MARKET)),
            symbols=tuple(
                prices.SymbolState(close=share.price, heat=0.0) for share in self._profiles
            ),
        )

    def _stream(self, purpose: str, name: str, number: int | None = None) -> Generator:
        """Return the random stream of one purpose; no two purposes share a draw."""
        digest = hashlib.blake2b(f"{purpose}/{name}".encode(), digest_size=8).digest()
        words = [self._settings.seed, int.from_bytes(digest, "big")]
        return default_rng(SeedSequence(words if number is None else [*words, number]))

    def _number(self, day: date) -> int:
        """Return how many simulated sessions come before `day`."""
        self._learn_sessions(day)
        if day not in self._numbers:
            raise BadInput(
                f"{day} is no session of the simulated market, which begins on "
                f"{self._settings.first}; ask for an exchange day from then on."
            )
        return self._numbers[day]

    def _learn_sessions(self, until: date) -> None:
        if until <= self._known_until:
            return
        for session in self._calendar.sessions(self._known_until + _ONE_DAY, until):
            self._numbers[session.day] = len(self._sessions)
            self._sessions.append(session)
        self._known_until = until


def _check(settings: SimulatedMarketSettings) -> None:
    if settings.seed < 0:
        raise BadInput(f"The seed is {settings.seed}; give a whole number from 0 on.")
    names = settings.symbols
    if not names or len(set(names)) < len(names) or MARKET in names:
        raise BadInput(
            f"The universe is {names}; give one symbol or more, each once, and not {MARKET}."
        )


def _minutes(session: Session) -> int:
    return (session.closes_at - session.opens_at) // timedelta(minutes=1)


def _shocks(items: Sequence[SimulatedItem]) -> list[prices.Shock]:
    return [found.shock for found in items if found.shock is not None]


def _by_time(found: SimulatedItem) -> tuple[datetime, str]:
    return found.item.published_at, found.item.item_id


def _to_rows(session: Session, bars: prices.Candles, rng: Generator) -> RawRows:
    """Return bars as rows; in a thin session a few minutes are missing or traded nothing."""
    minutes = len(bars.close)
    columns = np.stack([bars.open, bars.high, bars.low, bars.close, bars.volume])
    present = np.ones(minutes, dtype=np.bool_)
    if minutes > _THINNEST and rng.random() < _THIN:
        chosen = rng.choice(np.arange(1, minutes - 1), size=int(rng.integers(1, 5)), replace=False)
        for minute in np.sort(chosen):
            if rng.random() < 0.5:
                present[minute] = False
            else:
                columns[:4, minute] = columns[3, minute - 1]
                columns[4, minute] = 0.0
    ts = to_ns(session.opens_at) + _MINUTE_NS * np.arange(minutes, dtype=np.int64)
    return RawRows.of(ts[present], columns[:, present])
