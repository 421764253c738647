"""A file's rows by symbol and source, before a single one is judged.

A cell that is no number marks its row unreadable, and a line without a readable time is kept
apart; neither stops the file. One symbol may come from several sources, raw or adjusted: those are
separate series from here on, because mixing them is the one mistake no gate can see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import FIELDS, Floats, Ints
from roboinvest.core.market.rows import Flags, RawRows
from tools.bars.readers import EMPTY_CELLS, ReadColumns, read_columns
from tools.bars.timestamps import parse_instants


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SeriesKey:
    """What must not be mixed: one symbol from one source, raw or adjusted."""

    symbol: str
    source: str  # empty where the file does not say
    adjusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Undated:
    """A line that has no readable time, or not the columns of a bar."""

    symbol: str
    line: int  # 0 where the format has no lines
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarTable:
    """A file's rows, each series in the order of the file."""

    path: Path
    series: Mapping[SeriesKey, RawRows]
    undated: tuple[Undated, ...]

    @property
    def rows(self) -> int:
        """Return how many rows the file holds, readable or not."""
        return sum(len(rows) for rows in self.series.values()) + len(self.undated)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, sorted."""
        return tuple(sorted({key.symbol for key in self.series}))

    def only(self, source: str | None) -> BarTable:
        """Return the series of one source; all of them for None.

        Raises:
            BadInput: the file has nothing from it.
        """
        if source is None:
            return self
        chosen = {key: rows for key, rows in self.series.items() if key.source == source}
        if not chosen:
            known = sorted({key.source for key in self.series if key.source})
            has = ", ".join(known) or "no sources"
            raise BadInput(f"{self.path} has nothing from {source!r}; it has {has}")
        return BarTable(path=self.path, series=chosen, undated=self.undated)


def read_table(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    symbol: str | None = None,
) -> BarTable:
    """Return the rows of a file.

    `mapping` says which column is which where the names do not; `symbol` names what a file without
    a symbol column holds, else its file name does.

    Raises:
        BadInput: there is no such file, or it is no file of bars.
    """
    read = read_columns(path, mapping or {})
    default = symbol or symbol_in(path)
    instants = parse_instants(read.columns["ts"])
    values, unreadable = _numbers(read)
    rows = RawRows(ts=instants.ts, values=values, unreadable=unreadable, line=read.line)
    keys, place = _series_of(read, default)
    lost = ~instants.readable & ~_blank(read)
    table = BarTable(
        path=path,
        series=_grouped(rows.take(instants.readable), keys, place[instants.readable]),
        undated=(
            *_without_time(read, [keys[at].symbol for at in place[lost].tolist()], lost),
            *(Undated(symbol=default, line=line, text=text[:80]) for line, text in read.misshapen),
        ),
    )
    if not table.rows:
        raise BadInput(f"{path} has a header and no rows; give a file with rows.")
    return table


def symbol_in(path: Path) -> str:
    """Return the symbol a file's name begins with: SPY of spy_2011.csv."""
    stem = re.sub(r"\.(csv|tsv|txt|parquet|pq)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    words = [word for word in re.split(r"[-_ ]", stem) if word]
    return (words[0] if words else stem).upper()


def _numbers(read: ReadColumns) -> tuple[Floats, Flags]:
    """Return prices and volume as (5, n), and which rows hold a cell that is no number."""
    values = np.empty((len(FIELDS), len(read.line)))
    unreadable = np.zeros(len(read.line), np.bool_)
    for place, name in enumerate(FIELDS):
        column = read.columns[name]
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            _parse_cells(column.to_pylist(), values[place], unreadable)
        else:
            numbers = column.cast(pa.float64(), safe=False)
            values[place] = numbers.to_numpy()
    return values, unreadable


def _parse_cells(cells: Sequence[str | None], values: Floats, unreadable: Flags) -> None:
    for row, cell in enumerate(cells):
        text = (cell or "").strip()
        try:
            values[row] = np.nan if text in EMPTY_CELLS else float(text)
        except ValueError:
            values[row] = np.nan
            unreadable[row] = True


def _series_of(read: ReadColumns, default: str) -> tuple[list[SeriesKey], Ints]:
    """Return the file's series, sorted, and each row's place among them."""
    symbols, symbol_at = _words(read, "symbol", default)
    sources, source_at = _words(read, "source", "")
    adjusted = _adjusted(read)
    code = (symbol_at * len(sources) + source_at) * 2 + adjusted
    codes, place = np.unique(code, return_inverse=True)
    keys = [
        SeriesKey(
            symbol=symbols[one // 2 // len(sources)],
            source=sources[one // 2 % len(sources)],
            adjusted=bool(one % 2),
        )
        for one in codes.tolist()
    ]
    return keys, place.astype(np.int64)


def _words(read: ReadColumns, name: str, default: str) -> tuple[list[str], Ints]:
    """Return the sorted words of a column and each row's place among them."""
    if name not in read.columns:
        return [default], np.zeros(len(read.line), np.int64)
    column = read.columns[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()).fill_null(""))
    named = pc.if_else(pc.equal(trimmed, ""), default, trimmed)
    encoded = named.combine_chunks().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    ranked = sorted(words)
    rank = np.array([ranked.index(word) for word in words], np.int64)
    return ranked or [default], rank[encoded.indices.to_numpy()] if words else np.zeros(0, np.int64)


def _adjusted(read: ReadColumns) -> Ints:
    """Return 1 where a row says that its prices are split-adjusted."""
    if "adjusted" not in read.columns:
        return np.zeros(len(read.line), np.int64)
    column = read.columns["adjusted"]
    if not pa.types.is_boolean(column.type):
        yes = pa.array(["true", "1", "t", "yes", "y"])
        column = pc.is_in(pc.utf8_lower(column.cast(pa.string())), value_set=yes)
    return np.asarray(column.fill_null(False).to_numpy()).astype(np.int64)


def _grouped(rows: RawRows, keys: Sequence[SeriesKey], place: Ints) -> dict[SeriesKey, RawRows]:
    order = np.argsort(place, kind="stable")
    rows, place = rows.take(order), place[order]
    cuts = np.searchsorted(place, np.arange(len(keys) + 1)).tolist()
    return {
        key: rows.take(slice(start, end))
        for key, start, end in zip(keys, cuts[:-1], cuts[1:], strict=True)
        if end > start
    }


def _blank(read: ReadColumns) -> Flags:
    """Return which rows are empty lines."""
    blank = np.ones(len(read.line), np.bool_)
    for name in ("ts", *FIELDS):
        column = read.columns[name]
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), None, column)
        blank &= column.is_null().to_numpy()
    return blank


def _without_time(read: ReadColumns, symbols: Sequence[str], lost: Flags) -> list[Undated]:
    texts = read.columns["ts"].filter(pa.array(lost)).to_pylist()
    lines = read.line[lost].tolist()
    return [
        Undated(symbol=symbol, line=line, text=f"no time in {text!r}"[:80])
        for symbol, line, text in zip(symbols, lines, texts, strict=True)
    ]
