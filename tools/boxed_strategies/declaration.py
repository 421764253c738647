"""What a strategy said of itself in the box, read as the text of a stranger that it is.

Every name is looked up in a table, every number and length has a bound, and what comes out is made
of our own values: the calculators are the library's, the conditions are ours. So a lie in here can
only describe another strategy, and that one is what runs.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.rows import Flags
from roboinvest.core.quant import calculators
from roboinvest.core.quant.conditions import (
    Comparison,
    Condition,
    Crossing,
    Earlier,
    FirstOfSession,
    Together,
)
from roboinvest.core.strategy import (
    AtColumn,
    Calculator,
    Dollars,
    EquityShare,
    Execution,
    Multiple,
    Param,
    Percent,
    Reward,
    RiskShare,
    Scan,
    Shares,
    Timeframes,
)
from tools.boxed_strategies.inside.stand_ins import OWN

_MOST_COLUMNS: Final = 200
_COMPARES: Final[Mapping[str, Callable[[Floats, Floats], Flags]]] = MappingProxyType(
    {each.__name__: each for each in (np.greater, np.less, np.greater_equal, np.less_equal)}
)
_NOT_TOLD: Final = ("custom", "declared")
Word = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=1_000)]
Whole = Annotated[int, Field(ge=-(2**62), le=2**62)]
Number = Annotated[Whole | FiniteFloat, Field(union_mode="left_to_right")]
Operand = Annotated[Word | Whole | float, Field(union_mode="left_to_right")]
Argument = Annotated[bool | Whole | FiniteFloat | Word | None, Field(union_mode="left_to_right")]


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Column(_Told):
    name: Word
    module: Word
    function: Word
    args: list[Argument] = Field(max_length=20)
    kwargs: dict[Word, Argument] = Field(max_length=20)


class _Compare(_Told):
    kind: Literal["compare"]
    compare: Word
    left: Operand
    right: Operand


class _Cross(_Told):
    kind: Literal["cross"]
    up: bool
    left: Operand
    right: Operand


class _Many(_Told):
    kind: Literal["all", "any"]
    parts: list[_Condition] = Field(min_length=1, max_length=100)


class _First(_Told):
    kind: Literal["first"]
    of: _Condition


class _Earlier(_Told):
    kind: Literal["earlier"]
    of: _Condition
    bars: int = Field(ge=1, le=1_000_000)


_Condition = Annotated[_Compare | _Cross | _Many | _First | _Earlier, Field(discriminator="kind")]


class _Scan(_Told):
    long: _Condition | None
    short: _Condition | None


class _Fraction(_Told):
    kind: Literal["EquityShare", "RiskShare", "Percent"]
    frac: Number


class _Shares(_Told):
    kind: Literal["Shares"]
    qty: Number


class _Dollars(_Told):
    kind: Literal["Dollars"]
    usd: Number


class _Multiple(_Told):
    kind: Literal["Multiple"]
    of: Word
    times: Number


class _AtColumn(_Told):
    kind: Literal["AtColumn"]
    of: Word


class _Reward(_Told):
    kind: Literal["Reward"]
    times: Number


_Amount = Annotated[
    _Fraction | _Shares | _Dollars | _Multiple | _AtColumn | _Reward, Field(discriminator="kind")
]


class _Execution(_Told):
    size: _Amount
    stop: _Amount | None
    target: _Amount | None
    trail: _Amount | None
    exit: _Condition | Literal["call"] | None
    max_bars: Number | None
    flat_before_close_min: Number | None
    no_entry_before_close_min: Number


class _Plan(_Told):
    columns: list[_Column] = Field(max_length=_MOST_COLUMNS)
    scan: _Scan | Literal["call"]
    execution: _Execution


class _Param(_Told):
    name: Word
    default: Number
    low: Number
    high: Number
    step: Number | None
    text: Text


class _Strategy(_Told):
    name: Word
    version: Word
    idea: Text
    source: Text
    timeframe: Literal["daily", "intraday", "any"]
    symbols: int = Field(ge=1, le=1_000)
    shorts: bool
    params: list[_Param] = Field(max_length=100)
    plan: _Plan


class _Answer(_Told):
    strategy: _Strategy | None = None
    refused: Text | None = None


class Declaration:
    """What was declared, checked, as our own values."""

    def __init__(self, told: _Strategy) -> None:
        self.name, self.version = told.name, told.version
        self.idea, self.source = told.idea, told.source
        self.timeframe = Timeframes(told.timeframe)
        self.symbols, self.shorts = told.symbols, told.shorts
        self.params = tuple(Param(**dict(each)) for each in told.params)
        self._plan = told.plan
        self.calls_scan = told.plan.scan == "call"
        self.calls_exit = told.plan.execution.exit == "call"

    def columns(self) -> dict[str, Calculator]:
        """Return the calculators, of the library, by the names they were given.

        Raises:
            BadInput: one is none of the library, or is asked for what it does not do.
        """
        names = [each.name for each in self._plan.columns]
        if len(set(names)) < len(names):
            raise BadInput("a column is declared twice; give each a name of its own")
        return {each.name: _calculator(each) for each in self._plan.columns}

    def scan(self) -> Scan | None:
        """Return the scan's conditions; None where it is a call."""
        told = self._plan.scan
        if isinstance(told, str):
            return None
        return Scan(long=_some(told.long), short=_some(told.short))

    def execution(self) -> Execution:
        """Return how to enter and leave; a call to leave by is left out."""
        how = self._plan.execution
        given: dict[str, Any] = {
            name: None if (level := getattr(how, name)) is None else _amount(level)
            for name in ("size", "stop", "target", "trail")
        }
        return Execution(
            **given,
            exit=None if isinstance(how.exit, str) else _some(how.exit),
            max_bars=how.max_bars,  # type: ignore[arg-type]  # a float is told by `misuse`
            flat_before_close_min=how.flat_before_close_min,
            no_entry_before_close_min=how.no_entry_before_close_min,
        )


