"""The parquet files of the bar store: what a row of them holds, and how they reach the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.core.market.bars import FIELDS
from roboinvest.core.market.findings import QUARANTINE, Verdicts, reasons_of
from roboinvest.core.market.rows import RawRows
from tools.bars.table import SeriesKey

_SCHEMA: Final = pa.schema(
    [
        ("symbol", pa.string()),
        ("ts", pa.timestamp("ns", "UTC")),
        *((name, pa.float64()) for name in FIELDS),
        ("adjusted", pa.bool_()),
        ("source", pa.string()),
    ]
)


def read_year(path: Path) -> tuple[SeriesKey, RawRows]:
    """Return whose bars a file holds, and the bars.

    Raises:
        BadInput: the file is damaged.
    """
    table = _read(path)
    key = SeriesKey(
        symbol=table.column("symbol")[0].as_py(),
        source=table.column("source")[0].as_py(),
        adjusted=table.column("adjusted")[0].as_py(),
    )
    values = np.stack([table.column(name).to_numpy() for name in FIELDS])
    return key, RawRows.of(table.column("ts").cast(pa.int64()).to_numpy(), values)


def count_rows(path: Path) -> int:
    """Return how many rows a file holds, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def write_year(path: Path, key: SeriesKey, rows: RawRows) -> None:
    """Put a year of bars in its place."""
    _write(path, _table(key, rows))


def write_quarantine(folder: Path, key: SeriesKey, rows: RawRows, verdicts: Verdicts) -> None:
    """Keep rows that were set aside, with their reasons; the same rows are kept once.

    They stand in one file, because few are expected and nothing but a person reads them.
    """
    path = folder / "rows.parquet"
    reasons = [next(reasons_of(int(verdict) & QUARANTINE)).value for verdict in verdicts]
    table = _table(key, rows).append_column("reason", pa.array(reasons, pa.string()))
    known = _read(path) if path.exists() else table.slice(0, 0)
    both = pa.concat_tables([known, table])
    once = both.group_by(both.column_names, use_threads=False).aggregate([])
    if once.num_rows > known.num_rows:
        _write(path, once.sort_by("ts"))


def _table(key: SeriesKey, rows: RawRows) -> pa.Table:
    n = len(rows)
    columns = {
        "symbol": pa.array([key.symbol] * n, pa.string()),
        "ts": pa.array(rows.ts).cast(pa.timestamp("ns", "UTC")),
        **{name: pa.array(rows.values[place]) for place, name in enumerate(FIELDS)},
        "adjusted": pa.array([key.adjusted] * n, pa.bool_()),
        "source": pa.array([key.source] * n, pa.string()),
    }
    return pa.table(columns, schema=_SCHEMA)


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0][:160]
        raise BadInput(f"{path} is damaged ({reason}); remove it and import again.") from error


def _write(path: Path, table: pa.Table) -> None:
    """Write beside the place, then move: a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            beside.unlink()
        raise BadSettings(f"{path} cannot be written ({error}); mend the folder.") from error
