"""Bars on disk: one parquet file a symbol, bar length and year.

Kept is what the vendor sent, unadjusted, of rows that are sound; what the gate sets aside goes to
a file beside them, with its reason, and is never mended. Rows after a jump that only a missing
corporate action explains are kept: whether to trust them is decided when they are read, with the
actions known then. A series has one source: a second is refused, as a mixture cannot be undone.

A file is written beside its place and moved there, so that a reader never sees half of one.
Everything here waits for the disk: call it from a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints, from_ns
from roboinvest.core.market.findings import BIT, QUARANTINE, Reason, count_reasons
from roboinvest.core.market.quality import judge
from roboinvest.core.market.rows import RawRows, day_start_ns, exchange_days
from roboinvest.core.market.values import Timeframe
from tools.bars.files import LoadedBars, infer_timeframe
from tools.bars.parquet import count_rows, read_year, write_quarantine, write_year
from tools.bars.table import BarTable, SeriesKey

_ASIDE: Final = "quarantined"  # the folder beside the years
_KEPT: Final = BIT[Reason.UNEXPLAINED_JUMP]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """What the store holds of one symbol in one bar length."""

    symbol: str
    timeframe: Timeframe
    source: str
    adjusted: bool
    rows: int
    quarantined: int  # rows kept aside
    first: datetime  # UTC, the first bar's open
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import of one series did."""

    symbol: str
    timeframe: Timeframe
    rows: int  # read
    added: int  # bars the store did not have
    replaced: int  # bars it had with other figures
    quarantined: int  # rows set aside, also when they were aside already
    by_reason: Mapping[str, int]  # reason -> rows, remarks included


class BarStore:
    """A folder of bars."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which need not exist yet."""
        self.folder = folder

    def add(self, table: BarTable, *, timeframe: Timeframe | None = None) -> list[Imported]:
        """Take in a file's series; adding the same file again changes nothing.

        Raises:
            BadInput: a bar length cannot be told, or a symbol would come from two sources;
                nothing of the file was written.
            BadSettings: the folder cannot be written.
        """
        lengths = {key: timeframe or _length(key, rows) for key, rows in table.series.items()}
        _refuse_mixture(table)
        for key, length in lengths.items():
            self._refuse_other_source(key, length)
        return [
            self._add_series(key, lengths[key], rows) for key, rows in sorted(table.series.items())
        ]

    def read(
        self, symbol: str, timeframe: Timeframe, first: date | None = None, last: date | None = None
    ) -> RawRows:
        """Return the bars of exchange days `first` to `last`, oldest first; none if unknown."""
        begin, end = first or date.min, last or date.max
        years = [
            read_year(path)[1]
            for path in self._years(symbol, timeframe)
            if begin.year <= int(path.stem) <= end.year
        ]
        rows = _joined(years)
        days = exchange_days(rows.ts)
        return rows.take((days >= begin.toordinal()) & (days <= end.toordinal()))

    def ls(self) -> list[StoredSeries]:
        """Return what is held, by symbol then bar length."""
        return [self._describe(symbol, timeframe) for symbol, timeframe in self._held()]

    def _add_series(self, key: SeriesKey, timeframe: Timeframe, rows: RawRows) -> Imported:
        judged = judge(rows)
        aside = (judged.verdicts & (QUARANTINE & ~_KEPT)) != 0
        added, replaced = self._merge(key, timeframe, judged.rows.take(~aside))
        if aside.any():
            folder = self._folder(key.symbol, timeframe) / _ASIDE
            write_quarantine(folder, key, judged.rows.take(aside), judged.verdicts[aside])
        return Imported(
            symbol=key.symbol,
            timeframe=timeframe,
            rows=len(rows),
            added=added,
            replaced=replaced,
            quarantined=int(np.count_nonzero(aside)),
            by_reason=count_reasons(judged.verdicts),
        )

    def _merge(self, key: SeriesKey, timeframe: Timeframe, rows: RawRows) -> tuple[int, int]:
        """Put good rows into their years; return how many were added and how many replaced."""
        added = replaced = 0
        folder = self._folder(key.symbol, timeframe)
        for year, part in _by_year(rows):
            path = folder / f"{year}.parquet"
            known = read_year(path)[1] if path.exists() else RawRows.none()
            merged, fresh, changed = _merged(known, part)
            if fresh or changed:
                write_year(path, key, merged)
            added, replaced = added + fresh, replaced + changed
        return added, replaced

    def _refuse_other_source(self, key: SeriesKey, timeframe: Timeframe) -> None:
        for path in self._years(key.symbol, timeframe)[:1]:
            held, _ = read_year(path)
            if held != key:
                raise BadInput(
                    f"{key.symbol} {timeframe} in {self.folder} is {_kind(held)} and the file's is "
                    f"{_kind(key)}; remove {path.parent} first or import into another folder."
                )

    def _describe(self, symbol: str, timeframe: Timeframe) -> StoredSeries:
        years = self._years(symbol, timeframe)
        key, first = read_year(years[0])
        _, last = read_year(years[-1])
        return StoredSeries(
            symbol=symbol,
            timeframe=timeframe,
            source=key.source,
            adjusted=key.adjusted,
            rows=sum(count_rows(path) for path in years),
            quarantined=sum(
                count_rows(path) for path in (years[0].parent / _ASIDE).glob("*.parquet")
            ),
            first=from_ns(first.ts[0]),
            last=from_ns(last.ts[-1]),
        )

    def _held(self) -> Iterator[tuple[str, Timeframe]]:
        for folder in sorted(self.folder.glob("*")):
            for timeframe in Timeframe:
                if self._years(unquote(folder.name), timeframe):
                    yield unquote(folder.name), timeframe

    def _years(self, symbol: str, timeframe: Timeframe) -> list[Path]:
        return sorted(self._folder(symbol, timeframe).glob("[0-9][0-9][0-9][0-9].parquet"))

    def _folder(self, symbol: str, timeframe: Timeframe) -> Path:
        name = quote(symbol, safe="")
        if name in ("", ".", ".."):
            raise BadInput(f"{symbol!r} is no symbol; give one such as SPY or BTC/USD.")
        return self.folder / name / timeframe.value


