"""The bars of a backtest: from a file or the bar store, through the gate, beside their sessions.

The same rows as in a replay of the same file reach a strategy: good ones of regular hours. What was
set aside is counted and said, because a backtest on half the bars is another backtest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import BarSeries, Ints, to_ns
from roboinvest.core.market.findings import count_reasons
from roboinvest.core.market.quality import judge
from roboinvest.core.market.rows import RawRows, exchange_days
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from tools.bars.actions import KEPT_ACTIONS, read_actions
from tools.bars.files import LoadedBars, load_bars
from tools.bars.store import BarStore, load_store
from tools.calendar import ExchangeCalendar

WARM_UP_SESSIONS: Final = 5  # before the first day of an intraday run, as in a replay
COLUMNS: Final = (  # of `SessionBars`; a session's hours decide as prices do
    "ts", "closes_at", "day", "open", "high", "low", "close", "volume", "opens", "ends",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBars:
    """Everything that a backtest is told about the market."""

    bars: Mapping[str, SessionBars]  # by symbol, sorted; warm-up rows first
    timeframe: Timeframe
    actions: tuple[CorporateAction, ...]  # of symbols whose prices are raw
    adjusted: frozenset[str]  # symbols whose prices are on today's side of every split
    first: date  # first exchange day with decisions
    last: date
    source: str  # the file's or folder's name, for people
    rows: int  # of regular hours, good or bad
    set_aside: Mapping[str, int]  # reason -> rows; remarks on rows that are used included
    digest: str  # sha256 of what a strategy can see
    finer: Mapping[str, SessionBars] = field(default_factory=dict)  # shorter bars, see `load_finer`


def load_run_bars(
    path: Path,
    calendar: ExchangeCalendar,
    *,
    symbols: Sequence[str] | None = None,
    source: str | None = None,
    first: date | None = None,
    last: date | None = None,
    actions_path: Path | None = None,
    timeframe: Timeframe | None = None,
) -> RunBars:
    """Return the bars of `path`, a file or a store, from `first` to `last` with their warm-up.

    Raises:
        BadInput: the file, a symbol, the source or the range is wrong, or has no good bar.
    """
    if path.is_dir():
        loaded = load_store(path, symbols=symbols, first=first, last=last, timeframe=timeframe)
    else:
        loaded = load_bars(path, symbols=symbols, source=source, first=first, last=last)
    sessions = _sessions(loaded, calendar)
    actions = _actions(path, actions_path, calendar, loaded)
    bars, rows, reasons = dict[str, SessionBars](), 0, dict[str, int]()
    for symbol in sorted(loaded.rows):
        mine = [action for action in actions if action.symbol == symbol]
        bars[symbol], seen, found = good_bars(
            symbol, loaded.rows[symbol], sessions, loaded.timeframe, mine
        )
        if not len(bars[symbol]):
            raise BadInput(
                f"{path} has {len(loaded.rows[symbol])} rows of {symbol} and no good bar of "
                f"regular hours from {loaded.first} to {loaded.last}; look: roboinvest data check"
            )
        rows += seen
        for reason, count in found.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return RunBars(
        bars=among(bars),
        timeframe=loaded.timeframe,
        actions=tuple(actions),
        adjusted=frozenset(s for s, key in loaded.keys.items() if key.adjusted),
        first=loaded.first,
        last=loaded.last,
        source=f"{path.name}{f' ({source})' if source else ''}",
        rows=rows,
        set_aside=dict(sorted(reasons.items())),
        digest=digest_of(bars),
    )


def load_finer(path: Path, run: RunBars, calendar: ExchangeCalendar) -> dict[str, SessionBars]:
    """Return the shortest bars that a store holds of a run's symbols, where shorter than the run's.

    They decide bars that cannot tell whether stop or target came first; a file has none.
    """
    if not path.is_dir():
        return {}
    sessions, found = list(calendar.sessions(run.first, run.last)), dict[str, SessionBars]()
    store = BarStore(path)
    held = sorted(store.ls(), key=lambda each: each.timeframe.length, reverse=True)
    for each in held:
        # On another scale the run's levels would mean nothing.
        is_same_scale = each.adjusted == (each.symbol in run.adjusted)
        is_shorter = each.timeframe.length < run.timeframe.length
        if each.symbol in run.bars and is_shorter and is_same_scale:
            rows = store.read(each.symbol, each.timeframe, run.first, run.last)
            mine = [action for action in run.actions if action.symbol == each.symbol]
            bars, _, _ = good_bars(each.symbol, rows, sessions, each.timeframe, mine)
            if len(bars):  # shorter ones of other days do not hide these
                found[each.symbol] = bars
    return found


def digest_of(bars: Mapping[str, SessionBars]) -> str:
    """Return the sha256 of every bar and its session, by symbol."""
    digest = hashlib.sha256()
    for symbol in sorted(bars):
        digest.update(f"|{symbol}|{len(bars[symbol])}|".encode())
        each = bars[symbol]
        for name in COLUMNS:
            digest.update(getattr(each, name).tobytes())
    return digest.hexdigest()


def _sessions(loaded: LoadedBars, calendar: ExchangeCalendar) -> list[Session]:
    """Return the sessions that bars are taken from: the run's, and some before it to warm up."""
    earliest = min((int(rows.ts[0]) for rows in loaded.rows.values() if len(rows)), default=None)
    if earliest is None:
        raise BadInput(f"{loaded.path} has no bars; give a file with bars")
    begin = date.fromordinal(int(exchange_days(np.array([earliest]))[0]))
    if loaded.timeframe is not Timeframe.DAY:
        before = calendar.sessions(begin, loaded.first - timedelta(days=1))
        begin = before[-WARM_UP_SESSIONS:][0].day if before else loaded.first
    return list(calendar.sessions(begin, loaded.last))


