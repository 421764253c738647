"""Ways to clear a cache or to connect again, registered by name by whoever owns them.

A hook does something that can be seen from outside, within its deadline, or says why it did not;
none of them touches an order, a position or a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from roboinvest.core.errors import BadInput, TryLater

WITHIN_S: Final = 20.0  # for one pull


@runtime_checkable
class Reconnects(Protocol):
    """A service that can clear what it keeps, or connect again."""

    @property
    def name(self) -> str:
        """Return the name of the service."""

    @property
    def reconnects(self) -> str:
        """Return what `reconnect` does, in words: "closes its connection, and opens another"."""

    async def reconnect(self) -> None:
        """Do it; twice is no harm.

        Raises:
            TryLater, Refused: nothing was done.
        """


@dataclass(frozen=True, slots=True)
class Hook:
    """One way."""

    what: str  # it does, in words: "clears the cache of quotes"
    pull: Callable[[], Awaitable[None]]


class HealingHooks:
    """The hooks of a house."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}

    def register(self, agent: str, what: str, pull: Callable[[], Awaitable[None]]) -> None:
        """Offer a way; it must bear being pulled twice, and at any time.

        Raises:
            BadInput: the agent has one already, or it is not said what it does.
        """
        if agent in self._hooks:
            raise BadInput(f"{agent} has registered a hook: {self._hooks[agent].what}; keep one")
        if not what.strip():
            raise BadInput(f"the hook of {agent} does not say what it does; write it in words")
        self._hooks[agent] = Hook(what, pull)

    def offer(self, agent: str, service: Reconnects, *, within_s: float = WITHIN_S) -> None:
        """Register what a service can do, under the name of an agent that lives by it.

        Raises:
            BadInput: as `register`.
        """

        async def pull() -> None:
            try:
                async with asyncio.timeout(within_s) as deadline:
                    await service.reconnect()
            except TimeoutError:
                if not deadline.expired():
                    raise
                raise TryLater(
                    f"{service.name} took more than {within_s:g} s to do what {agent} was healed "
                    f"with ({service.reconnects}); it may still be done: look, and try again"
                ) from None

        self.register(agent, service.reconnects, pull)

    def find(self, agent: str) -> Hook | None:
        """Return the hook of an agent."""
        return self._hooks.get(agent)