def read_declaration(raw: bytes) -> Declaration:
    """Return what a JSON text from the box declares.

    Raises:
        BadInput: the box refused the file, or the text is none that our side of it writes.
    """
    try:
        answer = _Answer.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(each) for each in first["loc"])[:100]
        raise BadInput(f"its declaration is out of form at {where}: {first['msg']}") from error
    if answer.strategy is None:
        raise BadInput(_line(answer.refused or "it declares nothing; give a strategy's file"))
    return Declaration(answer.strategy)


@functools.cache
def library() -> Mapping[str, tuple[str, ...]]:
    """Return the calculators that a strategy may declare: short module name -> functions."""
    found = {}
    for each in pkgutil.iter_modules(calculators.__path__):
        module = importlib.import_module(f"{calculators.__name__}.{each.name}")
        found[each.name] = tuple(
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__
            and not name.startswith("_")
            and name not in _NOT_TOLD
            and inspect.isfunction(value)
            and inspect.get_annotations(value).get("return") == "Calculator"
        )
    return MappingProxyType(found)


def _calculator(told: _Column) -> Calculator:
    if told.function not in library().get(told.module, ()):
        raise BadInput(
            f"its column {told.name} is {told.module}.{told.function}, which the library has not; "
            f"{OWN}"
        )
    module = importlib.import_module(f"{calculators.__name__}.{told.module}")
    function: Callable[..., Calculator] = getattr(module, told.function)
    try:
        return function(*told.args, **told.kwargs)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(
            f"its column {told.name}: {_line(str(error))}; mend the arguments"
        ) from error


def _some(told: _Told | None) -> Condition | None:
    return None if told is None else _condition(told)


def _condition(told: _Told) -> Condition:
    match told:
        case _Compare(compare=compare, left=left, right=right):
            if compare not in _COMPARES:
                raise BadInput(
                    f"its condition compares by {compare}; give {', '.join(_COMPARES)}, as above "
                    "and below do"
                )
            return Comparison(left, right, _COMPARES[compare])
        case _Cross(up=up, left=left, right=right):
            return Crossing(left, right, up=up)
        case _Many(kind=kind, parts=parts):
            return Together(tuple(map(_condition, parts)), every=kind == "all")
        case _First(of=inner):
            return FirstOfSession(_condition(inner))
        case _Earlier(of=inner, bars=bars):
            return Earlier(_condition(inner), bars)
    raise BadInput("its condition is of no kind that we know")


def _amount(told: _Told) -> object:
    match told:
        case _Fraction(kind="EquityShare", frac=frac):
            return EquityShare(frac)
        case _Fraction(kind="RiskShare", frac=frac):
            return RiskShare(frac)
        case _Fraction(frac=frac):
            return Percent(frac)
        case _Shares(qty=qty):
            return Shares(qty)  # type: ignore[arg-type]  # as a file gives it
        case _Dollars(usd=usd):
            return Dollars(usd)
        case _Multiple(of=of, times=times):
            return Multiple(of, times)
        case _AtColumn(of=of):
            return AtColumn(of)
        case _Reward(times=times):
            return Reward(times)
    raise BadInput("its execution holds a level of no kind that we know")


def _line(text: str) -> str:
    """Return a foreign text as one printable line."""
    line = " ".join(text.split())[:500]
    return "".join(each if each.isprintable() else "?" for each in line)
