"""The parts of a market feed: one symbol's rows as they are judged, and what is shown when.

A bar becomes known at its close and a suspension at the close of the bar that began it; whatever
is asked at an instant is answered from what was known by then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from roboinvest.core.market.bars import BarColumns, BarSeries, Floats, Ints, from_ns, to_ns
from roboinvest.core.market.continuity import Change, Continuity
from roboinvest.core.market.findings import Verdicts
from roboinvest.core.market.quality import judge, missing_opens
from roboinvest.core.market.rows import Flags, RawRows, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction, Timeframe
from tools.feeds.counts import EXTENDED, SessionTally

_Row = tuple[str, datetime, datetime, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionChange:
    """A symbol that is no longer trusted, or trusted again."""

    known_at: int  # ns since the epoch
    symbol: str
    sentence: str | None  # why it is suspended; None where a suspension ends


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSession:
    """One symbol's session."""

    bars: BarSeries  # good ones, regular hours
    changes: tuple[SuspensionChange, ...]
    tally: SessionTally


class SymbolTrack:
    """One symbol: its bars so far and what the gate remembers of it."""

    def __init__(
        self, symbol: str, timeframe: Timeframe, actions: Sequence[CorporateAction]
    ) -> None:
        """Start with no rows; `actions` are this symbol's, in any order."""
        self.symbol = symbol
        self.columns = BarColumns(symbol)
        self._timeframe = timeframe
        self._actions = sorted(actions, key=lambda action: action.ex_date)
        self._splits = [
            (action.ex_date, float(action.ratio))
            for action in self._actions
            if action.kind is ActionKind.SPLIT
        ]
        self._state = Continuity()
        self._first_ts: int | None = None

    def take(self, session: Session, rows: RawRows) -> JudgedSession:
        """Judge a session's rows and append its good bars."""
        rows = rows.take(exchange_days(rows.ts) == session.day.toordinal())
        regular = _regular(rows.ts, session, self._timeframe)
        judged = judge(rows.take(regular), start=self._state, actions=self._actions)
        closes = _closes(judged.rows.ts, session, self._timeframe)
        good = judged.good
        bars = _series(self.symbol, session, judged.rows.take(good), closes[good])
        self._state = judged.state
        self.columns.extend(bars)
        return JudgedSession(
            bars=bars,
            changes=tuple(
                SuspensionChange(
                    known_at=int(closes[change.index]),
                    symbol=self.symbol,
                    sentence=_sentence(change, self.symbol),
                )
                for change in judged.changes
            ),
            tally=self._tally(session, judged.rows.ts, closes, judged.verdicts, len(rows)),
        )

    def window(self, at: datetime, length: int, session: Session) -> BarSeries:
        """Return the last bars closed by `at`, on the scale of `session`."""
        series = self.columns.window(self.columns.closed_by(at), length)
        for ex_date, ratio in self._splits:
            if ex_date <= session.day and len(series) and series.day[0] < ex_date.toordinal():
                series = series.rescaled(ratio, before=ex_date)
        return series

    def _tally(
        self, session: Session, ts: Ints, closes: Ints, verdicts: Verdicts, rows: int
    ) -> SessionTally:
        """Count a session; what is missing counts from a symbol's first row on."""
        if self._first_ts is None and len(ts):
            self._first_ts = int(ts[0])
        missing = np.zeros(0, np.int64)
        if self._first_ts is not None:
            absent = missing_opens(session, self._timeframe, ts)
            missing = _closes(absent[absent > self._first_ts], session, self._timeframe)
        extended = rows - len(ts)
        at_close = np.full(extended, to_ns(session.closes_at))
        return SessionTally(
            known_at=np.concatenate((closes, at_close)),
            verdicts=np.concatenate((verdicts, np.full(extended, EXTENDED, np.uint16))),
            missing_at=missing,
        )


def _sentence(change: Change, symbol: str) -> str | None:
    return change.suspension.sentence(symbol) if change.suspension is not None else None


def _regular(ts: Ints, session: Session, timeframe: Timeframe) -> Flags:
    """Return which bars belong to regular hours: `Session.covers` for arrays."""
    if timeframe is Timeframe.DAY:
        return np.ones(len(ts), np.bool_)
    length = int(timeframe.length.total_seconds()) * 1_000_000_000
    inside: Flags = (ts < to_ns(session.closes_at)) & (ts + length > to_ns(session.opens_at))
    return inside


