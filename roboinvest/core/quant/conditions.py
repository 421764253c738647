"""Conditions: what a strategy looks for, said once and asked of a whole column or of one bar.

A condition is made of names (of calculators, or `open`, `high`, `low`, `close`, `volume`) and
numbers. It can only compare what stands in the same row or in the rows before it, so that a scan
made of conditions cannot look ahead, whatever its author meant. A value that is not there yet is
NaN, and NaN meets no condition, nor its opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.rows import Flags

Columns = Mapping[str, Floats]  # every array of shape (n,), oldest first
Operand = str | float


class Condition(Protocol):
    """True or false of every row, by that row and earlier ones."""

    @property
    def names(self) -> frozenset[str]:
        """Return the columns it asks about."""

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it holds."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value beside another, in the same row."""

    left: Operand
    right: Operand
    compare: Callable[[Floats, Floats], Flags]

    @property
    def names(self) -> frozenset[str]:
        """Return the columns it asks about."""
        return _names(self.left, self.right)

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it holds."""
        left, right = _operand(self.left, columns), _operand(self.right, columns)
        with np.errstate(invalid="ignore"):
            return self.compare(left, right)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A value that was not past another in the row before, and is now."""

    left: Operand
    right: Operand
    up: bool

    @property
    def names(self) -> frozenset[str]:
        """Return the columns it asks about."""
        return _names(self.left, self.right)

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it holds; never in the first."""
        left, right = _operand(self.left, columns), _operand(self.right, columns)
        with np.errstate(invalid="ignore"):
            gap = left - right if self.up else right - left
            found = np.zeros(len(gap), np.bool_)
            found[1:] = (gap[1:] > 0.0) & (gap[:-1] <= 0.0)
        return found


@dataclass(frozen=True, slots=True)
class Together:
    """Several conditions, of which all must hold, or any."""

    parts: tuple[Condition, ...]
    every: bool

    @property
    def names(self) -> frozenset[str]:
        """Return the columns they ask about."""
        return frozenset[str]().union(*(part.names for part in self.parts))

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it holds."""
        flags = [part.of(columns) for part in self.parts]
        found: Flags = np.logical_and.reduce(flags) if self.every else np.logical_or.reduce(flags)
        return found


@dataclass(frozen=True, slots=True)
class FirstOfSession:
    """A condition that counts once a session."""

    condition: Condition

    @property
    def names(self) -> frozenset[str]:
        """Return the columns it asks about."""
        return self.condition.names | {"session"}

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it holds, and did not in an earlier row of its session."""
        flags, session = self.condition.of(columns), columns["session"]
        met = np.flatnonzero(flags)
        first = np.ones(len(met), np.bool_)
        first[1:] = session[met[1:]] != session[met[:-1]]
        found = np.zeros(len(flags), np.bool_)
        found[met[first]] = True
        return found


@dataclass(frozen=True, slots=True)
class Earlier:
    """A condition as it was some rows before, in the same session."""

    condition: Condition
    bars: int

    @property
    def names(self) -> frozenset[str]:
        """Return the columns it asks about."""
        return self.condition.names | {"session"}

    def of(self, columns: Columns) -> Flags:
        """Return for each row whether it held then; never in a session's first rows."""
        flags, session = self.condition.of(columns), columns["session"]
        found = np.zeros(len(flags), np.bool_)
        same = session[self.bars :] == session[: -self.bars]
        found[self.bars :] = flags[: -self.bars] & same
        return found


def above(left: Operand, right: Operand) -> Condition:
    """Hold where `left` is over `right`."""
    return Comparison(left, right, np.greater)


def below(left: Operand, right: Operand) -> Condition:
    """Hold where `left` is under `right`."""
    return Comparison(left, right, np.less)


def at_least(left: Operand, right: Operand) -> Condition:
    """Hold where `left` is `right` or more."""
    return Comparison(left, right, np.greater_equal)


def at_most(left: Operand, right: Operand) -> Condition:
    """Hold where `left` is `right` or less."""
    return Comparison(left, right, np.less_equal)


def crosses_above(left: Operand, right: Operand) -> Condition:
    """Hold where `left` has come from `right` or below to above it."""
    return Crossing(left, right, up=True)


def crosses_below(left: Operand, right: Operand) -> Condition:
    """Hold where `left` has come from `right` or above to below it."""
    return Crossing(left, right, up=False)


def every(*parts: Condition) -> Condition:
    """Hold where all the parts do."""
    return Together(_some(parts), every=True)


def either(*parts: Condition) -> Condition:
    """Hold where one of the parts does."""
    return Together(_some(parts), every=False)


def was(condition: Condition, bars: int = 1) -> Condition:
    """Hold where the condition did `bars` rows before, in the same session."""
    if bars < 1:
        raise BadInput(f"was(..., {bars}) looks at a bar that has not closed; give 1 or more")
    return Earlier(condition, bars)


def once_a_session(condition: Condition) -> Condition:
    """Hold only in the first row of each session in which the condition does."""
    return FirstOfSession(condition)


def _some(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    if not parts:
        raise BadInput("a condition of no parts says nothing; name at least one")
    return parts


def _names(*operands: Operand) -> frozenset[str]:
    return frozenset(operand for operand in operands if isinstance(operand, str))


def _operand(operand: Operand, columns: Columns) -> Floats:
    if isinstance(operand, str):
        if operand not in columns:
            raise BadInput(
                f"{operand!r} is no column of this strategy; it has {', '.join(sorted(columns))}"
            )
        return columns[operand]
    length = len(next(iter(columns.values())))
    return np.full(length, float(operand))
