"""A strategy's declaration as JSON: all of it that leaves the box besides answers.

Nothing in here is trusted by whoever reads it: see `tools.boxed_strategies.declaration`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.quant.conditions import (
    Comparison,
    Crossing,
    Earlier,
    FirstOfSession,
    Together,
)
from roboinvest.core.strategy import Calculator, Execution, Plan, Scan, Strategy
from tools.boxed_strategies.inside.stand_ins import OWN, Asked
from tools.strategies.misuse import shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CALL: Final = "call"
_NUMBERS: Final = ("max_bars", "flat_before_close_min", "no_entry_before_close_min")
Told = dict[str, Any]


def told_strategy(strategy: Strategy, plan: Plan) -> Told:
    """Return a strategy, with one of its plans.

    Raises:
        BadInput: something in it cannot leave the box.
    """
    return {
        "name": str(strategy.name),
        "version": str(strategy.version),
        "idea": str(strategy.idea),
        "source": str(strategy.source),
        "timeframe": str(strategy.timeframe),
        "symbols": _plain(strategy.symbols),
        "shorts": bool(strategy.shorts),
        "params": [_fields(param) for param in strategy.params],
        "plan": _plan(plan),
    }


def _plan(plan: Plan) -> Told:
    scan = plan.scan
    return {
        "columns": [_column(name, each) for name, each in plan.columns.items()],
        "scan": _scan(scan) if isinstance(scan, Scan) else CALL,
        "execution": _execution(plan.execution),
    }


def _column(name: str, calculator: Calculator) -> Told:
    asked = calculator.compute
    if not isinstance(asked, Asked):
        raise BadInput(f"its column {name} is a calculator of its own, and {OWN}")
    return {
        "name": name,
        "module": asked.module,
        "function": asked.function,
        "args": [_plain(each) for each in asked.args],
        "kwargs": {key: _plain(each) for key, each in asked.kwargs},
    }


def _scan(scan: Scan) -> Told:
    return {"long": _some(scan.long), "short": _some(scan.short)}


def _some(condition: object) -> Told | None:
    return None if condition is None else _condition(condition)


def _condition(condition: object) -> Told:
    match condition:
        case Comparison(left, right, compare):
            sides = {"left": _plain(left), "right": _plain(right)}
            return {"kind": "compare", "compare": _name(compare), **sides}
        case Crossing(left, right, up):
            sides = {"left": _plain(left), "right": _plain(right)}
            return {"kind": "cross", "up": bool(up), **sides}
        case Together(parts, every):
            return {"kind": "all" if every else "any", "parts": [_condition(x) for x in parts]}
        case FirstOfSession(inner):
            return {"kind": "first", "of": _condition(inner)}
        case Earlier(inner, bars):
            return {"kind": "earlier", "of": _condition(inner), "bars": _plain(bars)}
        case _:
            raise BadInput(
                f"its condition is {shown(condition)}, which cannot leave the box; make it with "
                "above, below, crosses_above and the like, or write def scan(now, p)"
            )


def _name(compare: Callable[..., Any]) -> str:
    return str(getattr(compare, "__name__", shown(compare)))


def _execution(how: Execution) -> Told:
    leave = how.exit
    told: Told = {name: _plain(getattr(how, name)) for name in _NUMBERS}
    for name in ("size", "stop", "target", "trail"):
        level = getattr(how, name)
        told[name] = None if level is None else {"kind": type(level).__name__, **_fields(level)}
    told["exit"] = CALL if callable(leave) and not hasattr(leave, "of") else _some(leave)
    return told


def _fields(value: DataclassInstance) -> Told:
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def _plain(value: object) -> object:
    """Return a number, text or None as JSON knows it; numpy's become Python's."""
    item = getattr(value, "item", None)
    plain = item() if callable(item) else value
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise BadInput(f"{shown(value)} cannot leave the box; give a number or a text")
