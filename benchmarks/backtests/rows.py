"""The backtester's rows: our simulator and kernel, backtesting.py and vectorbt, in turns.

Figures are CPU seconds of one process and thread, medians over rounds; ratios are of those, within
this run. The peers live in an environment of their own, which `make bench` sets up; without it
their rows are left out, and so are the ratios.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.backtests.bars import make_bars
from benchmarks.backtests.cases import CASES, SWEEP, SYMBOLS
from benchmarks.figures import median
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row

FAMILY: Final = "backtests"
ROOT: Final = Path(__file__).resolve().parents[2]
PEERS_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
ROUNDS: Final = 5
FEW_ROUNDS: Final = 3  # of what takes a peer many seconds
DAILY, MINUTES = 2_520, 97_740  # bars of a file
BARS: Final = {
    "daily_sma": DAILY,
    "minute_sma": MINUTES,
    "minute_vwap": MINUTES,
    "symbols_sma": SYMBOLS * MINUTES,
    "sweep_sma": len(SWEEP) * MINUTES,
}
SLOW: Final = frozenset({"symbols_sma", "sweep_sma"})
TIMEOUT_S: Final = 900.0
RATIOS: Final[Mapping[tuple[str, str, str], float]] = {  # (ours, peer, case) -> goal
    ("kernel", "backtesting.py", "minute_sma"): 50.0,
    ("kernel", "backtesting.py", "minute_vwap"): 30.0,
    ("kernel", "vectorbt", "minute_sma"): 3.0,
    ("kernel", "vectorbt", "minute_vwap"): 3.0,
    ("kernel", "backtesting.py", "sweep_sma"): 500.0,
    ("kernel", "vectorbt", "sweep_sma"): 20.0,
    ("simulator", "backtesting.py", "minute_sma"): 3.0,
    ("simulator", "backtesting.py", "minute_vwap"): 3.0,
}
MOST_MB: Final = Goal(limit=500.0)
Taken = dict[tuple[str, str], dict[str, Any]]  # (engine, case) -> what its process printed


def rows(folder: Path) -> list[Row]:
    """Measure in a scratch folder below `folder`."""
    with scratch(folder) as home:
        make_bars(home)
        taken: Taken = {}
        for case in CASES:
            for engine in ("simulator", "kernel", *_peers(case)):
                taken[engine, case] = _measured(engine, case, home)
        memory = _measured("memory", "minute_sma", home)
    return [*_speeds(taken), *_ratios(taken), *_in_memory(memory)]


def _peers(case: str) -> tuple[str, ...]:
    if not PEERS_PYTHON.exists():
        return ()
    # A hundred runs of backtesting.py are a hundred times one: it shares nothing between them.
    return ("vectorbt",) if case == "sweep_sma" else ("backtesting.py", "vectorbt")


def _measured(engine: str, case: str, home: Path) -> dict[str, Any]:
    ours = engine in ("simulator", "kernel", "memory")
    program = (
        [sys.executable, "-m", "benchmarks.backtests.ours"]
        if ours
        else [str(PEERS_PYTHON), str(ROOT / "benchmarks" / "backtests" / "peers.py")]
    )
    rounds = FEW_ROUNDS if case in SLOW else ROUNDS
    done = subprocess.run(
        [*program, engine, case, str(home), str(rounds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{engine} could not play {case}: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _speeds(taken: Taken) -> list[Row]:
    """Return how fast each engine is, and what it weighs."""
    found = []
    for (engine, case), result in taken.items():
        spent = median(result["cpu_s"])
        found.append(
            Row(
                family=FAMILY,
                what=f"{case}: {engine}",
                figure=BARS[case] / spent,
                unit="bars/CPU s",
                n=len(result["cpu_s"]),
                compared=f"{spent:.4g} CPU s, {result['trades']} trades, {result['rss_mb']:.0f} MB",
            )
        )
        if case == "symbols_sma":
            what = f"{case}: {engine}, peak memory"
            goal = MOST_MB if engine in ("simulator", "kernel") else None
            found.append(
                Row(family=FAMILY, what=what, figure=result["rss_mb"], unit="MB", n=1, goal=goal)
            )
    return found


def _ratios(taken: Taken) -> list[Row]:
    """Return how many times faster we are, where a peer was there to be measured."""
    found = []
    for (ours, peer, case), goal in RATIOS.items():
        theirs = _spent(taken, peer, case)
        if theirs is None or (ours, case) not in taken:
            continue
        found.append(
            Row(
                family=FAMILY,
                what=f"{case}: {ours} over {peer}",
                figure=theirs / median(taken[ours, case]["cpu_s"]),
                unit="x",
                n=len(taken[ours, case]["cpu_s"]),
                goal=Goal(limit=goal, at_least=True),
            )
        )
    return found


def _spent(taken: Taken, peer: str, case: str) -> float | None:
    if (peer, case) in taken:
        return median(taken[peer, case]["cpu_s"])
    if peer == "backtesting.py" and case == "sweep_sma" and (peer, "minute_sma") in taken:
        return len(SWEEP) * median(taken[peer, "minute_sma"]["cpu_s"])
    return None


def _in_memory(memory: dict[str, Any]) -> list[Row]:
    """Return how near the kernel comes to only looking at its arrays."""
    spent, once = median(memory["cpu_s"]), median(memory["pass_s"])
    return [
        Row(
            family=FAMILY,
            what="minute_sma: kernel and figures, bars and columns in memory",
            figure=MINUTES / spent,
            unit="bars/CPU s",
            n=len(memory["cpu_s"]),
            compared=f"{once / spent:.1%} of the rate of one plain pass over the same arrays",
        )
    ]
