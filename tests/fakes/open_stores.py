"""A store as tests open it, and what it must hold after any interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roboinvest.core.orders import HOUSE_AGENT
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage.stored import StoredState, Totals
from roboinvest.runtime.store import Store
from tests.fakes.clocks import ManualClock
from tests.fakes.records import (
    busy_commit,
)

BOOK = (HOUSE_AGENT, "SPY")


async def opened(path: Path, in_flight: InFlight | None = None) -> Store:
    """Open a store on a clock that stands still."""
    return await Store.open(path, in_flight=in_flight or InFlight(), clock=ManualClock())


def assert_is_prefix(state: StoredState, totals: Totals) -> None:
    """Check that exactly the busy ticks 0 .. n-1 are there, with all that belongs to them."""
    n = totals.ticks
    assert totals.orders == totals.fills == 2 * n
    assert totals.trades == totals.memories == n
    assert len(state.open_memories) == len(state.open_orders) == n
    if n:
        last = busy_commit(n - 1)
        assert state.last_tick == replace(last.record, body=None)
        assert state.lots == last.books[BOOK]
        assert state.documents == last.documents
        assert state.calibration == last.calibration
