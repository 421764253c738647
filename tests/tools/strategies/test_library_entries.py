"""Each strategy enters at the bar it was made for, and not at one that only looks like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from roboinvest.core.strategy import Number
from tests.fakes.price_paths import (
    BANDS,
    CALM,
    CHANNEL,
    DAY,
    HIGH,
    LOW,
    MACD,
    NIGHT,
    ORB,
    RANGE,
    RSI,
    SMA,
    THRUST,
    VWAP,
    Row,
    entries,
    flat,
    path,
    rising,
    wishes,
)
from tests.fakes.tapes import tape
from tools.strategies.shelf import find


@dataclass(frozen=True, kw_only=True)
class Case:
    """A tape and the rows at whose close a strategy wants to enter."""

    name: str
    why: str
    rows: Sequence[Row]
    expected: list[int]
    given: Mapping[str, Number] = field(default_factory=dict)
    minutes: int = 390


CASES = [
    Case(
        name="sma_crossover",
        why="the fast mean comes over the slow one",
        rows=path(10, 10, 10, 10, 12, 13),
        expected=[4],
        given=SMA,
    ),
    Case(
        name="sma_crossover",
        why="the fast mean goes under the slow one",
        rows=path(10, 10, 10, 10, 9, 8),
        expected=[],
        given=SMA,
    ),
    Case(
        name="ema_crossover",
        why="the fast mean comes over the slow one",
        rows=[*flat(20), *path(100, 102, 103)],
        expected=[21],
        given=SMA,
    ),
    Case(
        name="ema_crossover",
        why="the fast mean was over the slow one before anything is known",
        rows=path(*rising(40)),
        expected=[],
        given=SMA,
    ),
    Case(
        name="macd",
        why="the line comes over its signal",
        rows=[*flat(45), *path(100, 102, 103)],
        expected=[46],
        given=MACD,
    ),
    Case(
        name="macd",
        why="the line goes under its signal",
        rows=[*flat(45), *path(100, 98, 97)],
        expected=[],
        given=MACD,
    ),
    Case(
        name="rsi_mean_reversion",
        why="a sharp dip in a rising market",
        rows=path(*rising(40), 129),
        expected=[40],
        given=RSI,
    ),
    Case(
        name="rsi_mean_reversion",
        why="a small dip in a rising market",
        rows=path(*rising(40), 135),
        expected=[],
        given=RSI,
    ),
    Case(
        name="rsi_mean_reversion",
        why="a dip so deep that the trend is broken",
        rows=path(*rising(40), 110),
        expected=[],
        given=RSI,
    ),
    Case(
        name="bollinger_fade",
        why="a close under the lower band",
        rows=path(10, 10.1, 10, 10.1, 10, 10.1, 10, 9.5),
        expected=[7],
        given=BANDS,
    ),
    Case(
        name="bollinger_fade",
        why="a low under the band and a close inside",
        rows=[*path(10, 10.1, 10, 10.1, 10, 10.1, 10), (10, 10.1, 9.0, 10.0)],
        expected=[],
        given=BANDS,
    ),
    Case(
        name="donchian_breakout",
        why="a close over the highs before, and another",
        rows=[*flat(15), *path(100, 100.5, 101.0)],
        expected=[16, 17],
        given=CHANNEL,
    ),
    Case(
        name="donchian_breakout",
        why="a high over the highs before and a close at them",
        rows=[*flat(15), (100, 101.0, 99.95, 100.05)],
        expected=[],
        given=CHANNEL,
    ),
    Case(
        name="volatility_breakout",
        why="a rise of ten times the usual range",
        rows=[*flat(15), *path(100, 101.0, 101.1)],
        expected=[16],
        given=THRUST,
    ),
    Case(
        name="volatility_breakout",
        why="a fall of ten times the usual range",
        rows=[*flat(15), *path(100, 99.0, 98.9)],
        expected=[],
        given=THRUST,
    ),
    Case(
        name="vwap_bounce",
        why="a dip to VWAP that closes above it",
        rows=[*HIGH, (101, 101.05, 100.5, 101.0), *path(101.0, 101.0)],
        expected=[25],
        given=VWAP,
    ),
    Case(
        name="vwap_bounce",
        why="a dip that does not reach VWAP",
        rows=[*HIGH, (101, 101.05, 100.9, 101.0), *path(101.0, 101.0)],
        expected=[],
        given=VWAP,
    ),
    Case(
        name="vwap_bounce",
        why="a dip through VWAP that closes below it",
        rows=[*HIGH, (101, 101.05, 100.4, 100.5), *path(101.0, 101.0)],
        expected=[],
        given=VWAP,
    ),
    Case(
        name="vwap_bounce",
        why="a dip in a session that did not hold above VWAP for long",
        rows=[*flat(20), *path(*[101.0] * 5), (101, 101.05, 100.0, 101.0)],
        expected=[],
        given=VWAP,
    ),
    Case(
        name="vwap_bounce",
        why="a dip in the first bars of a session, after one that held above VWAP to its end",
        rows=[
            *flat(5),
            *path(*[101.0] * (DAY - 5)),
            (100.9, 101.2, 100.0, 101.1),  # over its own VWAP at once
            (101.1, 101.3, 100.6, 101.2),
        ],
        expected=[],
        given=VWAP,
        minutes=DAY,
    ),
    Case(
        name="vwap_reclaim",
        why="a close over VWAP after a while below",
        rows=[*LOW, *path(99.0, 99.9, 100.0)],
        expected=[26],
        given=VWAP,
    ),
    Case(
        name="vwap_reclaim",
        why="a high over VWAP and a close below",
        rows=[*LOW, (99.0, 100.0, 98.9, 99.0)],
        expected=[],
        given=VWAP,
    ),
    Case(
        name="vwap_reclaim",
        why="a close over VWAP after a moment below",
        rows=[*flat(20), *path(*[99.0] * 5, 100.5)],
        expected=[],
        given=VWAP,
    ),
    Case(
        name="opening_range_breakout",
        why="the first close over the range, and no second one",
        rows=[*RANGE, *path(100.0, 100.1, 100.3, 100.0, 100.4)],
        expected=[7],
        given=ORB,
    ),
    Case(
        name="opening_range_breakout",
        why="a high over the range and a close inside",
        rows=[*RANGE, (100.0, 100.6, 99.9, 100.1), *path(100.1, 100.1)],
        expected=[],
        given=ORB,
    ),
    Case(
        name="opening_range_breakout",
        why="a close over the first minutes while they last",
        rows=[*path(100.0, 100.0, 101.0, 100.0, 100.0), *path(100.0, 100.5)],
        expected=[],
        given=ORB,
    ),
    Case(
        name="opening_range_breakout",
        why="a range within a cent, where the stop would come to lie over the close",
        rows=[*path(*[100.0055] * 5, spread=0.0), *path(100.0060, 100.0061, spread=0.0)],
        expected=[],
        given=ORB,
    ),
    Case(
        name="opening_range_breakout",
        why="a close over the range when it is too late",
        rows=[*RANGE, *flat(DAY - 10), *path(101.0)],
        expected=[],
        given={**ORB, "no_entry_before_close_min": 10},
        minutes=DAY,
    ),
    Case(
        name="gap_and_go",
        why="a gap of 3 % that goes on after five minutes",
        rows=[*CALM, *path(103.0, 103.1, 103.0, 103.1, 103.0, 103.1, 103.5, 103.8)],
        expected=[DAY + 6],
        minutes=DAY,
    ),
    Case(
        name="gap_and_go",
        why="a gap of 1 %",
        rows=[*CALM, *path(101.0, 101.1, 101.0, 101.1, 101.0, 101.1, 101.5, 101.8)],
        expected=[],
        minutes=DAY,
    ),
    Case(
        name="gap_and_go",
        why="a gap of 3 % that is sold",
        rows=[*CALM, *path(103.0, 102.9, 102.8, 102.7, 102.6, 102.5, 102.4)],
        expected=[],
        minutes=DAY,
    ),
    Case(
        name="gap_and_go",
        why="a gap of 3 % that goes on after the first ten minutes",
        rows=[*CALM, *path(*[103.0, 103.1] * 5, 103.1, 103.5)],
        expected=[],
        given={"within_min": 10},
        minutes=DAY,
    ),
    Case(
        name="gap_fade",
        why="a gap of -1 % that turns after five minutes",
        rows=[*CALM, *path(99.0, 98.9, 98.8, 98.9, 98.9, 99.1, 99.3)],
        expected=[DAY + 5],
        minutes=DAY,
    ),
    Case(
        name="gap_fade",
        why="a gap of -5 %",
        rows=[*CALM, *path(95.0, 94.9, 94.8, 94.9, 94.9, 95.1, 95.3)],
        expected=[],
        minutes=DAY,
    ),
    Case(
        name="gap_fade",
        why="a gap of -1 % that falls on",
        rows=[*CALM, *path(99.0, 98.9, 98.8, 98.9, 98.9, 98.7, 98.5)],
        expected=[],
        minutes=DAY,
    ),
    Case(
        name="gap_fade",
        why="a gap that is closed before it turned, so that no way is left to the target",
        rows=[*CALM, *path(99.0, 98.9, 98.8, 98.9, 98.9, 100.1, 100.2)],
        expected=[],
        minutes=DAY,
    ),
    Case(
        name="overnight_momentum",
        why="a session that rose by 1 %, in its last 15 minutes",
        rows=[*path(*np.linspace(100.0, 101.0, DAY).round(2).tolist()), *flat(5, 101.0)],
        expected=[DAY - 16],
        given=NIGHT,
        minutes=DAY,
    ),
    Case(
        name="overnight_momentum",
        why="a session that fell",
        rows=[*path(*np.linspace(100.0, 99.0, DAY).round(2).tolist()), *flat(5, 99.0)],
        expected=[],
        given=NIGHT,
        minutes=DAY,
    ),
    Case(
        name="overnight_momentum",
        why="a session that rose only with its last bar, whose order would wait for the next open",
        rows=[*flat(DAY - 1), *path(101.0), *flat(5, 101.0)],
        expected=[],
        given=NIGHT,
        minutes=DAY,
    ),
    Case(
        name="buy_and_hold",
        why="always",
        rows=flat(4),
        expected=[0, 1, 2, 3],
    ),
    Case(
        name="random_entry",
        why="a coin with one side",
        rows=flat(4),
        expected=[0, 1, 2, 3],
        given={"chance": 1.0},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}: {case.why}")
def test_a_strategy_enters_at_the_bar_it_was_made_for(case: Case) -> None:
    signals = wishes(case.name, tape(case.rows, minutes=case.minutes), **case.given)
    assert entries(signals) == case.expected
    assert (signals.entry >= 0).all()


def test_every_strategy_has_a_tape_on_which_it_enters_and_one_on_which_it_does_not() -> None:
    entering = {case.name for case in CASES if case.expected}
    staying = {case.name for case in CASES if not case.expected}
    assert entering - staying == {"buy_and_hold", "random_entry"}
    assert entering | {"pairs"} == {maker.name for maker in map(find, entering | {"pairs"})}
    assert len(entering) == 15
