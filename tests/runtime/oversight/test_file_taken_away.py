"""The Overseer's file is looked at on the disk, and not only in what memory has of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile


def test_a_file_that_is_there_is_ours(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        file.require_ours()


def test_a_file_that_is_gone_or_replaced_is_told(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with OverseerFile.open(path) as file:
        path.rename(tmp_path / "moved")
        with pytest.raises(TryLater, match="is gone"):
            file.require_ours()
        path.write_bytes(b"")
        with pytest.raises(TryLater, match="was replaced"):
            file.require_ours()


def test_a_file_that_is_overwritten_is_told_though_it_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with OverseerFile.open(path) as file:
        read = file.read(lambda db: db.execute("SELECT count(*) FROM cadences").fetchone())
        for each in (path, path.with_name(f"{FILE_NAME}-wal")):
            with each.open("r+b") as spoilt:
                spoilt.write(b"not a database! " * (each.stat().st_size // 16))
        assert file.read(lambda db: db.execute("SELECT count(*) FROM cadences").fetchone()) == read
        with pytest.raises(BadSettings, match="damaged"):
            file.require_ours()
