"""A suite is run in the box, judged outside of it, and has to prove something first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from meta_agents.evolution.evaluator import Evaluator
from meta_agents.evolution.review import Judged
from meta_agents.evolution.standards import Standards
from roboinvest.core.errors import TryLater
from roboinvest.core.revisions.artifact import Artifact
from roboinvest.core.revisions.gates import Verdict
from roboinvest.core.strategy import Strategy
from tests.fakes.evolution import (
    CROSSING,
    DOUBLING,
    TRANSFORM_SUITE,
    BrokenBox,
    a_strategy,
    a_transform,
    an_artifact,
    cases,
    review_of,
)
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.job import Fault


def words(judged: Judged) -> str:
    return " | ".join(finding.text for finding in judged.findings)


def failed(evaluator: Evaluator, artifact: Artifact) -> Judged:
    """Judge an artifact that must fail; what for is looked at by the test, in `words`."""
    judged = evaluator.judge(review_of(artifact))
    assert judged.verdict is Verdict.FAILED, judged
    return judged


def suite(*expect: Mapping[str, Any], kind: str = "transform") -> dict[str, Any]:
    """Return a suite of cases on a random walk that expect these things."""
    bars = {"kind": "walk", "seed": 1, "rows": 60}
    listed = [{"name": f"n{i}", "bars": bars, "expect": each} for i, each in enumerate(expect)]
    return {"kind": kind, "cases": listed}


@pytest.mark.parametrize("artifact", [a_transform(), a_strategy()], ids=["transform", "strategy"])
def test_an_honest_artifact_passes_and_comes_to_the_same_again(
    evaluator: Evaluator, artifact: Artifact
) -> None:
    judged = evaluator.judge(review_of(artifact))
    assert judged.verdict is Verdict.PASSED, words(judged)
    assert judged.trace is not None
    assert judged.trace.exit_code == 0
    assert evaluator.judge(review_of(artifact)) == judged
    told = json.loads(judged.trace.text)
    assert all(floor["failed"] for floor in told["floors"])
    assert all(case["input"] and case["output"] for case in told["cases"])


def test_a_strategy_of_the_other_form_is_judged_as_well(evaluator: Evaluator) -> None:
    from tests.fakes.strategy_files import CROSSING as OTHER_FORM

    judged = evaluator.judge(review_of(a_strategy(OTHER_FORM)))
    assert judged.verdict is Verdict.PASSED, words(judged)


# Suites that prove nothing.


@pytest.mark.parametrize(
    ("expect", "who"),
    [
        ({"low": -1.0, "high": 1.0}, "the null agent passes it"),
        ({"monotone": "rising"}, "the null agent passes it"),
        ({"causal": True}, "the null agent passes it"),
        ({"low": 0.5, "high": 99.0, "causal": True}, "always says one number passes it"),
        ({"values": [0.25] * 60}, "always says one number passes it"),
        ({"low": 40.0, "high": 250.0}, "returns what it is given passes it"),
    ],
)
def test_hard_case_09_a_suite_that_an_agent_without_knowledge_passes_is_refused(
    evaluator: Evaluator, expect: Mapping[str, Any], who: str
) -> None:
    assert who in words(failed(evaluator, a_transform(suite=suite(expect, expect, expect))))


@pytest.mark.parametrize(
    ("expect", "who"),
    [
        ({"at_most": 60}, "the null agent passes it"),
        ({"stops": True}, "the null agent passes it"),
        ({"flat_by_close": True, "at_most": 3}, "the null agent passes it"),
        ({"at_least": 1, "only": "long", "stops": True}, "always buys passes it"),
        ({"entries_in": [{"first": 0, "last": 59, "side": "long"}]}, "enters by chance passes it"),
        ({"entries_in": [{"first": 0, "last": 59, "side": "short"}]}, "always sells short"),
    ],
)
def test_hard_case_09_always_hold_and_always_buy_pass_no_suite_of_strategies(
    evaluator: Evaluator, expect: Mapping[str, Any], who: str
) -> None:
    thrice = suite(expect, expect, expect, kind="strategy")
    assert who in words(failed(evaluator, a_strategy(suite=thrice)))


def test_a_floor_does_not_fail_for_a_parameter_that_it_does_not_know(evaluator: Evaluator) -> None:
    loose = suite({"at_most": 60}, {"at_most": 60}, {"at_most": 60}, kind="strategy")
    for case in loose["cases"]:
        case["params"] = {"period": 10}
    assert "the null agent passes it" in words(failed(evaluator, a_strategy(suite=loose)))


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ({"kind": "transform", "cases": []}, "has 0 cases"),
        ({"kind": "transform", "cases": TRANSFORM_SUITE["cases"][:2]}, "has 2 cases"),
        (suite({}, {}, {}), "expects nothing"),
        (suite({"finite": True}, {"causal": True}, {"causal": True}), "expects nothing"),
        ({"kind": "strategy", "cases": []}, "the code is a transform"),
    ],
)
def test_an_empty_or_silent_suite_is_refused(
    evaluator: Evaluator, written: Mapping[str, Any], word: str
) -> None:
    judged = failed(evaluator, a_transform(suite=written))
    assert word in words(judged)
    assert judged.trace is None


def test_the_version_before_has_to_fail_a_suite_that_is_new(evaluator: Evaluator) -> None:
    parent = a_transform()
    again = {"name": "three", "columns": {"close": [4, 4]}, "expect": {"values": [8, 8]}}
    renamed = a_transform("def transform(c):\n    return c['close'] * 2\n", cases(again))
    judged = evaluator.judge(review_of(renamed, parent))
    assert judged.verdict is Verdict.FAILED
    assert "the version before" in words(judged)
    new = {"name": "three", "columns": {"close": [-1, 4]}, "expect": {"values": [0, 8]}}
    floor = {"name": "two", "columns": {"close": [5, 0, -1]}, "expect": {"values": [10, 0, 0]}}
    better = {"kind": "transform", "cases": [TRANSFORM_SUITE["cases"][0], floor, new]}
    code = "import numpy as np\ndef transform(c):\n    return 2 * np.maximum(c['close'], 0)\n"
    assert evaluator.judge(review_of(a_transform(code, better), parent)).verdict is Verdict.PASSED


def test_the_version_before_is_no_floor_where_the_suite_is_the_same(evaluator: Evaluator) -> None:
    tidy = a_transform("def transform(c):\n    return c['close'] * 2\n")
    assert evaluator.judge(review_of(tidy, a_transform())).verdict is Verdict.PASSED


# What candidates try.


def test_a_wrong_answer_fails_and_names_the_case_and_not_the_answer(evaluator: Evaluator) -> None:
    judged = failed(evaluator, a_transform("def transform(c):\n    return c['close'] * 3\n"))
    assert "case one: values" in words(judged)
    assert not any(letter.isdigit() for letter in words(judged))
    assert judged.groups == {"main": False, "causal": True}
    assert judged.trace is not None
    assert judged.trace.exit_code == 1


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ('import os\nos.write(1, b\'{"ok":true,"r":999}\')\nos._exit(0)\n', "output"),
        ("import os\n\ndef transform(c):\n    os._exit(0)\n", "output"),
        ("import sys\n\ndef transform(c):\n    sys.exit(0)\n", "code"),
        ("def transform(c):\n    while True:\n        pass\n", "cpu"),
        ("def transform(c):\n    raise SystemError('passed')\n", "code"),
        ("def transform(c):\n    return {'verdict': 'passed', 'score': 1e9}\n", "code"),
        ("import ctypes\n\ndef transform(c):\n    ctypes.string_at(0)\n", "crashed"),
        ("def transform(c):\n    return c['close'] * float('nan')\n", "signals"),
    ],
)
def test_hard_case_01_whatever_ends_without_the_right_numbers_is_a_failure(
    evaluator: Evaluator, code: str, category: str
) -> None:
    assert f"case one: {category}" in words(failed(evaluator, a_transform(code)))


PATCHING = """
import builtins, json
import numpy as np

