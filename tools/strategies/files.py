'''A strategy from a Python file.

A file is code of its owner: it runs in this process with the rights of whoever started it, and may
read, write and send whatever they may. So give only files that you would run yourself. What
strangers or models wrote belongs into the box: see `tools.boxed_strategies`.

The form for people is a file of plain names:

    """Buys a close over the mean of the last bars."""

    from roboinvest.core.quant.calculators.averages import sma
    from roboinvest.core.strategy import Execution, Percent

    NAME = "over_the_mean"  # small letters, digits and _
    VERSION = "1"
    IDEA = "What has risen goes on rising."
    SOURCE = "an example"
    TIMEFRAME = "any"  # or daily, or intraday
    PARAMS = {"period": (20, 2, 200)}  # default, lowest, highest; then a step and a text, if wanted

    def columns(p):  # what the scan asks about, by name; may be left out
        return {"mean": sma(p["period"])}

    def scan(now, p):  # at the close of a bar: True, False, None or an Entry
        return now("close") > now("mean") and now("close", 1) <= now("mean", 1)

    def leave(now, held, p):  # asked while a position is held; may be left out
        return now("close") < now("mean")

    def execution(p):  # size, stop, target, ...; may be left out
        return Execution(stop=Percent(0.02))

`def scan(p)` with one argument gives a `Scan` of conditions instead, which is quicker and cannot
look ahead. SYMBOLS (how many at once) and SHORTS (True if it sells short) may be set as well.

The other form is a `Strategy` under the name STRATEGY, built as those of the library are.

A file is read once. It is no module: nothing can import it, no bytecode is written beside it, and
it can import only what is installed.
'''

from __future__ import annotations

import ast
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Plan, Strategy, Values
from tools.strategies.blame import Blame
from tools.strategies.fingerprint import fingerprint
from tools.strategies.misuse import misuses_of, shown
from tools.strategies.plain_form import PARTS, strategy_of

_LONGEST: Final = 1_000_000  # bytes
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Classes and functions say that they are of this module, which stands there and has no names; one
# that is not there breaks dataclasses, and "__main__" would start what a file does as a script.
_AS_MODULE: Final = "tools.strategies"


def load_strategy(path: Path | str) -> Strategy:
    """Return the strategy of a file, with a fingerprint of its code; see the head of this module.

    Raises:
        BadInput: the file cannot be read, does not run, or describes no strategy; one sentence with
            file, line and what to do. So do the strategy's calls while it plays.
    """
    path = Path(path)
    tree, blame = _run(path, read_source(path))
    given, roots = blame.namespace.get("STRATEGY"), PARTS
    if given is None:
        strategy = strategy_of(path, tree, blame.namespace)
    elif isinstance(given, Strategy):
        strategy, roots = given, ("STRATEGY",)
    else:
        raise BadInput(
            f"{path}: STRATEGY is {shown(given)}; give a roboinvest.core.strategy.Strategy"
        )
    if not _NAME.fullmatch(strategy.name):
        raise BadInput(
            f"{path}: the name {strategy.name!r} will not do; give small letters, digits and _"
        )
    guarded = _guarded(path, strategy, blame)
    defaults = {param.name: param.default for param in strategy.params}
    words = frozenset(defaults) | frozenset(guarded.plan(defaults).columns)
    return replace(guarded, fingerprint=fingerprint(tree, roots, words, lambda _: None))


def _guarded(path: Path, strategy: Strategy, blame: Blame) -> Strategy:
    """Return a strategy whose faults are told as the file's."""
    known = replace(blame, stamp=strategy.stamp)

    def build(values: Values) -> Plan:
        plan = known.call("its plan", strategy.build, MappingProxyType(dict(values)))
        for fault in misuses_of(strategy, plan):
            raise BadInput(f"{strategy.stamp}: {fault} ({path})")
        return known.plan(plan, shorts=strategy.shorts)

    return replace(strategy, build=build)


def _run(path: Path, source: bytes) -> tuple[ast.Module, Blame]:
    """Return a file's syntax, and its names after it ran."""
    namespace: dict[str, object] = {"__name__": _AS_MODULE, "__file__": str(path)}
    blame = Blame(path, namespace)
    try:
        tree = ast.parse(source, str(path))
        code = compile(tree, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise BadInput(f"{path}{line}: this is no Python: {error.msg}; mend the line") from error
    except (MemoryError, RecursionError, ValueError) as error:
        raise BadInput(f"{path}: this is no Python we can read: {error}; mend it") from error
    blame.call("the file", exec, code, namespace)
    return tree, blame


def read_source(path: Path) -> bytes:
    """Return the bytes of a strategy's file, read once and not run.

    Raises:
        BadInput: it cannot be read, or is no Python file; one sentence.
    """
    if path.suffix != ".py":
        raise BadInput(f"{path} is no Python file; give one that ends in .py")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for a writer
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist; give the path of a strategy's file") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be opened: {error.strerror}; give another file") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadInput(f"{path} is a folder or a device; give the path of a strategy's file")
    with os.fdopen(handle, "rb") as file:
        source = file.read(_LONGEST + 1)
    if len(source) > _LONGEST:
        raise BadInput(f"{path} is longer than {_LONGEST} bytes; give a strategy's file")
    return source
