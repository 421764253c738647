"""What a file says of itself is a stranger's text: looked up in tables, or refused."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.quant.conditions import above
from roboinvest.core.strategy import Calculator
from tests.fakes.boxed_files import HEAD, IMPORTS, boxes_of
from tests.fakes.tapes import minute_tape
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.declaration import library, read_declaration
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.tier import Tier

GOOD: Final[dict[str, Any]] = {
    "strategy": {
        "name": "probe",
        "version": "1",
        "idea": "None.",
        "source": "a test",
        "timeframe": "any",
        "symbols": 1,
        "shorts": False,
        "params": [
            {"name": "a", "default": 2, "low": 1, "high": 5.0, "step": None, "text": "bars"}
        ],
        "plan": {
            "columns": [
                {
                    "name": "mean",
                    "module": "averages",
                    "function": "sma",
                    "args": [5],
                    "kwargs": {"of": "high"},
                }
            ],
            "scan": {
                "long": {"kind": "compare", "compare": "greater", "left": "close", "right": 1.5},
                "short": None,
            },
            "execution": {
                "size": {"kind": "EquityShare", "frac": 1.0},
                "stop": None,
                "target": None,
                "trail": None,
                "exit": None,
                "max_bars": 3,
                "flat_before_close_min": None,
                "no_entry_before_close_min": 0.0,
            },
        },
    }
}


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with boxes_of(Tier.B) as made:
        yield made


def test_every_calculator_of_the_library_means_the_same_through_the_box(boxes: Boxes) -> None:
    asked, expected = [], {}
    for module, functions in library().items():
        for name in functions:
            arguments = _some_arguments(module, name)
            key = f"{module}_{name}"
            asked.append(f'        "{key}": {module}.{name}({arguments}),')
            expected[key] = _made(module, name, arguments)
    imports = "\n".join(f"from roboinvest.core.quant.calculators import {m}" for m in library())
    source = (
        IMPORTS + HEAD + imports + "\ndef columns(p):\n    return {\n" + "\n".join(asked)
        + "\n    }\ndef scan(p):\n    return Scan(long=above('close', 0.0))\n"
    )  # fmt: skip
    found = boxed_strategy(source, "code/strategy.py", boxes).plan({}).columns
    assert len(found) == len(expected) >= 60
    bars = minute_tape(3, days=2, minutes=120)
    for name, calculator in expected.items():
        assert (found[name].name, found[name].warm_up) == (calculator.name, calculator.warm_up)
        assert found[name].compute == calculator.compute, name
        if "peers" not in name:
            ours, theirs = found[name].compute(bars), calculator.compute(bars)
            assert np.array_equal(ours, theirs, equal_nan=True), name


def test_the_good_text_is_read() -> None:
    found = read_declaration(json.dumps(GOOD).encode().ljust(5_000))
    assert found.columns()["mean"].warm_up == 4
    scan = found.scan()
    assert scan is not None
    assert scan.long == above("close", 1.5)
    assert found.execution().max_bars == 3
    assert (found.params[0].default, type(found.params[0].default)) == (2, int)


def changed(where: str, value: object) -> bytes:
    told = copy.deepcopy(GOOD)
    part: Any = told
    *way, last = where.split(".")
    for each in way:
        part = part[int(each) if each.isdigit() else each]
    part[int(last) if last.isdigit() else last] = value
    return json.dumps(told).encode()


COMPARE = {"kind": "compare", "compare": "greater", "left": "a", "right": 1.0}
LIES = {
    "strategy.plan.columns.0.module": "chance.__globals__",
    "strategy.plan.columns.0.function": "__import__",
    "strategy.plan.columns.0.args": [["nested"]],
    "strategy.plan.columns.0.kwargs": {"of": {"a": 1}},
    "strategy.plan.columns.0.name": "n" * 101,
    "strategy.plan.columns": [GOOD["strategy"]["plan"]["columns"][0]] * 2,
    "strategy.plan.scan": "eval",
    "strategy.plan.scan.long.compare": "__call__",
    "strategy.plan.scan.long.left": True,
    "strategy.plan.scan.long": {"kind": "any", "parts": []},
    "strategy.plan.scan.short": {"kind": "any", "parts": [COMPARE] * 101},
    "strategy.plan.execution.size": {"kind": "Everything", "frac": 1.0},
    "strategy.plan.execution.size.frac": float("nan"),
    "strategy.plan.execution.max_bars": "3",
    "strategy.plan.execution.exit": "leave",
    "strategy.plan.execution.extra": 1,
    "strategy.params.0.default": float("inf"),
    "strategy.symbols": 0,
    "strategy.shorts": "yes",
    "strategy.timeframe": "always",
    "strategy.idea": "i" * 1_001,
    "strategy": None,
}


def everything_of(raw: bytes) -> None:
    found = read_declaration(raw)
    found.columns()
    found.scan()
    found.execution()


@pytest.mark.parametrize("where", LIES)
def test_a_lie_is_refused_in_one_sentence(where: str) -> None:
    with pytest.raises(BadInput) as told:
        everything_of(changed(where, LIES[where]))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"\xff\xfe", b"[" * 30_000, b'{"refused": 3}'])
def test_what_is_no_declaration_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        read_declaration(raw)


def test_a_forged_refusal_is_one_printable_line() -> None:
    raw = json.dumps({"refused": "a\n\x1b[31mb\u202e"}).encode()
    with pytest.raises(BadInput, match=r"^a \?\[31mb\?$"):
        read_declaration(raw)


REFUSED = {
    "Calculator(name='x', warm_up=0, compute=lambda bars: bars.close)": "own arithmetic belongs",
    "custom('x', lambda bars: bars.close, 0)": "own arithmetic belongs into the scan",
    "sma('ten')": "x: must be real number",
    "sma(10, 20, 30)": "its column x: sma() takes",
    "sma(object())": "cannot leave the box; give a number or a text",
    "sma": "give a calculator, like sma(20)",
}


@pytest.mark.parametrize("column", REFUSED)
def test_only_calculators_of_the_library_are_declared(boxes: Boxes, column: str) -> None:
    source = (
        IMPORTS + HEAD + "from roboinvest.core.strategy import Calculator\n"
        "from roboinvest.core.quant.calculators.chance import custom\n"
        f"def columns(p):\n    return {{'x': {column}}}\ndef scan(now, p):\n    return None\n"
    )
    with pytest.raises(BadInput) as told:
        boxed_strategy(source, "code/strategy.py", boxes)
    assert REFUSED[column] in str(told.value)
    assert str(told.value).startswith(("code/strategy.py: ", "probe@1: "))


FILES = {
    "def scan(now, p: pass": "SyntaxError",
    "scan = 3": "code/strategy.py, line 17: scan is 3; write it as a function",
    "x = 1": "there is no scan; write def scan(now, p)",
    "from roboinvest.core.quant.calculators.averages import smaa\ndef scan(now, p): pass": "smaa",
    "import pandas\ndef scan(now, p): pass": "No module named 'pandas'",
    "NAME = 'Not good'\ndef scan(now, p): pass": "the name 'Not good' will not do",
    "STRATEGY = 3": "STRATEGY is 3; give a roboinvest.core.strategy.Strategy",
    "IDEA = 'i' * 40_000\ndef scan(now, p): pass": "its declaration has",
    "while True: pass": "code/strategy.py: the box ended it: cpu: ",
    "def scan(p):\n    class Own:\n        names = frozenset()\n        def of(self, c): pass\n"
    "    return Scan(long=Own())": "which cannot leave the box; make it with above, below",
    "scan = lambda now, p: 0\ndef execution(p):\n    return Execution(stop=0.02)": "stop is 0.02",
    "#" * 200_001: "give 200000 at most",
}


@pytest.mark.parametrize("body", FILES, ids=lambda body: body[:30])
def test_a_file_that_will_not_do_is_refused_with_what_to_do(boxes: Boxes, body: str) -> None:
    with pytest.raises(BadInput) as told:
        boxed_strategy(IMPORTS + HEAD + body, "code/strategy.py", boxes)
    assert FILES[body] in str(told.value)
    assert str(told.value).startswith("code/strategy.py")
    assert "\n" not in str(told.value)


def _some_arguments(module: str, name: str) -> str:
    signature = inspect.signature(_function(module, name))
    needed = [p for p in signature.parameters.values() if p.default is inspect.Parameter.empty]
    words = {"name": "'P'", "seed": "7"}
    numbers = iter((5, 9, 3, 4))
    return ", ".join(words[p.name] if p.name in words else str(next(numbers)) for p in needed)


def _made(module: str, name: str, arguments: str) -> Calculator:
    return eval(f"made({arguments})", {"made": _function(module, name)})  # type: ignore[no-any-return]  # noqa: S307


def _function(module: str, name: str) -> Callable[..., Calculator]:
    found = __import__(f"roboinvest.core.quant.calculators.{module}", fromlist=[name])
    function: Callable[..., Calculator] = getattr(found, name)
    return function
