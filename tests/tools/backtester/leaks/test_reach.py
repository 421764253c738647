"""What code carries along, and what it remembers."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roboinvest.core.market.values import Timeframe
from tests.leak_corpus.kit import play, walk
from tools.backtester.contract import Request
from tools.backtester.leaks.check import Beside, leak_check
from tools.backtester.leaks.detectors.reach import memory, reach_of, tables
from tools.backtester.leaks.findings import Verdict
from tools.strategies.files import load_strategy

MANY = tuple(float(number) for number in range(500))
FEW = (9.5, 16.0)


def around(value: object) -> Callable[[], object]:
    return lambda: value


class Holder:
    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self) -> object:
        return self.value


def of_the_module() -> object:
    return MANY


def of_little() -> object:
    return FEW


def in_its_code(day: int) -> bool:
    return day in {  # a table that is a literal
        *(1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79),
        *(83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173),
        *(179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269),
    }


@pytest.mark.parametrize(
    "thing",
    [
        around(MANY),
        around(dict.fromkeys(range(100), 1)),
        around(np.arange(60.0)),
        around("+-" * 400),
        around([list(MANY)]),
        Holder(set(MANY)),
        Holder(SimpleNamespace(answers=list(MANY))),
        partial(lambda table: table, MANY),
        of_the_module,
        in_its_code,
        partial(Holder(MANY).__call__),
    ],
)
def test_a_table_is_found_wherever_it_is_kept(thing: object) -> None:
    assert tables(reach_of(("it", thing)))


@pytest.mark.parametrize("thing", [of_little, around(FEW), around("a word"), Holder(3), walk])
def test_settings_are_no_table(thing: object) -> None:
    assert tables(reach_of(("it", thing))) == []


def test_declared_data_are_no_table() -> None:
    values = np.arange(100.0)
    assert tables(reach_of(("it", around(values))), (values.copy(),)) == []


def growing() -> tuple[object, Callable[[], object]]:
    seen = list[int]()
    return around(seen), lambda: seen.append(1)


def counting() -> tuple[object, Callable[[], object]]:
    numbers = count()
    return around(numbers), lambda: next(numbers)


def rolling() -> tuple[object, Callable[[], object]]:
    dice = random.Random(1)
    return around(dice), dice.random


def drawing() -> tuple[object, Callable[[], object]]:
    chance = np.random.default_rng(1)
    return around(chance), chance.random


def adding() -> tuple[object, Callable[[], object]]:
    holder = Holder(0)
    return holder, lambda: setattr(holder, "value", 1)


def setting() -> tuple[object, Callable[[], object]]:
    number = 0

    def bump() -> int:
        nonlocal number
        number += 1
        return number

    return bump, bump


@pytest.mark.parametrize("made", [growing, counting, rolling, drawing, adding, setting])
def test_what_changes_between_two_runs_is_noticed(
    made: Callable[[], tuple[object, Callable[[], object]]],
) -> None:
    thing, change = made()
    before = memory(reach_of(("it", thing)))
    assert memory(reach_of(("it", thing))) == before
    change()
    assert memory(reach_of(("it", thing))) != before


FILE = '''"""Fades a stretched move."""
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import below
from roboinvest.core.strategy import *

{table}

def build(values):
    return Plan(
        columns={{"slow": sma(values["slow"])}},
        scan={scan},
        execution=Execution(stop=Percent(0.01), max_bars=5),
    )


def scan(now):
    return now("session") in TABLE and now("close") < now("slow")


STRATEGY = Strategy(
    name="mine", version="1", idea="what stretches comes back", source="a test",
    timeframe=Timeframes.ANY, params=(Param(name="slow", default=20, low=2, high=200),),
    build=build,
)
'''


@pytest.mark.parametrize(
    ("table", "scan", "verdict"),
    [
        ("", 'Scan(long=below("close", "slow"))', Verdict.CLEAN),
        ("TABLE = {738900.0, 738901.0}", "scan", Verdict.CLEAN),
        (f"TABLE = {set(range(738_000, 739_000))}", "scan", Verdict.SUSPECTED),
        ("import os", 'Scan(long=below("close", "slow"))', Verdict.SUSPECTED),
    ],
)
def test_a_strategy_of_a_file_is_judged_by_its_own_code(
    tmp_path: Path, table: str, scan: str, verdict: Verdict
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(table=table, scan=scan), encoding="utf-8")
    made = load_strategy(path)
    request = Request(
        strategy=made,
        values=made.values({}),
        bars={"AAA": walk(sessions=5)},
        timeframe=Timeframe.MINUTES_5,
    )
    report = leak_check(
        request,
        play=play,
        rng=np.random.default_rng(1),
        beside=Beside(source=path.read_text(encoding="utf-8")),
    )
    assert report.verdict is verdict, report.sentences()
