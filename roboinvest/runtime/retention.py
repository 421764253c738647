"""Retention: what is old and uneventful keeps its figures and loses its text.

Age is counted in market time, so that a replay of an old year does not shrink itself while it runs
faster than the days of a real one go by.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import ServiceContext

INTERVAL_S: Final = 3600.0


class Retention:
    """A service that shrinks HOLD ticks once an hour."""

    name: Final = "retention"

    def __init__(self, store: Store, keep: timedelta) -> None:
        self._store = store
        self._keep = keep
        self._log = structlog.get_logger("roboinvest.retention")

    async def run(self, ctx: ServiceContext) -> None:
        """Shrink until cancelled."""
        ctx.ready()
        async for _ in ctx.every(INTERVAL_S, at_once=False):
            await self.shrink_once()

    async def shrink_once(self) -> int:
        """Shrink what is older than the newest tick by more than is kept; return how many."""
        newest = next(iter(await self._store.recent_ticks(1)), None)
        if newest is None:
            return 0
        shrunk = await self._store.shrink_hold_ticks(newest.at - self._keep)
        if shrunk:
            self._log.info("hold_ticks_shrunk", ticks=shrunk)
        return shrunk
