"""A real box, and a house that judges in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meta_agents.evolution.evaluator import Evaluator
from meta_agents.evolution.standards import Standards
from tests.fakes.evolution import JudgedHouse, judged_house
from tests.fakes.sandboxes import needs
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.strategy import boxed_strategy
from tools.sandbox.tier import Tier


@pytest.fixture(scope="session")
def boxes() -> Iterator[Boxes]:
    """Return boxes of tier B, which every Linux we run on gives."""
    needs(Tier.B)
    with Boxes(Tier.B) as opened:
        yield opened


@pytest.fixture(scope="session")
def evaluator(boxes: Boxes) -> Evaluator:
    """Return the evaluator gate."""
    return Evaluator(Standards(), boxes, lambda source, name: boxed_strategy(source, name, boxes))


@pytest.fixture
def house(tmp_path: Path, boxes: Boxes) -> Iterator[JudgedHouse]:
    """Return a house whose gates nobody has run yet."""
    with judged_house(tmp_path, boxes) as opened:
        yield opened
