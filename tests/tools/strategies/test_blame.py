"""What a file's code raises while it plays reaches the user as one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Side
from roboinvest.core.signals import ClosedBar, Signals, columns_of, signals_of
from roboinvest.core.strategy import Held
from tests.fakes.strategy_files import loaded
from tests.fakes.tapes import minute_tape

HEAD = """import numpy as np
from roboinvest.core.quant.calculators.chance import custom
from roboinvest.core.quant.conditions import above
from roboinvest.core.strategy import Entry, Scan
NAME, VERSION, IDEA, SOURCE, TIMEFRAME = "idea", "2", "An idea.", "a book", "any"
class Odd(Exception):
    pass
"""


def wishes(folder: Path, source: str) -> Signals:
    strategy = loaded(folder, HEAD + source)
    return signals_of(strategy.plan(strategy.values({})), minute_tape(1, days=2), Timeframe.MINUTE)


def sentence(folder: Path, source: str) -> str:
    with pytest.raises(BadInput) as caught:
        wishes(folder, source)
    said = str(caught.value)
    assert "\n" not in said
    return said.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 / 0", "failed with ZeroDivisionError: division by zero (idea.py, line 9)"),
        ("p['x']", "failed with KeyError: 'x' (idea.py, line 9)"),
        ("None.x", "failed with AttributeError: "),
        ("sma", "failed with NameError: name 'sma' is not defined (idea.py, line 9); sma is in "),
        ("now('close') + 'x'", "failed with TypeError: "),
        ("int('x')", "failed with ValueError: "),
        ("next(iter(()))", "failed with StopIteration (idea.py, line 9)"),
        ("open('/nowhere/at/all')", "failed with FileNotFoundError: "),
        ("exec('raise Odd(3)', globals())", "failed with Odd: 3 (idea.py, line 9)"),
        ("__import__('sys').exit(3)", "failed with SystemExit: 3 (idea.py, line 9)"),
        ("now('colse')", ": 'colse' is no column of this strategy; it has close, high, "),
        ("now('close', -1)", ": back=-1 asks for a bar that has not closed; give 0 or more"),
        ("now.other('QQQ')", ": QQQ is not in this run; it has no other"),
    ],
)
def test_a_scan_that_raises_is_told_with_strategy_bar_and_line(
    line: str, told: str, tmp_path: Path
) -> None:
    said = sentence(tmp_path, f"def scan(now, p):\n    return {line}\n")
    assert said.startswith("idea@2: its scan at SPY 2024-01-02, 1 minutes after the open")
    assert told in said


def test_the_bar_is_the_one_it_happened_at(tmp_path: Path) -> None:
    said = sentence(
        tmp_path,
        "def scan(now, p):\n"
        "    if now('minutes_open') == 63 and now('session') > 738887:\n"
        "        raise Odd('here')\n",
    )
    assert "its scan at SPY 2024-01-03, 63 minutes after the open failed with Odd: here" in said


def test_a_scan_that_answers_conditions_for_one_bar_is_told_the_other_form(tmp_path: Path) -> None:
    said = sentence(tmp_path, "def scan(now, p):\n    return Scan(long=above('close', 1.0))\n")
    assert "it answered a Scan of conditions for one bar; write def scan(p)" in said


def test_a_scan_that_sells_short_without_a_word_is_refused(tmp_path: Path) -> None:
    source = (
        "from roboinvest.core.orders import Side\n"
        "def scan(now, p):\n    return Entry(side=Side.SELL)\n"
    )
    assert "set SHORTS = True" in sentence(tmp_path, source)
    signals = wishes(tmp_path, f"{source}SHORTS = True\n")
    assert (signals.entry == -1).all()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("1 / 0", "failed with ZeroDivisionError: division by zero (idea.py, line 9)"),
        ("bars.colse", "failed with AttributeError: "),
        ("['a'] * len(bars)", "failed with ValueError: could not convert string to float: 'a'"),
        ("bars.close[9999]", "failed with IndexError: "),
    ],
)
def test_a_calculator_that_raises_is_told_with_strategy_column_and_bars(
    body: str, told: str, tmp_path: Path
) -> None:
    source = (
        f"def mine(bars):\n    return {body}\n"
        "def columns(p):\n    return {'mine': custom('mine', mine, 0)}\n"
        "def scan(now, p):\n    return False\n"
    )
    said = sentence(tmp_path, source)
    assert said.startswith("idea@2: its column mine over 780 bars up to SPY 2024-01-03 20:59 UTC ")
    assert told in said


def test_a_condition_of_its_own_that_raises_is_told(tmp_path: Path) -> None:
    said = sentence(tmp_path, "def scan(p):\n    return Scan(long=above('close', None))\n")
    assert said.startswith("idea@2: a condition failed with TypeError: ")


def test_an_exit_that_raises_is_told(tmp_path: Path) -> None:
    source = "def scan(now, p): return True\ndef leave(now, held, p):\n    return held.age > 3\n"
    strategy = loaded(tmp_path, HEAD + source)
    plan = strategy.plan(strategy.values({}))
    bars = minute_tape(1, days=1)
    held = Held(side=Side.BUY, entry_price=1.0, bars=1, best=1.0, worst=1.0, stop=None)
    assert callable(plan.execution.exit)
    with pytest.raises(BadInput, match="idea@2: its exit at SPY 2024-01-02, 6 minutes after the"):
        plan.execution.exit(ClosedBar(bars, columns_of(plan, bars), 5), held)


def test_a_plan_that_raises_only_for_some_values_is_told_then(tmp_path: Path) -> None:
    source = (
        'PARAMS = {"n": (1, 0, 5)}\ndef columns(p):\n    1 / p["n"]\n    return {}\n'
        "def scan(now, p): return False\n"
    )
    strategy = loaded(tmp_path, HEAD + source)
    with pytest.raises(BadInput, match="idea@2: its plan failed with ZeroDivisionError"):
        strategy.plan(strategy.values({"n": 0}))


def test_an_interrupt_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        wishes(tmp_path, "def scan(now, p):\n    raise KeyboardInterrupt\n")


def test_a_guarded_plan_wants_what_the_code_wants(tmp_path: Path) -> None:
    source = (
        "def mine(bars): return [1.0] * len(bars)\n"
        "def columns(p): return {'mine': custom('mine', mine, 3)}\n"
        "def scan(p): return Scan(long=above('mine', 0.5))\n"
    )
    signals = wishes(tmp_path, source)
    assert signals.columns["mine"].dtype == np.float64
    assert not signals.entry[:3].any()
    assert signals.entry[3:].all()


def test_another_symbol_is_there_where_the_run_has_it(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, f"{HEAD}def scan(now, p): return now.other('QQQ') > 0\n")
    both = among({name: minute_tape(1, days=1, symbol=name) for name in ("QQQ", "SPY")})
    signals = signals_of(strategy.plan({}), both["SPY"], Timeframe.MINUTE)
    assert signals.entry.all()
