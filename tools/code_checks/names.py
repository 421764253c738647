"""What the names in a file stand for: `np` for numpy, `f` for builtins.eval after `f = eval`.

Names are followed through imports, assignments, defaults and conditional expressions, in the scope
that they are in. In a function a name that is bound there is that and nothing else, which is
Python's own rule. At the level of the module nothing hides a name of Python's: a binding that never
ran, or was deleted, would leave the builtin in its place. So doubt counts as use.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tools.code_checks.source import line_of

BUILTINS: Final = frozenset(dir(builtins))
_LONGEST: Final = 8  # names in one path; `x = x.next` would grow for ever
_MOST: Final = 24  # meanings of one name
_ROUNDS: Final = 12  # of following aliases of aliases, to and fro
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(eq=False, slots=True)
class Scope:
    """Where names live: a module, a class, or a function or comprehension."""

    above: Scope | None
    is_class: bool = False
    is_comprehension: bool = False
    origins: dict[str, list[str | ast.expr | None]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)  # global or nonlocal here
    meanings: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a file names something that is not its own."""

    path: str  # "numpy.load", "builtins.eval", "os"
    node: ast.AST
    by_import: bool = False

    @property
    def line(self) -> int:
        """Return where."""
        return line_of(self.node)


class Names:
    """The names of one file."""

    def __init__(self, tree: ast.Module) -> None:
        """Read all bindings, and follow them."""
        self.parents: dict[ast.AST, ast.AST] = {}
        self._scopes: dict[ast.AST, Scope] = {}
        self._all: list[Scope] = []
        self._imports: list[Mention] = []
        self.lost = ""  # a name that could not be followed to the end
        self.module = self._new(None)
        self._place(tree)
        self._follow()

    def mentions(self) -> Iterator[Mention]:
        """Yield what the file names, imports first; what stands in a chain as well."""
        yield from self._imports
        for node in self.parents:
            if isinstance(node, ast.Name | ast.Attribute | ast.Call):
                for path in sorted(self.paths(node)):
                    yield Mention(path, node)

    def paths(self, node: ast.AST | None) -> frozenset[str]:
        """Return the full names that an expression may stand for."""
        match node:
            case ast.Name(id=name):
                return self._meanings(name, self._scopes.get(node, self.module))
            case ast.Attribute(value=value, attr=attr):
                return self._joined(value, attr)
            case ast.NamedExpr(value=value):
                return self.paths(value)
            case ast.IfExp(body=body, orelse=orelse):
                return self.paths(body) | self.paths(orelse)
            case ast.BoolOp(values=values):
                return _NONE.union(*map(self.paths, values))
            case ast.Call(func=func, args=[value, ast.Constant(value=str(attr)), *_]):
                by_name = "builtins.getattr" in self.paths(func)
                return self._joined(value, attr) if by_name else _NONE
        return _NONE

    def local_origin(self, node: ast.Name) -> Scope | None:
        """Return the scope that a name is bound in, by this file."""
        scope: Scope | None = self._scopes.get(node, self.module)
        while scope is not None and node.id not in scope.origins:
            scope = scope.above
        return scope

    def _joined(self, value: ast.expr, attr: str) -> frozenset[str]:
        bases = self.paths(value)
        return frozenset(f"{base}.{attr}" for base in bases if base.count(".") < _LONGEST)

    def _meanings(self, name: str, scope: Scope) -> frozenset[str]:
        found: set[str] = set()
        at: Scope | None = scope
        while at is not None:
            is_seen = not at.is_class or at is scope  # functions do not see their class's names
            if is_seen and name in at.origins and name not in at.elsewhere:
                found |= at.meanings.get(name, _NONE)
                if at.above is not None and not at.is_class:
                    return frozenset(found)
            at = at.above
        if name in BUILTINS:
            found.add(f"builtins.{name}")
        return frozenset(found)

    def _follow(self) -> None:
        """Give every name its meanings; aliases of aliases take a few rounds."""
        bound = [(scope, *each) for scope in self._all for each in scope.origins.items()]
        for _ in range(_ROUNDS):
            changed = ""
            for direction in (bound, reversed(bound)):
                for scope, name, origins in direction:
                    found = {
                        path
                        for each in origins
                        for path in ([each] if isinstance(each, str) else self.paths(each))
                    }
                    kept = frozenset(sorted(found)[:_MOST])
                    if len(found) > _MOST:
                        self.lost = name
                    if kept != scope.meanings.get(name, _NONE):
                        changed = name
                    scope.meanings[name] = kept
            if not changed:
                return
        self.lost = changed

    def _new(self, above: Scope | None, kind: str = "") -> Scope:
        scope = Scope(above, kind == "class", kind == "comprehension")
        self._all.append(scope)
        return scope

    def _bind(self, scope: Scope, name: str, origin: str | ast.expr | None) -> None:
        if name in scope.elsewhere:
            outer = scope.above
            while outer is not None:  # global or nonlocal: whichever it is, it may be this one
                if outer.above is None or name in outer.origins:
                    outer.origins.setdefault(name, []).append(origin)
                outer = outer.above
            return
        scope.origins.setdefault(name, []).append(origin)

    def _place(self, tree: ast.Module) -> None:
        """Walk the tree once, and note for every node its parent, for every name its scope."""
        stack: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while stack:
            node, scope = stack.pop()
            inner = self._enter(node, scope)
            self._note(node, scope)
            children = []
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                children.append((child, self._scope_of(node, child, scope, inner)))
            stack.extend(reversed(children))

    def _scope_of(self, node: ast.AST, child: ast.AST, scope: Scope, inner: Scope) -> Scope:
        """Return the scope that a child of a node is evaluated in."""
        if isinstance(node, ast.comprehension) and child is node.iter:
            first = getattr(self.parents[node], "generators", [None])[0]
            if first is node and scope.above is not None:
                return scope.above  # what is walked over is asked for outside
        return inner if _is_inside(node, child) else scope

    def _enter(self, node: ast.AST, scope: Scope) -> Scope:
        if isinstance(node, ast.ClassDef):
            self._bind(scope, node.name, None)
            return self._new(scope, "class")
        if isinstance(node, _COMPREHENSIONS):
            return self._new(scope, "comprehension")
        if not isinstance(node, _FUNCTIONS):
            return scope
        if not isinstance(node, ast.Lambda):
            self._bind(scope, node.name, None)
        inner = self._new(scope)
        body = node.body if isinstance(node.body, list) else [node.body]
        inner.elsewhere.update(_named_elsewhere(body))
        for name, default in _parameters(node.args):
            inner.origins.setdefault(name, []).append(default)
        return inner

    def _note(self, node: ast.AST, scope: Scope) -> None:
        """Note what a node binds, and where its name is looked up."""
        match node:
            case ast.Name():
                self._note_name(node, scope)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value, scope)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                self._note_walrus(name, value, scope)
            case ast.Import() | ast.ImportFrom():
                self._note_import(node, scope)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                self._bind(scope, name, None)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                self._bind(scope, name, None)

    def _note_name(self, node: ast.Name, scope: Scope) -> None:
        self._scopes[node] = scope
        is_walrus = isinstance(self.parents[node], ast.NamedExpr)
        if not isinstance(node.ctx, ast.Load) and not is_walrus:
            self._bind(scope, node.id, None)

    def _note_walrus(self, name: str, value: ast.expr, scope: Scope) -> None:
        while scope.is_comprehension and scope.above is not None:
            scope = scope.above  # it binds outside of them
        self._bind(scope, name, value)

    def _note_import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        for each in node.names:
            if isinstance(node, ast.Import):
                path = each.name
                bound = path if each.asname else path.partition(".")[0]
                name = each.asname or bound
            else:
                path = bound = f"{'.' * node.level}{node.module or ''}.{each.name}"
                name = each.asname or each.name
            self._imports.append(Mention(path, node, by_import=True))
            self._bind(scope, name, bound)

    def _assign(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            self._bind(scope, target.id, value)
        elif (
            isinstance(target, ast.Tuple | ast.List)
            and isinstance(value, ast.Tuple | ast.List)
            and len(target.elts) == len(value.elts)
        ):
            for each, part in zip(target.elts, value.elts, strict=True):
                self._assign(each, part, scope)


def _is_inside(node: ast.AST, child: ast.AST) -> bool:
    """Return whether a child of what opens a scope is evaluated in it, and not before."""
    match node:
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
            return any(child is each for each in body)
        case ast.Lambda(body=body):
            return child is body
    return True


def _named_elsewhere(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Global | ast.Nonlocal):
                found.update(node.names)
    return found


def _parameters(args: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
    for each, default in zip(plain, [*defaults, *args.defaults], strict=True):
        yield each.arg, default
    for each, kw_default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield each.arg, kw_default
    for extra in (args.vararg, args.kwarg):
        if extra is not None:
            yield extra.arg, None
