"""Pages of aggregates into rows, each page held to what was asked.

A vendor's page can be cut off, belong to another symbol, lie outside of the range, run backwards or
point to itself for ever, all with status 200. Each of these is `Incomplete`; a cell that is no
number is not, because that is a row's own fault and the quality gate's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from roboinvest.core.market.bars import FIELDS, Floats
from roboinvest.core.market.rows import RawRows, day_start_ns
from roboinvest.core.market.values import Timeframe
from tools.data_fetcher.failures import Incomplete
from tools.data_fetcher.polygon.client import Body

PAGE_SIZE: Final = 50_000  # base aggregates, the most the vendor gives: minutes, or days
MAX_PAGES: Final = 12  # of one question; ours are cut so that one page is enough
UNITS: Final[dict[Timeframe, tuple[int, str]]] = {
    Timeframe.MINUTE: (1, "minute"),
    Timeframe.MINUTES_5: (5, "minute"),
    Timeframe.MINUTES_15: (15, "minute"),
    Timeframe.HOUR: (1, "hour"),
    Timeframe.DAY: (1, "day"),
}
_CELLS: Final = ("o", "h", "l", "c", "v")  # the vendor's names of FIELDS
_NS_PER_MS: Final = 1_000_000
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which bars were asked for."""

    symbol: str
    timeframe: Timeframe
    first: date  # exchange day
    last: date  # included

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} from {self.first} to {self.last}"


class PagedRows:
    """The answer to one question as it comes in, page by page."""

    def __init__(self, question: Question, *, max_pages: int = MAX_PAGES) -> None:
        self._asked = question
        self._max_pages = max_pages
        self._start = day_start_ns(question.first)
        self._end = day_start_ns(question.last + _DAY)
        self._parts: list[RawRows] = []
        self._followed: set[str] = set()
        self._newest = -1  # ns since the epoch, of all pages so far
        self.pages = 0

    def add(self, body: Body) -> str | None:
        """Take a page in; return the address of the next one, None after the last.

        Raises:
            Incomplete: the page cannot be a part of the answer.
        """
        self.pages += 1
        results = self._results(body)
        if results:
            self._parts.append(self._rows(results))
        next_url = body.get("next_url")
        if next_url is None:
            return None
        if not isinstance(next_url, str) or not results or next_url in self._followed:
            raise self._incomplete("its pages lead nowhere")
        if self.pages >= self._max_pages:
            raise self._incomplete(f"its pages do not end after {self._max_pages}")
        self._followed.add(next_url)
        return next_url

    def rows(self) -> RawRows:
        """Return all rows so far, ascending."""
        if not self._parts:
            return RawRows.none()
        return RawRows(
            ts=np.concatenate([part.ts for part in self._parts]),
            values=np.concatenate([part.values for part in self._parts], axis=1),
            unreadable=np.concatenate([part.unreadable for part in self._parts]),
            line=np.concatenate([part.line for part in self._parts]),
        )

    def _results(self, body: Body) -> Sequence[Any]:
        results = body.get("results", [])
        if not isinstance(results, list):
            raise self._incomplete("its results are no list")
        count = body.get("resultsCount", len(results))
        if count != len(results):
            raise self._incomplete(f"it announces {count} rows and has {len(results)}")
        ticker = body.get("ticker", self._asked.symbol)
        if ticker != self._asked.symbol:
            raise self._incomplete(f"it is about {str(ticker)[:20]}")
        if body.get("adjusted", False) is not False:
            raise self._incomplete("its prices are adjusted, and raw ones were asked for")
        return results

    def _rows(self, results: Sequence[Any]) -> RawRows:
        try:
            ts = np.array([int(row["t"]) for row in results], np.int64) * _NS_PER_MS
        except (TypeError, KeyError, ValueError, OverflowError):
            raise self._incomplete("a row has no time") from None
        if ts[0] < self._start or ts[-1] >= self._end:
            raise self._incomplete("it has rows of other days")
        if ts[0] <= self._newest or (np.diff(ts) <= 0).any():
            raise self._incomplete("its rows are not in order")
        self._newest = int(ts[-1])
        values, unreadable = _cells(results)
        return RawRows(
            ts=ts, values=values, unreadable=unreadable, line=np.zeros(len(ts), np.int64)
        )

    def _incomplete(self, fact: str) -> Incomplete:
        return Incomplete(f"the answer for {self._asked} is not whole: {fact}; try again")


def _cells(results: Sequence[Any]) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return (5, n) values, NaN where a cell is absent, and which rows hold what is no number."""
    values = np.full((len(FIELDS), len(results)), np.nan)
    unreadable = np.zeros(len(results), np.bool_)
    for place, name in enumerate(_CELLS):
        column = [row.get(name) for row in results]
        for index, cell in enumerate(column):
            if isinstance(cell, int | float) and not isinstance(cell, bool):
                values[place, index] = cell
            elif cell is not None:
                unreadable[index] = True
    return values, unreadable
