"""Ways to clear a cache or to connect again, registered by name by whoever owns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from roboinvest.core.errors import BadInput


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

    def find(self, agent: str) -> Hook | None:
        """Return the hook of an agent."""
        return self._hooks.get(agent)
