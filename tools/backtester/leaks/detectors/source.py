"""What a strategy's source asks for that an honest one has no use for.

Read, not run: imports that reach outside, the clock, chance without a seed, files, rows shifted
back in time, and what a moment keeps to itself. A finding is a reason to look, not a proof; it is
enough for `suspected`.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import types
from collections.abc import Iterator
from typing import Final

from tools.backtester.leaks.detectors.reach import MOST_TEXT, MOST_VALUES, Reach

OUTSIDE: Final = frozenset(
    {"os", "sys", "io", "time", "secrets", "uuid", "pathlib", "socket", "ssl", "http", "urllib"}
    | {"requests", "httpx", "aiohttp", "subprocess", "multiprocessing", "threading", "asyncio"}
    | {"inspect", "gc", "ctypes", "importlib", "builtins", "pickle", "shelve", "sqlite3", "mmap"}
    | {"tempfile", "shutil", "glob", "signal", "yfinance", "websockets"}
)
_CLOCK: Final = frozenset({"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"})
_READS: Final = frozenset(
    {"read_csv", "read_parquet", "read_json", "read_text", "read_bytes", "loadtxt", "genfromtxt"}
    | {"memmap", "fromfile", "urlopen"}
)
_BOTH_WAYS: Final = {
    "bfill": "fills gaps from later rows",
    "backfill": "fills gaps from later rows",
    "filtfilt": "smooths forwards and backwards",
    "sosfiltfilt": "smooths forwards and backwards",
    "savgol_filter": "smooths with later rows",
    "interpolate": "fills gaps with later rows",
    "gradient": "takes differences with the next row",
    "detrend": "fits the whole sample",
}
_PRIVATE: Final = frozenset(
    {"_getframe", "currentframe", "f_back", "f_locals", "f_globals", "__globals__", "__closure__"}
    | {"__dict__", "__subclasses__", "__self__", "cell_contents", "gi_frame"}
)
_MOMENT_PRIVATE: Final = frozenset({"bars", "columns", "row", "_bars", "_columns", "_row"})
_CALLS: Final = frozenset({"open", "eval", "exec", "compile", "__import__", "input"})
_BARS: Final = frozenset(
    {"ts", "closes_at", "day", "open", "high", "low", "close", "volume", "opens", "ends"}
)


def faults_in(source: str) -> list[str]:
    """Return what speaks against a strategy file, each with its line.

    Raises:
        SyntaxError: the text is no Python.
    """
    tree = ast.parse(source)
    imports = [
        f"line {node.lineno}: imports {name}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in _imported(node)
        if name.partition(".")[0] in OUTSIDE
    ]
    return imports + sorted(set(_faults(tree, _module_names(tree))), key=_line)


def tables_in(source: str) -> list[str]:
    """Return what a text that runs in the box carries that looks like data, each with its line."""
    found = []
    for statement in ast.parse(source).body:
        inside = list(ast.walk(statement))
        said = {id(each.value) for each in inside if isinstance(each, ast.Expr)}
        literals = [
            each for each in inside if isinstance(each, ast.Constant) and id(each) not in said
        ]
        numbers = [each for each in literals if isinstance(each.value, int | float)]
        if len(numbers) > MOST_VALUES and "PARAMS" not in _targets(statement):
            found.append(f"line {statement.lineno} holds {len(numbers)} numbers")
        found += [
            f"line {each.lineno} holds a text of {len(each.value)} signs"
            for each in literals
            if isinstance(each.value, str | bytes) and len(each.value) > MOST_TEXT
        ]
    return found


def _targets(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}


def faults_of(reach: Reach) -> list[str]:
    """Return what speaks against the functions that a strategy reaches, with file and line.

    Functions whose source is not at hand are judged by the names that their code mentions.
    """
    found: list[str] = []
    for module, by in reach.modules.items():
        if module.partition(".")[0] in OUTSIDE:
            found.append(f"reaches the module {module} ({by})")
    for name, holder in reach.holders:
        home = getattr(holder, "__module__", None) if callable(holder) else None
        if isinstance(home, str) and home.partition(".")[0] in OUTSIDE:
            found.append(f"reaches {home}.{getattr(holder, '__name__', '')} ({name})")
    trees: dict[str, list[ast.AST]] = {}
    shared = _global_names(reach)
    for code in reach.functions:
        node = _node(code, trees)
        if node is None:
            hidden = sorted(set(_mentioned(code)) & (_PRIVATE | _READS | set(_BOTH_WAYS)))
            found += [f"{code.co_name} mentions {name}" for name in hidden]
            continue
        found += [f"{code.co_name}, {fault}" for fault in _faults(node, shared)]
    return list(dict.fromkeys(found))


def _faults(tree: ast.AST, shared: frozenset[str]) -> Iterator[str]:
    moments = {
        each.arg
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.Lambda))
        for each in node.args.args
        if each.arg in {"now", "moment"}
        or (each.annotation is not None and "Moment" in ast.unparse(each.annotation))
    }
    for node in ast.walk(tree):
        fault = _fault(node, moments) or _keeps(node, shared)
        if fault:
            yield f"line {getattr(node, 'lineno', 0)}: {fault}"


def _fault(node: ast.AST, moments: set[str]) -> str | None:
    match node:
        case ast.Call():
            return _call_fault(node)
        case ast.Attribute(attr=name) if name in _PRIVATE:
            return f"uses {name}, which reaches behind the engine"
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if (
            owner in moments and name not in {"symbol", "other"}
        ):
            return f"asks a moment for {name}"
        case ast.Assign(targets=[ast.Subscript(slice=where)], value=value):
            return _shift_fault(where, value)
        case ast.Subscript(value=ast.Attribute(attr=name), slice=ast.UnaryOp(op=ast.USub())) if (
            name in _BARS
        ):
            return f"takes the last {name} of the whole tape"
    return None


def _call_fault(node: ast.Call) -> str | None:
    name = _name(node.func)
    owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    keywords = {each.arg: each.value for each in node.keywords}
    if name in _CALLS and not owner:
        return f"calls {name}()"
    if name in _CLOCK and owner:
        return f"reads the clock: {owner}.{name}()"
    if name in _READS or (name in {"load", "open"} and owner in {"np", "numpy", "json", "csv"}):
        return f"reads data: {name}()"
    if name in _BOTH_WAYS:
        return f"{name}() {_BOTH_WAYS[name]}"
    if name == "default_rng" and not node.args and not keywords:
        return "draws chance without a seed"
    if owner in {"np.random", "numpy.random"} and name not in {"default_rng", "Generator"}:
        return f"draws chance without a seed: {owner}.{name}()"
    if owner == "random" and not (name == "Random" and node.args):
        return f"draws chance without a seed: random.{name}()"
    return _pandas_fault(node, name, keywords)


def _pandas_fault(node: ast.Call, name: str, keywords: dict[str | None, ast.expr]) -> str | None:
    shift = node.args[0] if node.args else keywords.get("periods")
    if name in {"shift", "diff", "pct_change"} and _negative(shift):
        return f"{name}() by a negative number takes later rows"
    if name == "roll" and len(node.args) > 1 and _negative(node.args[1]):
        return "roll() by a negative number takes later rows"
    centre = keywords.get("center")
    if isinstance(centre, ast.Constant) and centre.value is True:
        return f"{name}(center=True) takes later rows"
    method = keywords.get("method")
    if isinstance(method, ast.Constant) and method.value in {"bfill", "backfill"}:
        return f"{name}(method={method.value!r}) fills gaps from later rows"
    mode = keywords.get("mode")
    if (
        name in {"convolve", "correlate"}
        and isinstance(mode, ast.Constant)
        and mode.value == "same"
    ):
        return f"{name}(mode='same') takes later rows"
    return None


def _shift_fault(where: ast.expr, value: ast.expr) -> str | None:
    """Return a fault where rows are set from rows behind them: `x[:-1] = y[1:]`."""
    if not (isinstance(where, ast.Slice) and where.lower is None and _negative(where.upper)):
        return None
    ahead = [
        each
        for each in ast.walk(value)
        if isinstance(each, ast.Subscript)
        and isinstance(each.slice, ast.Slice)
        and isinstance(each.slice.lower, ast.Constant)
        and each.slice.upper is None
        and each.slice.lower.value not in (0, None)
    ]
    return "sets rows from the rows after them" if ahead else None


def _keeps(node: ast.AST, shared: frozenset[str]) -> str | None:
    """Return a fault where something outlives the run."""
    match node:
        case ast.Global(names=names):
            return f"keeps {', '.join(names)} across runs"
        case ast.FunctionDef(args=args) | ast.Lambda(args=args):
            kept = [*args.defaults, *(each for each in args.kw_defaults if each is not None)]
            if any(isinstance(each, (ast.Dict, ast.List, ast.Set)) for each in kept):
                return "has a default that can change, and keeps it across runs"
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name))]) if name in shared:
            return f"writes into {name}, which outlives the run"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if (
            name in shared and attr in {"append", "add", "update", "setdefault", "extend", "pop"}
        ):
            return f"changes {name}, which outlives the run"
    return None


def _module_names(tree: ast.Module) -> frozenset[str]:
    """Return names of a file that are bound to something that can change."""
    return frozenset(
        target.id
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _changeable(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    )


def _changeable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return _name(value.func) in {"dict", "list", "set", "defaultdict", "deque", "OrderedDict"}
    return isinstance(value, (ast.Dict, ast.List, ast.Set))


def _global_names(reach: Reach) -> frozenset[str]:
    return frozenset(
        name.partition(" beside ")[0]
        for name, holder in reach.holders
        if " beside " in name and isinstance(holder, (dict, list, set))
    )


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]


def _node(code: types.CodeType, trees: dict[str, list[ast.AST]]) -> ast.AST | None:
    """Return the piece of source that a function was made from; `trees` are those read so far."""
    if code.co_filename not in trees:
        trees[code.co_filename] = _functions(code.co_filename)
    columns = [place[2] for place in code.co_positions() if place[2] is not None]
    column = min(columns, default=0)
    found = [node for node in trees[code.co_filename] if _made(node, code, column)]
    return found[-1] if found else None


def _functions(file: str) -> list[ast.AST]:
    """Return the functions of a file; none where it cannot be read, or changed since."""
    lines = linecache.getlines(file)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return []
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]


def _made(node: ast.AST, code: types.CodeType, column: int) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name == code.co_name and _starts(node, code)
    return (
        isinstance(node, ast.Lambda)
        and code.co_name == "<lambda>"
        and node.lineno == code.co_firstlineno
        and node.col_offset <= column <= (node.end_col_offset or column)
    )


def _starts(node: ast.FunctionDef, code: types.CodeType) -> bool:
    first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
    return first == code.co_firstlineno


def _mentioned(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _mentioned(constant)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _negative(node: ast.expr | None) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _line(fault: str) -> int:
    return int(fault.removeprefix("line ").partition(":")[0])
