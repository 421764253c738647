"""Cut-offs: which days a model may remember, and what is said of it beside figures."""

from __future__ import annotations

from datetime import date

import pytest

from roboinvest.core.tasks import RULES, SAFE
from roboinvest.runtime.llm.hindsight.contamination import (
    Cutoffs,
    Extent,
    contamination,
    worst_of,
)

CUTOFF = date(2023, 10, 1)


@pytest.mark.parametrize(
    ("first", "last", "extent", "before", "after"),
    [
        (date(2023, 9, 1), date(2023, 9, 30), Extent.WHOLE, 30, 0),
        (date(2023, 10, 1), date(2023, 10, 1), Extent.WHOLE, 1, 0),
        (date(2023, 10, 1), date(2023, 10, 2), Extent.PART, 1, 1),
        (date(2023, 9, 25), date(2023, 10, 31), Extent.PART, 7, 30),
        (date(2023, 10, 2), date(2023, 10, 2), Extent.NONE, 0, 1),
        (date(2024, 1, 2), date(2024, 1, 31), Extent.NONE, 0, 30),
    ],
)
def test_the_cutoff_itself_is_a_day_that_may_be_remembered(
    first: date, last: date, extent: Extent, before: int, after: int
) -> None:
    found = contamination("m", CUTOFF, first, last)
    assert (found.extent, found.days_before, found.days_after) == (extent, before, after)
    assert found.marked is (extent is not Extent.NONE)
    assert "m" in found.text
    assert "2023-10-01" in found.text


def test_a_model_without_a_known_cutoff_may_remember_everything() -> None:
    found = contamination("m", None, date(2030, 1, 1), date(2030, 1, 10))
    assert (found.extent, found.days_before, found.marked) == (Extent.UNKNOWN, 10, True)
    assert "not known" in found.text


def test_of_several_models_the_one_that_may_remember_most_speaks() -> None:
    first, last = date(2023, 9, 25), date(2023, 10, 31)
    found = [contamination("a", CUTOFF, first, last)]
    found.append(contamination("b", date(2023, 10, 10), first, last))
    found.append(contamination("c", date(2020, 1, 1), first, last))
    assert (worst := worst_of(found)) is not None
    assert worst.model == "b"
    found.append(contamination("d", None, first, last))
    assert (worst := worst_of(found)) is not None
    assert worst.model == "d"
    assert worst_of([]) is None


def test_rules_and_safe_outputs_remember_nothing() -> None:
    cutoffs = Cutoffs(days={"m": CUTOFF})
    day = date(2020, 1, 2)
    assert cutoffs.judge([RULES, SAFE], day, day) is None
    assert cutoffs.judge([], day, day) is None


def test_answers_are_traced_to_the_models_that_gave_them() -> None:
    cutoffs = Cutoffs(days={"old/m:free": date(2020, 1, 1), "new": CUTOFF})
    day = date(2023, 1, 3)
    clean = cutoffs.judge(["rules", "openai:old/m:free"], day, day)
    assert clean is not None
    assert not clean.marked
    spoiled = cutoffs.judge(["rules", "openai:old/m:free", "openai:new"], day, day)
    assert spoiled is not None
    assert (spoiled.model, spoiled.marked) == ("new", True)
    stranger = cutoffs.judge(["openai:new", "openai:stranger"], day, day)
    assert stranger is not None
    assert (stranger.model, stranger.extent) == ("stranger", Extent.UNKNOWN)


def test_an_invented_market_cannot_be_remembered() -> None:
    day = date(2020, 1, 2)
    found = Cutoffs(days={"m": None}, invented=True).judge(["openai:m"], day, day)
    assert found is not None
    assert not found.marked
    assert "invented" in found.text


def test_a_disguise_is_told_and_takes_no_mark_away() -> None:
    day = date(2020, 1, 2)
    found = Cutoffs(days={"m": CUTOFF}, disguised=True).judge(["openai:m"], day, day)
    assert found is not None
    assert found.marked
    assert "disguised" in found.text


def test_reports_hold_model_cutoff_mark_and_sentence() -> None:
    found = contamination("m", CUTOFF, date(2023, 9, 1), date(2023, 9, 2))
    assert found.to_json() == {
        "model": "m",
        "cutoff": "2023-10-01",
        "marked": True,
        "text": found.text,
    }
