"""Runs a strategy's file in a job: what it declares, and its calls bar by bar.

    declare     a transform without columns; its signals are the bytes of a JSON text
    scan        a walk; the answer to a row is (mark, stop, target), see `MARKS`
    leave       a walk; the answer is 1 to leave

A job's code is a JSON text that `tools.boxed_strategies.jobs` writes, with the file in it. A row is
(kind, own columns, other symbols' new closes, what is held), see `tools.boxed_strategies.rows`.
There is no secret in this process and nothing to win by changing it: whoever forges an answer has
given it.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.orders import Side
from roboinvest.core.strategy import Entry, Held, Plan, Strategy
from tools.boxed_strategies.inside.moments import GrowingMoment
from tools.boxed_strategies.inside.stand_ins import stand_in
from tools.boxed_strategies.inside.telling import told_strategy
from tools.strategies.misuse import misuses_of, shown
from tools.strategies.plain_form import strategy_of

LONGEST_DECLARATION: Final = 32_768  # bytes
CARRIED, OWN, ASKED = 0.0, 1.0, 2.0  # a row of others' closes; of a bar; of a bar to answer for
SHORT, LONG, HAS_STOP, HAS_TARGET = 1.0, 2.0, 4.0, 8.0  # parts of a mark; their sum comes out
NOTHING: Final = (0.0, 0.0, 0.0)
_FILE: Final = "<candidate>"  # so that the harness tells its lines
_AS_MODULE: Final = "tools.strategies"  # see `tools.strategies.files`
Row = tuple[float, ...]
Answer = tuple[float, float, float]


def declare(code: str, _: object, __: object, ___: object) -> Callable[[object], Floats]:
    """Return what tells a strategy and its plan for the values that were given, or for none."""
    said = json.loads(code)

    def transform(_: object) -> Floats:
        told: dict[str, object]
        try:
            strategy = _loaded(said)
            defaults = {param.name: param.default for param in strategy.params}
            plan = _planned(strategy, defaults if said["values"] is None else said["values"])
            told = {"strategy": told_strategy(strategy, plan)}
        except BadInput as error:
            told = {"refused": " ".join(str(error).split())[:500]}
        raw = json.dumps(told).encode()
        if len(raw) > LONGEST_DECLARATION:
            raise ValueError(
                f"its declaration has {len(raw)} bytes; give {LONGEST_DECLARATION} at most"
            )
        return np.frombuffer(raw.ljust(LONGEST_DECLARATION), np.uint8).astype(np.float64)

    return transform


def scan(code: str, _: object, __: object, history: Floats) -> Callable[[Row], Answer]:
    """Return what asks the scan's call about a row."""
    said = json.loads(code)
    plan = _planned(_loaded(said), said["values"])
    moment, ask = _moment(said, history), plan.scan
    if not callable(ask):
        raise BadInput("its scan is no call any more")

    def step(row: Row) -> Answer:
        moment.take(row)
        answer = ask(moment) if row[0] == ASKED else None
        return NOTHING if answer is None or answer is False else _answer(answer)

    return step


def leave(code: str, _: object, __: object, history: Floats) -> Callable[[Row], float]:
    """Return what asks the exit's call about a row."""
    said = json.loads(code)
    plan = _planned(_loaded(said), said["values"])
    moment, ask = _moment(said, history), plan.execution.exit
    if not callable(ask):
        raise BadInput("its exit is no call any more")

    def step(row: Row) -> float:
        moment.take(row)
        return float(bool(ask(moment, _held(row[-6:])))) if row[0] == ASKED else 0.0

    return step


def _loaded(said: Mapping[str, Any]) -> Strategy:
    """Run the file, and return its strategy; both forms of `tools.strategies.files`."""
    stand_in(said["calculators"])
    name = said["name"]
    namespace: dict[str, Any] = {"__name__": _AS_MODULE, "__file__": name}
    tree = ast.parse(said["source"], _FILE)
    exec(compile(tree, _FILE, "exec", dont_inherit=True), namespace)  # noqa: S102 in the box
    given = namespace.get("STRATEGY")
    if given is None:
        return strategy_of(Path(name), tree, namespace)
    if isinstance(given, Strategy):
        return given
    raise BadInput(f"{name}: STRATEGY is {shown(given)}; give a roboinvest.core.strategy.Strategy")


def _planned(strategy: Strategy, values: Mapping[str, Any]) -> Plan:
    plan = strategy.build(MappingProxyType(dict(values)))
    for fault in misuses_of(strategy, plan):
        raise BadInput(fault)
    return plan


def _moment(said: Mapping[str, Any], history: Floats) -> GrowingMoment:
    moment = GrowingMoment(said["symbol"], said["columns"], said["others"])
    moment.remember(history)
    return moment


def _answer(answer: object) -> Answer:
    """Return an answer as numbers; the rules are those of `core.signals`."""
    if isinstance(answer, Entry):
        mark = LONG if answer.side is Side.BUY else SHORT
        stop, target = answer.stop, answer.target
        if stop is not None:
            mark += HAS_STOP
        if target is not None:
            mark += HAS_TARGET
        return mark, _price(stop), _price(target)
    if answer is True or isinstance(answer, np.bool_):
        return (LONG, 0.0, 0.0) if answer else NOTHING
    if answer not in (None, False):  # 0, too, is none
        raise BadInput(f"it answered {shown(answer)}; give an Entry, True, False or None")
    return NOTHING


def _price(level: float | None) -> float:
    if level is None:
        return 0.0
    if not (math.isfinite(level) and level > 0.0):
        raise BadInput(f"it gave the level {level}; give a price")
    return float(level)


def _held(held: Row) -> Held:
    side, entry_price, bars, best, worst, stop = held
    return Held(
        side=Side.BUY if side > 0.0 else Side.SELL,
        entry_price=entry_price,
        bars=int(bars),
        best=best,
        worst=worst,
        stop=None if stop != stop else stop,
    )
