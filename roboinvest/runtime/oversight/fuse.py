"""The fuse: an essential service that does nothing until it is blown, and then fails for good.

That is how the Overseer asks for a clean process without a hand on the supervisor: an essential
service whose error no restart mends ends the house with code 70, and the service manager starts
it anew. The composition names `Blown` among the hopeless errors; where it does not, the supervisor
tries the fuse as often as any service, and then ends the same way.
"""

from __future__ import annotations

import asyncio
from typing import Final

from roboinvest.core.errors import RoboInvestError
from roboinvest.runtime.supervision.service import ServiceContext


class Blown(RoboInvestError):
    """Healing came to its end; only a clean process may help."""


class Fuse:
    """A service; a child of the supervisor that is essential."""

    name: Final = "escalation"

    def __init__(self) -> None:
        self._reason: str | None = None
        self._blown = asyncio.Event()

    @property
    def reason(self) -> str | None:
        """Return why it was blown; None: it was not."""
        return self._reason

    def blow(self, reason: str) -> None:
        """Ask for a clean process; the first reason stands."""
        self._reason = self._reason or reason
        self._blown.set()

    async def run(self, ctx: ServiceContext) -> None:
        """Wait, and fail when it is blown.

        Raises:
            Blown: it was.
        """
        ctx.ready()
        ctx.idle()
        await self._blown.wait()
        raise Blown(self._reason or "the Overseer asked for a clean process")
