"""Is an answer all there is? The calendar is asked, because an empty list says nothing.

A page can end early and look whole. Rows come in order of time, so that a session followed by rows
of a later one is whole as far as the vendor can tell; only the last session with rows may have been
cut, and it counts as whole when it reaches the end of trading. A session without a single bar of
regular hours is never taken for whole: it is reported, and asked for again next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints, from_ns, to_ns
from roboinvest.core.market.rows import RawRows, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe

SETTLED_AFTER: Final = timedelta(hours=4, minutes=20)  # after the close: late trading, and a delay
_END_OF_TRADING: Final = timedelta(minutes=30)  # before the close, even of a thinly traded symbol


class Lack(StrEnum):
    """What is wrong with a session of an answer."""

    EMPTY = "empty_session"  # no bar, and the exchange was open
    ENDS_EARLY = "ends_early"  # the last session of an answer stops before the close
    UNSETTLED = "unsettled"  # the session is not over, or only just


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """One session that cannot be called whole."""

    symbol: str
    day: date
    lack: Lack
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Which sessions of an answer are whole."""

    whole: tuple[date, ...]
    short: tuple[Shortfall, ...]


def completeness_of(
    symbol: str,
    timeframe: Timeframe,
    rows: RawRows,
    sessions: Sequence[Session],
    *,
    asked_at: datetime,
) -> Completeness:
    """Judge an answer about `sessions`; `rows` are ascending and may hold extended hours."""
    days = exchange_days(rows.ts)
    newest = int(days[-1]) if len(days) else 0
    whole, short = list[date](), list[Shortfall]()
    for session in sessions:
        ordinal = session.day.toordinal()
        opens = _regular(rows.ts[days == ordinal], session, timeframe)
        lack, detail = _lack(session, opens, timeframe, asked_at, was_last=ordinal >= newest)
        if lack is None:
            whole.append(session.day)
        else:
            short.append(Shortfall(symbol=symbol, day=session.day, lack=lack, detail=detail))
    return Completeness(whole=tuple(whole), short=tuple(short))


def _lack(
    session: Session,
    opens: Ints,
    timeframe: Timeframe,
    asked_at: datetime,
    *,
    was_last: bool,
) -> tuple[Lack | None, str]:
    if asked_at < session.closes_at + SETTLED_AFTER:
        return Lack.UNSETTLED, "the session was not settled when it was asked for"
    if not len(opens):
        return Lack.EMPTY, "the exchange was open, and there is not one bar"
    if was_last and timeframe is not Timeframe.DAY:
        end = session.bar_close(from_ns(opens[-1]), timeframe)
        if end < session.closes_at - _END_OF_TRADING:
            return Lack.ENDS_EARLY, (
                f"the last bar ends at {end:%H:%M} UTC, the close is {session.closes_at:%H:%M} UTC"
            )
    return None, ""


def _regular(ts: Ints, session: Session, timeframe: Timeframe) -> Ints:
    if timeframe is Timeframe.DAY:
        return ts
    length = int(timeframe.length.total_seconds()) * 1_000_000_000
    inside: Ints = ts[(ts < to_ns(session.closes_at)) & (ts + length > to_ns(session.opens_at))]
    return inside


def days_with_rows(rows: RawRows) -> frozenset[date]:
    """Return the exchange days of which there is at least one row."""
    return frozenset(date.fromordinal(int(day)) for day in np.unique(exchange_days(rows.ts)))
