"""A fingerprint knows logic, and does not know names."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.fakes.strategy_files import CROSSING, PULLBACK, loaded
from tools.strategies.fingerprint import fingerprint, logic_of
from tools.strategies.library import averages
from tools.strategies.shelf import MAKERS, find, strategies

BASE = '''
from roboinvest.core.quant.calculators.averages import ema, sma
from roboinvest.core.quant.conditions import above, below, crosses_above, every
from roboinvest.core.strategy import Execution, Percent, Scan

NAME, VERSION, IDEA, SOURCE = "base", "1", "An idea.", "a book"
TIMEFRAME = "any"
PARAMS = {"quick": (5, 2, 50), "calm": (20, 5, 200)}
FAR = 0.02


def distance(times):
    """Say how far away the stop is."""
    usual = FAR  # of the close
    return usual * times


def columns(p):
    return {"one": sma(p["quick"]), "two": ema(p["calm"], of="close")}


def scan(p):
    parts = [crosses_above("one", "two")]
    parts += [above("close", name) for name in ("one",)]
    return Scan(long=every(*parts))


def execution(p):
    return Execution(stop=Percent(distance(times=2)), exit=below("one", "two"))
'''


def replaced(*pairs: tuple[str, str], source: str = BASE) -> str:
    for old, new in pairs:
        assert old in source
        source = source.replace(old, new)
    return source


ALIKE = {
    "the strategy": replaced(('"base", "1", "An idea.", "a book"', '"a", "2", "Mine.", "me"')),
    "parameters": replaced(('"quick"', '"n"'), ('"calm"', '"m"')),
    "defaults and ranges": replaced(("(5, 2, 50)", "(6, 3, 60)"), ("(20, 5, 200)", "(30, 5, 99)")),
    "columns": replaced(('"one"', '"a"'), ('"two"', '"b"')),
    "a function": replaced(("distance(", "far_away(")),
    "an argument": replaced(("times", "factor")),
    "a variable": replaced(("usual", "normal"), ("parts", "conditions")),
    "a variable of a comprehension": replaced((" name)", " each)"), ("for name in", "for each in")),
    "a constant": replaced(("FAR", "STOP_FRAC")),
    "an argument of every function": replaced(("(p)", "(values)"), ("p[", "values[")),
    "an import": replaced(("import ema, sma", "import ema as e, sma as s"), ("sma(p", "s(p"))
    .replace("ema(p", "e(p"),
    "a module": replaced(
        ("from roboinvest.core.quant.calculators.averages import ema, sma", "import roboinvest.core"
         ".quant.calculators.averages as means"),
        ("sma(p", "means.sma(p"),
        ("ema(p", "means.ema(p"),
    ),
    "comments and docstrings": replaced(
        ("  # of the close", ""), ('    """Say how far away the stop is."""\n', "")
    ),
    "type hints": replaced(("def distance(times):", "def distance(times: float) -> float:")),
    "code that is not used": BASE + "\n\ndef spare(x):\n    return x + 1\n\n\nSPARE = 3\n",
    "the order of named arguments": replaced(
        ('(stop=Percent(distance(times=2)), exit=below("one", "two"))',
         '(exit=below("one", "two"), stop=Percent(distance(times=2)))'),
    ),
    "line breaks": BASE.replace("\n\n\n", "\n\n\n\n"),
}  # fmt: skip
OTHER = {
    "a constant": replaced(("FAR = 0.02", "FAR = 0.03")),
    "a number": replaced(("times=2", "times=3")),
    "an operator": replaced(("usual * times", "usual / times")),
    "a calculator": replaced(('sma(p["quick"])', 'ema(p["quick"])')),
    "what a calculator reads": replaced(('of="close"', 'of="high"')),
    "a column of the bars": replaced(('above("close", name)', 'above("open", name)')),
    "a parameter": replaced(('sma(p["quick"])', 'sma(p["calm"])')),
    "a condition": replaced(('above("close", name)', 'below("close", name)')),
    "the order of two columns": replaced(
        ('crosses_above("one", "two")', 'crosses_above("two", "one")')
    ),
    "the exit": replaced((', exit=below("one", "two")', "")),
    "the side": replaced(("Scan(long=", "Scan(short=")) + "\nSHORTS = True\n",
    "the timeframe": replaced(('TIMEFRAME = "any"', 'TIMEFRAME = "daily"')),
    "a later definition": BASE + "\nFAR = 0.05\n",
    "a statement of the module": BASE + "\nif True:\n    FAR = 0.05\n",
    "a value that is made of an earlier one": replaced(
        ("FAR = 0.02", "FAR = 0.02\nFAR = FAR + 0.0"),
    ),
    "a changed value": BASE + "\nFAR += 0.01\n",
}


@pytest.mark.parametrize("changed", ALIKE)
def test_a_fingerprint_does_not_know(changed: str, tmp_path: Path) -> None:
    assert ALIKE[changed] != BASE
    assert loaded(tmp_path, ALIKE[changed]).fingerprint == loaded(tmp_path, BASE).fingerprint


@pytest.mark.parametrize("changed", OTHER)
def test_a_fingerprint_knows(changed: str, tmp_path: Path) -> None:
    assert OTHER[changed] != BASE
    assert loaded(tmp_path, OTHER[changed]).fingerprint != loaded(tmp_path, BASE).fingerprint


def test_both_of_two_definitions_of_a_name_count(tmp_path: Path) -> None:
    twice = BASE + "\nFAR = FAR * 2\n"
    one = loaded(tmp_path, twice).fingerprint
    assert loaded(tmp_path, replaced(("0.02", "0.03"), source=twice)).fingerprint != one
    assert loaded(tmp_path, replaced(("* 2\n", "* 3\n"), source=twice)).fingerprint != one


def test_a_name_that_a_calculator_is_told_is_no_name_of_a_column(tmp_path: Path) -> None:
    def levels(asked: str, column: str) -> str:
        source = replaced(
            ('"two": ema(p["calm"], of="close")', f'"{column}": pivot("{asked}")'),
            ('"two"', f'"{column}"'),
        )
        return "from roboinvest.core.quant.calculators.channels import pivot\n" + source

    one = loaded(tmp_path, levels("R1", "R1")).fingerprint
    assert loaded(tmp_path, levels("R1", "line")).fingerprint == one
    assert loaded(tmp_path, levels("S1", "S1")).fingerprint != one


def test_the_name_of_an_indicator_of_ones_own_only_describes(tmp_path: Path) -> None:
    def mine(name: str, warm_up: int) -> str:
        made = replaced(('ema(p["calm"], of="close")', f'custom("{name}", range_of, {warm_up})'))
        return (
            "from roboinvest.core.quant.calculators.chance import custom\n"
            f"def range_of(bars):\n    return bars.high - bars.low\n{made}"
        )

    one = loaded(tmp_path, mine("range", 0)).fingerprint
    assert loaded(tmp_path, mine("spread", 0)).fingerprint == one
    assert loaded(tmp_path, mine("range", 1)).fingerprint != one


def test_columns_named_as_arguments_of_a_dict_may_be_renamed(tmp_path: Path) -> None:
    literal = '{"one": sma(p["quick"]), "two": ema(p["calm"], of="close")}'
    call = replaced((literal, 'dict(one=sma(p["quick"]), two=ema(p["calm"], of="close"))'))
    renamed = replaced(("one", "uno"), ("two", "due"), source=call)
    assert loaded(tmp_path, call).fingerprint == loaded(tmp_path, renamed).fingerprint


def test_a_file_may_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    one = loaded(tmp_path, PULLBACK)
    path = tmp_path / "there" / "another_name.py"
    path.write_text(PULLBACK)
    assert find(str(path)).fingerprint == one.fingerprint


def test_a_strategy_in_one_piece_is_known_without_its_name(tmp_path: Path) -> None:
    one = loaded(tmp_path, CROSSING).fingerprint
    renamed = CROSSING.replace("over_the_mean", "mine").replace('"3"', '"4"').replace("mean", "m")
    renamed = renamed.replace("def build", "def made").replace("build=build", "build=made")
    assert loaded(tmp_path, renamed).fingerprint == one
    assert loaded(tmp_path, CROSSING.replace("above(", "below(")).fingerprint != one
    assert loaded(tmp_path, CROSSING.replace("0.05", "0.06")).fingerprint != one


def library_logic(source: str, maker: str, words: frozenset[str]) -> str:
    return fingerprint(ast.parse(source), (maker,), words, lambda _: None)


def test_a_strategy_of_the_library_may_be_renamed_and_not_changed() -> None:
    source = inspect.getsource(averages)
    words = frozenset({"fast", "slow", "stop_frac"})
    one = library_logic(source, "sma_crossover", words)
    renamed = source.replace("sma_crossover", "mine").replace("_crossover(", "_two_means(")
    renamed = renamed.replace('"fast"', '"short"').replace('"slow"', '"long"')
    renamed = renamed.replace("average", "mean").replace(
        "calculators.means", "calculators.averages"
    )
    assert library_logic(renamed, "mine", frozenset({"short", "long", "stop_frac"})) == one
    for old, new in (
        ("exit=below", "exit=crosses_above"),
        ("_crossover(sma, p)", "_crossover(ema, p)"),
        ('long=crosses_above("fast", "slow")', 'long=crosses_above("slow", "fast")'),
    ):
        assert old in source
        assert library_logic(source.replace(old, new), "sma_crossover", words) != one


def test_names_are_followed_into_the_modules_that_belong_to_the_library() -> None:
    module = ast.parse("from shared import stop\n\ndef make():\n    return stop(2)\n")
    near, far = "def stop(x):\n    return x / 50\n", "def stop(x):\n    return x / 25\n"

    def read(shared: str) -> str:
        parsed = ast.parse(shared)
        return logic_of(
            module, ("make",), frozenset(), lambda name: parsed if name == "shared" else None
        )

    assert "/ 50" in read(near)
    assert read(near) != read(far)
    assert read(near) == read(near.replace("x", "y"))


def test_names_that_are_bound_in_many_ways_are_all_taken_out(tmp_path: Path) -> None:
    def code(a: str, b: str, c: str, d: str, e: str) -> str:
        return (
            BASE
            + f"""

