"""The form of a strategy's file that is made of plain names; `tools.strategies.files` shows it."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import (
    Entry,
    Execution,
    Moment,
    Param,
    Plan,
    Scan,
    Strategy,
    Timeframes,
    Values,
)
from tools.strategies.misuse import shown
from tools.strategies.rooms import Room

# What a fingerprint is taken of; the other names only describe.
PARTS: Final[tuple[str, ...]] = (
    "TIMEFRAME",
    "SYMBOLS",
    "SHORTS",
    "columns",
    "scan",
    "execution",
    "leave",
)
_DESCRIBING: Final = ("NAME", "VERSION", "IDEA", "SOURCE", "TIMEFRAME")
_SHAPE: Final = '(default, lowest, highest), like "period": (20, 2, 200)'
Function = Callable[..., Any]  # a person's, of which no type is known before `misuse` looked


def strategy_of(path: Path, tree: ast.Module, namespace: Mapping[str, object]) -> Strategy:
    """Return the strategy that a file's names make.

    Raises:
        BadInput: a name is missing, or is not what it should be.
    """
    return _Form(path, Room.of("", tree), namespace).strategy()


@dataclass(frozen=True, slots=True)
class _Form:
    path: Path
    room: Room  # for the lines that names stand in
    names: Mapping[str, object]

    def strategy(self) -> Strategy:
        if "scan" not in self.names:
            raise self._bad("scan", "there is no scan", "write def scan(now, p)")
        missing = [name for name in _DESCRIBING if not str(self.names.get(name, "")).strip()]
        if missing:
            raise self._bad("", f"there is no {', '.join(missing)}", "add what is missing")
        symbols = self.names.get("SYMBOLS", 1)
        if not isinstance(symbols, int) or symbols < 1:
            raise self._bad(
                "SYMBOLS", f"SYMBOLS is {shown(symbols)}", "give a whole number from 1 on"
            )
        return Strategy(
            name=self._text("NAME"),
            version=self._text("VERSION"),
            idea=self._text("IDEA"),
            source=self._text("SOURCE"),
            timeframe=self._timeframe(),
            params=self._params(),
            build=self._build(),
            symbols=symbols,
            shorts=bool(self.names.get("SHORTS", False)),
        )

    def _build(self) -> Callable[[Values], Plan]:
        """Return what makes a plan of the file's functions, whose arguments are checked."""
        asks_bars = self._takes("scan", ("now", "p"), ("p",)) == 2
        scan = self._function("scan")
        columns, execution = self._optional("columns", "p"), self._optional("execution", "p")
        leave = self._optional("leave", "now", "held", "p")

        def build(p: Values) -> Plan:
            how = Execution() if execution is None else execution(p)
            if leave is not None and isinstance(how, Execution):
                if how.exit is not None:
                    raise BadInput("it has a leave and an exit of its execution; drop one")
                how = replace(how, exit=lambda now, held: leave(now, held, p))
            return Plan(
                columns={} if columns is None else columns(p),
                scan=_asked(scan, p) if asks_bars else scan(p),
                execution=how,
            )

        return build

    def _text(self, name: str) -> str:
        return " ".join(str(self.names[name]).split())

    def _timeframe(self) -> Timeframes:
        given = self.names["TIMEFRAME"]
        known = [each.value for each in Timeframes]
        if given not in known:
            raise self._bad("TIMEFRAME", f"TIMEFRAME is {shown(given)}", f"give {', '.join(known)}")
        return Timeframes(given)

    def _params(self) -> tuple[Param, ...]:
        given = self.names.get("PARAMS", {})
        if not isinstance(given, dict):
            raise self._bad("PARAMS", f"PARAMS is {shown(given)}", f"give a dict of {_SHAPE}")
        return tuple(self._param(name, value) for name, value in given.items())

    def _param(self, name: object, value: object) -> Param:
        parts = list(value) if isinstance(value, tuple | list) else []
        text = parts.pop() if parts and isinstance(parts[-1], str) else ""
        numbers = [each for each in parts if _is_number(each)]
        good = isinstance(name, str) and name.isidentifier() and len(numbers) in (3, 4)
        if not good or len(numbers) < len(parts):
            raise self._bad("PARAMS", f"PARAMS[{name!r}] is {shown(value)}", f"give {_SHAPE}")
        default, low, high, *step = numbers
        if not low <= default <= high or any(each <= 0 for each in step):
            raise self._bad(
                "PARAMS",
                f"PARAMS[{name!r}] is {shown(value)}",
                "the default must lie between lowest and highest, and a step above 0",
            )
        return Param(
            name=str(name),
            default=default,
            low=low,
            high=high,
            step=step[0] if step else None,
            text=text,
        )

    def _optional(self, name: str, *arguments: str) -> Function | None:
        if self.names.get(name) is None:
            return None
        self._takes(name, arguments)
        return self._function(name)

    def _function(self, name: str) -> Function:
        found = self.names[name]
        if not callable(found):
            raise self._bad(name, f"{name} is {shown(found)}", "write it as a function")
        return found

    def _takes(self, name: str, *forms: tuple[str, ...]) -> int:
        """Return the number of arguments of the first form that a function can be called in."""
        function = self._function(name)
        wanted = " or ".join(f"def {name}({', '.join(form)})" for form in forms)
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise self._bad(name, f"{name} is async or yields", f"write {wanted}")
        signature = inspect.signature(function)
        for form in forms:
            try:
                signature.bind(*form)
            except TypeError:
                continue
            return len(form)
        raise self._bad(name, f"{name} takes {signature}", f"write {wanted}")

    def _bad(self, name: str, fact: str, advice: str) -> BadInput:
        made = self.room.made.get(name)
        line = f", line {made[-1].lineno}" if made else ""
        return BadInput(f"{self.path}{line}: {fact}; {advice}")


def _asked(scan: Function, p: Values) -> Callable[[Moment], Entry | bool | None]:
    def ask(now: Moment) -> Entry | bool | None:
        answer: Entry | bool | None = scan(now, p)
        if isinstance(answer, Scan):
            raise BadInput("it answered a Scan of conditions for one bar; write def scan(p)")
        return answer

    return ask


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
