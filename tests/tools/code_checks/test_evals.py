from __future__ import annotations

import json

import pytest

from tools.code_checks.judge import judged

CODE = """
import numpy as np

TOLERANCE = 0.01
CASES = [(1, 2), (2, 3), (3, 4)]

def test_adds():
    assert 1 + 1 == 2
    assert 2 + 2 == 4

def test_near():
    np.testing.assert_allclose([1.0], [1.0], atol=1e-6)
"""
CASES = {"cases": [{"name": "a", "expect": 1.0, "tolerance": 0.01}, {"name": "b", "min_trades": 3}]}


def rules(path: str, new: str, old: str | None) -> set[str]:
    before = None if old is None else {path: old.encode(), "code/a.py": b"x = 1\n"}
    report = judged({path: new.encode()}, frozenset(), before)
    return {each.rule for each in report.findings if each.rule.startswith("ROBO-evals")}


def code_rules(old: str, new: str) -> set[str]:
    assert old in CODE
    return rules("evals/test_a.py", CODE.replace(old, new), CODE)


def case_rules(old: str, new: str) -> set[str]:
    text = json.dumps(CASES)
    assert old in text
    return rules("evals/cases.json", text.replace(old, new), text)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("    assert 2 + 2 == 4\n", "", "asserts"),
        ("assert 2 + 2 == 4", "assert True", "asserts"),
        ("assert 2 + 2 == 4", "assert True", "empty"),
        ("assert 2 + 2 == 4", "assert 2 + 2 == 4 or True", "empty"),
        ("assert 2 + 2 == 4", "assert (2 + 2 == 5, 'a tuple')", "empty"),
        ("assert 2 + 2 == 4", "assert 4 == 4", "empty"),
        ("    assert 2 + 2 == 4", "    return\n    assert 2 + 2 == 4", "asserts"),
        ("    assert 2 + 2 == 4", "    if False:\n        assert 2 + 2 == 4", "asserts"),
        (
            "    assert 2 + 2 == 4",
            "    try:\n        assert 2 + 2 == 4\n    except AssertionError:\n        pass",
            "asserts",
        ),
        ("def test_near", "@pytest.mark.skip\ndef test_near", "skip"),
        ("def test_near", "@mark.xfail(strict=False)\ndef test_near", "skip"),
        ("def test_near", "def not_near", "cases"),
        (", (3, 4)]", "]", "cases"),
        ("atol=1e-6", "atol=1e-2", "bounds"),
        ("TOLERANCE = 0.01", "TOLERANCE = 0.5", "bounds"),
    ],
)
def test_hard_case_6_weaker_code_of_evals_is_refused(old: str, new: str, rule: str) -> None:
    assert f"ROBO-evals-{rule}" in code_rules(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("assert 2 + 2 == 4", "assert 2 + 2 == 4\n    assert 3 + 3 == 6"),
        ("atol=1e-6", "atol=1e-9"),
        ("test_adds", "test_sums"),
        ("(3, 4)]", "(3, 4), (4, 5)]"),
    ],
)
def test_evals_may_ask_more(old: str, new: str) -> None:
    assert code_rules(old, new) == set()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"tolerance": 0.01', '"tolerance": 0.02', "bounds"),
        ('"min_trades": 3', '"min_trades": 1', "bounds"),
        (', {"name": "b", "min_trades": 3}', "", "cases"),
        ('"name": "b"', '"skip": true', "skip"),
        ('"name": "b"', '"enabled": false', "skip"),
        ('"name": "a"', '"name": "a", "name": "b"', "json"),
        ('"tolerance": 0.01', '"tolerance": Infinity', "json"),
        ("[", "[[", "json"),
    ],
)
def test_hard_case_6_weaker_cases_are_refused(old: str, new: str, rule: str) -> None:
    assert f"ROBO-evals-{rule}" in case_rules(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"tolerance": 0.01', '"tolerance": 0.001'), ('"min_trades": 3', '"min_trades": 4')],
)
def test_cases_may_be_tightened(old: str, new: str) -> None:
    assert case_rules(old, new) == set()


def test_a_file_of_evals_may_not_go() -> None:
    report = judged({"code/a.py": b"x = 1\n"}, frozenset(), {"evals/a.json": b"{}"})
    assert [(each.rule, each.path) for each in report.findings] == [
        ("ROBO-evals-lost", "evals/a.json")
    ]


def test_lines_of_other_formats_are_counted() -> None:
    assert rules("evals/a.csv", "a\nb\n", "a\nb\nc\n") == {"ROBO-evals-cases"}
    assert rules("evals/a.jsonl", '{"tol": 2}\n', '{"tol": 1}\n') == {"ROBO-evals-bounds"}
    assert rules("evals/a.jsonl", '{"tol": 2}\nnot json\n', None) == {"ROBO-evals-json"}


def test_skipped_cases_are_refused_in_a_first_version_as_well() -> None:
    assert rules("evals/test_a.py", "def test_a():\n    assert True\n", None) == {
        "ROBO-evals-empty"
    }


def test_deep_json_is_told() -> None:
    assert rules("evals/a.json", "[" * 90 + "]" * 90, None) == {"ROBO-evals-json"}
    assert rules("evals/a.json", "[" * 90_000, None) == {"ROBO-evals-json"}
