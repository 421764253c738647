"""The rules of the house that a linter cannot state, read from the source with `ast`.

Each rule is a function from the modules of a house to the places that break it, so that the same
function judges ours and a house with a fault planted. Imports count wherever they stand, also in a
function and under TYPE_CHECKING. Names are followed through imports, `datetime as dt` included;
what is reached through `getattr` or a string is not seen.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

PACKAGES: Final = ("roboinvest", "meta_agents", "research", "tools")
FLOORS: Final[Mapping[str, int]] = {
    "roboinvest": 1,
    "roboinvest.core": 1,
    "roboinvest.runtime": 2,
    "roboinvest.brokers": 3,
    "roboinvest.trading": 3,
    "tools": 4,
    "research": 5,
    "meta_agents": 5,
    "roboinvest.web": 6,
    "roboinvest.app": 7,
    "roboinvest.cli": 8,
    "roboinvest.__main__": 8,
}
BARS: Final = (("roboinvest.brokers", "roboinvest.trading"), ("research", "meta_agents"))
MAX_FILE: Final = 400  # lines
MAX_BODY: Final = 40  # lines of a function, its signature and docstring left out

CORE_LIBRARIES: Final = frozenset({"pydantic", "numpy", "talib"})
OUTSIDE: Final = frozenset(
    {"asyncio", "ctypes", "fcntl", "http", "io", "logging", "mmap", "multiprocessing", "os"}
    | {"pathlib", "queue", "select", "shutil", "signal", "socket", "sqlite3", "ssl"}
    | {"subprocess", "tempfile", "threading", "urllib"}
)
TIME_AND_CHANCE: Final = re.compile(
    r"datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today|time\.(time|time_ns|sleep)"
    r"|uuid\.uuid[14]|random\.[a-z]\w*|secrets\.\w+|os\.urandom|numpy\.random\.(?!default_rng)[a-z]\w*"
)
CLOCKS: Final = ("roboinvest/runtime/clock.py", "roboinvest/app/")
TASK_OWNERS: Final = frozenset(
    {"roboinvest/runtime/supervision/supervisor.py", "roboinvest/runtime/bus.py"}
    | {"roboinvest/runtime/storage/whole.py"}  # waits for its one task to the end
)
ALEMBIC_SCRIPT: Final = "roboinvest/runtime/migrations/env.py"  # Alembic runs it, nobody imports it

# What may be called while a module is imported: it builds a value and touches nothing.
VALUE_MAKERS: Final = re.compile(
    r"(typing|collections|dataclasses|enum|decimal|datetime|re|types|zoneinfo|pathlib|hashlib|math"
    r"|functools|itertools|operator|string|json\.dumps|pydantic|numpy|typer|argparse)(\.|$)"
    r"|logging\.getLogger$|structlog\.(stdlib\.)?get_logger$|random\.Random$"
    r"|pyarrow\.(?!fs|dataset|parquet|csv|memory_map|input_stream|output_stream)"
    r"|sqlalchemy\.(?!create_engine|engine|ext\.)|alembic\.op\.f$"
)
DOING_BUILTINS: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
DOING_METHODS: Final = frozenset(
    {"begin", "connect", "execute", "run", "start"}
    | {"exists", "glob", "is_dir", "is_file", "iterdir", "mkdir", "open", "read_bytes", "read_text"}
    | {"stat", "touch", "unlink", "write", "write_bytes", "write_text"}
)
VALUE_BASES: Final = frozenset(
    {"Enum", "IntEnum", "StrEnum", "BaseModel", "NamedTuple", "TypeDecorator"}
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: str  # "roboinvest/core/risk.py"
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def bindings(self) -> list[tuple[str, str]]:
        """Every import: the local name, and what it stands for."""
        package = self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]
        found: list[tuple[str, str]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(a.asname or a.name, a.name) for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                base = ".".join(filter(None, (above if node.level else "", node.module)))
                found += [(a.asname or a.name, f"{base}.{a.name}") for a in node.names]
        return found

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported local name stands for: {"np": "numpy", "date": "datetime.date"}."""
        return dict(self.bindings)

    @cached_property
    def defined(self) -> dict[str, Function | ast.ClassDef]:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        return {node.name: node for node in self.tree.body if isinstance(node, kinds)}

    def qualified(self, node: ast.expr) -> str | None:
        """Return the full name that an expression such as `np.random.rand` stands for."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id)
        if isinstance(node, ast.Attribute):
            if ast.unparse(node) in self.imports:  # import a.b, used as a.b
                return ast.unparse(node)
            base = self.qualified(node.value)
            return f"{base}.{node.attr}" if base else None
        return None


House = Mapping[str, Module]
Rule = Callable[[House], list[str]]


def house_of(files: Mapping[str, str]) -> House:
    modules = (Module(path, text) for path, text in files.items())
    return {module.name: module for module in modules}


def neighbours(module: Module, house: House) -> dict[str, Module]:
    """Return the modules of the house that a module imports."""
    found = {}
    for _, name in module.bindings:
        target = house.get(name) or house.get(name.rpartition(".")[0])
        if target is not None and target is not module:
            found[target.name] = target
    return dict(sorted(found.items()))


def floor_of(name: str) -> int:
    parts = name.split(".")
    return next(
        FLOORS[room]
        for length in range(len(parts), 0, -1)
        if (room := ".".join(parts[:length])) in FLOORS
    )


def stands_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def imports_go_down(house: House) -> list[str]:
    return [
        f"{module.path} -> {other.path}"
        for module in house.values()
        for other in neighbours(module, house).values()
        if floor_of(other.name) > floor_of(module.name)
    ]


def sides_of_a_bar_stay_apart(house: House) -> list[str]:
    return [
        f"{module.path} -> {other.path}"
        for module in house.values()
        for other in neighbours(module, house).values()
        for left, right in (*BARS, *(bar[::-1] for bar in BARS))
        if stands_in(module.name, left) and stands_in(other.name, right)
    ]


def no_import_circles(house: House) -> list[str]:
    done: set[str] = set()
    circles: list[str] = []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circle = (*trail[trail.index(name) :], name)
            circles.append(" -> ".join(house[step].path for step in circle))
        elif name not in done:
            for other in neighbours(house[name], house):
                visit(other, (*trail, name))
            done.add(name)

    for name in house:
        visit(name, ())
    return circles


def core_needs_no_outside(house: House) -> list[str]:
    allowed = (sys.stdlib_module_names - OUTSIDE) | CORE_LIBRARIES | {"roboinvest"}
    return [
        f"{module.path} -> {name}"
        for module in house.values()
        if stands_in(module.name, "roboinvest.core")
        for _, name in module.bindings
        if name.partition(".")[0] not in allowed
    ]


def files_are_short(house: House) -> list[str]:
    lengths = {module.path: len(module.text.splitlines()) for module in house.values()}
    return [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE]


def functions_are_short(house: House) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: {node.name}: {lines} lines"
        for module in house.values()
        for node in ast.walk(module.tree)
        if isinstance(node, Function) and (lines := body_lines(node)) > MAX_BODY
    ]


def body_lines(node: Function) -> int:
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or first.lineno) - first.lineno + 1


def packages_hold_a_docstring(house: House) -> list[str]:
    return [
        module.path
        for module in house.values()
        if module.path.endswith("__init__.py")
        and (len(module.tree.body) != 1 or not ast.get_docstring(module.tree))
    ]


def tasks_have_an_owner(house: House) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: {ast.unparse(node)}"
        for module in house.values()
        if module.path not in TASK_OWNERS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"create_task", "ensure_future"}
        and ast.unparse(node.value) not in task_groups(module)
    ]


def task_groups(module: Module) -> set[str]:
    """Return the names bound by `async with asyncio.TaskGroup() as name`."""
    return {
        ast.unparse(item.optional_vars)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if item.optional_vars and isinstance(item.context_expr, ast.Call)
        if module.qualified(item.context_expr.func) == "asyncio.TaskGroup"
    }


def time_and_chance_are_handed_in(house: House) -> list[str]:
    return [
        f"{module.path}:{node.lineno}: {name}"
        for module in house.values()
        if not module.path.startswith(CLOCKS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (name := module.qualified(node))
        and TIME_AND_CHANCE.fullmatch(name)
    ]


def imports_do_no_work(house: House) -> list[str]:
    return [
        f"{module.path}:{line}: {what}"
        for module in house.values()
        if module.path != ALEMBIC_SCRIPT
        for statement in module.tree.body
        for line, what in work_of(statement, module, house)
    ]


def work_of(statement: ast.stmt, module: Module, house: House) -> Iterator[tuple[int, str]]:
    """Yield what a statement of a module does while the module is imported."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return
        case ast.Expr(value=ast.Call(func=func)) if is_registration(func, module):
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            pass
        case ast.Assign() | ast.AnnAssign():
            pass
        case _:
            yield statement.lineno, ast.unparse(statement).partition("\n")[0]
            return
    for call in calls_at_import(statement):
        if not makes_a_value(call.func, module, house, frozenset()):
            yield call.lineno, ast.unparse(call.func)


