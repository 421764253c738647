"""A daemon on the simulated market that is killed goes on as if the kill were a longer pause."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes.processes import Daemon
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SIMULATED = ("run", "--speed", "600", "--seed", "7")
MORE_TICKS = 15


def held(daemon: Daemon) -> set[str]:
    """Return the symbols that are held, as the report has them."""
    return set((daemon.report("positions") or {}).get("positions", {}))


def test_a_killed_daemon_goes_on_with_the_same_books(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stored, shown = StoredRun(data), list[set[str]]()
    with Daemon(data, *SIMULATED, cwd=tmp_path) as first:
        first.until(lambda: held(first), "an open position", 100)
        first.kill()
        before = stored.rows("SELECT * FROM ticks ORDER BY at")
        orders = stored.order_ids()
        kept = held(first) & {symbol for symbol, *_ in stored.holdings()}
    assert kept, "the position was closed before the kill; take another seed"

    with Daemon(data, *SIMULATED, cwd=tmp_path) as second:

        def trades_again() -> bool:
            shown.append(held(second))
            return stored.tick_count() > len(before)

        second.until(trades_again, "a tick after the kill", 60)
        second.until_tick(len(before) + MORE_TICKS)
        second.kill()

    assert all(kept <= symbols for symbols in shown[:-1])  # a start does not hide what is held
    after = stored.rows("SELECT * FROM ticks ORDER BY at")
    assert after[: len(before)] == before  # what was committed is never written again
    times = stored.ticks()
    assert times == sorted(set(times))  # strictly one after the other
    assert stored.order_ids()[: len(orders)] == orders
    assert len(stored.order_ids()) == len(set(stored.order_ids())) == stored.sent()
    fills = stored.rows("SELECT execution_id FROM fills")
    assert len(fills) == len(set(fills))
    assert equity_has_no_step(stored, len(before))


def equity_has_no_step(stored: StoredRun, seam: int) -> bool:
    """Return whether the books were worth after the restart what they were worth before it."""
    equity = stored.equity()
    moves = [abs(b - a) for a, b in pairwise(equity)]
    return moves[seam - 1] <= 5 * max(max(moves[: seam - 1]), max(moves[seam:]))
