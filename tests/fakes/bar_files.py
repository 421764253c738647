"""Writers of small files of bars, and the rows of a quiet market to put into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roboinvest.core.market.bars import FIELDS, from_ns
from roboinvest.core.market.quality import expected_opens
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe


def quiet_rows(
    sessions: Iterable[Session], timeframe: Timeframe = Timeframe.MINUTE, price: float = 100.0
) -> RawRows:
    """Return one good bar for every bar of the sessions, each a little above the one before."""
    ts = np.concatenate([expected_opens(session, timeframe) for session in sessions])
    opened = price * (1 + 1e-5 * np.arange(len(ts)))
    close = opened * (1 + 1e-5)
    return RawRows.of(ts, np.stack([opened, close, opened, close, np.full(len(ts), 1000.0)]))


def lines_of(symbol: str, rows: RawRows) -> list[str]:
    """Return the lines of a CSV."""
    return [
        ",".join([symbol, from_ns(ts).isoformat(), *map(repr, values)])
        for ts, values in zip(rows.ts.tolist(), rows.values.T.tolist(), strict=True)
    ]


def write_csv(path: Path, lines: Sequence[str]) -> Path:
    """Write lines under the usual header."""
    path.write_text("\n".join(["symbol,ts,open,high,low,close,volume", *lines]) + "\n")
    return path


def write_parquet(path: Path, series: Mapping[tuple[str, str, bool], RawRows]) -> Path:
    """Write rows by (symbol, source, adjusted)."""
    tables = [
        pa.table(
            {
                "symbol": [symbol] * len(rows),
                "ts": pa.array(rows.ts).cast(pa.timestamp("ns", "UTC")),
                **dict(zip(FIELDS, rows.values, strict=True)),
                "adjusted": [adjusted] * len(rows),
                "source": [source] * len(rows),
            }
        )
        for (symbol, source, adjusted), rows in series.items()
    ]
    pq.write_table(pa.concat_tables(tables), path)
    return path
