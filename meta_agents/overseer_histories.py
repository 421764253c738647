"""The agents' own past over a restart: written every ten minutes and at the end, read at the start.

An agent whose row cannot be used begins anew, and the log says how many did. Nobody waits for the
file: pulses are taken and given in slices between which others have their turn, and what is slow
happens in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog

from meta_agents.overseer import Overseer
from meta_agents.overseer_file import FileKeeper
from roboinvest.core.errors import BadSettings, Refused, TryLater
from roboinvest.core.oversight.history import AgentHistory
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.histories import AgentHistories
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext

EVERY_S: Final = 600.0
SLICE: Final = 50  # agents between two turns of the others
AT_ONCE: Final = 500  # rows in one transaction: who else writes waits for it
_TROUBLES: Final = (TryLater, BadSettings, Refused)


class HistoryKeeper:
    """The service that writes; whoever registers agents asks it to `recall` them."""

    name: Final = "agent_histories"

    def __init__(
        self, overseer: Overseer, keeper: FileKeeper, *, clock: Clock, threads: Threads
    ) -> None:
        """Take whose pulses, and where they are kept."""
        self._overseer, self._keeper = overseer, keeper
        self._clock, self._threads = clock, threads
        self._kept: dict[str, tuple[datetime, AgentHistory]] | None = None  # None: not read yet
        self._waiting: list[str] = []  # who was registered before the file could be read
        self._log = structlog.get_logger("roboinvest.overseer")

    async def run(self, ctx: ServiceContext) -> None:
        """Write at each interval and when it is stopped."""
        ctx.ready()
        try:
            async for _ in ctx.every(EVERY_S, at_once=False):
                await self.recall(())
                await self.write()
        finally:
            await self.write()

    async def recall(self, names: Sequence[str]) -> None:
        """Give those that were registered just now what is known of them; each gets it once."""
        self._waiting += names
        if self._kept is None and not await self._read():
            return
        waiting, self._waiting = self._waiting, []
        if not (waiting and self._kept):
            return
        recalled = 0
        for number, name in enumerate(waiting, start=1):
            found, pulse = self._kept.pop(name, None), self._overseer.pulse(name)
            if found is not None and pulse is not None:
                away_s = max((self._clock.now() - found[0]).total_seconds(), 0.0)
                pulse.recall(found[1], self._clock.monotonic(), away_s)
                recalled += 1
            if number % SLICE == 0:
                await asyncio.sleep(0)
        self._log.info("histories_recalled", agents=recalled, of=len(waiting))

    async def write(self) -> None:
        """Write the past of everybody; where that cannot be, the next time does it."""
        if self._kept is None:  # what is there was not read: it would be written over
            return
        names = iter(tuple(self._overseer.terms))
        try:
            rows = AgentHistories(await self._keeper.file())
            while part := tuple(islice(names, AT_ONCE)):
                work = partial(rows.write, await self._taken(part), self._clock.now())
                await self._threads.do("writing the agents' past", work)
            forget = partial(rows.forget, self._clock.now())
            await self._threads.do("forgetting what is too old", forget)
        except _TROUBLES as error:
            self._log.warning("histories_not_written", trouble=str(error))

    async def _taken(self, names: Sequence[str]) -> dict[str, AgentHistory]:
        taken: dict[str, AgentHistory] = {}
        for number, name in enumerate(names, start=1):
            pulse = self._overseer.pulse(name)
            if pulse is not None:
                taken[name] = pulse.history(self._clock.monotonic())
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return taken

    async def _read(self) -> bool:
        try:
            rows = AgentHistories(await self._keeper.file())
            work = partial(rows.read, self._clock.now())
            found = await self._threads.do("reading the agents' past", work)
        except _TROUBLES as error:
            self._log.warning("histories_not_read", trouble=str(error))
            return False
        if found.damaged:
            self._log.warning("histories_begin_anew", agents=found.damaged)
        self._kept = dict(found.histories)
        return True
