"""Strategies from files: the two forms, and a sentence for everything that is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Side
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import EquityShare, Held, Param, Timeframes
from tests.fakes.strategy_files import CROSSING, PULLBACK, loaded, written
from tests.fakes.tapes import daily_tape, minute_tape
from tools.strategies.files import load_strategy

HEAD = """NAME = "idea"
VERSION = "1"
IDEA = "An idea."
SOURCE = "a book"
TIMEFRAME = "any"
"""
AVERAGES = "roboinvest.core.quant.calculators.averages"
SCAN = "def scan(now, p):\n    return False\n"
WHOLE = HEAD + SCAN


def test_the_example_for_people_is_a_strategy(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, PULLBACK)
    assert strategy.stamp == "pullback@1"
    assert strategy.timeframe is Timeframes.ANY
    assert strategy.idea == "Who missed a rise buys when it pauses."
    assert strategy.params == (
        Param(name="trend", default=50, low=5, high=200),
        Param(
            name="falls",
            default=3,
            low=1,
            high=10,
            step=1,
            text="closes in a row below the one before",
        ),
        Param(name="stop_atr", default=2.0, low=0.5, high=5.0),
    )
    assert len(strategy.fingerprint) == 64


def test_the_example_enters_where_it_says(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, PULLBACK)
    plan = strategy.plan(strategy.values({"falls": "2"}))
    assert plan.execution.size == EquityShare(0.5)
    bars = daily_tape(3)
    signals = signals_of(plan, bars, Timeframe.DAY)
    close, trend = bars.close, signals.columns["trend"]
    expected = np.zeros(len(bars), np.bool_)
    expected[2:] = (close[2:] < close[1:-1]) & (close[1:-1] < close[:-2]) & (close[2:] > trend[2:])
    expected[: plan.warm_up] = False
    assert expected.sum() > 10
    np.testing.assert_array_equal(signals.entry != 0, expected)
    rows = np.flatnonzero(expected)
    far = 2.0 * signals.columns["atr"][rows]
    np.testing.assert_allclose(signals.stop[rows] / 1e4, close[rows] - far, atol=0.0051)
    np.testing.assert_allclose(signals.target[rows] / 1e4, close[rows] + 2 * far, atol=0.0051)


def test_the_example_leaves_after_ten_bars(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, PULLBACK)
    leave = strategy.plan(strategy.values({})).execution.exit
    assert callable(leave)

    def held(bars: int) -> Held:
        return Held(side=Side.BUY, entry_price=1.0, bars=bars, best=1.0, worst=1.0, stop=None)

    class Nowhere:
        symbol = "SPY"

        def __call__(self, name: str, back: int = 0) -> float:
            return 1.0

        def other(self, symbol: str, back: int = 0) -> float:
            return 1.0

    assert [leave(Nowhere(), held(bars)) for bars in (9, 10)] == [False, True]


def test_the_other_form_is_one_strategy(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, CROSSING)
    assert strategy.stamp == "over_the_mean@3"
    bars = daily_tape(1)
    signals = signals_of(strategy.plan(strategy.values({"period": 10})), bars, Timeframe.DAY)
    mean = signals.columns["mean"]
    np.testing.assert_array_equal(signals.entry[9:], (bars.close > mean)[9:])


def test_a_scan_of_one_argument_gives_conditions(tmp_path: Path) -> None:
    given = (
        "from roboinvest.core.quant.conditions import above\n"
        "from roboinvest.core.strategy import Scan\n"
        f"{HEAD}\n"
        'PARAMS = {"price": (100.0, 1.0, 200.0)}\n'
        'def scan(p):\n    return Scan(long=above("close", p["price"]))\n'
    )
    strategy = loaded(tmp_path, given)
    bars = minute_tape(1)
    signals = signals_of(strategy.plan(strategy.values({})), bars, Timeframe.MINUTE)
    np.testing.assert_array_equal(signals.entry != 0, bars.close > 100.0)


def test_a_call_and_a_condition_that_say_the_same_want_the_same(tmp_path: Path) -> None:
    as_call = loaded(tmp_path, CROSSING)
    source = (
        f"from {AVERAGES} import sma\n{HEAD}"
        "from roboinvest.core.strategy import Execution, Percent\n"
        "def columns(p): return {'mean': sma(20)}\n"
        "def scan(now, p): return now('close') > now('mean')\n"
        "def execution(p): return Execution(stop=Percent(0.05))\n"
    )
    bars = daily_tape(2)
    one, two = (
        signals_of(each.plan(each.values({})), bars, Timeframe.DAY)
        for each in (as_call, loaded(tmp_path, source))
    )
    stays = ~one.leave
    np.testing.assert_array_equal(one.entry[stays], two.entry[stays])
    np.testing.assert_array_equal(one.stop[stays], two.stop[stays])


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.py does not exist; give the path"):
        load_strategy(tmp_path / "none.py")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(BadInput, match=r"folder\.py is a folder or a device"):
        load_strategy(tmp_path / "folder.py")
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(BadInput, match=r"pipe\.py is a folder or a device"):
        load_strategy(tmp_path / "pipe.py")
    with pytest.raises(BadInput, match=r"idea\.txt is no Python file"):
        load_strategy(tmp_path / "idea.txt")
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    with pytest.raises(BadInput, match=r"loop\.py cannot be opened: .*symbolic links"):
        load_strategy(tmp_path / "loop.py")
    with pytest.raises(BadInput, match=r"long\.py is longer than 1000000 bytes"):
        load_strategy(written(tmp_path, "#" * 1_000_001, "long.py"))


def test_a_file_leaves_no_trace_in_the_program_or_beside_itself(tmp_path: Path) -> None:
    before, searched = set(sys.modules), list(sys.path)
    loaded(tmp_path, PULLBACK)
    assert {name for name in set(sys.modules) - before if "roboinvest" not in name} == set()
    assert sys.path == searched
    assert [each.name for each in tmp_path.iterdir()] == ["idea.py"]


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "from pathlib import Path\nPath(__file__).write_text('not Python at all (')\n" + WHOLE,
    )
    strategy = load_strategy(path)
    assert strategy.name == "idea"
    assert strategy.plan({}).columns == {}
    assert len(strategy.fingerprint) == 64


def test_a_file_is_not_run_as_a_script_and_may_hold_dataclasses(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass Far:\n    usd: float = 1.0\n"
        "if __name__ == '__main__':\n    raise SystemExit(1)\n"
        f"{HEAD}def scan(now, p):\n    return Far(2.0).usd > 3.0\n"
    )
    strategy = loaded(tmp_path, source)
    signals = signals_of(strategy.plan({}), minute_tape(1, days=1), Timeframe.MINUTE)
    assert not signals.entry.any()


def test_a_file_is_read_by_the_rules_of_python_and_not_by_those_of_this_module(
    tmp_path: Path,
) -> None:
    hinted = "def f(x: 1 + 1): ...\nassert f.__annotations__ == {'x': 2}\n"
    assert loaded(tmp_path, f"{hinted}{WHOLE}").name == "idea"


def test_two_files_do_not_see_each_other(tmp_path: Path) -> None:
    one = load_strategy(written(tmp_path, f"FAR = 1\n{WHOLE}", "one.py"))
    with pytest.raises(BadInput, match="FAR"):
        load_strategy(written(tmp_path, f"{WHOLE}\nX = FAR\n", "two.py"))
    assert one.plan({}).columns == {}


def test_a_file_cannot_change_the_values_it_is_given(tmp_path: Path) -> None:
    source = f'{HEAD}PARAMS = {{"n": (1, 1, 5)}}\ndef scan(now, p):\n    p["n"] = 3\n'
    strategy = loaded(tmp_path, source)
    with pytest.raises(BadInput, match=r"its scan at SPY .* failed with TypeError"):
        signals_of(strategy.plan({"n": 1}), minute_tape(1, days=1), Timeframe.MINUTE)


def test_two_plans_of_the_same_values_declare_equal_columns(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, PULLBACK)
    one, two, other = (
        strategy.plan(strategy.values({"trend": trend})).columns for trend in (20, 20, 30)
    )
    assert one == two
    assert one["trend"] != other["trend"]
