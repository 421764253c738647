"""What a strategy's code can get at: functions, what they enclose, and the data they carry.

The walk begins at `build` and at a plan built from it, and follows closures, defaults, attributes
and the global names that code mentions. Code of this house's core and of libraries is believed;
what it was given (a closure, an argument) is followed all the same, because a stranger's function
may have been handed in. Of a strategy in the box there is only its text out here.
"""

from __future__ import annotations

import functools
import itertools
import random
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Final

import numpy as np

_TRUSTED: Final = frozenset({"roboinvest", "numpy", "talib", "numba", *sys.stdlib_module_names})
_LIBRARY: Final = "tools.strategies.library"
_BOXED: Final = "tools.boxed_strategies."
_NAMESPACE: Final = "__builtins__"  # a mapping that holds it is the names of a file
MOST_VALUES: Final = 48  # that code may carry before it counts as a table
MOST_TEXT: Final = 600  # characters
_DEEPEST: Final = 8
_PRINTED: Final = 3
_SEQUENCES: Final = (list, tuple, set, frozenset)
_PLAIN: Final = (int, float, complex, str, bytes, bool, type(None))


@dataclass(slots=True)
class Reach:
    """The functions and the data that were found, each with the name that leads there."""

    functions: dict[types.CodeType, types.FunctionType] = field(default_factory=dict)
    holders: list[tuple[str, object]] = field(default_factory=list)  # what can hold values
    modules: dict[str, str] = field(default_factory=dict)  # module reached -> by whom
    texts: dict[str, None] = field(default_factory=dict)  # what runs in the box, in order
    _seen: set[int] = field(default_factory=set)
    _alive: list[object] = field(default_factory=list)  # so that no id is used twice

    def follow(self, thing: object, name: str, depth: int = 0) -> None:
        """Walk on from `thing`, which `name` leads to."""
        if isinstance(thing, _PLAIN):
            if isinstance(thing, (str, bytes)):
                self.holders.append((name, thing))
            return
        if id(thing) in self._seen or depth > _DEEPEST:
            return
        self._seen.add(id(thing))
        self._alive.append(thing)
        if type(thing).__module__.startswith(_BOXED):
            self.texts[str(getattr(thing, "boxed_source", ""))] = None
        elif isinstance(thing, types.ModuleType):
            self.modules.setdefault(thing.__name__, name)
        elif isinstance(thing, types.FunctionType):
            self._follow_function(thing, depth)
        else:
            self._follow_value(thing, name, depth)

    def _follow_function(self, function: types.FunctionType, depth: int) -> None:
        for at, value in enumerate(function.__defaults__ or ()):
            self.follow(value, f"default {at} of {function.__name__}", depth + 1)
        for key, value in (function.__kwdefaults__ or {}).items():
            self.follow(value, f"default {key} of {function.__name__}", depth + 1)
        for key, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=False
        ):
            value = _content(cell)
            self.holders.append((f"{key} around {function.__name__}", cell))
            self.follow(value, f"{key} around {function.__name__}", depth + 1)
        if vars(function):
            self.follow(vars(function), f"attributes of {function.__name__}", depth + 1)
        if _trusted(function.__module__ or ""):
            return
        self.functions.setdefault(function.__code__, function)
        for mentioned in _names(function.__code__):
            if mentioned in function.__globals__:
                value = function.__globals__[mentioned]
                self.follow(value, f"{mentioned} beside {function.__name__}", depth + 1)

    def _follow_value(self, thing: object, name: str, depth: int) -> None:
        self.holders.append((name, thing))
        for part, value in _parts(thing):
            self.follow(value, f"{part} of {name}" if part else name, depth + 1)


def reach_of(*roots: tuple[str, object]) -> Reach:
    """Return what can be got at from some things, each with a name."""
    reach = Reach()
    for name, root in roots:
        reach.follow(root, name)
    return reach


def tables(reach: Reach, known: tuple[np.ndarray, ...] = ()) -> list[str]:
    """Return what the code carries that looks like data; arrays among `known` are declared."""
    found: list[str] = []
    for name, holder in reach.holders:
        size, unit = _size(holder)
        if size > (MOST_TEXT if unit == "characters" else MOST_VALUES) and not _declared(
            holder, known
        ):
            found.append(f"{name} holds {size} {unit}")
    for code in reach.functions:
        constants = [each for each in _constants(code) if isinstance(each, (int, float))]
        if len(constants) > MOST_VALUES:
            found.append(f"the code of {code.co_name} holds {len(constants)} numbers")
        long = [
            each
            for each in _constants(code)
            if isinstance(each, (str, bytes)) and len(each) > MOST_TEXT
        ]
        documented = {each.__doc__ for each in reach.functions.values()}
        if any(each not in documented for each in long):
            found.append(f"the code of {code.co_name} holds a text of {max(map(len, long))} signs")
    return found


