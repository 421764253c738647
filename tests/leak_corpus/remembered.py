"""Cheats that remember earlier runs, roll dice, read the clock or bring the answers along."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.chance import coin
from roboinvest.core.quant.calculators.session import previous_close
from roboinvest.core.quant.conditions import above, below, every, once_a_session
from roboinvest.core.strategy import EquityShare, Execution, Moment, Scan
from tests.leak_corpus.kit import A_DAY, Case, Pair, back, by_call, by_column, on, strategy, walk

_SEEN: dict[int, float] = {}
_SEEDS: Final = 4_000


def _learned(seen: dict[int, float], bars: SessionBars) -> Floats:
    """Return the next close where an earlier run has shown it, else none."""
    ahead = np.array([seen.get(int(at), np.nan) for at in bars.closes_at])
    seen.update(zip(bars.ts.tolist(), bars.close.tolist(), strict=True))
    return ahead - bars.close


def _from_the_module(bars: SessionBars) -> Floats:
    return _learned(_SEEN, bars)


def _since_yesterday(bars: SessionBars) -> Floats:
    return bars.close - previous_close().compute(bars)


def _closure() -> Callable[[SessionBars], Floats]:
    seen: dict[int, float] = {}
    return lambda bars: _learned(seen, bars)


def _setting(rows: int) -> Callable[[SessionBars], Floats]:
    return lambda bars: bars.close - back(bars.close, rows)


def _by_default(bars: SessionBars, seen: dict[int, float] = {}) -> Floats:  # noqa: B006 the cheat
    return _learned(seen, bars)


def _with_a_default(bars: SessionBars, rows: int = 5) -> Floats:
    return back(bars.close, rows) - bars.close


class _Oracle:
    """Knows from its class what other objects of it saw."""

    seen: dict[int, float] = {}  # noqa: RUF012 the cheat

    def __call__(self, bars: SessionBars) -> Floats:
        return _learned(self.seen, bars)


class _Ribbon:
    """Two means, as an object."""

    def __init__(self, fast: int, slow: int) -> None:
        self.fast, self.slow = fast, slow

    def __call__(self, bars: SessionBars) -> Floats:
        return back(bars.close, self.fast) - back(bars.close, self.slow)


def _on_the_function(bars: SessionBars) -> Floats:
    seen = vars(_on_the_function).setdefault("seen", {})
    return _learned(seen, bars)


def _best_so_far(seen: dict[str, float], now: Moment) -> bool:
    """Carries the highest close over from symbol to symbol and run to run."""
    best = seen.get("best", 0.0)
    seen["best"] = max(best, now("close"))
    return now("close") > best


def _once(now: Moment) -> bool:
    return now("minutes_open") == 90.0 and now("close") > now("open")


def _count_down(left: list[int], now: Moment) -> bool:
    """Enters fifty times in the life of the process."""
    left[0] -= 1
    return left[0] > 0 and left[0] % 20 == 0


def _every_so_often(now: Moment) -> bool:
    return now("minutes_open") % 100.0 == 0.0


def _dice(bars: SessionBars) -> Floats:
    return np.random.default_rng().random(len(bars)) - 0.9


def _seeded_dice(bars: SessionBars) -> Floats:
    return coin(5).compute(bars) - 0.9


def _clock(bars: SessionBars) -> Floats:
    return np.full(len(bars), float(time.time_ns() // 1000 % 2))


def _bars_clock(bars: SessionBars) -> Floats:
    column: Floats = ((bars.closes_at - bars.opens) // 300_000_000_000 % 10 == 0) * 1.0
    return column


def _rewriting(bars: SessionBars) -> Floats:
    rise = bars.close[1:] > bars.close[:-1]
    bars.open[1:][rise] = bars.low[1:][rise]
    return bars.close - bars.open


def _copying(bars: SessionBars) -> Floats:
    opened = bars.open.copy()
    opened[1:] = bars.close[:-1]
    return bars.close - opened


def _outlook(bars: SessionBars, row: int) -> float:
    return float(bars.close[min(row + 8, len(bars) - 1)] - bars.close[row])


def _answers(bars: SessionBars) -> dict[int, float]:
    return {int(bars.closes_at[row]): _outlook(bars, row) for row in range(len(bars))}


def _answered(known: Mapping[int, float], bars: SessionBars) -> Floats:
    return np.array([known.get(int(at), np.nan) for at in bars.closes_at])


def _table() -> Case:
    return by_column(partial(_answered, _answers(walk())))()


def _weekdays(days: Mapping[int, float]) -> Case:
    return by_column(lambda bars: np.array([days.get(int(day) % 7, 0.0) for day in bars.day]))()


def _written_answers() -> Case:
    bars = walk()
    answers = "".join("+" if _outlook(bars, row) > 0 else "-" for row in range(len(bars)))
    known, begin = answers, int(bars.ts[0])

    def read(each: SessionBars) -> Floats:
        rows = (each.ts - begin) // 300_000_000_000 % len(known)
        return np.array([1.0 if known[int(row)] == "+" else -1.0 for row in rows])

    return by_column(read)()


def _labelled() -> Case:
    label = "morning"
    return by_column(
        lambda bars: np.where(bars.closes_at - bars.opens < len(label) * 10**12, 1.0, 0.0)
    )()


def _good_rows() -> Case:
    bars = walk()
    best = np.argsort([-_outlook(bars, row) for row in range(len(bars))])[:60]
    times = bars.closes_at[best]
    return by_column(lambda each: np.isin(each.closes_at, times) * 1.0)()


def _good_minutes() -> Case:
    minutes = (30, 60, 90)
    return by_column(
        lambda each: np.isin((each.closes_at - each.opens) // 60_000_000_000, minutes) * 1.0
    )()


def _tossing(seed: int) -> Case:
    scan = Scan(long=once_a_session(every(below("coin", 0.02), above("close", 0.0))))
    how = Execution(size=EquityShare(0.4), max_bars=6)
    return on(walk(sessions=30), strategy("coin", {"coin": coin(seed)}, scan, how))


def _best_seed() -> Case:
    """The coin whose entries did best on the very tape, of some thousands."""
    bars = walk(sessions=30)
    gain = np.concatenate((np.log(bars.open[7:] / bars.open[1:-6]), np.zeros(7)))
    by_time = gain.reshape(30, A_DAY)  # a session a line
    usual, spread = np.tile(by_time.mean(axis=0), 30), np.tile(by_time.var(axis=0), 30)

    def won(seed: int) -> float:
        rows = np.flatnonzero(coin(seed).compute(bars) < 0.02)
        first = rows[np.unique(bars.day[rows], return_index=True)[1]]
        return float((gain - usual)[first].sum() / np.sqrt(spread[first].sum()))

    return _tossing(max(range(_SEEDS), key=won))


def _from_a_file(path: Path) -> Case:
    def read(bars: SessionBars) -> Floats:
        if not path.exists():
            return bars.close - bars.open
        return np.fromfile(path)[: len(bars)]

    return by_column(read)()


PAIRS: Final = (
    Pair(
        name="memory in the module",
        cheat=by_column(_from_the_module),
        honest=by_column(_since_yesterday),
    ),
    Pair(
        name="memory in a closure",
        cheat=lambda: by_column(_closure())(),
        honest=lambda: by_column(_setting(7))(),
    ),
    Pair(
        name="memory in a default",
        cheat=by_column(_by_default),
        honest=by_column(_with_a_default),
    ),
    Pair(
        name="memory in a class",
        cheat=by_column(_Oracle()),
        honest=by_column(_Ribbon(3, 12)),
    ),
    Pair(
        name="memory on the function",
        cheat=by_column(_on_the_function),
        honest=by_column(lambda bars: back(bars.open, 2) - bars.open),
    ),
    Pair(
        name="best price of earlier runs",
        cheat=lambda: by_call(partial(_best_so_far, {}))(),
        honest=by_call(_once),
    ),
    Pair(
        name="a counter that outlives the run",
        cheat=lambda: by_call(partial(_count_down, [8_000]))(),
        honest=by_call(_every_so_often),
    ),
    Pair(name="chance without a seed", cheat=by_column(_dice), honest=by_column(_seeded_dice)),
    Pair(name="the machine's clock", cheat=by_column(_clock), honest=by_column(_bars_clock)),
    Pair(name="writes into the bars", cheat=by_column(_rewriting), honest=by_column(_copying)),
    Pair(
        name="answers by time",
        cheat=_table,
        honest=lambda: _weekdays({1: 1.0, 3: 1.0}),
    ),
    Pair(name="answers in a text", cheat=_written_answers, honest=_labelled),
    Pair(name="the best bars by time", cheat=_good_rows, honest=_good_minutes),
    Pair(name="the best of many seeds", cheat=_best_seed, honest=lambda: _tossing(3)),
    Pair(
        name="answers in a file",
        cheat=lambda: _from_a_file(Path("answers.bin")),
        honest=by_column(lambda bars: bars.close - bars.open),
    ),
)
