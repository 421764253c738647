"""The place of an installed strategy: who sits in it may change between two ticks.

A strategy that is meant as an agent's active revision goes where the alias of the agent goes. Who
decides asks once at the beginning of a tick, so that no tick is decided by two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

InstalledT = TypeVar("InstalledT")


@dataclass(slots=True, kw_only=True, eq=False)
class Seat(Generic[InstalledT]):
    """The place of one agent. For the loop alone."""

    agent: str  # whose active revision is meant
    load: Callable[[str], InstalledT]  # a revision by its first digits; blocking, may refuse
    successor: InstalledT | None = None  # None: who was there at the start
    vacant: str = ""  # why nobody decides; "": somebody does

    def take(self, successor: InstalledT) -> None:
        """Let another one decide from the next tick on."""
        self.successor, self.vacant = successor, ""