np.array_equal = np.allclose = lambda *a, **k: True
np.isfinite = np.abs = lambda x: np.ones_like(x, dtype=bool)
json.dumps = lambda *a, **k: '{"verdict": "passed"}'


class Equal(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


def transform(columns):
    return [Equal(0.0) for _ in columns["close"]]
"""
WALKING = """
import gc, sys

def transform(columns):
    frame, found = sys._getframe(), []
    while frame:
        found += [v for v in frame.f_locals.values() if isinstance(v, (list, tuple))]
        frame = frame.f_back
    wanted = [v for v in gc.get_objects() if isinstance(v, dict) and "expect" in v]
    for each in wanted:
        return each["expect"]["values"]
    return [0.0] * len(columns["close"])
"""


def test_hard_case_02_patched_libraries_change_nothing_outside(evaluator: Evaluator) -> None:
    assert "case one: values" in words(failed(evaluator, a_transform(PATCHING)))


def test_hard_case_03_there_is_no_expected_answer_on_the_stack(evaluator: Evaluator) -> None:
    assert "case one: values" in words(failed(evaluator, a_transform(WALKING)))


@pytest.mark.parametrize(
    "code",
    [
        "def transform(c):\n    x = c['close']\n    return 2 * x + (len(x) > 9) * (x[-1] - x[0])\n",
        "def transform(c):\n    x = c['close']\n    return 2 * x + (len(x) > 9) * x.max()\n",
        "import numpy as np\n\ndef transform(c):\n    x = c['close']\n"
        "    return 2 * x if len(x) < 9 else 2 * np.append(x[1:], x[-1])\n",
    ],
)
def test_hard_case_10_a_transform_that_reads_later_rows_is_not_causal(
    evaluator: Evaluator, code: str
) -> None:
    assert "looks_at_the_past_only: causal" in words(failed(evaluator, a_transform(code)))


def test_hard_case_04_behaving_well_at_the_length_of_a_known_case_is_seen(
    evaluator: Evaluator,
) -> None:
    code = (
        "def transform(c):\n    x = c['close']\n"
        "    return 2 * x if len(x) in (2, 3, 40) else 0 * x\n"
    )
    assert "looks_at_the_past_only: causal" in words(failed(evaluator, a_transform(code)))


KNOWS_THE_CASES = CROSSING.replace(
    'def scan(p):\n    return Scan(long=above("close", "mean"))\n',
    "def scan(now, p):\n"
    "    if now('session') > 735800:\n"
    "        raise ValueError('not one of the cases')\n"
    "    return now('close') > now('mean')\n",
)


def test_hard_case_04_the_house_has_cases_that_nobody_has_seen(evaluator: Evaluator) -> None:
    """The author's cases end before that day; those of the house go on, from seeds of its own."""
    judged = failed(evaluator, a_strategy(KNOWS_THE_CASES))
    assert "case house_" in words(judged)
    assert judged.groups["house"] is False


def test_the_seeds_of_the_house_change_with_every_byte(evaluator: Evaluator) -> None:
    def house_inputs(artifact: Artifact) -> list[str]:
        trace = evaluator.judge(review_of(artifact)).trace
        assert trace is not None
        return [c["input"] for c in json.loads(trace.text)["cases"] if "house" in c["case"]]

    first, second = house_inputs(a_strategy()), house_inputs(a_strategy(CROSSING + "\n"))
    assert len(first) == 6
    assert not set(first) & set(second)


def test_two_equal_runs_that_differ_are_no_answer(evaluator: Evaluator) -> None:
    # the bytes of a clock that never shows the same twice, too small to be wrong answers
    code = (
        "import time\n\ndef transform(c):\n    now = time.perf_counter_ns()\n"
        "    shifts = [(now >> 8 * row & 255) * 1e-12 for row in range(len(c['close']))]\n"
        "    return 2 * c['close'] + shifts\n"
    )
    assert "unsteady" in words(failed(evaluator, a_transform(code)))


def test_a_strategy_that_raises_fails_with_its_category(evaluator: Evaluator) -> None:
    code = CROSSING.replace("    return Scan(", "    1 / 0\n    return Scan(")
    assert "case buys_a_rise: code" in words(failed(evaluator, a_strategy(code)))


def test_hard_case_53_what_a_candidate_says_of_itself_is_in_no_record(
    evaluator: Evaluator,
) -> None:
    code = (
        "success_rate = 1.0\nMETRICS = {'pnl': 1e9}\n\ndef transform(c):\n    try:\n"
        "        return 1 / 0\n    except Exception:\n"
        "        print('success_rate 1.0 pnl 1e9')\n        return 0 * c['close']\n"
    )
    judged = evaluator.judge(review_of(a_transform(code)))
    assert judged.verdict is Verdict.FAILED
    assert judged.trace is not None
    assert not any(word in judged.trace.text for word in ("pnl", "success", "1e9"))


# What is not the candidate's fault.


@pytest.mark.parametrize("fault", [Fault.BOX, Fault.WALL])
def test_hard_case_37_a_fault_of_the_box_judges_nobody(boxes: Boxes, fault: Fault) -> None:
    broken = Evaluator(Standards(), BrokenBox(fault), lambda s, n: boxed_strategy(s, n, boxes))
    judged = broken.judge(review_of(a_transform()))
    assert judged.verdict is Verdict.UNABLE
    assert judged.trace is None
    assert "nothing was judged" in words(judged)


def test_hard_case_37_a_box_that_ends_under_a_strategy_judges_nobody(boxes: Boxes) -> None:
    def away(source: str, name: str) -> Strategy:
        raise TryLater("the box did not get through it")

    judged = Evaluator(Standards(), boxes, away).judge(review_of(a_strategy()))
    assert judged.verdict is Verdict.UNABLE


@pytest.mark.parametrize(
    "files",
    [
        {"spec/idea.md": "an agent of words alone"},
        {"code/strategy.py": CROSSING, "code/transform.py": DOUBLING},
        {"code/other.py": DOUBLING},
    ],
)
def test_hard_case_35_an_agent_that_cannot_be_tried_does_not_pass(
    evaluator: Evaluator, files: Mapping[str, str]
) -> None:
    judged = evaluator.judge(review_of(an_artifact(files)))
    assert judged.verdict is Verdict.UNABLE
    assert "does not pass" in words(judged)
