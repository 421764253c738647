"""How many alerts a board folds a second, and how fast the log is tailed.

Alerts go the way they go in the house: through `receive`, with what is kept written as text each
time that it would be; the store is left out, which the tick family measures. CPU of one core.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.figures import median, one_core, repeat
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.log_tail import LogTail
from roboinvest.runtime.redaction import Redactor

FAMILY: Final = "lookouts"
RUNS: Final = 3
EVENTS: Final = 20_000
LOG_MB: Final = 100
ALERTS: Final = Goal(limit=5_000, at_least=True)  # a second
TAILED: Final = Goal(limit=100, at_least=True)  # MB/s
_START: Final = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_MB: Final = 1e6
Events = Iterator[AlertRaised | AlertResolved]


def rows(folder: Path) -> list[Row]:
    """Measure in a scratch folder below `folder`."""
    with one_core(), scratch(folder) as home:
        return [
            _alert_row("the same 50 causes again and again", lambda: _events(50)),
            _alert_row("raise and recover, by turns", _by_turns),
            _alert_row("a flood of distinct causes", lambda: _events(EVENTS)),
            *_tail_rows(home),
        ]


def _alert_row(what: str, events: Callable[[], Events]) -> Row:
    found = repeat(RUNS, lambda: asyncio.run(fold_rate(events())))
    return Row(
        family=FAMILY,
        what=f"alerts: {what}",
        figure=median(found),
        unit="alerts/s",
        n=RUNS,
        goal=ALERTS,
        compared=f"{EVENTS} facts a run, CPU",
    )


async def fold_rate(events: Events) -> float:
    """Return how many facts a second of CPU a board folds."""
    board = AlertBoard(_kept, redact=Redactor(["a-secret-of-the-house"]).whole)
    told = list(events)
    began = time.process_time()
    for event in told:
        await board.receive(event)
    await board.flush()
    return len(told) / (time.process_time() - began)


async def _kept(name: str, text: str) -> None:
    """Take a document, as a store that costs nothing."""


def _events(causes: int) -> Events:
    chance = random.Random(causes)
    for number in range(EVENTS):
        yield _raised(number, f"cause.{chance.randrange(causes)}")


def _by_turns() -> Events:
    for number in range(EVENTS // 2):
        yield _raised(number, "feed")
        yield AlertResolved(at=_at(number), key="feed", message="it answers again")


def _raised(number: int, key: str) -> AlertRaised:
    return AlertRaised(
        at=_at(number),
        key=key,
        severity=Severity.MEDIUM,
        kind="data",
        message=f"{key} is away: TimeoutError after 30 s, try {number}",
    )


def _at(number: int) -> datetime:
    return _START + timedelta(milliseconds=number // 5)


def _tail_rows(home: Path) -> list[Row]:
    path = home / "roboinvest.jsonl"
    size = write_log(path, LOG_MB)
    found = []
    for what, levels, goal in (
        ("errors among all lines", ("error", "critical"), TAILED),
        ("every line", None, None),
    ):
        took = repeat(RUNS, lambda levels=levels: tail_s(path, levels))  # type: ignore[misc]
        found.append(
            Row(
                family=FAMILY,
                what=f"log tailing: {what}",
                figure=size / _MB / median(took),
                unit="MB/s",
                n=RUNS,
                goal=goal,
                compared=f"{size / _MB:.0f} MB, 1 line of 100 an error, CPU",
            )
        )
    return found


def tail_s(path: Path, levels: tuple[str, ...] | None) -> float:
    """Return the seconds of CPU that reading a whole log takes."""
    tail, mark, done = LogTail(path, levels), None, False
    began = time.process_time()
    while not done:
        part = tail.read(mark)
        mark, done = part.bookmark, part.is_done
    return time.process_time() - began


def write_log(path: Path, megabytes: float) -> int:
    """Write lines as the house writes them; return their bytes."""
    chance, size = random.Random(7), 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * _MB:
            line = json.dumps(
                {
                    "ts": "2026-01-05T14:30:00.000+00:00",
                    "level": "error" if chance.random() < 0.01 else "info",
                    "event": "order_filled",
                    "logger": "roboinvest.trading",
                    "symbol": "ALFA",
                    "note": "x" * chance.randrange(20, 200),
                }
            )
            size += file.write(line + "\n")
    return size
