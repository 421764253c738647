"""What needs the future works out of the box and not in it, because there is no future in there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import Strategy
from tests.fakes.boxed_files import HEAD, IMPORTS, boxes_of, twins
from tests.fakes.tapes import minute_tape
from tools.backtester.contract import Request
from tools.backtester.engine import run_backtest
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Limits
from tools.sandbox.tier import Tier

SEES = {  # a function that returns the next close, or None where it sees none
    "the moment's bars": """
def next_close(now):
    row = now.row + 1
    return now.bars.close[row] if row < len(now.bars.close) else None
""",
    "the garbage collector": """
import gc
from roboinvest.core.market.session_bars import SessionBars

def next_close(now):
    for each in gc.get_objects():
        if isinstance(each, SessionBars) and each.symbol == now.symbol:
            later = each.closes_at > now("session") * 0 + at(each, now)
            if later.any():
                return each.close[later.argmax()]
    return None

def at(bars, now):
    minutes = (bars.closes_at - bars.opens) / 60e9
    known = (bars.day == now("session")) & (minutes == now("minutes_open"))
    return bars.closes_at[known][0]
""",
    "the caller's frame": """
import sys

def next_close(now):
    frame = sys._getframe(1)
    while frame is not None:
        bars, moment = frame.f_locals.get("bars"), frame.f_locals.get("moment")
        if bars is not None and moment is not None and moment.row + 1 < len(bars.close):
            return bars.close[moment.row + 1]
        frame = frame.f_back
    return None
""",
    "a bar that is ahead": """
def next_close(now):
    return now("close", -1)
""",
}
CHEAT = (
    IMPORTS
    + HEAD
    + """
{sees}

def scan(now, p):
    try:
        later = next_close(now)
    except Exception:
        later = None
    return later is not None and later > now("close")
"""
)


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with boxes_of(Tier.B) as made:
        yield made


def tape(symbol: str = "AAA") -> SessionBars:
    return minute_tape(11, days=2, symbol=symbol, minutes=60, deviation=0.001)


def entries(strategy: Strategy, bars: SessionBars) -> list[int]:
    signals = signals_of(strategy.plan(strategy.values({})), bars, Timeframe.MINUTE)
    return np.flatnonzero(signals.entry).tolist()


SLOW = "the garbage collector"  # it walks through all that there is


@pytest.mark.parametrize(
    "what",
    [pytest.param(each, marks=[pytest.mark.campaign] if each == SLOW else []) for each in SEES],
)
def test_a_look_ahead_finds_nothing_in_the_box(boxes: Boxes, what: str, tmp_path: Path) -> None:
    boxed, plain = twins(tmp_path, CHEAT.format(sees=SEES[what]), boxes)
    bars = tape("SEEN")  # a name that no bars of other tests have, which may still be in memory
    knows = np.flatnonzero(np.append(np.diff(bars.close) > 0, False)).tolist()
    ahead_is_refused = "ahead" in what
    assert entries(plain, bars) == ([] if ahead_is_refused else knows)
    assert entries(boxed, bars) == []


def test_memory_of_the_first_walk_is_not_there_in_the_second(boxes: Boxes, tmp_path: Path) -> None:
    source = (
        IMPORTS
        + HEAD
        + "import builtins\n"
        + "kept = builtins.__dict__.setdefault('kept', [])\n"
        + "def scan(now, p):\n    kept.append(now('close'))\n    return len(kept) > 120\n"
    )
    boxed, plain = twins(tmp_path, source, boxes)
    bars = tape()
    assert entries(boxed, bars) == entries(boxed, bars) == []
    assert entries(plain, bars) == []
    assert len(entries(plain, bars)) == len(bars)  # out of the box it knows the whole run by now


def test_an_exit_is_asked_before_the_next_bar_is_there(boxes: Boxes, tmp_path: Path) -> None:
    source = (
        IMPORTS
        + HEAD
        + """
import gc
def scan(now, p):
    return now("minutes_open") % 10 == 0

def leave(now, held, p):
    seen = [each for each in gc.get_objects() if type(each).__name__ == "SessionBars"]
    most = max((len(each.close) for each in seen), default=0)
    return most > 100
"""
    )
    boxed, plain = twins(tmp_path, source, boxes)
    closed = {}
    for name, strategy in (("boxed", boxed), ("plain", plain)):
        request = Request(
            strategy=strategy, values={}, bars={"AAA": tape()}, timeframe=Timeframe.MINUTE
        )
        closed[name] = [trip for trip in run_backtest(request).round_trips if not trip.is_open]
    assert closed["plain"]
    assert not closed["boxed"]


FAULTS = {  # what a scan does -> what is said of it
    "1 / (now('close') - now('close'))": "failed with line 21: ZeroDivisionError",
    "'up'": "it answered 'up'; give an Entry, True, False or None",
    "Entry(stop=float('nan'))": "it gave the level nan; give a price",
    "Entry(side=Side.SELL)": "it sells short and does not say so; set SHORTS = True",
    "now('mean')": "'mean' is no column of this strategy; it has close, high",
    "now.other('BBB')": "BBB is not in this run; it has no other",
    "(_ for _ in ()).throw(SystemExit)": "SystemExit",
    "__import__('os').open('/etc/passwd', 0)": "PermissionError",
    # None, so that what follows is zeros too: read in one piece with them or not, it is too much
    "__import__('os').write(4, bytes(99)) and None": "the box ended it: output",
    "__import__('os')._exit(0)": "the box ended it: output",
    "[0 for _ in iter(int, 1)]": "the box ended it: cpu: it used",
    "__import__('ctypes').string_at(0)": "the box ended it: crashed: it was ended by SIGSEGV",
    "bytearray(1 << 40)": "MemoryError",
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_on_the_way_is_told_in_one_sentence(what: str) -> None:
    source = (
        IMPORTS
        + HEAD
        + "import ctypes\nn = [0]\n"
        + f"def scan(now, p):\n    n[0] += 1\n    return {what} if n[0] == 30 else None\n"
    )
    with boxes_of(Tier.B, workers=1, limits=Limits(cpu_s=1, wall_s=20.0)) as boxes:
        strategy = boxed_strategy(source, "code/strategy.py", boxes)
        with pytest.raises(BadInput) as told:
            entries(strategy, tape())
        text = str(told.value)
        assert text.startswith("probe@1: ")
        assert FAULTS[what] in text
        assert "\n" not in text
        honest = boxed_strategy(IMPORTS + HEAD + "def scan(now, p): return True", "x.py", boxes)
        assert len(entries(honest, tape())) == len(tape())


@pytest.mark.parametrize("chance", ["time.time_ns() // 64", "time.perf_counter_ns() // 64"])
def test_answers_that_differ_between_two_runs_are_refused(boxes: Boxes, chance: str) -> None:
    body = f"import time\ndef scan(now, p):\n    return ({chance} >> 4) % 2 == 0\n"
    strategy = boxed_strategy(IMPORTS + HEAD + body, "code/strategy.py", boxes)
    with pytest.raises(BadInput, match="probe@1: its scan cannot be trusted: it answers differ"):
        entries(strategy, tape())


def test_seeded_chance_is_alike_in_both_runs(boxes: Boxes) -> None:
    body = "import random\ndef scan(now, p):\n    return random.random() < 0.3\n"
    strategy = boxed_strategy(IMPORTS + HEAD + body, "code/strategy.py", boxes)
    bars = tape()
    assert 20 < len(entries(strategy, bars)) < 60
    assert entries(strategy, bars) == entries(strategy, bars)
