"""Fixtures that every ring of tests shares."""

from __future__ import annotations

import os
import signal
import threading
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


def pytest_configure() -> None:
    """Take an ignored SIGINT back, which a shell gives to what runs in the background.

    The programs that tests start would inherit it, and could not be interrupted as by a person.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
