"""Bars out of one file: which symbols, from which source, over which days.

Refuses rather than guesses: a symbol with two sources in the range asked for, or with raw and
adjusted rows, is `BadInput` that says what to add. Rows before the range come along, of the same
source, because a run warms up on them; rows after it do not.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.rows import RawRows, day_start_ns, exchange_days
from roboinvest.core.market.values import Timeframe
from tools.bars.table import BarTable, SeriesKey, read_table

_NS: Final = 1_000_000_000
_DAY_GAP_S: Final = (20 * 3600, 4 * 86_400)  # a day bar follows after one night or a weekend


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBars:
    """The rows of a choice of symbols, in order and unjudged."""

    path: Path
    rows: Mapping[str, RawRows]  # by symbol; up to the last day asked for, from the file's first
    keys: Mapping[str, SeriesKey]  # by symbol
    timeframe: Timeframe
    first: date  # exchange day, as asked for or the file's first
    last: date  # exchange day
    undated: int  # lines without a readable time, of any symbol of the choice


def load_bars(
    path: Path,
    *,
    symbols: Sequence[str] | None = None,
    source: str | None = None,
    first: date | None = None,
    last: date | None = None,
    mapping: Mapping[str, str] | None = None,
    timeframe: Timeframe | None = None,
) -> LoadedBars:
    """Return the rows of `symbols` (all of the file's by default) up to `last`.

    Raises:
        BadInput: the file, a symbol, the source or the range is wrong; the message says which.
    """
    only = symbols[0] if symbols and len(symbols) == 1 else None
    table = read_table(path, mapping=mapping, symbol=only)
    if not table.series:
        raise BadInput(f"{path} has no row with a readable time; the first says {_says(table)}.")
    names = tuple(sorted(set(symbols or table.symbols)))
    keys = {name: _choose(table, name, source, first, last) for name in names}
    rows = {name: _until(table.series[key].in_order(), last) for name, key in keys.items()}
    days = [exchange_days(each.ts) for each in rows.values()]
    return LoadedBars(
        path=path,
        rows=rows,
        keys=keys,
        timeframe=timeframe or _timeframe(path, list(rows.values())),
        first=first or date.fromordinal(int(min(each[0] for each in days))),
        last=last or date.fromordinal(int(max(each[-1] for each in days))),
        undated=sum(1 for line in table.undated if line.symbol in names),
    )


def read_vix(path: Path) -> dict[date, float]:
    """Return the closes of a daily VIX file by exchange day; a day without a close is left out.

    Raises:
        BadInput: the file is no file of bars, or holds several symbols and none is VIX.
    """
    table = read_table(path)
    symbol = table.symbols[0] if len(table.symbols) == 1 else "VIX"
    rows = load_bars(path, symbols=[symbol]).rows[symbol]
    closes = rows.values[3]
    known = np.isfinite(closes) & (closes > 0)
    days = exchange_days(rows.ts[known]).tolist()
    return {
        date.fromordinal(day): close
        for day, close in zip(days, closes[known].tolist(), strict=True)
    }


def infer_timeframe(ts: Ints) -> Timeframe | None:
    """Return the bar length from the gaps between sorted instants; None where they fit none."""
    gaps = np.diff(ts)
    gaps = gaps[gaps > 0] // _NS
    if not len(gaps):
        return None
    values, counts = np.unique(gaps, return_counts=True)
    by_seconds = {int(each.length.total_seconds()): each for each in Timeframe}
    for gap in (int(np.median(gaps)), int(values[counts.argmax()])):
        if gap in by_seconds:
            return by_seconds[gap]
        if _DAY_GAP_S[0] <= gap <= _DAY_GAP_S[1]:
            return Timeframe.DAY
    return None


def _timeframe(path: Path, rows: Sequence[RawRows]) -> Timeframe:
    """Return the one length that all the series have."""
    found = {infer_timeframe(each.ts) for each in rows if len(each) > 1}
    lengths = ", ".join(Timeframe)
    if len(found - {None}) > 1:
        given = ", ".join(sorted(each for each in found if each))
        raise BadInput(f"{path} mixes bars of {given}; choose symbols of one length.")
    only = next(iter(found), None)
    if only is None:
        raise BadInput(f"{path} holds bars of a length we cannot tell or do not run on: {lengths}.")
    return only


def _choose(
    table: BarTable, symbol: str, source: str | None, first: date | None, last: date | None
) -> SeriesKey:
    """Return the one series that a symbol, a source and a range mean."""
    known = [key for key in table.series if key.symbol == symbol]
    if not known:
        raise BadInput(_unknown(table, symbol))
    if source is not None:
        of_source = [key for key in known if key.source == source]
        if not of_source:
            named = ", ".join(sorted({key.source or "(unnamed)" for key in known}))
            raise BadInput(f"{symbol} has no source {source} in {table.path}; it has {named}.")
        known = of_source
    inside = [key for key in known if _holds(table.series[key], first, last)]
    if not inside:
        raise BadInput(_outside(table, known, symbol, first, last))
    sources = sorted({key.source for key in inside})
    if len(sources) > 1:
        raise BadInput(
            f"{symbol} comes from {len(sources)} sources in {table.path} "
            f"({', '.join(sources)}); name one with --source NAME."
        )
    if len(inside) > 1:
        raise BadInput(
            f"{symbol} has raw and adjusted rows of one source in {table.path}; "
            "give a file that holds one of the two."
        )
    return inside[0]


def _says(table: BarTable) -> str:
    return f"line {table.undated[0].line}: {table.undated[0].text}"


def _unknown(table: BarTable, symbol: str) -> str:
    by_upper = {name.upper(): name for name in table.symbols}
    near = difflib.get_close_matches(symbol.upper(), by_upper, n=3, cutoff=0.5)
    names = [by_upper[name] for name in near] or list(table.symbols[:10])
    kind = "the nearest it has" if near else "it has"
    return f"{table.path} has no symbol {symbol}; {kind}: {', '.join(names)}."


def _outside(
    table: BarTable,
    keys: Sequence[SeriesKey],
    symbol: str,
    first: date | None,
    last: date | None,
) -> str:
    days = np.concatenate([exchange_days(table.series[key].ts) for key in keys])
    begins, ends = (date.fromordinal(int(day)) for day in (days.min(), days.max()))
    return (
        f"{symbol} has no rows from {first or 'the start'} to {last or 'the end'} in "
        f"{table.path}; it has rows from {begins} to {ends}."
    )


def _holds(rows: RawRows, first: date | None, last: date | None) -> bool:
    days = exchange_days(rows.ts)
    inside = np.ones(len(rows), np.bool_)
    if first is not None:
        inside &= days >= first.toordinal()
    if last is not None:
        inside &= days <= last.toordinal()
    return bool(inside.any())


def _until(rows: RawRows, last: date | None) -> RawRows:
    if last is None:
        return rows
    end = day_start_ns(date.fromordinal(last.toordinal() + 1))
    return rows.between(int(rows.ts[0]), end)
