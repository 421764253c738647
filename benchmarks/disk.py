"""What a year of ticks takes on disk, and what the daemon takes when it is installed.

A year is extrapolated from some sessions: bytes of the closed database per tick, times the ticks of
a year. Twice: with every tick kept whole, and as retention leaves it, where ticks that only held
and are older than a month keep their figures alone. Logs are not in it; they rotate.
The installation is what the wheels of the lock file brought, bytecode left out.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from benchmarks.houses import a_house, scratch, settings_for
from benchmarks.table import Goal, Row
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.store import Store

FAMILY: Final = "disk"
REPOSITORY: Final = Path(__file__).resolve().parent.parent
LOCK: Final = REPOSITORY / "requirements.lock"
INSTALLED: Final = Goal(limit=900)  # MB
SESSIONS: Final = 10
TICKS_A_SESSION: Final = 390
TICKS_A_YEAR: Final = 97_740  # 252 sessions, three of them half days
TICKS_A_MONTH: Final = 21 * TICKS_A_SESSION  # what retention keeps whole by default
_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes of the database per tick."""

    ticks: int
    whole: float  # every tick as it was committed
    shrunk: float  # ticks that only held keep their figures alone

    def year_mb(self) -> float:
        """Return the size of a year of which nothing is forgotten, in MB."""
        return self.whole * TICKS_A_YEAR / _MB

    def year_with_retention_mb(self) -> float:
        """Return the size of a year of which the last month is whole, in MB."""
        older = TICKS_A_YEAR - TICKS_A_MONTH
        return (self.whole * TICKS_A_MONTH + self.shrunk * older) / _MB


def measure_footprint(parent: Path, ticks: int = SESSIONS * TICKS_A_SESSION) -> Footprint:
    """Return the bytes per tick of a run of one symbol."""
    with scratch(parent) as root:
        settings = settings_for(root, 1, simulated__speed="max", memory__chroma="off")
        with a_house(settings, ticks) as run:
            asyncio.run(run.live())
            database = run.folder.database
        whole = _used_bytes(database)
        asyncio.run(_shrink_all(database))
        return Footprint(ticks=ticks, whole=whole / ticks, shrunk=_used_bytes(database) / ticks)


def installed_mb(lock: Path = LOCK) -> float:
    """Return the size of the distributions that a lock file names, as far as they are here."""
    wanted = {_canonical(name) for name in _names(lock.read_text(encoding="utf-8"))}
    here = [found for found in distributions() if _canonical(found.name) in wanted]
    return sum(map(_bytes_of, here)) / _MB


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    found = measure_footprint(parent)
    basis = f"extrapolated from {found.ticks:,} ticks to {TICKS_A_YEAR:,}"

    def row(what: str, figure: float, compared: str, goal: Goal | None = None) -> Row:
        return Row(
            family=FAMILY, what=what, figure=figure, unit="MB", n=1, goal=goal, compared=compared
        )

    return [
        row(
            "a symbol-year of ticks, all kept",
            found.year_mb(),
            f"{basis}; {found.whole:,.0f} bytes a tick",
        ),
        row(
            "the same after retention",
            found.year_with_retention_mb(),
            f"{basis}; a month whole, the rest {found.shrunk:,.0f} bytes a tick",
        ),
        row("installation (runtime lock)", installed_mb(), "without bytecode", INSTALLED),
    ]


async def _shrink_all(database: Path) -> None:
    """Let retention take every tick that it may."""
    store = await Store.open(database, in_flight=InFlight(), clock=SystemClock())
    try:
        (newest,) = await store.recent_ticks(1)
        await store.shrink_hold_ticks(newest.at + timedelta(days=1))
    finally:
        await store.close()


def _used_bytes(database: Path) -> int:
    """Return the bytes of pages that hold something; the free ones are filled before it grows."""
    with closing(sqlite3.connect(database)) as connection:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def _names(lock: str) -> list[str]:
    """Return the distributions that a lock file asks for."""
    return re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==", lock, re.MULTILINE)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bytes_of(found: Distribution) -> int:
    paths = (Path(str(found.locate_file(file))) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())
