"""Values to rows and back. A column is named as the field it holds, so most of it is one rule.

Types are the columns' business (`column_types`); here is only which field goes where. A memory
and its outcome share a row, because they are asked for together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from roboinvest.core.quant.memories import Memory, Outcome

Row = dict[str, Any]
ValueT = TypeVar("ValueT")

_OUTCOME: Final = {
    "outcome_kind": "kind",
    "outcome_r_multiple": "r_multiple",
    "outcome_closed_at": "closed_at",
    "outcome_how": "how",
}


@cache
def field_names(kind: type) -> tuple[str, ...]:
    """Return the fields of a dataclass, in order."""
    return tuple(field.name for field in dataclasses.fields(kind))


def row_of(value: object, **more: object) -> Row:
    """Return a dataclass as a row, with `more` columns."""
    kind: type = type(value)
    row: Row = {name: getattr(value, name) for name in field_names(kind)}
    row.update(more)
    return row


def columns_of(table: sa.Table, kind: type) -> list[sa.Column[Any]]:
    """Return the columns that make up one value of `kind`."""
    return [table.c[name] for name in field_names(kind)]


def value_of(kind: type[ValueT], row: Mapping[str, Any] | sa.RowMapping) -> ValueT:
    """Return the value a row of `columns_of` stands for."""
    return kind(**row)


def memory_row(memory: Memory) -> Row:
    """Return a memory as a row: its first version, not yet sent to recall."""
    row = row_of(memory, version=1, unsent=True)
    outcome = row.pop("outcome")
    row.update({column: getattr(outcome, name, None) for column, name in _OUTCOME.items()})
    return row


def memory_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that make up a memory."""
    names = [name for name in field_names(Memory) if name != "outcome"]
    return [table.c[name] for name in (*names, *_OUTCOME)]


def memory_of(row: Mapping[str, Any] | sa.RowMapping) -> Memory:
    """Return the memory a row of `memory_columns` stands for."""
    fields = dict(row)
    outcome = {name: fields.pop(column) for column, name in _OUTCOME.items()}
    return Memory(**fields, outcome=None if outcome["kind"] is None else Outcome(**outcome))