def _closes(ts: Ints, session: Session, timeframe: Timeframe) -> Ints:
    """Return when each bar is closed: `Session.bar_close` for arrays."""
    end = to_ns(session.closes_at)
    if timeframe is Timeframe.DAY:
        return np.full(len(ts), end)
    length = int(timeframe.length.total_seconds()) * 1_000_000_000
    return np.minimum(ts + length, end)


def _series(symbol: str, session: Session, rows: RawRows, closes: Ints) -> BarSeries:
    opened, high, low, close, volume = rows.values
    return BarSeries(
        symbol=symbol,
        ts=rows.ts,
        closes_at=closes,
        day=np.full(len(rows), session.day.toordinal(), np.int64),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=np.nan_to_num(volume),  # none given is none traded
    )


class Timeline:
    """What is still to be shown, in the order in which it becomes known."""

    def __init__(self) -> None:
        self._waiting: deque[Sequence[BarSeries]] = deque()  # sessions not laid out yet
        self._closes: list[int] = []
        self._rows: list[_Row] = []
        self._next = 0
        self._changes: list[SuspensionChange] = []
        self.suspended: Mapping[str, str] = {}

    def add_bars(self, series: Sequence[BarSeries]) -> None:
        """Add a session's bars; they follow everything added before."""
        series = [each for each in series if len(each)]
        if series:
            self._waiting.append(series)

    def add_changes(self, changes: Sequence[SuspensionChange]) -> None:
        """Add suspensions that begin or end."""
        self._changes.extend(changes)
        self._changes.sort(key=lambda change: (change.known_at, change.symbol))

    def skip(self, at_ns: int) -> None:
        """Let everything up to `at_ns` become known without showing it."""
        while self._waiting and max(each.closes_at[-1] for each in self._waiting[0]) <= at_ns:
            self._waiting.popleft()  # never laid out: a resumed run skips months this way
        self._lay_out(at_ns)
        self._next = bisect_right(self._closes, at_ns, lo=self._next)
        self._apply_changes(at_ns)

    def show(self, at_ns: int) -> tuple[Bar, ...]:
        """Return the bars that became known up to `at_ns` and were not shown, by open, symbol."""
        self._lay_out(at_ns)
        start = self._next
        self.skip(at_ns)
        return tuple(
            Bar(
                symbol=symbol,
                ts=ts,
                closes_at=closes_at,
                open=opened,
                high=high,
                low=low,
                close=close,
                volume=volume,
            )
            for symbol, ts, closes_at, opened, high, low, close, volume in self._rows[
                start : self._next
            ]
        )

    def _lay_out(self, at_ns: int) -> None:
        """Make rows of the waiting sessions of which something is known at `at_ns`."""
        while self._waiting and min(each.closes_at[0] for each in self._waiting[0]) <= at_ns:
            closes, rows = _merged(self._waiting.popleft())
            del self._closes[: self._next], self._rows[: self._next]
            self._next = 0
            self._closes.extend(closes)
            self._rows.extend(rows)

    def _apply_changes(self, at_ns: int) -> None:
        if not self._changes or self._changes[0].known_at > at_ns:
            return
        now = dict(self.suspended)
        while self._changes and self._changes[0].known_at <= at_ns:
            change = self._changes.pop(0)
            now.pop(change.symbol, None)
            if change.sentence is not None:
                now[change.symbol] = change.sentence
        self.suspended = dict(sorted(now.items()))


def _merged(series: Sequence[BarSeries]) -> tuple[list[int], Iterable[_Row]]:
    """Return a session's bars of all symbols by close, then open, then symbol."""
    ints = np.concatenate([np.stack((each.closes_at, each.ts)) for each in series], axis=1)
    floats = np.concatenate([_floats(each) for each in series], axis=1)
    which = np.repeat(np.arange(len(series)), [len(each) for each in series])
    order = np.lexsort((which, ints[1], ints[0]))
    closes, opens = ints[0, order].tolist(), ints[1, order].tolist()
    names = [each.symbol for each in series]
    instants = {ns: from_ns(ns) for ns in {*closes, *opens}}
    rows = zip(
        [names[place] for place in which[order].tolist()],
        [instants[ns] for ns in opens],
        [instants[ns] for ns in closes],
        *floats[:, order].tolist(),
        strict=True,
    )
    return closes, rows


def _floats(series: BarSeries) -> Floats:
    return np.stack((series.open, series.high, series.low, series.close, series.volume))
