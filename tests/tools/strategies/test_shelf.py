"""The shelf: what it holds, what it says of it, and what it says where something is not there."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from roboinvest.core.errors import BadInput
from tests.conftest import REPOSITORY
from tests.fakes.strategy_files import PULLBACK, written
from tools.strategies import library
from tools.strategies.shelf import MAKERS, describe, find, strategies


def test_the_strategies_stand_in_order_of_their_names() -> None:
    names = [strategy.name for strategy in strategies()]
    assert names == sorted(names)
    assert len(set(names)) == 16


def test_a_strategy_is_made_by_a_function_of_its_name() -> None:
    assert [maker().name for maker in MAKERS] == [maker.__name__ for maker in MAKERS]


def test_no_strategy_of_the_library_is_left_off_the_shelf() -> None:
    made = {
        name
        for each in iter_modules(library.__path__, f"{library.__name__}.")
        for name, value in vars(import_module(each.name)).items()
        if inspect.isfunction(value)
        and value.__annotations__.get("return") == "Strategy"
        and value.__module__ == each.name
    }
    assert made == {maker.__name__ for maker in MAKERS}


def test_a_strategy_is_found_by_its_name_and_is_the_one_of_the_list() -> None:
    for strategy in strategies():
        found = find(strategy.name)
        assert (found.stamp, found.fingerprint) == (strategy.stamp, strategy.fingerprint)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("sma_crosover", "did you mean sma_crossover or ema_crossover"),
        ("vwap", "did you mean vwap_"),
        ("zzz", "known are bollinger_fade, buy_and_hold"),
        ("", "known are bollinger_fade"),
    ],
)
def test_an_unknown_name_says_the_nearest(asked: str, near: str) -> None:
    with pytest.raises(BadInput, match=near) as caught:
        find(asked)
    assert "no path of a .py file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_is_a_file(tmp_path: Path) -> None:
    assert find(str(written(tmp_path, PULLBACK))).name == "pullback"
    with pytest.raises(BadInput, match=r"nowhere\.py does not exist"):
        find(str(tmp_path / "nowhere.py"))
    with pytest.raises(BadInput, match="give one that ends in"):
        find(str(tmp_path / "notes.txt"))


def test_the_library_describes_itself_in_json() -> None:
    described = json.loads(json.dumps(describe()))
    assert [each["name"] for each in described] == [strategy.name for strategy in strategies()]
    assert {tuple(each) for each in described} == {
        ("name", "timeframe", "symbols", "idea", "params")
    }
    (pairs,) = (each for each in described if each["name"] == "pairs")
    assert (pairs["symbols"], pairs["timeframe"]) == (2, "any")
    (vwap,) = (each for each in described if each["name"] == "vwap_bounce")
    assert vwap["timeframe"] == "intraday"
    assert vwap["params"][0] == {
        "name": "held_bars",
        "default": 15,
        "low": 1,
        "high": 240,
        "step": 5,
        "text": "bars of the session that closed above VWAP just before",
    }


def test_importing_the_shelf_loads_no_kernel_and_no_search() -> None:
    code = "import sys, tools.strategies.shelf; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for heavy in ("numba", "optuna", "sqlalchemy"):
        assert f"'{heavy}'" not in loaded
