"""A sweep in a process of its own; run as `python -m tests.fakes.killed_search`.

It plays in child processes, notes in a run book, and says when it is done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from roboinvest.runtime.clock import SystemClock
from tests.fakes.searches import HillRecipe, hill_request, hill_strategy
from tests.fakes.tapes import daily_tape
from tools.backtester.run_book.book import RunBook
from tools.backtester.search.grid import grid_of
from tools.backtester.search.pool import LocalProcesses
from tools.backtester.search.sweep import run_sweep


def main(folder: Path) -> None:
    """Search under `folder`; combinations from fast=20 on wait for the file `go`."""
    request = hill_request({"SPY": daily_tape(1, days=60)})
    space = grid_of(hill_strategy(), {"fast": "1:40:1", "slow": "50"})
    recipe = HillRecipe(log=folder / "played", waits_for=folder / "go", waits_from=20)
    clock = SystemClock()
    with (
        RunBook.open(folder, clock) as book,
        LocalProcesses(request, recipe, scratch=folder / "scratch", clock=clock, workers=2) as pool,
    ):
        table = run_sweep(request, space, pool=pool, book=book, clock=clock)
    best = table.rows[0]
    known = sum(row.is_known for row in table.rows)
    facts = {"best": dict(best.values), "rows": len(table.rows), "known": known}
    print(json.dumps({**facts, "trials": table.trials}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
