"""A column of times, in whatever form a vendor wrote it, as nanoseconds since the epoch.

Read are ISO 8601 with or without offset, epoch numbers in s, ms, us or ns, and the usual written
dates; a time without an offset is UTC. A column that holds nothing but midnights is a column of
dates: those become midnight in New York, the stamp that vendors give day bars, whatever offset was
written beside them. Where 01/02/2017 could be read both ways and no row decides, it is January 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roboinvest.core.market.bars import Ints, to_ns
from roboinvest.core.market.rows import Flags

_NEW_YORK: Final = ZoneInfo("America/New_York")
_DAY_US: Final = 86_400_000_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EARLIEST_US: Final = to_ns(datetime(1900, 1, 1, tzinfo=UTC)) // 1000
_LATEST_US: Final = to_ns(datetime(2200, 1, 1, tzinfo=UTC)) // 1000
_DATES: Final = (
    "%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y", "%Y/%m/%d", "%d.%m.%Y", "%d-%b-%Y",
    "%d-%b-%y", "%b %d, %Y", "%d %b %Y",
)  # fmt: skip
_TIMES: Final = ("", " %H:%M", " %H:%M:%S")
_MIDNIGHT: Final = r"^\d{4}-\d{2}-\d{2}([ T]00:00(:00(\.0+)?)?)?(Z|[+-]\d{2}:?\d{2})?$"
_LARGEST: Final = 9.2e18  # an int64 holds it
_EPOCH: Final = r"^\d{9,19}(\.\d+)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """What a column of times says."""

    ts: Ints  # (n,) ns since the epoch; 0 where it could not be read
    readable: Flags  # (n,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """Microseconds, and the wall clock beside them where the two differ."""

    utc_us: Ints
    readable: Flags
    wall_us: Ints  # without offset


def parse_instants(column: pa.ChunkedArray) -> Instants:
    """Return the instants of a column of strings, numbers, dates or timestamps."""
    parsed = _within_reason(_parse(_one_array(column)))
    wall = parsed.wall_us[parsed.readable]
    if len(wall) and not (wall % _DAY_US).any():
        return Instants(ts=_new_york_midnights(parsed), readable=parsed.readable)
    return Instants(ts=np.where(parsed.readable, parsed.utc_us * 1000, 0), readable=parsed.readable)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column


def _parse(column: pa.Array) -> _Parsed:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _of_us(column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()))
    if pa.types.is_date(kind):
        return _of_us(column.cast(pa.timestamp("us")).cast(pa.int64()))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _of_epoch(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _of_text(pc.utf8_trim_whitespace(column))
    return _unread(len(column))


def _unread(n: int) -> _Parsed:
    zero = np.zeros(n, np.int64)
    return _Parsed(utc_us=zero, wall_us=zero, readable=np.zeros(n, np.bool_))


def _of_us(column: pa.Array) -> _Parsed:
    us = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    readable = column.is_valid().to_numpy(zero_copy_only=False)
    return _Parsed(utc_us=us, wall_us=us, readable=readable)


def _within_reason(parsed: _Parsed) -> _Parsed:
    """Take times outside 1900 to 2200 for unread: they come of a wrong unit or a wrong format."""
    sane = (parsed.utc_us >= _EARLIEST_US) & (parsed.utc_us < _LATEST_US)
    readable = parsed.readable & sane
    return _Parsed(utc_us=parsed.utc_us, wall_us=parsed.wall_us, readable=readable)


def _of_epoch(column: pa.Array) -> _Parsed:
    """Read numbers: the unit follows from the size, and 20140606 is a date."""
    given = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    given &= np.abs(numbers) < _LARGEST  # NaN and infinity are not
    if not given.any():
        return _unread(len(column))
    size = float(np.median(np.abs(numbers[given])))
    if 19_000_101 <= size <= 22_000_101:
        return _of_text(pc.cast(pc.cast(column, pa.int64(), safe=False), pa.string()))
    whole = np.where(given, numbers, 0)
    if size >= 1e17:
        us = whole.astype(np.int64) // 1000
    elif size >= 1e14:
        us = whole.astype(np.int64)
    else:
        us = np.round(whole * (1e3 if size >= 1e11 else 1e6)).astype(np.int64)
    return _Parsed(utc_us=us, wall_us=us, readable=given)


def _of_text(column: pa.Array) -> _Parsed:
    """Read strings: whole columns of ISO at once, anything else by what reads most rows."""
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            parsed = _of_us(pc.cast(column, kind).cast(pa.int64()))
        except pa.ArrowInvalid:
            continue
        midnights = pc.all(pc.match_substring_regex(column, _MIDNIGHT)).as_py()
        return _as_written(parsed, column) if midnights else parsed
    readers: Sequence[Callable[[pa.Array], _Parsed]] = (_cells, _epoch_text, _written)
    readings = [read(column) for read in readers]
    return max(readings, key=lambda reading: np.count_nonzero(_within_reason(reading).readable))


def _as_written(parsed: _Parsed, column: pa.Array) -> _Parsed:
    wall = _of_us(pc.cast(pc.utf8_slice_codeunits(column, 0, 10), pa.timestamp("us")).cast("int64"))
    return _Parsed(utc_us=parsed.utc_us, wall_us=wall.utc_us, readable=parsed.readable)


def _cells(column: pa.Array) -> _Parsed:
    """Read ISO cell by cell, so that one bad cell costs one row."""
    parsed = _unread(len(column))
    wall_us = np.zeros(len(column), np.int64)
    for place, cell in enumerate(column.to_pylist()):
        try:
            instant = datetime.fromisoformat(cell or "")
        except ValueError:
            continue
        wall = instant.replace(tzinfo=UTC)
        parsed.utc_us[place] = to_ns(instant if instant.tzinfo else wall) // 1000
        wall_us[place] = to_ns(wall) // 1000
        parsed.readable[place] = True
    return _Parsed(utc_us=parsed.utc_us, wall_us=wall_us, readable=parsed.readable)


def _epoch_text(column: pa.Array) -> _Parsed:
    numbers = pc.if_else(pc.match_substring_regex(column, _EPOCH), column, None)
    return _of_epoch(pc.cast(numbers, pa.float64()))


def _written(column: pa.Array) -> _Parsed:
    """Read with the one written format that reads most rows."""
    best, most = _unread(len(column)), 0
    for form in (day + clock for clock in _TIMES for day in _DATES):
        seconds = pc.strptime(column, format=form, unit="s", error_is_null=True)
        found = _within_reason(_of_us(pc.multiply(seconds.cast(pa.int64()), 1_000_000)))
        count = int(np.count_nonzero(found.readable))
        if count > most:
            best, most = found, count
    return best


def _new_york_midnights(parsed: _Parsed) -> Ints:
    ts = np.zeros(len(parsed.readable), np.int64)
    days, place = np.unique(parsed.wall_us[parsed.readable] // _DAY_US, return_inverse=True)
    stamps = [
        to_ns(datetime.combine(date.fromordinal(day + _EPOCH_ORDINAL), time(), _NEW_YORK))
        for day in days.tolist()
    ]
    ts[parsed.readable] = np.array(stamps, np.int64)[place]
    return ts
