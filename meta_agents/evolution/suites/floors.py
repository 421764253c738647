"""Agents that know nothing, which every suite has to fail.

A suite that the empty agent passes says nothing about any other one. They are run as the candidate
is, in the same box and by the same cases; parameters of a case are left away, which they would only
stumble over: an agent that fails because it does not know a name has proved nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meta_agents.evolution.suites.forms import Case, Kind, StrategyCase

_STRATEGY: Final = """
import math

from roboinvest.core.orders import Side
from roboinvest.core.strategy import Entry, Execution, Percent

NAME = "floor"
VERSION = "1"
IDEA = "It knows nothing."
SOURCE = "the house"
TIMEFRAME = "any"
SHORTS = {shorts}
PARAMS = {{}}


def scan(now, p):
    {answer}


def execution(p):
    return Execution(stop=Percent(0.02), max_bars=10)
"""
# As good as chance, and the same each time: digits of the close that mean nothing.
_CHANCE: Final = """drawn = math.sin(now("close") * 12.9898 + 4.1) * 43758.5453
    return drawn - math.floor(drawn) < 0.1"""
_SHORT: Final = "return Entry(side=Side.SELL)"
_TRANSFORM: Final = """
import numpy as np

def transform(columns):
    first = next(iter(columns.values()))
    return {answer}
"""


def floors_of(kind: Kind, cases: Sequence[Case]) -> tuple[tuple[str, str], ...]:
    """Return the name and the code of each agent that a suite has to fail."""
    if kind is Kind.STRATEGY:
        answers = [
            ("the null agent", "return False", False),
            ("the agent that always buys", "return True", False),
            ("the agent that enters by chance", _CHANCE, False),
        ]
        if any(_wants_short(case) for case in cases):
            answers.append(("the agent that always sells short", _SHORT, True))
        return tuple(
            (name, _STRATEGY.format(answer=answer, shorts=shorts))
            for name, answer, shorts in answers
        )
    numbers = [
        ("the null agent", "np.zeros(len(first))"),
        ("the agent that always says one number", f"np.full(len(first), {_first_number(cases)!r})"),
        ("the agent that draws numbers", "np.random.default_rng(7).random(len(first))"),
        ("the agent that returns what it is given", "np.array(first)"),
    ]
    return tuple((name, _TRANSFORM.format(answer=answer)) for name, answer in numbers)


def _wants_short(case: Case) -> bool:
    if not isinstance(case, StrategyCase):
        return False
    expect = case.expect
    return expect.only == "short" or any(rows.side == "short" for rows in expect.entries_in)


def _first_number(cases: Sequence[Case]) -> float:
    """Return the number that is most likely to be enough: the first one that is expected."""
    for case in cases:
        if isinstance(case, StrategyCase):
            continue
        expect = case.expect
        said = [*(expect.values or ())[:1], expect.low, expect.high]
        for number in said:
            if number is not None:
                return number
    return 1.0
