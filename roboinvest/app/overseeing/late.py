"""A service whose code is loaded when it starts, so that trading does not wait for the import.

The supervisor knows it by name from the beginning. What loads it works in a thread, because the
modules of reports and meetings take longer to read than a tick may be late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.runtime.supervision.service import Service, ServiceContext

AGAIN_S: Final = 10.0  # after a load that took too long


class Late:
    """The service in its place; `service` is the one that was loaded."""

    def __init__(self, name: str, load: Callable[[], Awaitable[Service]]) -> None:
        """Take the name it will have, and what loads it; loading twice is asked for never."""
        self.name = name
        self.service: Service | None = None
        self._load = load
        self._log = structlog.get_logger("roboinvest.overseer")

    async def run(self, ctx: ServiceContext) -> None:
        """Load it once, and run it."""
        ctx.ready()
        while self.service is None:
            try:
                self.service = await self._load()
            except TryLater as error:
                self._log.warning("service_not_loaded_yet", service=self.name, trouble=str(error))
                ctx.beat()
                await ctx.sleep(AGAIN_S)
        ctx.beat()
        await self.service.run(ctx)
