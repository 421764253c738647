"""What a strategy's source gives away, and what it does not."""

from __future__ import annotations

import pytest

from tools.backtester.leaks.detectors.source import faults_in

IMPORTS = "import numpy as np\nimport pandas as pd\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("import os", "imports os"),
        ("from pathlib import Path", "imports pathlib"),
        ("import urllib.request", "imports urllib.request"),
        ("x = datetime.now()", "reads the clock: datetime.now()"),
        ("x = date.today()", "reads the clock"),
        ("x = np.random.default_rng()", "without a seed"),
        ("x = np.random.rand(5)", "without a seed: np.random.rand()"),
        ("x = random.choice([1, 2])", "without a seed: random.choice()"),
        ("x = frame.shift(-1)", "shift() by a negative number"),
        ("x = frame.shift(periods=-2)", "shift() by a negative number"),
        ("x = np.roll(close, -1)", "roll() by a negative number"),
        ("x = frame.rolling(5, center=True).mean()", "rolling(center=True)"),
        ("x = frame.bfill()", "fills gaps from later rows"),
        ("x = frame.fillna(method='bfill')", "fills gaps from later rows"),
        ("x = frame.interpolate()", "fills gaps with later rows"),
        ("x = filtfilt(b, a, close)", "smooths forwards and backwards"),
        ("x = np.convolve(close, w, mode='same')", "takes later rows"),
        ("x[:-1] = close[1:]", "sets rows from the rows after them"),
        ("x[:-3] = np.log(close[3:])", "sets rows from the rows after them"),
        ("x = bars.close[-1]", "takes the last close of the whole tape"),
        ("x = open('answers.csv').read()", "calls open()"),
        ("x = pd.read_csv('a.csv')", "reads data: read_csv()"),
        ("x = np.load('a.npy')", "reads data: load()"),
        ("x = exec('y = 1')", "calls exec()"),
        ("x = sys._getframe()", "_getframe"),
        ("x = f.__globals__", "__globals__"),
        ("def scan(now):\n    return now.bars", "asks a moment for bars"),
        ("def scan(m: Moment):\n    return m.columns['close'][0]", "asks a moment for columns"),
        ("def f(bars, seen={}):\n    return seen", "a default that can change"),
        ("def f(bars):\n    global count\n    count = 1", "keeps count across runs"),
        ("SEEN = {}\ndef f(bars):\n    SEEN[1] = 2", "writes into SEEN"),
        ("SEEN = []\ndef f(bars):\n    SEEN.append(2)", "changes SEEN"),
    ],
)
def test_a_fault_is_named_with_its_line(line: str, named: str) -> None:
    faults = faults_in(IMPORTS + line + "\n")
    assert [fault for fault in faults if named in fault], faults
    assert all(fault.startswith("line ") for fault in faults)


@pytest.mark.parametrize(
    "line",
    [
        "import math",
        "from datetime import date, time, timedelta",
        "from roboinvest.core.strategy import Plan",
        "x = np.random.default_rng(7)",
        "x = random.Random(7)",
        "x = frame.shift(1)",
        "x = np.roll(close, 1)",
        "x = frame.rolling(5).mean()",
        "x = frame.ffill()",
        "x = np.convolve(close, w)[: len(close)]",
        "x = close[1:] - close[:-1]",
        "x[1:] = close[:-1]",
        "x[:-1] = False",
        "x = values[-1]",
        "x = edges[:-1]",
        "def scan(now):\n    return now('close') > now.other('BBB', 1) and now.symbol == 'AAA'",
        "def scan(now):\n    return now('close', 3) > 1.0",
        "def f(bars, rows=5):\n    return rows",
        "NAMES = ('a', 'b')\ndef f(bars):\n    found = []\n    found.append(1)\n    return NAMES",
        "DAYS = {1: 2}\ndef f(bars):\n    return DAYS[1]",
    ],
)
def test_an_honest_line_is_left_alone(line: str) -> None:
    assert faults_in(IMPORTS + line + "\n") == []


def test_a_text_that_is_no_python_is_said_to_be_none() -> None:
    with pytest.raises(SyntaxError):
        faults_in("def scan(:\n")