def scan(now, p):
    import math as {a}
    from statistics import fmean as {b}
    {c} = lambda {d}, *{e}: {d} + len({e})
    def {d}2({e}=1):
        nonlocal {c}
        {c} = None
        return {e}
    class {d}3:
        kept: int = 1
        def ask(self, {e}): return {e}
    try:
        with open("none") as {d}:
            {d}.read()
    except OSError as {e}:
        {d} = str({e})
    match {d}:
        case [{a}4, *{b}4]: return {b}([{a}4, *{b}4]) > {a}.pi
        case {{"x": {a}5, **{b}5}}: return {a}5
        case {d}6: return ({e}7 := {d}6) == {e}7
    return [{d} for {d}, {e} in zip((), ()) if ({c} or {e})]
"""
        )

    one = loaded(tmp_path, code("a", "b", "c", "d", "e")).fingerprint
    assert loaded(tmp_path, code("m", "fmean", "f", "x", "y")).fingerprint == one
    other = code("a", "b", "c", "d", "e").replace("a.pi", "a.e")
    assert loaded(tmp_path, other).fingerprint != one


def test_no_two_strategies_of_the_library_have_the_same_fingerprint() -> None:
    marks = [strategy.fingerprint for strategy in strategies()]
    assert len(set(marks)) == len(MAKERS) == 16
    assert {len(mark) for mark in marks} == {64}


def test_a_fingerprint_is_the_same_in_another_process() -> None:
    code = "from tools.strategies.shelf import find; print(find('vwap_bounce').fingerprint)"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {find("vwap_bounce").fingerprint}
