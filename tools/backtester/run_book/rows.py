"""Between the values of the run book and the columns of its tables."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.market.values import Timeframe
from roboinvest.core.records import canonical_json
from tools.backtester.run_book.sketch import EntrySketch
from tools.backtester.run_book.values import Run, RunFigures, RunNote

_FIGURES: Final = (
    *("sharpe", "skew", "kurtosis", "days", "total_return", "max_drawdown", "trades"),
    "final_equity",
)
_COLUMNS: Final = (
    *("at", "lineage", "evaluation", "in_holdout", "strategy", "version", "fingerprint", "file"),
    *('"values"', "symbols", "timeframe", "first", "last", "data", "terms", "executor"),
    *_FIGURES,
    *("entries", "entry_symbols", "entry_count", "digest", "parent", "sweep", "fold", "report"),
)
_INSERT: Final = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 names of ours
)
_SELECT: Final = (
    f"SELECT runs.id, root, {', '.join(_COLUMNS)} FROM runs "  # noqa: S608 names of ours
    "JOIN lineages ON lineages.id = runs.lineage "
)


def insert(
    connection: sqlite3.Connection, note: RunNote, *, at: str, lineage: int, in_holdout: bool
) -> int:
    """Write a run down and return its number."""
    figures, entries = note.figures, note.entries
    row = (
        *(at, lineage, note.evaluation, in_holdout),
        *(note.strategy, note.version, note.fingerprint, note.file),
        *(canonical_json(dict(note.values)), json.dumps(note.symbols), note.timeframe.value),
        *(note.first.isoformat(), note.last.isoformat(), note.data, note.terms, note.executor),
        *(figures.sharpe, figures.skew, figures.kurtosis, figures.days, figures.total_return),
        *(figures.max_drawdown, figures.trades, str(figures.final_equity)),
        *(entries.to_bytes(), json.dumps(entries.symbols), entries.entries, note.digest),
        *(note.parent, note.sweep, note.fold, note.report),
    )
    return int(connection.execute(_INSERT, row).lastrowid or 0)


def select(connection: sqlite3.Connection, rest: str, values: tuple[object, ...]) -> list[Run]:
    """Return the runs that the rest of a SELECT asks for."""
    return [_run(row) for row in connection.execute(_SELECT + rest, values)]


def sketch(entries: object, symbols: object, count: object) -> EntrySketch:
    """Return a sketch from its three columns."""
    data = entries if isinstance(entries, bytes) else b""
    return EntrySketch.from_bytes(data, tuple(json.loads(str(symbols))), int(str(count)))


def _run(row: tuple[Any, ...]) -> Run:
    names = ("id", "root", *_COLUMNS)
    of = dict(zip(names, row, strict=True))
    figures = {name: of[name] for name in _FIGURES} | {"final_equity": Decimal(of["final_equity"])}
    note = RunNote(
        strategy=of["strategy"],
        version=of["version"],
        fingerprint=of["fingerprint"],
        file=of["file"],
        values=json.loads(of['"values"']),
        symbols=tuple(json.loads(of["symbols"])),
        timeframe=Timeframe(of["timeframe"]),
        first=date.fromisoformat(of["first"]),
        last=date.fromisoformat(of["last"]),
        data=of["data"],
        terms=of["terms"],
        executor=of["executor"],
        figures=RunFigures(**figures),
        entries=sketch(of["entries"], of["entry_symbols"], of["entry_count"]),
        digest=of["digest"],
        parent=of["parent"],
        sweep=of["sweep"],
        fold=of["fold"],
        report=of["report"],
    )
    return Run(
        id=of["id"],
        at=datetime.fromisoformat(of["at"]),
        lineage=of["root"],
        evaluation=of["evaluation"],
        in_holdout=bool(of["in_holdout"]),
        note=note,
    )
