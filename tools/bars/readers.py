"""Opens CSV and parquet files and finds the columns of a bar in them, under whatever name.

Numbers are read in one go, and a second time as text only where that fails, so that a clean file
of millions of rows costs a second and one bad cell costs one row. What cannot be a file of bars at
all is `BadInput` with one sentence.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import FIELDS, Ints

SUPPORTED: Final = ".parquet, .csv, .csv.gz, .tsv and .txt"
EMPTY_CELLS: Final = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None", "#N/A")
_CSV: Final = (".csv", ".csv.gz", ".tsv", ".txt")
_PARQUET: Final = (".parquet", ".pq")
_TEXT: Final = ("ts", "symbol", "source", "adjusted")
_REQUIRED: Final = ("ts", *FIELDS)
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "ts": ("ts", "timestamp", "datetime", "date", "time", "epoch", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "ticker"),
    "source": ("source",),
    "adjusted": ("adjusted",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadColumns:
    """A file's columns by our names, untyped where the file is text."""

    columns: Mapping[str, pa.ChunkedArray]
    line: Ints  # (n,) counted from 1 with the header; 0 where the format has no lines
    misshapen: tuple[tuple[int, str], ...] = ()  # line and text of rows with other columns


def read_columns(path: Path, mapping: Mapping[str, str]) -> ReadColumns:
    """Return the columns of a bar.

    `mapping` says which column is which where the names do not: {"close": "Last"}.

    Raises:
        BadInput: there is no such file, or it is no file of bars.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name one of the files in it.")
    if not path.exists():
        raise BadInput(f"{path} does not exist; give the path of a file of bars.")
    name = path.name.lower()
    if not name.endswith(_PARQUET + _CSV):
        raise BadInput(f"{path} is in a format we do not read; supported are {SUPPORTED} files.")
    if not path.stat().st_size:
        raise BadInput(f"{path} is empty (0 bytes); give a file with a header and rows.")
    if name.endswith(_PARQUET):
        return _read_parquet(path, mapping)
    return _read_csv(path, mapping)


def _read_parquet(path: Path, mapping: Mapping[str, str]) -> ReadColumns:
    try:
        names = _match(path, pq.read_schema(path).names, mapping)
        table = pq.read_table(path, columns=list(names.values()), partitioning=None)
        table.validate(full=True)  # a damaged file can hold text that is none
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no readable parquet file ({_brief(error)}).") from error
    return ReadColumns(
        columns={ours: table.column(theirs) for ours, theirs in names.items()},
        line=np.zeros(table.num_rows, np.int64),
    )


def _read_csv(path: Path, mapping: Mapping[str, str]) -> ReadColumns:
    try:
        text: bytes = pa.input_stream(str(path), compression="detect").read()
        header = re.split(rb"[\r\n]", text, maxsplit=1)[0].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, zlib.error) as error:
        raise BadInput(f"{path} is not text ({_brief(error)}); give a CSV in UTF-8.") from error
    if "\x00" in header:
        raise BadInput(f"{path} is not text (it holds zero bytes); give a CSV in UTF-8.")
    delimiter = max(",;\t|", key=header.count)
    names = _match(path, next(csv.reader([header], delimiter=delimiter), []), mapping)
    text = _tamed(text)
    try:
        return _parse_csv(text, delimiter, names, numbers=pa.float64())
    except pa.ArrowException:
        pass  # a cell that is no number: read the numbers as text as well
    try:
        return _parse_csv(text, delimiter, names, numbers=pa.string())
    except pa.ArrowException as error:
        raise BadInput(f"{path} is no readable CSV ({_brief(error)}).") from error


def _tamed(text: bytes) -> bytes:
    """Return text in which a stray byte or an unpaired quote costs its line and not the file."""
    text = text.decode(errors="replace").encode()
    if b'"' not in text:
        return text
    return re.sub(
        rb'[^\r\n]*"[^\r\n]*',
        lambda line: line[0] if line[0].count(b'"') % 2 == 0 else line[0].replace(b'"', b""),
        text,
    )


def _parse_csv(
    text: bytes, delimiter: str, names: Mapping[str, str], *, numbers: pa.DataType
) -> ReadColumns:
    misshapen: list[tuple[int, str]] = []

    def skip(row: pacsv.InvalidRow) -> str:
        misshapen.append((row.number, row.text))
        return "skip"

    types = {column: pa.string() if ours in _TEXT else numbers for ours, column in names.items()}
    table = pacsv.read_csv(
        pa.BufferReader(text),
        read_options=pacsv.ReadOptions(use_threads=False),  # else rows are not numbered
        parse_options=pacsv.ParseOptions(
            delimiter=delimiter, invalid_row_handler=skip, ignore_empty_lines=False
        ),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(types), column_types=types, null_values=EMPTY_CELLS
        ),
    )
    lines = np.arange(2, 2 + table.num_rows + len(misshapen), dtype=np.int64)
    return ReadColumns(
        columns={ours: table.column(column) for ours, column in names.items()},
        line=lines[~np.isin(lines, [line for line, _ in misshapen])],
        misshapen=tuple(row for row in misshapen if row[1].strip()),
    )


def _match(path: Path, theirs: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return our name -> the file's for the columns we know."""
    unknown = sorted(set(mapping) - set(_NAMES))
    if unknown:
        raise BadInput(f"{', '.join(unknown)} is no column of a bar; map {', '.join(_NAMES)}.")
    absent = sorted(set(mapping.values()) - set(theirs))
    if absent:
        raise BadInput(f"{path} has no column {', '.join(absent)}; it has {', '.join(theirs)}.")
    plain = {name.strip().lower(): name for name in reversed(theirs)}
    found = {
        ours: plain[alias]
        for ours, aliases in _NAMES.items()
        for alias in reversed(aliases)
        if alias in plain
    }
    found.update(mapping)
    missing = [ours for ours in _REQUIRED if ours not in found]
    if missing:
        raise BadInput(
            f"{path} has no column for {', '.join(missing)} (it has {_few(theirs)}); "
            f"map it as {missing[0]}=COLUMN."
        )
    return found


def _few(names: Sequence[str]) -> str:
    shown = [name.strip()[:30] for name in names[:12]]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")


def _brief(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:160].rstrip(".")
