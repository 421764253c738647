"""Strategies in the box: bars a second beside the same out of it and beside two bare processes.

The bare pair sends rows and answers of the same size through two pipes and does nothing else, on
one core, as the box does: what is missing to it is what a scan, a history and the checks cost. A
run asks every bar twice, and its figure has both in it; the ratio is of one walk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from benchmarks.backtests.bars import make_bars
from benchmarks.backtests.ours import read
from benchmarks.figures import median, one_core
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.signals import columns_of, signals_of
from roboinvest.core.strategy import Strategy
from tools.boxed_strategies.boxes import PRELOAD, Boxes
from tools.boxed_strategies.jobs import Asked, BoxedFile, enlarged
from tools.boxed_strategies.rows import rows_of
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Limits, Transform
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import detect
from tools.sandbox.worker import Worker
from tools.strategies.files import load_strategy

FAMILY: Final = "boxes"
ROUNDS: Final = 5
JOBS: Final = 200
MEGABYTE: Final = 1 << 20
SCAN: Final = '''"""Buys a cross over the mean, bar by bar."""

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.strategy import Execution, Percent

NAME, VERSION, IDEA, SOURCE = "crossing", "1", "What rises goes on rising.", "a measurement"
TIMEFRAME = "any"


def columns(p):
    return {"mean": sma(60)}


def scan(now, p):
    return now("close") > now("mean") and now("close", 1) <= now("mean", 1)


def execution(p):
    return Execution(stop=Percent(0.01))
'''
NUMPY: Final = """
import numpy as np
def transform(columns):
    return np.convolve(columns["close"], np.ones(20) / 20, "same")
"""


def rows(folder: Path) -> list[Row]:
    """Measure in a scratch folder below `folder`; no rows where there is no box."""
    tier = detect().tier
    if not tier.runs_jobs:
        return []
    with scratch(folder) as home, one_core(), Boxes(tier, limits=Limits(wall_s=60.0)) as boxes:
        make_bars(home)
        bars = read(home / "minute_00.parquet", Timeframe.MINUTE)
        path = home / "crossing.py"
        path.write_text(SCAN)
        boxed, plain = boxed_strategy(SCAN, "crossing.py", boxes), load_strategy(path)
        figures = _Figures(bars, boxes)
        for _ in range(ROUNDS):  # in turns: what else runs meets all of them
            figures.take(boxed, plain)
    return [*figures.rows(), *_workers(tier)]


class _Figures:
    """What rounds of everything took, in seconds."""

    def __init__(self, bars: SessionBars, boxes: Boxes) -> None:
        self._bars, self._boxes = bars, boxes
        self._file = BoxedFile(source=SCAN, name="crossing.py")
        self.boxed, self.plain = list[float](), list[float]()
        self.walked, self.bare = list[float](), list[float]()

    def take(self, boxed: Strategy, plain: Strategy) -> None:
        """Play a round."""
        bars = self._bars
        plans = boxed.plan({}), plain.plan({})
        columns = columns_of(plans[0], bars)
        table = rows_of(bars, columns, len(bars)).table
        asked = Asked(values={}, symbol=bars.symbol, columns=list(columns), others=())
        limits = enlarged(self._boxes.limits, len(table))
        walk = self._file.scanning(asked, table[:0], limits)
        self.boxed.append(_seconds(lambda: signals_of(plans[0], bars, Timeframe.MINUTE)))
        self.plain.append(_seconds(lambda: signals_of(plans[1], bars, Timeframe.MINUTE)))
        self.walked.append(_seconds(lambda: self._boxes.walk(walk, table)))
        self.bare.append(_ping_pong(table, 1 + 8 * walk.outputs))

    def rows(self) -> list[Row]:
        """Return the table's rows."""
        n = len(self._bars)
        boxed, plain, walked, bare = map(median, (self.boxed, self.plain, self.walked, self.bare))
        ratio = median([b / w for b, w in zip(self.bare, self.walked, strict=True)])
        return [
            Row(
                family=FAMILY,
                what="a symbol-year of minutes, bar by bar, asked twice",
                figure=n / boxed,
                unit="bars/s",
                n=ROUNDS,
                goal=Goal(limit=15_000.0, at_least=True),
                compared=f"{n / plain:.4g} out of the box",
            ),
            Row(
                family=FAMILY,
                what="one walk over two bare processes",
                figure=ratio,
                unit="x",
                n=ROUNDS,
                goal=Goal(limit=0.6, at_least=True),
                compared=f"{n / walked:.4g} to {n / bare:.4g} rows/s",
            ),
        ]


def _workers(tier: Tier) -> list[Row]:
    """Return what a worker costs: to start, to hold, and for each job."""
    job = Transform(code=NUMPY, columns={"close": np.linspace(90.0, 110.0, 500)}, length=500)
    cold, held, warm = list[float](), list[float](), list[float]()
    for _ in range(ROUNDS):
        with Worker(tier, preload=PRELOAD) as worker:
            worker.run(job)
            cold.append(_seconds(worker.start) * 1_000)
            held.append(_zygote_mb(worker))
            warm += [_seconds(lambda: worker.run(job)) * 1_000 for _ in range(JOBS)]
    limits = {"ms": Goal(limit=15.0), "MB": Goal(limit=40.0)}
    figures = (
        ("a job on 500 bars with numpy, in a warm worker", median(warm), "ms", len(warm)),
        ("a worker, resident", median(held), "MB", ROUNDS),
    )
    found = [
        Row(family=FAMILY, what=what, figure=figure, unit=unit, n=n, goal=limits[unit])
        for what, figure, unit, n in figures
    ]
    return [
        *found,
        Row(family=FAMILY, what="a worker's start", figure=median(cold), unit="ms", n=ROUNDS),
    ]


def _zygote_mb(worker: Worker) -> float:
    """Return the resident set of the zygote; with bubblewrap it is the last of a chain."""
    first = psutil.Process(worker.pid)
    every = [first, *first.children(recursive=True)]
    return float(max(each.memory_info().rss for each in every)) / MEGABYTE


def _ping_pong(table: Floats, size: int) -> float:
    """Return the seconds in which two processes exchange these rows for answers of a size."""
    below, down = os.pipe()
    up, above = os.pipe()
    width, answer = 8 * table.shape[1], bytes(size)
    child = os.fork()
    if child == 0:
        os.close(down)
        while os.read(below, width):
            os.write(above, answer)
        os._exit(0)
    os.close(below)
    raw = table.tobytes()
    began = time.perf_counter()
    for at in range(0, len(raw), width):
        os.write(down, raw[at : at + width])
        os.read(up, size)
    took = time.perf_counter() - began
    os.close(down)
    os.waitpid(child, 0)
    os.close(up)
    os.close(above)
    return took


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
