"""Fixtures that every ring of tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACK = Path(os.environ.get("ROBOINVEST_DATA_PACK", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """Return the folder with real bars, or skip: the pack is not part of the repository."""
    if not (PACK / "README.md").exists():
        pytest.skip("the market data pack is not here (set ROBOINVEST_DATA_PACK)")
    return PACK