def memory(reach: Reach) -> dict[str, str]:
    """Return a print of everything that can change between two runs, by name."""
    return {
        f"{name} #{number}": _print(holder)
        for number, (name, holder) in enumerate(reach.holders)
        if not isinstance(holder, (str, bytes))
    }


def _trusted(module: str) -> bool:
    """Return whether code of a module is believed; a strategy's file runs as `tools.strategies`."""
    inner = module.startswith("tools.strategies.") and not module.startswith(_LIBRARY)
    return inner or module.partition(".")[0] in _TRUSTED


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _constants(code: types.CodeType) -> Iterator[object]:
    """Yield the constants of a function, those inside literals and inner functions too."""
    stack = list(code.co_consts)
    while stack:
        constant = stack.pop()
        if isinstance(constant, types.CodeType):
            stack.extend(constant.co_consts)
        elif isinstance(constant, (tuple, frozenset)):
            stack.extend(constant)
        else:
            yield constant


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # an inner name that was never set
        return None


def _parts(thing: object) -> Iterator[tuple[str, object]]:
    """Yield what a value is made of, with names."""
    if isinstance(thing, functools.partial):
        yield "", thing.func
        yield "arguments", (*thing.args, *thing.keywords.values())
    elif isinstance(thing, types.MethodType):
        yield "", thing.__func__
        yield "", thing.__self__
    elif isinstance(thing, type):
        yield from _own_parts(thing)
    elif isinstance(thing, Mapping):
        for key, value in list(thing.items())[:1000]:
            if not str(key).startswith("__"):
                yield str(key)[:40], value
    elif isinstance(thing, _SEQUENCES):
        yield from (("", value) for value in list(thing)[:1000])
    elif hasattr(thing, "__wrapped__"):
        yield "", thing.__wrapped__
    elif not isinstance(thing, (np.ndarray, types.BuiltinFunctionType)):
        yield from _of_object(thing)


def _of_object(thing: object) -> Iterator[tuple[str, object]]:
    if hasattr(thing, "__origin__"):  # a type hint
        return
    names = [each.name for each in fields(thing)] if is_dataclass(thing) else []
    for name in dict.fromkeys((*names, *getattr(thing, "__dict__", {}))):
        if not name.startswith("__"):
            yield name, getattr(thing, name, None)
    yield from _own_parts(type(thing))


def _own_parts(kind: type) -> Iterator[tuple[str, object]]:
    """Yield what stands in a stranger's class: methods, and values that all its objects share."""
    if not _trusted(kind.__module__):
        for name, value in vars(kind).items():
            if not name.startswith("__") or name in {"__call__", "__init__", "__post_init__"}:
                yield f"{kind.__name__}.{name}", value


def _size(holder: object) -> tuple[int, str]:
    match holder:
        case np.ndarray():
            return holder.size, "values"
        case str() | bytes():
            return len(holder), "characters"
        case Mapping() if _NAMESPACE in holder:
            return 0, "values"
        case Mapping() | list() | tuple() | set() | frozenset():
            return len(holder), "values"
    return 0, "values"


def _declared(holder: object, known: tuple[np.ndarray, ...]) -> bool:
    return isinstance(holder, np.ndarray) and any(
        holder.shape == each.shape and np.array_equal(holder, each, equal_nan=True)
        for each in known
    )


def _print(holder: object, depth: int = 0) -> str:
    """Return a text that changes when a value does; functions and classes have none."""
    kind = type(holder).__name__
    match holder:
        case types.CellType():
            return _print(_content(holder), depth + 1)
        case int() | float() | complex() | str() | bytes() | None | itertools.count():
            return repr(holder)
        case np.ndarray():
            return f"{holder.shape}{hash(holder.tobytes()) if holder.dtype != object else kind}"
        case np.random.Generator():
            return repr(holder.bit_generator.state)
        case random.Random():
            return str(hash(holder.getstate()))
        case types.FunctionType() | types.BuiltinFunctionType() | type():
            return kind
    return kind if depth > _PRINTED else _print_parts(holder, depth)


def _print_parts(holder: object, depth: int) -> str:
    parts: list[object] = []
    if isinstance(holder, Mapping):
        parts = [] if _NAMESPACE in holder else [each for pair in holder.items() for each in pair]
    elif isinstance(holder, _SEQUENCES):
        parts = list(holder)
    elif is_dataclass(holder):
        parts = [getattr(holder, each.name, None) for each in fields(holder)]
    elif own := getattr(holder, "__dict__", None):
        parts = [own]
    told = ",".join(_print(each, depth + 1) for each in parts[:1000])
    return f"{type(holder).__name__} {len(parts)} {told}"