def is_registration(func: ast.expr, module: Module) -> bool:
    """Return whether a command is hung into the tree of commands, which only the CLI may do."""
    func = func.func if isinstance(func, ast.Call) else func
    inside = stands_in(module.name, "roboinvest.cli")
    return inside and isinstance(func, ast.Attribute) and func.attr in {"command", "add_typer"}


def calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a statement that run now: not those in the body of a function.

    Decorators are left out: in this house they describe, as `dataclass` and `command` do.
    """
    if isinstance(node, ast.Call):
        yield node
    parts = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        parts = iter([*node.args.defaults, *filter(None, node.args.kw_defaults)])
    elif isinstance(node, ast.ClassDef):
        parts = iter([*node.bases, *node.body])
    for part in parts:
        yield from calls_at_import(part)


def makes_a_value(func: ast.expr, module: Module, house: House, seen: frozenset[str]) -> bool:
    """Return whether a call only builds a value, following functions of the house."""
    name = module.qualified(func)
    if isinstance(func, ast.Name) and func.id in module.defined:
        name = f"{module.name}.{func.id}"
    if name is None:
        last = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return last not in (DOING_METHODS if isinstance(func, ast.Attribute) else DOING_BUILTINS)
    if name.partition(".")[0] not in PACKAGES:
        return VALUE_MAKERS.match(name) is not None
    home = next((house[room] for room in rooms_of(name) if room in house), None)
    rest = name.removeprefix(f"{home.name}.").split(".") if home else []
    definition = home.defined.get(rest[0]) if home and rest else None
    if home is None or definition is None:  # a method of a value that a module holds
        return rest[-1:] != [] and rest[-1] not in DOING_METHODS
    if isinstance(definition, ast.ClassDef):
        return is_value_class(definition, home, house)
    return name in seen or all(
        makes_a_value(call.func, home, house, seen | {name})
        for call in ast.walk(definition)
        if isinstance(call, ast.Call)
    )


def rooms_of(name: str) -> Iterator[str]:
    """Yield "a.b" and "a" for "a.b.c"."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def is_value_class(node: ast.ClassDef, module: Module, house: House) -> bool:
    """Return whether instances are plain data: a dataclass, an enum, a model."""
    marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
    if any("dataclass" in ast.unparse(mark) for mark in marks):
        return True
    for base in (ast.unparse(base).partition("[")[0] for base in node.bases):
        parent = module.defined.get(base)
        if base in VALUE_BASES or (
            isinstance(parent, ast.ClassDef) and is_value_class(parent, module, house)
        ):
            return True
    return False


RULES: Final[tuple[Rule, ...]] = (
    imports_go_down,
    sides_of_a_bar_stay_apart,
    no_import_circles,
    core_needs_no_outside,
    files_are_short,
    functions_are_short,
    packages_hold_a_docstring,
    tasks_have_an_owner,
    time_and_chance_are_handed_in,
    imports_do_no_work,
)
