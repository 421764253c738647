"""Alerts as a person reads them: what is wrong, since when, what was tried, and what to do.

`status` and `alerts ls` show the same blocks, so that they cannot tell two stories.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from roboinvest.cli.output import console

if TYPE_CHECKING:
    from datetime import datetime

    from roboinvest.runtime.alerting.board import AlertBoard
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.reports.models import AlertLine

WIDTH: Final = 100  # columns at most: long lines are hard to read at night
_LABEL: Final = 8


async def board_left(folder: DataFolder) -> AlertBoard:
    """Return the board as it was kept last; an empty one where nothing ever was.

    Raises:
        TryLater: the store cannot be read.
    """
    from roboinvest.runtime.alerting.board import DOCUMENT, AlertBoard
    from roboinvest.runtime.in_flight import InFlight
    from roboinvest.runtime.storage.reads import StoreReader

    board = AlertBoard(_nowhere)
    if not folder.database.exists():
        return board
    reader = await StoreReader.open_read_only(folder.database, in_flight=InFlight())
    try:
        board.restore(await reader.document(DOCUMENT))
        return board
    finally:
        await reader.close()


def tried_left(folder: DataFolder) -> Mapping[str, str]:
    """Return what healing did last, by agent; nothing where that is not on record."""
    from roboinvest.core.errors import BadInput, TryLater
    from roboinvest.runtime.reports.health import read_health

    try:
        found = read_health(folder.reports)
    except (BadInput, TryLater):
        return {}
    return {line.name: line.tried for line in found.agents if line.tried is not None}


def lines_of(board: AlertBoard, tried: Mapping[str, str]) -> list[AlertLine]:
    """Return the alerts, the worst first, each that is folded below the one it is folded under."""
    from roboinvest.runtime.reports.alert_line import alert_lines

    below: dict[str | None, list[AlertLine]] = {}
    for line in alert_lines(board, tried):
        below.setdefault(line.folded_under, []).append(line)
    return [one for root in below.get(None, []) for one in (root, *below.get(root.key, []))]


def print_alert(line: AlertLine) -> None:
    """Write one alert as a block."""
    print_block(line.severity.value, _texts(line), indent="    " if line.folded_under else "")


def print_block(label: str, texts: Iterable[str], *, indent: str = "") -> None:
    """Write texts below each other, in lines that fit, the label before the first."""
    out = console()
    for number, text in enumerate(texts):
        first = f"{label:<{_LABEL}} " if number == 0 else " " * (_LABEL + 1)
        for line in _wrapped(first, text):
            out.print(indent + line, markup=False)


def _texts(line: AlertLine) -> Iterator[str]:
    from roboinvest.core.text.cleaning import clean

    yield clean(line.message, 600)
    last = line.last_seen_at
    clock = f"{last:%H:%M}" if last.date() == line.raised_at.date() else minute(last)
    times = f", {line.count} times, last {clock}" if line.count > 1 else ""
    yield f"since {minute(line.raised_at)} UTC{times}; {_state(line)}"
    if line.tried is not None and line.folded_under is None:
        yield f"tried: {clean(line.tried, 400)}"
    if line.resolved_at is None and line.folded_under is None:
        yield f"do: {clean(line.next_step, 400)}"
    yield f"id {line.fingerprint}, {_kind(line.kind)}"


def _wrapped(first: str, text: str) -> list[str]:
    width = min(console().width, WIDTH) - 4
    inside = " " * (_LABEL + 1)
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=first,
        subsequent_indent=inside,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _kind(kind: str) -> str:
    from roboinvest.runtime.alerting.values import KINDS

    return KINDS.get(kind, kind)


def _state(line: AlertLine) -> str:
    """Return what became of an alert, in words."""
    from roboinvest.core.text.cleaning import clean

    if line.resolved_at is not None:
        return f"over {minute(line.resolved_at)}: {clean(line.resolution or '', 400)}"
    if line.snoozed_until is not None:
        return f"silent until {minute(line.snoozed_until)}"
    if line.acknowledged_by is not None:
        return f"{clean(line.acknowledged_by, 80)} looks after it"
    if line.folded_under is not None:
        return "follows from the one above"
    return "open"


def minute(at: datetime | None) -> str | None:
    """Return an instant to the minute."""
    return f"{at:%Y-%m-%d %H:%M}" if at else None


async def _nowhere(name: str, text: str) -> None:
    """Keep nothing: who lists changes nothing."""