def _actions(
    path: Path, given: Path | None, calendar: ExchangeCalendar, loaded: LoadedBars
) -> list[CorporateAction]:
    """Return the actions of raw symbols: of the file named, or of the store's own."""
    kept = path / KEPT_ACTIONS
    chosen = given or (kept if path.is_dir() and kept.is_file() else None)
    if chosen is None:
        return []
    raw = [symbol for symbol, key in loaded.keys.items() if not key.adjusted]
    return list(read_actions(chosen, calendar, raw))


def good_bars(
    symbol: str,
    rows: RawRows,
    sessions: Sequence[Session],
    timeframe: Timeframe,
    actions: Sequence[CorporateAction] = (),
) -> tuple[SessionBars, int, Mapping[str, int]]:
    """Return a symbol's good bars, the rows of regular hours, and what the gate remarked.

    `sessions` are sorted; rows on other days are left out.
    """
    regular, closes = _regular(rows, sessions, timeframe)
    judged = judge(regular, actions=actions)
    good = judged.good
    kept, closed = judged.rows.take(good), closes[good]
    opened, high, low, close, volume = np.ascontiguousarray(kept.values)
    series = BarSeries(
        symbol=symbol,
        ts=kept.ts,
        closes_at=closed,
        day=exchange_days(kept.ts),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=np.nan_to_num(volume),  # none given is none traded
    )
    return SessionBars.of(series, sessions), len(regular), count_reasons(judged.verdicts)


def _regular(
    rows: RawRows, sessions: Sequence[Session], timeframe: Timeframe
) -> tuple[RawRows, Ints]:
    """Return the rows of regular hours, in order, and when each is closed."""
    rows = rows.in_order()
    days = np.array([session.day.toordinal() for session in sessions], dtype=np.int64)
    opens = np.array([to_ns(session.opens_at) for session in sessions], dtype=np.int64)
    ends = np.array([to_ns(session.closes_at) for session in sessions], dtype=np.int64)
    day = exchange_days(rows.ts)
    at = np.minimum(np.searchsorted(days, day), max(len(days) - 1, 0))
    inside = (days[at] == day) if len(days) else np.zeros(len(rows), np.bool_)
    closes: Ints = ends[at] if len(days) else np.zeros(len(rows), np.int64)
    if timeframe is not Timeframe.DAY and len(days):
        length = int(timeframe.length.total_seconds()) * 1_000_000_000
        inside &= (rows.ts < ends[at]) & (rows.ts + length > opens[at])
        closes = np.minimum(rows.ts + length, closes)
    return rows.take(inside), closes[inside]


def span(bars: Mapping[str, SessionBars]) -> tuple[date, date]:
    """Return the first and the last exchange day on which there is a bar."""
    first = min(int(each.day[0]) for each in bars.values() if len(each))
    last = max(int(each.day[-1]) for each in bars.values() if len(each))
    return date.fromordinal(first), date.fromordinal(last)
