"""Boxes are handed out, healed, taken back and closed, and answers stay what they were."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Side
from roboinvest.core.signals import ClosedBar, columns_of, signals_of
from roboinvest.core.strategy import Held, Plan, asks_elsewhere
from tests.fakes.boxed_files import ARITHMETIC, HEAD, IMPORTS, PAIR, boxes_of, twins
from tests.fakes.tapes import minute_tape
from tools.backtester.contract import Request
from tools.backtester.engine import run_backtest
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.inside.moments import GrowingMoment
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Limits
from tools.sandbox.tier import Tier

LEAVES = (
    IMPORTS
    + HEAD
    + """
def scan(now, p):
    return now("minutes_open") % 7 == 0

def leave(now, held, p):
    return now("close") > held.entry_price + 0.05 or now("close", 3) > now("close") + 0.2
"""
)
HELD = Held(side=Side.BUY, entry_price=100.0, bars=3, best=101.0, worst=99.5, stop=None)
DEADLINE_S = 20.0


def market(symbols: str, *, minutes: int = 120) -> Mapping[str, SessionBars]:
    return {
        symbol * 3: minute_tape(
            at, days=2, symbol=symbol * 3, minutes=minutes, deviation=0.001, missing=0.05
        )
        for at, symbol in enumerate(symbols)
    }


def asked(plan: Plan, bars: SessionBars, rows: list[int]) -> list[bool]:
    """Return what an exit's call says of some bars, in this order."""
    leave = plan.execution.exit
    assert callable(leave)
    columns = columns_of(plan, bars)
    return [bool(leave(ClosedBar(bars, columns, row), HELD)) for row in rows]


@pytest.mark.parametrize("workers", [1, 2])
def test_many_symbols_share_few_boxes(workers: int, tmp_path: Path) -> None:
    with boxes_of(Tier.B, workers=workers) as boxes:
        boxed, plain = twins(tmp_path, LEAVES, boxes)
        bars = market("ABCD")
        ours, theirs = (
            run_backtest(Request(strategy=each, values={}, bars=bars, timeframe=Timeframe.MINUTE))
            for each in (boxed, plain)
        )
        assert len(theirs.played.fills) >= 20
        assert ours.played.fills == theirs.played.fills
        assert len(boxes.pids) <= workers


def test_an_exit_is_asked_in_any_order(tmp_path: Path) -> None:
    with boxes_of(Tier.B) as boxes:
        boxed, plain = (each.plan(each.values({})) for each in twins(tmp_path, LEAVES, boxes))
        assert asks_elsewhere(boxed)
        assert not asks_elsewhere(plain)
        bars = market("A", minutes=400)["AAA"]
        rows = [5, 6, 7, 7, 3, 600, 601, 20, 650, 651, len(bars) - 1, 0]
        assert asked(boxed, bars, rows) == asked(plain, bars, rows)


def test_a_killed_zygote_is_healed_between_questions(tmp_path: Path) -> None:
    with boxes_of(Tier.B) as boxes:
        boxed, plain = (each.plan(each.values({})) for each in twins(tmp_path, LEAVES, boxes))
        bars = market("A")["AAA"]
        for row in (10, 11, 12):
            assert asked(boxed, bars, [row]) == asked(plain, bars, [row])
            for pid in boxes.pids:
                os.kill(pid, signal.SIGKILL)
        assert asked(boxed, bars, [13, 14]) == asked(plain, bars, [13, 14])


def test_a_zygote_killed_in_the_middle_of_a_walk_changes_nothing(tmp_path: Path) -> None:
    with boxes_of(Tier.B, workers=1) as boxes:
        boxed, plain = (each.plan(each.values({})) for each in twins(tmp_path, ARITHMETIC, boxes))
        bars = minute_tape(2, days=10, symbol="AAA")
        killed = threading.Event()

        def kill() -> None:
            ends = time.monotonic() + DEADLINE_S
            while time.monotonic() < ends and not killed.is_set():
                for pid in boxes.pids:
                    if psutil.Process(pid).children():  # a job is under way
                        os.kill(pid, signal.SIGKILL)
                        killed.set()

        killer = threading.Thread(target=kill)
        killer.start()
        ours = signals_of(boxed, bars, Timeframe.MINUTE)
        killer.join()
        assert killed.is_set()
        assert np.array_equal(ours.entry, signals_of(plain, bars, Timeframe.MINUTE).entry)


def test_a_box_that_gets_nowhere_is_not_the_candidates_fault() -> None:
    source = IMPORTS + HEAD + "import os\ndef scan(now, p):\n    os.read(3, 8)\n"
    with boxes_of(Tier.B) as boxes:
        plan = boxed_strategy(source, "code/strategy.py", boxes).plan({})
        boxes.limits = Limits(cpu_s=1, wall_s=0.2)  # of the scan alone: to declare may take longer
        with pytest.raises(TryLater, match="probe@1: the box did not get through its scan"):
            signals_of(plan, market("A")["AAA"], Timeframe.MINUTE)


def test_closing_ends_every_process_and_refuses_more(tmp_path: Path) -> None:
    with boxes_of(Tier.B) as boxes:
        boxed, _ = twins(tmp_path, LEAVES, boxes)
        plan = boxed.plan({})
        bars = market("A")["AAA"]
        asked(plan, bars, [5])
        signals_of(plan, bars, Timeframe.MINUTE)
        pids = boxes.pids
        assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    with pytest.raises(Refused, match="not open"):
        asked(plan, bars, [6])


def test_a_tier_without_boxes_is_refused() -> None:
    for tier in (Tier.C, Tier.D):
        with pytest.raises(Refused, match=f"tier {tier} runs no strategies"):
            Boxes(tier)


def test_threads_share_the_boxes(tmp_path: Path) -> None:
    with boxes_of(Tier.B) as boxes:
        boxed, plain = twins(tmp_path, PAIR.replace("SYMBOLS = 2", "SYMBOLS = 1"), boxes)
        bars = market("AB")
        found: dict[int, list[int]] = {}

        def ask(number: int) -> None:
            plan = boxed.plan({"back": 1 + number})
            signals = signals_of(plan, among(bars)["AAA"], Timeframe.MINUTE)
            found[number] = signals.entry.tolist()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        for number in range(6):
            plan = plain.plan({"back": 1 + number})
            signals = signals_of(plan, among(bars)["AAA"], Timeframe.MINUTE)
            assert found[number] == signals.entry.tolist()


def test_a_call_is_about_closed_bars_only(tmp_path: Path) -> None:
    with boxes_of(Tier.B) as boxes:
        boxed, _ = twins(tmp_path, LEAVES, boxes)
        leave = boxed.plan({}).execution.exit
        assert callable(leave)
        with pytest.raises(BadInput, match="asked about closed bars"):
            leave(GrowingMoment("AAA", ("close",), ()), HELD)
