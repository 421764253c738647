"""Setting content aside for a new run takes neither the trials nor anybody's word along."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from roboinvest.runtime.folder import DataFolder

KEPT = ("llm.db", "backtests.db", "governance.db", "audit_anchors.jsonl", "overseer.db")


def test_what_was_spent_tried_and_decided_stays_where_it_is(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.hold()
    try:
        for name in (*KEPT, "roboinvest.db"):
            (folder.root / name).write_text(name)
        (folder.root / "agents" / "a").mkdir(parents=True)
        aside = folder.set_aside(datetime(2026, 1, 5, tzinfo=UTC))
    finally:
        folder.release()
    assert aside is not None
    assert (aside / "roboinvest.db").exists()
    assert all((folder.root / name).read_text() == name for name in KEPT)
    assert (folder.root / "agents" / "a").is_dir()
