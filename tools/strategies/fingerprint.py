"""The fingerprint of a strategy: what its code does, whatever it is called.

Trials are counted by it, so that a new name does not begin a new count. What is hashed is the part
of a module that the strategy is made of, found by following names from where it is built. Taken out
are docstrings, comments, type hints, what only describes (name, version, idea, source) and the
choice of values (parameters with their defaults and ranges, which every run records beside its
figures). Names that the code gives itself are numbered in the order they are met; those of others
are written out in full. What is left is logic: an operator, a constant, a calculator, a call.

It sees through names, not through ideas: two texts that do the same in different ways differ.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tools.strategies.rooms import Room, bound_names, here, imports_of, is_text

Modules = Callable[[str], ast.Module | None]  # the modules to follow names into, by full name

_INDICATORS: Final = "roboinvest.core.quant.calculators."
_DESCRIBING: Final = {
    "roboinvest.core.strategy.Strategy": ("name", "version", "idea", "source", "params"),
    "roboinvest.core.strategy.Calculator": ("name",),
}
_CUSTOM: Final = f"{_INDICATORS}chance.custom"  # its first argument only names it
AnyFunction = TypeVar("AnyFunction", ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def fingerprint(
    module: ast.Module, roots: Sequence[str], words: frozenset[str], modules: Modules
) -> str:
    """Return the sha256 of what `roots`, names that the module may define, are made of.

    `words` are texts that the code made up: the names of its columns and parameters.
    """
    return hashlib.sha256(logic_of(module, roots, words, modules).encode()).hexdigest()


def logic_of(
    module: ast.Module, roots: Sequence[str], words: frozenset[str], modules: Modules
) -> str:
    """Return the text that is hashed: definition by definition, in the order they are met."""
    reading = Reading(words, modules)
    room = Room.of("", module)
    lines = [reading.own(room, name) if name in room.made else "absent" for name in roots]
    lines += [reading.text(room, statement) for statement in room.loose]
    while reading.waiting:
        home, name = reading.waiting.popleft()
        for statement in home.made[name]:
            lines += [f"# {reading.own(home, name)}", reading.text(home, statement)]
    return "\n".join(lines)


@dataclass(slots=True)
class Reading:
    """What has been met so far, and its numbers."""

    words: frozenset[str]
    modules: Modules
    waiting: deque[tuple[Room, str]] = field(default_factory=deque)
    rooms: dict[str, Room | None] = field(default_factory=dict)
    definitions: dict[tuple[str, str], int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)

    def own(self, room: Room, name: str) -> str:
        """Return the number of a definition, which is read in its turn."""
        key = (room.name, name)
        if key not in self.definitions:
            self.definitions[key] = len(self.definitions)
            self.waiting.append((room, name))
        return f"own{self.definitions[key]}"

    def far(self, path: str) -> str:
        """Return what stands for a name of another module."""
        room, name = self.home(path)
        return path if room is None else self.own(room, name)

    def home(self, path: str) -> tuple[Room | None, str]:
        """Return the module to follow a full name into, if it is one of those."""
        where, _, name = path.rpartition(".")
        if where not in self.rooms:
            module = self.modules(where)
            self.rooms[where] = None if module is None else Room.of(where, module)
        room = self.rooms[where]
        return (room if room is not None and name in room.made else None), name

    def word(self, text: str) -> str:
        """Return what stands for a text that the code made up."""
        if text not in self.words:
            return text
        return f"word{self.texts.setdefault(text, len(self.texts))}"

    def text(self, room: Room, statement: ast.stmt) -> str:
        """Return a statement with its names taken out."""
        return ast.unparse(_Nameless(self, room).visit(copy.deepcopy(statement)))


class _Nameless(ast.NodeTransformer):
    """Takes the names out of one statement of a module; changes the nodes that it is given."""

    def __init__(self, reading: Reading, room: Room) -> None:
        self._reading, self._room = reading, room
        self._scopes: list[dict[str, str]] = []  # innermost last
        self._locals = 0

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._named(node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        path = self._path(node)
        if path is not None:
            return ast.Name(self._reading.far(path), node.ctx)
        node.value = self.visit(node.value)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            node.value = self._reading.word(node.value)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if is_text(node) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        path = self._path(node.func) or ""
        told = path.startswith(_INDICATORS)  # what an indicator is told is no made-up text
        names = self._argument_names(node.func)
        kept = [each for each in node.keywords if each.arg not in _DESCRIBING.get(path, ())]
        node.args = [self._argument(each, told) for each in node.args[path == _CUSTOM :]]
        for each in kept:
            each.value = self._argument(each.value, told)
            each.arg = names(each.arg) if each.arg else each.arg
        node.keywords = sorted(kept, key=lambda each: each.arg or "")
        node.func = self.visit(node.func)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._defaults(node.args)
        self._enter(_parameters(node.args))
        self._rename(node.args)
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        names = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
        node.name = self._named(node.name)
        self.generic_visit(node)
        methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        for method, name in zip(methods, names, strict=True):
            method.name = name  # asked for as an attribute, and attributes keep their names
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        target = self.visit(node.target)
        if node.value is None:
            return ast.Expr(target)
        return ast.Assign([target], self.visit(node.value), lineno=0)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        node.name = self._named(node.name) if node.name else None
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        node.rest = self._named(node.rest) if node.rest else None
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.Global:
        node.names = [self._named(name) for name in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self._named(name) for name in node.names]
        return node

    def visit_Import(self, _: ast.Import) -> None:
        """Leave it out: the full name stands where it is used."""

    def visit_ImportFrom(self, _: ast.ImportFrom) -> None:
        """Leave it out: the full name stands where it is used."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _COMPREHENSIONS):
            return super().generic_visit(node)
        self._enter([name for each in node.generators for name in bound_names([each.target])])
        super().generic_visit(node)
        self._scopes.pop()
        return node

    def _function(self, node: AnyFunction) -> AnyFunction:
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        node.name = self._named(node.name)
        self._defaults(node.args)
        elsewhere = {
            name
            for each in here(node.body)
            if isinstance(each, ast.Global | ast.Nonlocal)
            for name in each.names
        }
        inside = [*_parameters(node.args), *bound_names(node.body)]
        self._enter([name for name in inside if name not in elsewhere])
        for each in here(node.body):
            if isinstance(each, ast.Import | ast.ImportFrom):
                paths = imports_of(each)
                self._scopes[-1].update({name: f"import {path}" for name, path in paths.items()})
        self._rename(node.args)
        node.returns = None
        node.body = [part for each in node.body if (part := self.visit(each)) is not None]
        self._scopes.pop()
        return node

    def _defaults(self, args: ast.arguments) -> None:
        """Read what parameters are by default, which stands outside of the function."""
        args.defaults = [self.visit(each) for each in args.defaults]
        args.kw_defaults = [each and self.visit(each) for each in args.kw_defaults]

    def _rename(self, args: ast.arguments) -> None:
        for each in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
            if each is not None:
                each.arg, each.annotation = self._named(each.arg), None

    def _enter(self, names: Sequence[str]) -> None:
        scope: dict[str, str] = {}
        for name in dict.fromkeys(names):
            scope[name] = f"local{self._locals}"
            self._locals += 1
        self._scopes.append(scope)

    def _named(self, name: str) -> str:
        path = self._imported(name)
        if path is not None:
            return self._reading.far(path)
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return self._reading.own(self._room, name) if name in self._room.made else name

    def _imported(self, name: str) -> str | None:
        """Return the full name of what was imported under this one, and not hidden since."""
        for scope in reversed(self._scopes):
            if name in scope:
                word, _, path = scope[name].partition("import ")
                return None if word else path
        return None if name in self._room.made else self._room.imported.get(name)

    def _path(self, node: ast.expr) -> str | None:
        """Return the full name of what stands in another module."""
        if isinstance(node, ast.Name):
            return self._imported(node.id)
        if isinstance(node, ast.Attribute):
            base = self._path(node.value)
            return None if base is None else f"{base}.{node.attr}"
        return None

    def _argument(self, node: ast.expr, told: bool) -> ast.expr:
        is_text_told = told and isinstance(node, ast.Constant)
        read: ast.expr = node if is_text_told else self.visit(node)
        return read

    def _argument_names(self, func: ast.expr) -> Callable[[str], str]:
        """Return what stands for the names of arguments: their places, in functions we read."""
        room, name = self._room, getattr(func, "id", "")
        path = self._path(func)
        if path is not None:
            found, name = self._reading.home(path)
            room = found or Room("")
        elif name == "dict" and name not in room.made:
            return self._reading.word
        definition = room.made.get(name, [None])[-1]
        if not isinstance(definition, ast.FunctionDef):
            return str
        places = {each: f"arg{at}" for at, each in enumerate(_parameters(definition.args))}
        return lambda each: places.get(each, each)


def _parameters(args: ast.arguments) -> list[str]:
    parameters = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    return [each.arg for each in parameters if each is not None]
