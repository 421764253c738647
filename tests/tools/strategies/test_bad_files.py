"""A file that is no strategy is refused in one sentence with file, line and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput
from tests.fakes.strategy_files import CROSSING, written
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


def refusal(folder: Path, source: str | bytes) -> str:
    """Return the sentence that a file is refused with, its folder left out."""
    with pytest.raises(BadInput) as caught:
        load_strategy(written(folder, source))
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    return said.replace(f"{folder}/", "")


BAD: dict[str, tuple[str | bytes, str]] = {
    "a syntax error": (f"{HEAD}def scan(now, p)\n    pass\n", r"idea\.py, line 6: .*expected ':'"),
    "a tab among spaces": (f"{HEAD}def scan(now, p):\n    x = 1\n\treturn x\n", r"line 8: "),
    "no Python at all": (b"PK\x03\x04\x00\x00", r"idea\.py.* this is no Python"),
    "text of another encoding": (b'NAME = "\xff"\n', r"idea\.py.* this is no Python.*utf-8"),
    "no scan": (HEAD, r"idea\.py: there is no scan; write def scan\(now, p\)"),
    "an empty file": ("", r"idea\.py: there is no scan"),
    "a scan of no arguments": (
        f"{HEAD}def scan():\n    return False\n",
        r"idea\.py, line 6: scan takes \(\); write def scan\(now, p\) or def scan\(p\)",
    ),
    "a scan of three arguments": (
        f"{HEAD}def scan(now, held, p): ...\n",
        r"line 6: scan takes \(now, held, p\); write def scan\(now, p\)",
    ),
    "a scan that is a number": (f"{HEAD}scan = 5\n", r"line 6: scan is 5; write it as a function"),
    "a scan that is async": (
        f"{HEAD}async def scan(now, p): ...\n",
        r"line 6: scan is async or yields; write def scan\(now, p\)",
    ),
    "a scan that gives None for conditions": (
        f"{HEAD}def scan(p): ...\n",
        r"idea@1: its scan is None; give a Scan of conditions, or a function \(idea\.py\)",
    ),
    "a leave of one argument": (
        f"{WHOLE}def leave(now): ...\n",
        r"line 8: leave takes \(now\); write def leave\(now, held, p\)",
    ),
    "an execution without p": (
        f"{WHOLE}def execution(): ...\n",
        r"line 8: execution takes \(\); write def execution\(p\)",
    ),
    "no name and no idea": (
        WHOLE.replace('NAME = "idea"', "").replace("An idea.", " "),
        r"idea\.py: there is no NAME, IDEA; add what is missing",
    ),
    "a name with a space": (
        WHOLE.replace('"idea"', '"my idea"'),
        r"the name 'my idea' will not do; give small letters, digits and _",
    ),
    "an unknown timeframe": (
        WHOLE.replace('"any"', '"hourly"'),
        r"line 5: TIMEFRAME is 'hourly'; give daily, intraday, any",
    ),
    "no whole number of symbols": (f"{WHOLE}SYMBOLS = 0\n", r"line 8: SYMBOLS is 0; give a whole"),
    "an indicator that does not exist": (
        f"from {AVERAGES} import smma\n{WHOLE}",
        r"idea\.py, line 1: the file failed with ImportError: cannot import name 'smma' .*"
        r"did you mean .*sma \(roboinvest\.core\.quant\.calculators\.averages\)",
    ),
    "an indicator of another module": (
        f"from {AVERAGES} import rsi\n{WHOLE}",
        r"line 1: .*; rsi is in roboinvest\.core\.quant\.calculators\.momentum",
    ),
    "an indicator like no other": (
        f"from {AVERAGES} import qqqqqqqq\n{WHOLE}",
        r"line 1: .*; the indicators are in averages, ",
    ),
    "a module of indicators that does not exist": (
        f"import {AVERAGES[:-1]}\n{WHOLE}",
        r"line 1: .*did you mean roboinvest\.core\.quant\.calculators\.averages",
    ),
    "an indicator of a module": (
        f"from roboinvest.core.quant.calculators import averages\n{WHOLE}"
        "def columns(p): return {'x': averages.emma(3)}\n",
        r"idea@1: its plan failed with AttributeError: .*'emma' \(idea\.py, line 9\); did you mean "
        r"ema ",
    ),
    "an indicator that was not imported": (
        f"{WHOLE}def columns(p): return {{'x': sma(3)}}\n",
        r"idea@1: its plan failed with NameError: .* \(idea\.py, line 8\); sma is in roboinvest",
    ),
    "an indicator that refuses its argument": (
        f"from {AVERAGES} import sma\n{WHOLE}def columns(p): return {{'x': sma(0)}}\n",
        r"idea@1: its plan: sma: period is 0; give a whole number from 1 to \d+ "
        r"\(idea\.py, line 9\)$",
    ),
    "parameters in a list": (
        f"{WHOLE}PARAMS = [1, 2]\n",
        r"line 8: PARAMS is \[1, 2\]; give a dict",
    ),
    "a parameter of two numbers": (
        f'{WHOLE}PARAMS = {{"n": (1, 2)}}\n',
        r"line 8: PARAMS\['n'\] is \(1, 2\); give \(default, lowest, highest\)",
    ),
    "a parameter of one number": (f'{WHOLE}PARAMS = {{"n": 5}}\n', r"PARAMS\['n'\] is 5; give"),
    "a parameter of nothing": (f'{WHOLE}PARAMS = {{"n": ()}}\n', r"PARAMS\['n'\] is \(\); give"),
    "a parameter of texts": (f'{WHOLE}PARAMS = {{"n": ("1", "2", "3")}}\n', r"give \(default"),
    "a parameter that is not a number": (
        f'{WHOLE}PARAMS = {{"n": (1, 0, float("nan"))}}\n',
        r"PARAMS\['n'\] is \(1, 0, nan\)",
    ),
    "a parameter that is a truth": (
        f'{WHOLE}PARAMS = {{"n": (True, False, True)}}\n',
        r"PARAMS\['n'\] is \(True, False, True\); give",
    ),
    "a parameter out of its range": (
        f'{WHOLE}PARAMS = {{"n": (9, 1, 5)}}\n',
        r"PARAMS\['n'\] is \(9, 1, 5\); the default must lie between lowest and highest",
    ),
    "a parameter whose name is a number": (f"{WHOLE}PARAMS = {{1: (1, 1, 5)}}\n", r"PARAMS\[1\]"),
    "a division by zero at load": (
        f"{HEAD}\ndef far(x):\n    return 1 / x\n\nFAR = far(0)\n{SCAN}",
        r"idea\.py, line 8: the file failed with ZeroDivisionError: division by zero$",
    ),
    "an exception of its own at load": (
        f"class Odd(Exception): ...\nraise Odd('really')\n{WHOLE}",
        r"idea\.py, line 2: the file failed with Odd: really$",
    ),
    "a script that ends the program": (
        f"{WHOLE}raise SystemExit(3)\n",
        r"idea\.py, line 8: the file failed with SystemExit: 3$",
    ),
    "endless recursion": (
        "def again(): again()\nagain()\n",
        r"line 1: the file failed with RecursionError",
    ),
    "a text of many lines": (
        f"raise ValueError({'x' * 900!r} + chr(10) + 'y')\n",
        r"ValueError: x{200}\.\.\.$",
    ),
    "columns that are none": (
        f"{WHOLE}def columns(p): return [1]\n",
        r"idea@1: its columns are \[1\]; give a dict of calculators by name \(idea\.py\)",
    ),
    "a column that is a number": (
        f"{WHOLE}def columns(p): return {{'x': 3}}\n",
        r"its column 'x' is 3; give a calculator, like sma\(20\)",
    ),
    "a column in the place of the close": (
        f"from {AVERAGES} import sma\n{WHOLE}def columns(p): return {{'close': sma(2)}}\n",
        r"it calls a column close, which every bar has",
    ),
    "a stop that is a number": (
        f"from roboinvest.core.strategy import *\n{WHOLE}"
        "def execution(p): return Execution(stop=0.02)\n",
        r"its stop is 0\.02; give one of Percent, Multiple, AtColumn, like Percent\(0\.02\)",
    ),
    "a size that is a number": (
        f"from roboinvest.core.strategy import *\n{WHOLE}"
        "def execution(p): return Execution(size=100)\n",
        r"its size is 100; give EquityShare, Shares, Dollars or RiskShare",
    ),
    "a time that is a text": (
        f"from roboinvest.core.strategy import *\n{WHOLE}"
        "def execution(p): return Execution(flat_before_close_min='5')\n",
        r"its flat_before_close_min is '5'; give a number",
    ),
    "a stop on a column that is not there": (
        f"from roboinvest.core.strategy import *\n{WHOLE}"
        "def execution(p): return Execution(stop=Multiple('atr', 2))\n",
        r"its stop stands on 'atr', which it does not declare",
    ),
    "an execution that is none": (
        f"{WHOLE}def execution(p): return 5\n",
        r"its execution is 5; give a roboinvest\.core\.strategy\.Execution",
    ),
    "two exits": (
        f"from roboinvest.core.strategy import *\n{WHOLE}def leave(now, held, p): return True\n"
        "def execution(p): return Execution(exit=lambda now, held: True)\n",
        r"it has a leave and an exit of its execution; drop one",
    ),
    "short without a word": (
        "from roboinvest.core.strategy import Scan\n"
        "from roboinvest.core.quant.conditions import above\n"
        f"{HEAD}def scan(p): return Scan(short=above('close', 1.0))\n",
        r"its scan sells short and it does not say so; set SHORTS = True",
    ),
    "a condition that is a number": (
        f"from roboinvest.core.strategy import Scan\n{HEAD}def scan(p): return Scan(long=True)\n",
        r"its scan's long is True; give a condition",
    ),
    "a STRATEGY that is none": ("STRATEGY = 5\n", r"STRATEGY is 5; give a roboinvest\.core"),
    "a STRATEGY whose build gives no plan": (
        CROSSING.replace("return Plan(", "return dict("),
        r"over_the_mean@3: its build answered .*; give a roboinvest\.core\.strategy\.Plan",
    ),
    "a STRATEGY whose build fails": (
        CROSSING.replace('p["period"]', 'p["perod"]'),
        r"over_the_mean@3: its plan failed with KeyError: 'perod' \(idea\.py, line 10\)",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_file_is_refused_in_one_sentence(fault: str, tmp_path: Path) -> None:
    source, sentence = BAD[fault]
    said = refusal(tmp_path, source)
    assert re.search(sentence, said), said
