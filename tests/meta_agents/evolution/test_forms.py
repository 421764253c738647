"""Suites are written by whoever is judged, so they are bounded and hold data alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from meta_agents.evolution.suites.expectations import Taken, faults_of_numbers, faults_of_trades
from meta_agents.evolution.suites.forms import (
    Bars,
    Given,
    Kind,
    Made,
    NumbersExpected,
    TradesExpected,
    cases_of,
    kind_of,
    suite_digest,
)
from meta_agents.evolution.suites.scenes import bars_of
from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Side
from tests.fakes.evolution import STRATEGY_SUITE, TRANSFORM_SUITE, cases

SCENES = ("trend", "range", "gap", "crash", "flat", "walk")


def read(suite: object, kind: Kind = Kind.TRANSFORM) -> int:
    return len(cases_of({"evals/a.json": json.dumps(suite).encode()}, kind))


def test_the_suites_of_the_tests_are_read() -> None:
    assert read(TRANSFORM_SUITE) == read(STRATEGY_SUITE, Kind.STRATEGY) == 3
    files = {
        "evals/a.json": json.dumps(TRANSFORM_SUITE).encode(),
        "evals/more/b.json": json.dumps(
            {"kind": "transform", "cases": [{**TRANSFORM_SUITE["cases"][0], "name": "four"}]}
        ).encode(),
    }
    assert len(cases_of(files, Kind.TRANSFORM)) == 4


ONE: Mapping[str, Any] = {"name": "x", "columns": {"close": [1]}, "expect": {"values": [2]}}


@pytest.mark.parametrize(
    ("added", "word"),
    [
        ({**ONE, "check": "lambda x: True"}, "Extra inputs"),
        ({**ONE, "expect": {"values": [2], "code": "True"}}, "Extra inputs"),
        ({**ONE, "a\nb" * 500: 1}, "cases.3.a.b"),
        ({**ONE, "expect": {"values": ["2"]}}, "valid number"),
        ({**ONE, "expect": {"values": [2], "tolerance": 1e9}}, "less than or equal to 1"),
        ({**ONE, "name": "../x"}, "pattern"),
        ({**ONE, "name": "x\n"}, "pattern"),
        ({**ONE, "name": "one"}, "two cases one"),
        ({**ONE, "columns": {"close": [0.0] * 5_001}}, "at most 5000"),
        ({**ONE, "columns": {"__class__": [1]}}, "pattern"),
        ({**ONE, "columns": {}}, "needs either columns or bars"),
        ({**ONE, "bars": {"kind": "walk"}}, "needs either columns or bars"),
        ({**ONE, "columns": {"a": [1], "b": [1, 2]}}, "2 lengths"),
    ],
)
def test_what_is_no_plain_case_is_refused(added: Mapping[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word) as refused:
        read(cases(added))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "evals/a.json"),
        (b"[]", "evals/a.json"),
        (b"{'kind': 'transform'}", "evals/a.json"),
        (b'{"kind": "transform", "cases": [{"name": "a", "expect": {"low": NaN}}]}', "finite"),
        (b'{"kind": "transform", "cases": [{"name": "a", "expect": {"low": 1e999}}]}', "finite"),
        (b"[" * 100_000, "evals/a.json"),
        (b"\xff\xfe", "evals/a.json"),
        (b" " * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_what_is_no_suite_is_refused_in_one_sentence(content: bytes, word: str) -> None:
    with pytest.raises(BadInput, match=word) as refused:
        cases_of({"evals/a.json": content}, Kind.TRANSFORM)
    assert "\n" not in str(refused.value)


def test_evals_hold_no_code() -> None:
    with pytest.raises(BadInput, match="no JSON file"):
        cases_of({"evals/conf.py": b"assert True"}, Kind.TRANSFORM)


def test_a_hundred_cases_are_enough() -> None:
    many = [{**ONE, "name": f"n{number}"} for number in range(101)]
    with pytest.raises(BadInput, match="at most 100"):
        read({"kind": "transform", "cases": many})
    halves = {
        f"evals/{half}.json": json.dumps({"kind": "transform", "cases": many[half::2]}).encode()
        for half in range(2)
    }
    with pytest.raises(BadInput, match="it has 101 cases"):
        cases_of(halves, Kind.TRANSFORM)


def test_code_is_one_kind_or_none() -> None:
    assert kind_of({"code/strategy.py": b""}) is Kind.STRATEGY
    assert kind_of({"code/transform.py": b""}) is Kind.TRANSFORM
    assert kind_of({"code/strategy.py": b"", "code/transform.py": b""}) is None
    assert kind_of({"spec/idea.md": b""}) is None


def test_the_digest_of_a_suite_is_of_its_files_alone() -> None:
    one = {"evals/a.json": b"[]", "code/strategy.py": b"1"}
    assert suite_digest(one) == suite_digest({**one, "code/strategy.py": b"2"})
    assert suite_digest(one) != suite_digest({"evals/b.json": b"[]"})


@pytest.mark.parametrize("kind", SCENES)
@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_made_bars_are_good_bars_and_the_same_from_the_same_seed(
    kind: str, timeframe: Timeframe
) -> None:
    scene = Made.model_validate({"kind": kind, "seed": 4, "rows": 200, "timeframe": timeframe})
    bars, again = bars_of(scene, "AAA"), bars_of(scene, "AAA")
    assert len(bars) == 200
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.low > 0).all()
    assert (np.diff(bars.ts) > 0).all()
    assert (bars.ts < bars.closes_at).all()
    assert (bars.closes_at <= bars.ends).all()
    assert (bars.opens <= bars.ts).all()
    assert np.array_equal(bars.close, again.close)
    other = bars_of(scene.model_copy(update={"seed": 5}), "AAA")
    assert np.array_equal(bars.close, other.close) is (kind == "flat")


def test_scenes_are_what_they_are_called() -> None:
    made = {kind: bars_of(Made.model_validate({"kind": kind, "rows": 200}), "A") for kind in SCENES}
    close = {kind: bars.close for kind, bars in made.items()}
    assert close["trend"][-1] > 1.2 * close["trend"][0]
    assert abs(close["range"] / 100 - 1).max() < 0.05
    assert close["crash"][155] < 0.8 * close["crash"][130]
    assert np.ptp(close["flat"]) == 0
    gaps = abs(made["gap"].open[1:] / close["gap"][:-1] - 1)
    assert (gaps > 0.03).sum() == 3


def test_written_bars_have_to_make_sense() -> None:
    scene: Bars = Given(rows=((10.0, 9.0, 8.0, 9.5, 1.0), (9.5, 10.0, 9.0, 9.6, 1.0)))
    with pytest.raises(BadInput, match="bar 0"):
        bars_of(scene, "AAA")


@pytest.mark.parametrize(
    ("expect", "numbers", "fault"),
    [
        ({"values": [1, 2]}, [1, 2], None),
        ({"values": [1, 2]}, [1, 2.1], "values"),
        ({"values": [1, 2]}, [1, 2, 3], "values"),
        ({"values": [100], "tolerance": 0.01}, [100.9], None),
        ({"values": [0.001], "tolerance": 0.01}, [0.02], "values"),
        ({"low": 0}, [0, 1], None),
        ({"low": 0}, [-1e-9], "range"),
        ({"high": 1}, [1.1], "range"),
        ({"monotone": "rising"}, [1, 1, 2], None),
        ({"monotone": "rising"}, [1, 0.9], "monotone"),
        ({"monotone": "falling"}, [1, 1.1], "monotone"),
        ({"low": 0}, [float("nan")], "finite"),
    ],
)
def test_numbers_are_compared_outside(
    expect: Mapping[str, Any], numbers: list[float], fault: str | None
) -> None:
    form = NumbersExpected.model_validate_json(json.dumps(expect))
    assert faults_of_numbers(form, np.array(numbers, dtype=float)) == fault


def test_no_entries_meet_only_what_asks_for_none() -> None:
    assert faults_of_trades(TradesExpected(at_most=0), ()) is None
    fault = faults_of_trades(TradesExpected(at_least=1), ())
    assert fault is not None
    assert fault[0] == "count"


def an_entry(**more: Any) -> Taken:
    usual = {
        "symbol": "AAA", "row": 5, "side": Side.BUY, "price": Decimal(100), "stop": Decimal(98),
        "exit_row": 9, "overnight": False,
    }  # fmt: skip
    return Taken(**{**usual, **more})


@pytest.mark.parametrize(
    ("expect", "more", "fault"),
    [
        ({"stops": True}, {}, None),
        ({"stops": True}, {"stop": None}, "stop"),
        ({"stops": True}, {"stop": Decimal(100)}, "stop"),
        ({"stops": True}, {"stop": Decimal(101)}, "stop"),
        ({"stops": True}, {"side": Side.SELL}, "stop"),
        ({"stops": True}, {"side": Side.SELL, "stop": Decimal(101)}, None),
        ({"only": "long"}, {"side": Side.SELL}, "side"),
        ({"only": "short"}, {"side": Side.SELL}, None),
        ({"entries_in": [{"first": 5, "last": 5}]}, {}, None),
        ({"entries_in": [{"first": 6, "last": 9}]}, {}, "entries"),
        ({"entries_in": [{"first": 5, "last": 5, "side": "short"}]}, {}, "entries"),
        ({"no_entries_in": [{"first": 5, "last": 5}]}, {}, "entries"),
        ({"no_entries_in": [{"first": 5, "last": 5, "side": "short"}]}, {}, None),
        ({"at_least": 2}, {}, "count"),
        ({"at_most": 0}, {}, "count"),
        ({"flat_by_close": True}, {"overnight": True}, "overnight"),
        ({"flat_by_close": True}, {}, None),
    ],
)
def test_entries_are_compared_outside(
    expect: Mapping[str, Any], more: Mapping[str, Any], fault: str | None
) -> None:
    form = TradesExpected.model_validate_json(json.dumps(expect))
    found = faults_of_trades(form, (an_entry(**more),))
    assert (found and found[0]) == fault
