"""A data folder for stories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.told import ToldFolder


@pytest.fixture
def folder(tmp_path: Path) -> ToldFolder:
    return ToldFolder(tmp_path)
