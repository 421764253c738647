"""The Overseer's file while the house runs: opened when it can be, and anew after trouble.

Where it is damaged, locked or full there is one alert, everything that lives by it rests, and is
tried again every minute. Nothing else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from meta_agents.one_trouble import OneTrouble
from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.events import Event, Severity
from roboinvest.core.oversight.healing_record import ActionEnd, HealAttempt, Verdict
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import Service, ServiceContext

ALERT_KEY: Final = "overseer.file"
AGAIN_S: Final = 60.0  # after which a file in trouble is tried again
_NEWEST: Final = 100  # attempts
_LATELY: Final = timedelta(hours=1)


class FileKeeper:
    """Holds the one file that several services live by."""

    def __init__(
        self,
        path: Path,
        *,
        schemas: Sequence[str] = (),
        threads: Threads,
        clock: Clock,
        publish: Callable[[Event], None],
        left_open: bool = False,
    ) -> None:
        """Take where it lies; nothing is opened yet.

        Args:
            path: of the file.
            schemas: tables that are wanted in it, beside its own.
            threads: for what blocks.
            clock: of the alert.
            publish: hears of the alert.
            left_open: whether an earlier process left the alert open.
        """
        self._path, self._schemas, self._threads = path, tuple(schemas), threads
        self._file: OverseerFile | None = None
        self._opening = asyncio.Lock()
        self.gone = asyncio.Event()  # set when the file that is open now is given up
        self._trouble = OneTrouble(
            ALERT_KEY,
            Severity.HIGH,
            clock=clock,
            publish=publish,
            recovered="the Overseer's file is read and written again",
        )
        if left_open:
            self._trouble.failed("the Overseer's file was in trouble, and was not opened since")

    async def file(self) -> OverseerFile:
        """Return the file, open.

        Raises:
            TryLater, BadSettings: it cannot be used now; people were told.
        """
        async with self._opening:
            if self._file is None:
                try:
                    self._file = await self._threads.do("opening the Overseer's file", self._open)
                except (TryLater, BadSettings) as error:
                    self._trouble.failed(f"the Overseer's memory is away: {error}")
                    raise
                self.gone = asyncio.Event()
                self._trouble.succeeded()
            return self._file

    async def lost(self, error: Exception) -> None:
        """Take note that the file failed somebody; it is opened anew when it is asked for."""
        self._trouble.failed(f"the Overseer's memory is away: {error}")
        self.gone.set()
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(TryLater):  # a disk that hangs keeps its file
                await self._threads.do("closing the Overseer's file", file.close)

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> OverseerFile:
        file = OverseerFile.open(self._path, schemas=self._schemas)
        if self._trouble.stands:
            try:
                file.require_room()
            except BaseException:
                file.close()
                raise
        return file


class OnFile:
    """A service that lives by the file: it is made when the file is open, and rests without."""

    def __init__(
        self, name: str, keeper: FileKeeper, make: Callable[[OverseerFile], Service]
    ) -> None:
        self.name = name
        self._keeper, self._make = keeper, make

    async def run(self, ctx: ServiceContext) -> None:
        """Run the service whenever the file can be used, until cancelled."""
        ctx.ready()
        while True:
            try:
                file = await self._keeper.file()
                await self._run_on(file, ctx)
            except (TryLater, BadSettings) as error:
                await self._keeper.lost(error)
                ctx.beat()
                await ctx.sleep(AGAIN_S)

    async def _run_on(self, file: OverseerFile, ctx: ServiceContext) -> None:
        """Run the service until the file is given up, by it or by somebody else."""
        gone = self._keeper.gone
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._make(file).run(ctx))
                await gone.wait()
                work.cancel()
        except* (TryLater, BadSettings) as errors:
            raise errors.exceptions[0] from None


class Tried:
    """What healing did lately, as the file has it; what it had, while the file is away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[str, HealAttempt] = {}

    def take(self, newest: Sequence[HealAttempt]) -> None:
        """Take the newest attempts, the newest first."""
        self._newest = {each.agent: each for each in reversed(newest)}

    def words(self) -> Mapping[str, str]:
        """Return what was tried last, by agent."""
        return {name: _words(each) for name, each in self._newest.items()}

    def healed_by(self, agent: str) -> str | None:
        """Return what was measured to have healed an agent within the last hour."""
        last = self._newest.get(agent)
        if last is None:
            return None
        if last.verdict is None and last.action_end is ActionEnd.RETURNED:
            until = f"{last.deadline:%H:%M} UTC"
            return f"after {last.rung.words} ({last.attempt_id}), which is measured at {until}"
        if last.verdict is not Verdict.HEALED or last.settled_at is None:
            return None
        if self._clock.now() - last.settled_at > _LATELY:
            return None
        return f"after {last.rung.words} ({last.attempt_id}): {last.reason}"


def newest_attempts(file: OverseerFile) -> Sequence[HealAttempt]:
    """Return them, the newest first; blocking.

    Raises:
        TryLater, BadSettings: the file cannot be used.
    """
    return HealAttempts(file).newest(_NEWEST)


def _words(attempt: HealAttempt) -> str:
    end = "not measured yet" if attempt.verdict is None else attempt.verdict.words
    return f"{attempt.rung.words} at {attempt.at:%Y-%m-%d %H:%M} UTC: {end}; {attempt.action}"
