"""When a loop is due next, kept over restarts: a daemon that lives 20 hours still meets daily.

A loop that was never run is due at once. Times lie on a grid from the first run on; who was away is
due once, however many times went by, and the grid goes on. A run counts when it is done: one that
the process did not outlive is due again. A clock that was set back cannot put a run off for longer
than one interval; one that was set forward makes it due once.

Blocking, for threads; `keep` is the loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext

LOOK_S: Final = 60.0  # between two looks at the clock, which may be set meanwhile
TRUSTED_S: Final = 300.0  # for which what the file said is gone by: nobody else writes there
_SELECT: Final = "SELECT next_at, begun_at, done_at, runs, tries FROM cadences WHERE name = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a cadence stands."""

    next_at: datetime | None  # UTC; None: it was never looked at
    begun_at: datetime | None  # UTC; of a run that is not done
    done_at: datetime | None  # UTC
    runs: int  # done
    tries: int  # begun since the last one that was done


class Cadence:
    """The times of one loop."""

    def __init__(self, file: OverseerFile, name: str, every: timedelta) -> None:
        """Take what is kept.

        Args:
            file: where.
            name: of the loop; one cadence for each.
            every: between two runs, above zero.
        """
        if every <= timedelta(0):
            raise BadInput(f"{name} runs every {every}, and an interval is above zero")
        self.name = name
        self.every = every
        self._file = file

    def standing(self) -> Standing:
        """Return where it stands, from the file."""
        return self._file.read(self._read)

    def due(self, now: datetime) -> bool:
        """Return whether a run is due; looking again does not change that.

        Raises:
            TryLater, BadSettings: the file cannot be used.
        """
        return self.wait_s(now) <= 0.0

    def wait_s(self, now: datetime) -> float:
        """Return the seconds until a run is due; 0.0: now.

        Raises:
            TryLater, BadSettings: the file cannot be used.
        """
        upcoming = self.standing().next_at
        if upcoming is None:
            return 0.0
        if upcoming - now > self.every:  # the clock was set back since
            upcoming = now + self.every
            values = (_stamp(upcoming), self.name)
            self._file.write(
                lambda db: db.execute("UPDATE cadences SET next_at = ? WHERE name = ?", values)
            )
        return max((upcoming - now).total_seconds(), 0.0)

    def begin(self, now: datetime) -> None:
        """Write down that a run begins; it is due until it is done."""

        def begin(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO cadences (name, next_at, begun_at, tries) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (name) DO UPDATE SET begun_at = excluded.begun_at, tries = tries + 1",
                (self.name, _stamp(now), _stamp(now)),
            )

        self._file.write(begin)

    def done(self, now: datetime) -> datetime:
        """Write down that the run is done, and return when the next one is due."""

        def done(db: sqlite3.Connection) -> datetime:
            known = self._read(db).next_at
            upcoming = now + self.every if known is None else self._after(known, now)
            db.execute(
                "INSERT INTO cadences (name, next_at, done_at, runs) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at, "
                "done_at = excluded.done_at, runs = runs + 1, begun_at = NULL, tries = 0",
                (self.name, _stamp(upcoming), _stamp(now)),
            )
            return upcoming

        return self._file.write(done)

    def _after(self, due: datetime, now: datetime) -> datetime:
        """Return the first time of the grid that is still to come."""
        if now < due:  # done early, or the clock was set back during the run
            return min(due, now) + self.every
        return due + ((now - due) // self.every + 1) * self.every

    def _read(self, db: sqlite3.Connection) -> Standing:
        row = db.execute(_SELECT, (self.name,)).fetchone()
        if row is None:
            return Standing(next_at=None, begun_at=None, done_at=None, runs=0, tries=0)
        next_at, begun_at, done_at = (None if each is None else _instant(each) for each in row[:3])
        return Standing(
            next_at=next_at,
            begun_at=begun_at,
            done_at=done_at,
            runs=int(row[3]),
            tries=int(row[4]),
        )


async def keep(
    ctx: ServiceContext,
    cadence: Cadence,
    work: Callable[[datetime], Awaitable[None]],
    *,
    clock: Clock,
    threads: Threads,
) -> None:
    """Run work whenever its cadence says so, until cancelled; it is looked at first, then slept.

    An error of the work ends the loop, and the run stays due: the supervisor starts it again.

    Raises:
        TryLater, BadSettings: the file cannot be used.
    """
    what, rest = f"the cadence of {cadence.name}", Rest()
    ctx.ready()
    while True:
        now = clock.now()
        left_s = rest.left_s(now)
        if left_s is None:
            left_s = await threads.do(what, partial(cadence.wait_s, now))
            rest.told(now, left_s)
        if left_s <= 0.0:
            await threads.do(what, partial(cadence.begin, now))
            await work(now)
            await threads.do(what, partial(cadence.done, clock.now()))
            ctx.beat()
            continue
        ctx.beat()
        await ctx.sleep(min(left_s, LOOK_S))


class Rest:
    """What the file said last of when a run is due."""

    def __init__(self) -> None:
        self._asked_at: datetime | None = None
        self._due_at = datetime.min.replace(tzinfo=UTC)

    def told(self, now: datetime, left_s: float) -> None:
        """Take what the file said just now."""
        self._asked_at, self._due_at = now, now + timedelta(seconds=left_s)

    def left_s(self, now: datetime) -> float | None:
        """Return the seconds that are left; None: the file has to be asked.

        It is asked before a run, now and then, and after the clock was set, whichever way.
        """
        if self._asked_at is None or now >= self._due_at:
            return None
        if not 0.0 <= (now - self._asked_at).total_seconds() < TRUSTED_S:
            return None
        return (self._due_at - now).total_seconds()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError as error:
        raise BadInput(f"{str(text)[:40]!a} is no instant of a cadence: {error}") from error
