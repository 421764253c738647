"""What is known of a live market: minute bars as they came in, the holes, and what went before.

Those who bring bars (the stream, the questions about holes) and those who read them (feeds) meet
here and nowhere else. Of one minute the first bar counts, because it may have been traded on. The
book holds the bars of one exchange day; what went before comes whole, as a `Preparation`.
Everything runs on one loop; nothing here waits for the outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints, to_ns
from roboinvest.core.market.rows import RawRows, day_start_ns
from roboinvest.core.market.values import CorporateAction
from roboinvest.core.ports import Clock

MINUTE_NS: Final = 60_000_000_000
_DAY: Final = timedelta(days=1)
_Cells = tuple[tuple[float, ...], bool]  # the five values, and whether one is no number


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a session needs to be known before its first bar."""

    day: date  # exchange day of the session
    history: Mapping[str, RawRows]  # symbol -> rows of the sessions before, oldest first
    actions: tuple[CorporateAction, ...]  # in force from the first day of history to `day`


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A span of which a symbol's bars may be missing here although the market had them."""

    from_ns: int  # the first bar that may be missing opens then or later
    until_ns: int | None  # bars that open from here on come by stream; None: the stream is away
    noted_at: float  # monotonic seconds


class MinuteBook:
    """The bars of the current exchange day by symbol."""

    def __init__(self, symbols: Sequence[str], clock: Clock) -> None:
        """Start empty, with a hole over everything: nothing is known."""
        self.symbols = tuple(sorted(symbols))
        self.preparation: Preparation | None = None
        self.stream_since: datetime | None = None  # UTC; None: the stream is away
        self._clock = clock
        self._rows: dict[str, dict[int, _Cells]] = {symbol: {} for symbol in self.symbols}
        self._holes: dict[str, Hole] = {}
        self._changed = asyncio.Event()
        self.stream_is_down(clock.now())

    def add(self, symbol: str, rows: RawRows) -> int:
        """Take bars in; return how many were not known. Other symbols are none of ours."""
        known = self._rows.get(symbol)
        if known is None:
            return 0
        before = len(known)
        for ts, cells, bad in zip(
            rows.ts.tolist(), rows.values.T.tolist(), rows.unreadable.tolist(), strict=True
        ):
            known.setdefault(ts, (tuple(cells), bad))
        fresh = len(known) - before
        if fresh:
            self._tell()
        return fresh

    def rows(self, symbol: str, day: date) -> RawRows:
        """Return what is known of a symbol's exchange day, by time."""
        known = self._rows[symbol]
        start, end = day_start_ns(day), day_start_ns(day + _DAY)
        times = sorted(ts for ts in known if start <= ts < end)
        if not times:
            return RawRows.none()
        ts: Ints = np.array(times, np.int64)
        return RawRows(
            ts=ts,
            values=np.array([known[each][0] for each in times]).T.reshape(5, len(times)),
            unreadable=np.array([known[each][1] for each in times]),
            line=np.zeros(len(times), np.int64),
        )

    def newest(self, symbol: str) -> int | None:
        """Return when the newest bar of a symbol opened, ns since the epoch."""
        return max(self._rows[symbol], default=None)

    def hole(self, symbol: str) -> Hole | None:
        """Return the hole of a symbol."""
        return self._holes.get(symbol)

    def stream_is_up(self, at: datetime) -> None:
        """Note that from now on bars come by stream."""
        self.stream_since = at
        until = to_ns(at) // MINUTE_NS * MINUTE_NS
        self._holes = {
            symbol: replace(hole, until_ns=until) for symbol, hole in self._holes.items()
        }
        self._tell()

    def stream_is_down(self, at: datetime) -> None:
        """Note that no bars come by stream; what was missing already stays missing."""
        self.stream_since = None
        begin = to_ns(at) // MINUTE_NS * MINUTE_NS
        for symbol in self.symbols:
            held = self._holes.get(symbol)
            newest = self.newest(symbol)
            start = begin if newest is None else min(begin, newest + MINUTE_NS)
            self._holes[symbol] = Hole(
                from_ns=start if held is None else min(start, held.from_ns),
                until_ns=None,
                noted_at=self._clock.monotonic() if held is None else held.noted_at,
            )
        self._tell()

    def suspect(self, symbol: str) -> None:
        """Note that a symbol has been silent for so long that the vendor should be asked."""
        if symbol not in self._holes:
            newest = self.newest(symbol)
            now = to_ns(self._clock.now()) // MINUTE_NS * MINUTE_NS
            start = now if newest is None else newest + MINUTE_NS
            self._holes[symbol] = Hole(
                from_ns=start, until_ns=now, noted_at=self._clock.monotonic()
            )

    def mend(self, symbol: str) -> None:
        """Note that all that there is of a symbol's hole is here."""
        self._holes.pop(symbol, None)
        self._tell()

    def prepare(self, preparation: Preparation) -> None:
        """Take what a session needs, and forget the bars of the days before it."""
        start = day_start_ns(preparation.day)
        for known in self._rows.values():
            for ts in [ts for ts in known if ts < start]:
                del known[ts]
        self.preparation = preparation
        self._tell()

    async def change(self) -> None:
        """Return when something has changed."""
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
