"""When the supervisor looks after its services again: one timer for all units of restart.

Of most services there is nothing to note, for as long as the house runs. Their turns come together,
and who has nothing to note is left asleep. Who is due, and for what, is said by what is kept of
each; this only says when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from roboinvest.runtime.supervision.keeping import UnitOfRestart

_STALL_S: Final = 1.0  # a timer this late means that the loop stood still, not the service


class Rounds:
    """Wakes a unit's keeper, by its `changed`, when there is something to look at."""

    def __init__(self, units: Sequence[UnitOfRestart]) -> None:
        """Take the units; nothing is due yet."""
        self._units = tuple(units)
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, unit: UnitOfRestart) -> None:
        """Take note that a unit was looked after just now."""
        unit.due = unit.look_again_at(asyncio.get_running_loop().time())
        if unit.due is not None and (self._timer is None or unit.due < self._timer.when()):
            self._come_at(unit.due)

    def end(self) -> None:
        """Wake nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _come_round(self) -> None:
        self._timer, now = None, asyncio.get_running_loop().time()
        for unit in self._units:
            if unit.due is None:  # it is looked after now, or has nothing to wait for
                continue
            if (late_s := now - unit.due) > _STALL_S:
                unit.forgive(late_s + max(kept.child.patience_s for kept in unit.members))
            if unit.is_quiet(now):
                unit.due = unit.look_again_at(now)
            elif late_s >= 0.0:
                unit.due = None
                unit.changed.set()
        dues = [unit.due for unit in self._units if unit.due is not None]
        if dues:
            self._come_at(min(dues))

    def _come_at(self, at: float) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_at(at, self._come_round)
