"""The service that holds the daily meeting, and carries on between two of them.

When the next one is due outlives the process. A veto hour ends between meetings, and what a person
wants undone does not wait for one, so what is under way is looked at every few minutes. A file that
is away costs a look, and nothing that was decided.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from meta_agents.governance_meeting import EVERY, NAME, Meeting
from meta_agents.one_trouble import OneTrouble, in_words
from roboinvest.core.errors import RoboInvestError
from roboinvest.core.events import Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.oversight.cadence import Cadence, Rest
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.meetings import MeetingRows
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext

_CADENCE: Final = "the cadence of meetings"
LOOK_S: Final = 60.0
FOLLOWED_LOOKS: Final = 5  # looks between two times that what is under way is carried on
MOST_S: Final = 600.0  # that a meeting may take
ALERT_KEY: Final = "governance_meeting.away"
Opens = Callable[[OverseerFile], AbstractAsyncContextManager[Meeting]]


class MeetingService:
    """Holds meetings on one file."""

    name: Final = NAME

    def __init__(
        self,
        file: OverseerFile,
        opens: Opens,
        *,
        clock: Clock,
        threads: Threads,
        publish: Callable[[Event], None],
        left_open: bool = False,
        begins: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take the file, and what opens a meeting on it for as long as one is at work.

        `begins` is awaited first: what earlier meetings set is put in force again.
        """
        self._begins = begins
        self._file, self._opens = file, opens
        self._clock, self._threads = clock, threads
        self._cadence, self._rest = Cadence(file, NAME, EVERY), Rest()
        self._trouble = OneTrouble(
            ALERT_KEY,
            Severity.MEDIUM,
            clock=clock,
            publish=publish,
            recovered="meetings are held again",
        )
        if left_open:
            self._trouble.failed("no meeting was held since the last run")
        self._log = structlog.get_logger("roboinvest.governance")
        self.held = 0

    async def run(self, ctx: ServiceContext) -> None:
        """Look every minute, until cancelled."""
        ctx.ready()
        if self._begins is not None:
            await self._begins()
        looks = 0
        async for _ in ctx.every(LOOK_S):
            ctx.idle(MOST_S)
            await self.look(follows_up=looks % FOLLOWED_LOOKS == 0)
            ctx.beat()
            looks += 1

    async def look(self, *, follows_up: bool) -> bool:
        """Hold the meeting if it is due; return whether one was held.

        Raises:
            TryLater, BadSettings: the Overseer's file is away, of which its keeper tells.
        """
        now = self._clock.now()
        is_due = await self._is_due(now)
        try:
            held = await self._looked(now, is_due=is_due, follows_up=follows_up)
        except (RoboInvestError, OSError) as error:
            text = f"the meeting waits: {in_words(error)}"
            if self._trouble.failed(text):
                self._log.warning("meeting_waits", trouble=text)
            return False
        self._trouble.succeeded()
        self.held += held
        return held

    async def _is_due(self, now: datetime) -> bool:
        """Return whether the file says so; it is asked as often as `keep` asks."""
        left_s = self._rest.left_s(now)
        if left_s is None:
            left_s = await self._threads.do(_CADENCE, partial(self._cadence.wait_s, now))
            self._rest.told(now, left_s)
        return left_s <= 0.0

    async def _looked(self, now: datetime, *, is_due: bool, follows_up: bool) -> bool:
        if not (is_due or follows_up):
            return False
        if not is_due and not await self._threads.do(_CADENCE, partial(self._has_work, now)):
            return False
        async with self._opens(self._file) as meeting:
            if not is_due:
                await meeting.follow_up(now)
                return False
            await self._threads.do(_CADENCE, partial(self._cadence.begin, now))
            await meeting.hold(now)
        await self._threads.do(_CADENCE, partial(self._cadence.done, self._clock.now()))
        return True

    def _has_work(self, now: datetime) -> bool:
        """Return whether anything decided is under way, or to be scored. Blocking."""
        rows = MeetingRows(self._file)
        return bool(rows.under_way() or rows.due(now))
