"""Faults for a house that is overseen, by family: `FAULTS` are all of them."""

from __future__ import annotations

from typing import Final

from tests.fakes.planted_faults import changes, machine, outside, overseer, services
from tests.fakes.planted_faults.values import Fault, answers, fails, sets

__all__ = ["FAULTS", "Fault", "answers", "fails", "sets"]

FAULTS: Final = (
    *services.FAULTS,
    *machine.FAULTS,
    *outside.FAULTS,
    *changes.FAULTS,
    *overseer.FAULTS,
)
