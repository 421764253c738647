"""Tier C, where pydantic-monty is installed; else that it says what is missing."""

from __future__ import annotations

import importlib.util

import pytest

from roboinvest.core.errors import Refused
from tools.sandbox.job import Bounds, Fault
from tools.sandbox.scripts import MontyScripts, scripts_missing

HAS_MONTY = importlib.util.find_spec("pydantic_monty") is not None


@pytest.mark.skipif(HAS_MONTY, reason="pydantic-monty is installed")
def test_without_the_package_scripts_are_off_and_say_what_to_install() -> None:
    assert "pydantic-monty" in str(scripts_missing())
    with pytest.raises(Refused, match="install pydantic-monty"):
        MontyScripts()


@pytest.mark.skipif(not HAS_MONTY, reason="pydantic-monty is not installed")
@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("x * 2", None),
        ("1 / 0", Fault.CODE),
        ("while True: pass", Fault.CODE),
        ("open('/etc/passwd').read()", Fault.CODE),
        ("9 ** 9 ** 9", Fault.CODE),
        ("'a text'", Fault.OUTPUT),
        ("True", Fault.OUTPUT),
        ("10 ** 400", Fault.OUTPUT),
        ("x * 1000", Fault.SIGNALS),
    ],
)
def test_a_script_gives_one_bounded_number_or_a_fault(code: str, fault: Fault | None) -> None:
    outcome = MontyScripts(bounds=Bounds(low=0, high=100)).run(code, {"x": 21})
    assert outcome.fault is fault
    assert (outcome.signals is None) is (fault is not None)
