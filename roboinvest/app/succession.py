"""Keeps an installed strategy at the active revision of the agent that wrote it.

An alias that moved is taken over between two ticks: whoever decides looks at the seat at the
beginning of a tick, and never within one. What cannot be loaded leaves the old revision where it is
and is told; one that is in quarantine decides nothing any more, whether another is there or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import structlog

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.events import Event
from roboinvest.core.ports import Clock
from roboinvest.core.revisions.lifecycle import SHORT, Revision, State
from roboinvest.runtime.revisions.in_force import RevisionsInForce
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane
from roboinvest.trading.installed_strategy import Installed
from roboinvest.trading.installed_strategy_seat import Seat

ALERT_PREFIX: Final = "strategy."
EVERY_S: Final = 15.0  # between two looks
LOADED_WITHIN_S: Final = 120.0  # its box included
ResultT = TypeVar("ResultT")


class Succession:
    """The service; `look` is one look."""

    name: Final = "strategy_revision"

    def __init__(
        self,
        installed: Installed,
        seat: Seat[Installed],
        data: Path,
        calls: VendorCalls,
        *,
        publish: Callable[[Event], None],
        clock: Clock,
        left_open: Iterable[str] = (),
    ) -> None:
        """Take who decides.

        Args:
            installed: who decided at the start.
            seat: its place.
            data: the data folder whose agents are meant.
            calls: one thread, that is nobody else's.
            publish: hears of the alert.
            clock: of the alert.
            left_open: agents whose alert an earlier run left open.
        """
        self._installed, self._seat, self._calls = installed, seat, calls
        self._in_force, self._clock = RevisionsInForce(data), clock
        over = "its active revision decides again"
        self._alerts = StandingAlerts(ALERT_PREFIX, kind="agent", over=over, publish=publish)
        self._alerts.resume(left_open)
        self._log = structlog.get_logger("roboinvest.strategy")

    async def run(self, ctx: ServiceContext) -> None:
        """Look until cancelled."""
        ctx.ready()
        async for _ in ctx.every(EVERY_S):
            ctx.idle(2 * LOADED_WITHIN_S)
            await self.look()
            ctx.beat()

    async def look(self) -> None:
        """Look once where the alias stands, and go along with it."""
        seat = self._seat
        try:
            known = await self._apart(lambda: self._in_force.of(seat.agent))
        except RoboInvestError as error:  # who looks after the file tells of it
            self._log.info("revisions_not_seen", trouble=str(error))
            return
        if not known:  # the file is gone, which moves nothing
            return
        self._alerts.tell(await self._gone_along(known), self._clock.now())

    async def _gone_along(self, known: Iterable[Revision]) -> Mapping[str, str]:
        """Take over what is active; return what there is to say of it, by name of the alert."""
        seat, now = self._seat, self._installed.current
        states = {each.revision_id[:SHORT]: each.state for each in known}
        active = next((name for name, state in states.items() if state is State.ACTIVE), None)
        if active == now.revision:
            seat.vacant = ""
            return {}
        is_away = states.get(now.revision) is State.QUARANTINED
        if active is None:
            how = "is in quarantine" if is_away else "is not active any more"
            seat.vacant = (
                f"revision {now.revision} of {seat.agent} {how}, and no other one is active: "
                f"nothing is entered; see roboinvest agents history {seat.agent}"
            )
            return {seat.agent: seat.vacant}
        try:
            successor = await self._apart(lambda: seat.load(active))
        except RoboInvestError as error:
            away = f"revision {now.revision} of {seat.agent} is in quarantine"
            seat.vacant = away if is_away else ""
            goes_on = "nothing is entered" if is_away else f"{now.source} goes on deciding"
            told = (
                f"{seat.agent} stands at revision {active}, which cannot be loaded ({error}); "
                f"{goes_on}, and it is tried again"
            )
            return {f"{seat.agent}@{active}": told}
        seat.take(successor)
        self._log.info("strategy_taken_over", before=now.source, after=successor.source)
        return {}

    async def _apart(self, work: Callable[[], ResultT]) -> ResultT:
        return await self._calls.run(work, lane=Lane.RESEARCH, deadline_s=LOADED_WITHIN_S)
