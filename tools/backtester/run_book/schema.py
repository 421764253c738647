"""The tables of the run book.

Rows are only ever added: triggers refuse to take one back, for whoever opens the file, because a
count of trials that can be lowered is no count. Two lineages that turn out to be one are joined,
towards the older one, and never parted again. A step that was released is never edited.
"""

from __future__ import annotations

from typing import Final

from roboinvest.runtime.lanes.file import FileKind

_TABLES: Final = (
    """
    CREATE TABLE lineages (
        id INTEGER PRIMARY KEY,
        root INTEGER NOT NULL,  -- the oldest lineage that it was joined with; its own id if none
        since TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX lineages_by_root ON lineages (root)",
    """
    CREATE TABLE kin (
        kind TEXT NOT NULL,  -- name, code or sweep
        key TEXT NOT NULL,
        lineage INTEGER NOT NULL REFERENCES lineages (id),
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        lineage INTEGER NOT NULL REFERENCES lineages (id),
        evaluation TEXT NOT NULL,
        in_holdout INTEGER NOT NULL,
        strategy TEXT NOT NULL,
        version TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        file TEXT NOT NULL,
        "values" TEXT NOT NULL,  -- JSON object
        symbols TEXT NOT NULL,  -- JSON array
        timeframe TEXT NOT NULL,
        first TEXT NOT NULL,
        last TEXT NOT NULL,
        data TEXT NOT NULL,
        terms TEXT NOT NULL,
        executor TEXT NOT NULL,
        sharpe REAL,
        skew REAL,
        kurtosis REAL,
        days INTEGER NOT NULL,
        total_return REAL NOT NULL,
        max_drawdown REAL NOT NULL,
        trades INTEGER NOT NULL,
        final_equity TEXT NOT NULL,
        entries BLOB NOT NULL,
        entry_symbols TEXT NOT NULL,  -- JSON array
        entry_count INTEGER NOT NULL,
        digest TEXT NOT NULL,
        parent INTEGER,
        sweep TEXT NOT NULL,
        fold TEXT NOT NULL,
        report TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX runs_by_lineage ON runs (lineage, evaluation)",
    "CREATE INDEX runs_by_evaluation ON runs (evaluation)",
    "CREATE INDEX runs_by_strategy ON runs (strategy, id)",
    """
    CREATE TABLE marks (
        mark INTEGER NOT NULL,  -- one of the smallest hashes of the entries of a run
        run INTEGER NOT NULL REFERENCES runs (id),
        PRIMARY KEY (mark, run)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE holdouts (
        id INTEGER PRIMARY KEY,
        lineage INTEGER NOT NULL REFERENCES lineages (id),
        symbol TEXT NOT NULL,
        from_day TEXT NOT NULL,
        at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE openings (
        id INTEGER PRIMARY KEY,
        lineage INTEGER NOT NULL REFERENCES lineages (id),
        version TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        at TEXT NOT NULL,
        evaluation TEXT  -- the one that looked
    ) STRICT
    """,
)
_KEPT: Final = ("kin", "runs", "marks", "holdouts")  # rows never change
_STAYING: Final = (*_KEPT, "lineages", "openings")  # rows never go
_TRIGGERS: Final = (
    *(
        f"CREATE TRIGGER {table}_stay BEFORE DELETE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are never taken back'); END"
        for table in _STAYING
    ),
    *(
        f"CREATE TRIGGER {table}_hold BEFORE UPDATE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are never rewritten'); END"
        for table in _KEPT
    ),
    """
    CREATE TRIGGER lineages_join BEFORE UPDATE ON lineages
    WHEN NEW.id <> OLD.id OR NEW.since <> OLD.since OR NEW.root >= OLD.root
    BEGIN SELECT RAISE(ABORT, 'lineages are joined towards the older one'); END
    """,
    """
    CREATE TRIGGER openings_are_used_once BEFORE UPDATE ON openings
    WHEN OLD.evaluation IS NOT NULL OR NEW.id <> OLD.id OR NEW.lineage <> OLD.lineage
        OR NEW.version <> OLD.version OR NEW.fingerprint <> OLD.fingerprint OR NEW.at <> OLD.at
    BEGIN SELECT RAISE(ABORT, 'an opening is used once'); END
    """,
)
KIND: Final = FileKind(
    name="run book",
    application_id=0x52494231,  # "RIB1"
    steps=((*_TABLES, *_TRIGGERS),),
    probe="UPDATE lineages SET root = root WHERE 0",
    when_damaged="know that trials made so far are no longer counted",
)
