"""A strategy's file in the box, as an ordinary strategy outside of it.

What it declares is read once for each set of values; its columns and conditions are computed out
here by the library, its calls are asked in there. Whoever plays it sees no difference, but that a
call cannot see a bar that has not closed.
"""

from __future__ import annotations

import ast
import re
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Plan, Strategy, Values
from tools.boxed_strategies.boxes import Boxes
from tools.boxed_strategies.calls import BoxedExit, BoxedScan, Called, fault_of
from tools.boxed_strategies.declaration import Declaration, read_declaration
from tools.boxed_strategies.jobs import BoxedFile
from tools.strategies.fingerprint import fingerprint
from tools.strategies.misuse import misuses_of
from tools.strategies.plain_form import PARTS

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_PLANS: Final = 64  # declarations that are kept


def boxed_strategy(source: str, name: str, boxes: Boxes) -> Strategy:
    """Return the strategy of a file's text, which runs in `boxes` only; `name` is for errors.

    Raises:
        BadInput: the text describes no strategy, or asks for what the box has not; one sentence.
        TryLater: the box failed.
    """
    file = BoxedFile(source=source, name=name)
    file.check()
    build = _Build(file, boxes)
    first = build.declared(None)
    if not _NAME.fullmatch(first.name):
        raise BadInput(
            f"{name}: the name {first.name!r} will not do; give small letters, digits and _"
        )
    build.stamp = f"{first.name}@{first.version}"
    strategy = Strategy(
        name=first.name,
        version=first.version,
        idea=first.idea,
        source=first.source,
        timeframe=first.timeframe,
        params=first.params,
        build=build,
        symbols=first.symbols,
        shorts=first.shorts,
    )
    build.strategy = strategy
    defaults = {param.name: param.default for param in strategy.params}
    words = frozenset(defaults) | frozenset(strategy.plan(defaults).columns)
    return replace(strategy, fingerprint=_fingerprint(file, words))


class _Build:
    """What makes the plans of a boxed strategy; see `Strategy.build`."""

    def __init__(self, file: BoxedFile, boxes: Boxes) -> None:
        self.stamp = file.name
        self.strategy: Strategy | None = None
        self._file, self._boxes = file, boxes
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Declaration] = OrderedDict()

    @property
    def boxed_source(self) -> str:
        """Return the file's text: all of it that leak detectors can look at."""
        return self._file.source

    def __call__(self, values: Values) -> Plan:
        """Return the plan for these values."""
        told, strategy = self.declared(values), self.strategy
        assert strategy is not None  # noqa: S101 it was set before anybody had this
        called = Called(
            file=self._file,
            boxes=self._boxes,
            stamp=self.stamp,
            values=dict(values),
            shorts=strategy.shorts,
        )
        try:
            how = told.execution()
            if told.calls_exit:
                how = replace(how, exit=BoxedExit(called))
            plan = Plan(
                columns=told.columns(), scan=told.scan() or BoxedScan(called), execution=how
            )
        except BadInput as error:
            raise self._said(str(error)) from error
        for fault in misuses_of(strategy, plan):
            raise self._said(fault)
        return plan

    def _said(self, text: str) -> BadInput:
        """Return a sentence that names the strategy, or its file."""
        return BadInput(text if text.startswith(self._file.name) else f"{self.stamp}: {text}")

    def declared(self, values: Values | None) -> Declaration:
        """Return what the file declares for these values, or for its defaults."""
        job = self._file.declaring(values, self._boxes.limits)
        with self._lock:
            if job.code in self._known:
                return self._known[job.code]
        outcome = self._boxes.run(job)
        if outcome.signals is None:
            raise fault_of(self.stamp, "its declaration", outcome)
        try:
            told = read_declaration(outcome.signals.astype(np.uint8).tobytes())
        except BadInput as error:
            raise self._said(str(error)) from error
        with self._lock:
            self._known[job.code] = told
            if len(self._known) > _MOST_PLANS:
                self._known.popitem(last=False)
        return told


def _fingerprint(file: BoxedFile, words: frozenset[str]) -> str:
    """Return the fingerprint of a file's text, which is parsed out here and never run."""
    try:
        tree = ast.parse(file.source, file.name)
        is_one = any("STRATEGY" in _made(each) for each in tree.body)
        roots = ("STRATEGY",) if is_one else PARTS
        return fingerprint(tree, roots, words, lambda _: None)
    except (MemoryError, RecursionError, SyntaxError, ValueError) as error:
        raise BadInput(f"{file.name}: this is no Python we can read: {error}; mend it") from error


def _made(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return {
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    }
