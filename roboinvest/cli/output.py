"""How answers look: one JSON value, or a table a person can read; no colour off a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH: Final = 200  # columns


def console(*, stderr: bool = False) -> Console:
    """Return a console that honours NO_COLOR, and cuts nothing short where a program reads."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


def print_json(value: object) -> None:
    """Write one JSON value on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str
) -> None:
    """Write a table, or the sentence that says why there is none."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    for column in columns:
        is_word = column.islower()
        table.add_column(column, justify="left" if is_word else "right")
    count = 0
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
        count += 1
    if count:
        console().print(table)
    else:
        console().print(empty)


def print_facts(facts: Mapping[str, object]) -> None:
    """Write name and value pairs, aligned."""
    width = max((len(name) for name in facts), default=0)
    out = console()
    for name, value in facts.items():
        out.print(f"{name:<{width}}  {'-' if value is None else value}", markup=False)


def usd(value: float | None) -> str | None:
    """Return an amount in USD with its sign kept and thousands apart."""
    return None if value is None else f"{value:,.2f}"
