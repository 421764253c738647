"""What a plan from a file may hold that types would have refused, had anybody checked them.

A stop of 0.02 instead of `Percent(0.02)` is no stop at all to whoever reads the plan, and nothing
would say so. A library's plan is held by the type checker; a person's file is held by this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from roboinvest.core.strategy import (
    BAR_COLUMNS,
    AtColumn,
    Calculator,
    Dollars,
    EquityShare,
    Execution,
    Multiple,
    Percent,
    Plan,
    Reward,
    RiskShare,
    Scan,
    Shares,
    Strategy,
)

_LONGEST: Final = 80  # characters of a foreign value
_SIZES: Final = (EquityShare, Shares, Dollars, RiskShare)
_LEVELS: Final[Mapping[str, tuple[type, ...]]] = {
    "stop": (Percent, Multiple, AtColumn),
    "target": (Percent, Multiple, AtColumn, Reward),
    "trail": (Percent, Multiple),
}
_NUMBERS: Final = ("flat_before_close_min", "no_entry_before_close_min", "max_bars")


def misuses_of(strategy: Strategy, plan: object) -> Iterator[str]:
    """Yield what is not what it should be, each as the rest of a sentence."""
    if not isinstance(plan, Plan):
        yield f"its build answered {shown(plan)}; give a roboinvest.core.strategy.Plan"
        return
    yield from _columns(plan.columns)
    yield from _scan(plan.scan, strategy.shorts)
    if isinstance(plan.execution, Execution):
        yield from _execution(plan.execution)
    else:
        yield f"its execution is {shown(plan.execution)}; give a roboinvest.core.strategy.Execution"


def _columns(columns: object) -> Iterator[str]:
    if not isinstance(columns, Mapping):
        yield f"its columns are {shown(columns)}; give a dict of calculators by name"
        return
    for name, calculator in columns.items():
        if name in BAR_COLUMNS:
            yield f"it calls a column {name}, which every bar has; choose another name"
        if not isinstance(name, str) or not isinstance(calculator, Calculator):
            yield f"its column {name!r} is {shown(calculator)}; give a calculator, like sma(20)"


def _scan(scan: object, shorts: bool) -> Iterator[str]:
    if isinstance(scan, Scan):
        for side, condition in (("long", scan.long), ("short", scan.short)):
            if condition is not None and not hasattr(condition, "of"):
                yield f"its scan's {side} is {shown(condition)}; give a condition, like above(a, b)"
        if scan.short is not None and not shorts:
            yield "its scan sells short and it does not say so; set SHORTS = True"
    elif not callable(scan):
        yield f"its scan is {shown(scan)}; give a Scan of conditions, or a function"


def _execution(how: Execution) -> Iterator[str]:
    if not isinstance(how.size, _SIZES):
        yield f"its size is {shown(how.size)}; give EquityShare, Shares, Dollars or RiskShare"
    for name, kinds in _LEVELS.items():
        level = getattr(how, name)
        if level is not None and not isinstance(level, kinds):
            known = ", ".join(kind.__name__ for kind in kinds)
            yield f"its {name} is {shown(level)}; give one of {known}, like Percent(0.02)"
    for name in _NUMBERS:
        number = getattr(how, name)
        if number is not None and not isinstance(number, int | float):
            yield f"its {name} is {shown(number)}; give a number"
    if how.exit is not None and not (hasattr(how.exit, "of") or callable(how.exit)):
        yield f"its exit is {shown(how.exit)}; give a condition or a function"


def shown(value: object) -> str:
    """Return a value as code, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