def load_store(
    folder: Path,
    *,
    symbols: Sequence[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    timeframe: Timeframe | None = None,
) -> LoadedBars:
    """Return the rows that a store holds of `symbols` (all by default) up to `last`.

    `timeframe` chooses where symbols are held in several bar lengths.

    Raises:
        BadInput: the store is empty, has no such symbol or no rows in the range, or holds the
            symbols in more than one bar length.
    """
    store = BarStore(folder)
    fitting = [each for each in store.ls() if timeframe in (None, each.timeframe)]
    held = [each for each in fitting if symbols is None or each.symbol in symbols]
    absent = sorted(set(symbols or ()) - {each.symbol for each in held})
    if absent or not held:
        has = ", ".join(f"{each.symbol} {each.timeframe}" for each in store.ls()) or "nothing"
        raise BadInput(
            f"{folder} has no bars of {', '.join(absent) or 'any symbol'}; it has {has}; "
            "fill it: roboinvest data import"
        )
    lengths = {each.timeframe for each in held}
    if len(lengths) > 1:
        raise BadInput(
            f"{folder} holds these symbols as {', '.join(sorted(lengths))}; "
            "name symbols of one length with --symbols, or, for a backtest, give --timeframe"
        )
    (length,) = lengths
    rows = {each.symbol: store.read(each.symbol, length, None, last) for each in held}
    begins, ends = min(each.first for each in held), max(each.last for each in held)
    loaded = LoadedBars(
        path=folder,
        rows=rows,
        keys={
            each.symbol: SeriesKey(symbol=each.symbol, source=each.source, adjusted=each.adjusted)
            for each in held
        },
        timeframe=length,
        first=first or begins.date(),
        last=last or ends.date(),
        undated=0,
    )
    for symbol, found in rows.items():
        if not len(found) or found.ts[-1] < day_start_ns(loaded.first):
            raise BadInput(
                f"{folder} has no bars of {symbol} from {loaded.first} to {loaded.last}; "
                f"it has {begins.date()} to {ends.date()}"
            )
    return loaded


def _length(key: SeriesKey, rows: RawRows) -> Timeframe:
    found = infer_timeframe(rows.in_order().ts)
    if found is None:
        raise BadInput(
            f"The length of the {len(rows)} bars of {key.symbol} cannot be told from their times; "
            f"give it, one of {', '.join(Timeframe)}."
        )
    return found


def _refuse_mixture(table: BarTable) -> None:
    seen: dict[str, SeriesKey] = {}
    for key in sorted(table.series):
        other = seen.setdefault(key.symbol, key)
        if other != key:
            raise BadInput(
                f"{table.path} has {key.symbol} twice: {_kind(other)} and {_kind(key)}; "
                "import one with --source NAME."
            )


def _kind(key: SeriesKey) -> str:
    return f"{'adjusted' if key.adjusted else 'raw'} from {key.source or 'an unnamed source'}"


def _by_year(rows: RawRows) -> Iterator[tuple[int, RawRows]]:
    """Yield the rows of each year of exchange days; the rows must be in order."""
    if not len(rows):
        return
    first, last = (date.fromordinal(int(day)).year for day in exchange_days(rows.ts[[0, -1]]))
    for year in range(first, last + 1):
        begin = day_start_ns(date(year, 1, 1))
        part = rows.between(begin, day_start_ns(date(year, 12, 31) + timedelta(days=1)))
        if len(part):
            yield year, part


def _merged(known: RawRows, fresh: RawRows) -> tuple[RawRows, int, int]:
    """Return both together, the fresh row where the two differ, and what is new and changed."""
    both = _joined([fresh, known])
    order = np.argsort(both.ts, kind="stable")  # of one time, the fresh row comes first
    both = both.take(order)
    again = np.zeros(len(both), np.bool_)
    again[1:] = both.ts[1:] == both.ts[:-1]
    changed = int(np.count_nonzero(again & ~both.same_as_before()))
    merged = both.take(~again)
    return merged, len(merged) - len(known), changed


def _joined(parts: Sequence[RawRows]) -> RawRows:
    if not parts:
        return RawRows.none()
    ts: Ints = np.concatenate([part.ts for part in parts])
    return RawRows.of(ts, np.concatenate([part.values for part in parts], axis=1))
