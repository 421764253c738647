from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from tools.sandbox.job import Bounds, Fault, Limits, Transform, Walk


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"code": "x" * 1_000_001}, "code"),
        ({"seed": -1}, "seed"),
        ({"length": -1}, "length"),
        ({"columns": {"Close": np.ones(3)}}, "Close"),
        ({"columns": {"a": np.ones(3), "b": np.ones(4)}}, "shapes"),
        ({"columns": {"a": np.ones((3, 2))}}, "shapes"),
        ({"params": {"x": math.inf}}, "parameter"),
        ({"params": {"__class__": 1}}, "parameter"),
        ({"limits": Limits(cpu_s=0)}, "cpu_s"),
        ({"limits": Limits(wall_s=1e9)}, "wall_s"),
        ({"limits": Limits(memory_mb=64)}, "memory_mb"),
        ({"limits": Limits(files=10_000)}, "files"),
    ],
)
def test_a_job_that_no_box_can_run_is_refused_in_one_sentence(
    change: dict[str, Any], word: str
) -> None:
    job = Transform(**{"code": "", "columns": {"close": np.ones(3)}, "length": 3, **change})
    with pytest.raises(BadInput, match=word):
        job.check()


@pytest.mark.parametrize(
    "change", [{"fields": ()}, {"fields": ("a", "a")}, {"fields": ("A",)}, {"outputs": 0}]
)
def test_a_walk_that_no_box_can_run_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Walk(**{"code": "", "fields": ("close",), **change}).check()


@pytest.mark.parametrize(
    ("value", "whole", "fault"),
    [
        (1.0, False, None),
        (0.5, False, None),
        (0.5, True, "whole"),
        (2.0**60, True, "outside"),
        (math.nan, False, "finite"),
        (math.inf, False, "finite"),
        (1e308, False, "outside"),
        (-1e308, False, "outside"),
    ],
)
def test_signals_are_finite_in_range_and_whole_where_asked(
    value: float, whole: bool, fault: str | None
) -> None:
    said = Bounds(whole=whole).fault_of(np.array([0.0, value]))
    assert said is None if fault is None else fault in str(said)


def test_whole_numbers_that_a_float_cannot_tell_apart_are_refused() -> None:
    bounds = Bounds(low=-1e300, high=1e300, whole=True)
    assert bounds.fault_of(np.array([2.0**53])) is None
    assert bounds.fault_of(np.array([2.0**54])) is not None


def test_only_the_machine_is_a_reason_to_try_again() -> None:
    assert {fault for fault in Fault if fault.again} == {Fault.WALL, Fault.BOX}
