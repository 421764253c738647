"""The service that keeps the board while time goes by: counts are stored, snoozes end."""

from __future__ import annotations

from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.supervision.service import ServiceContext

INTERVAL_S: Final = 5.0


class AlertKeeper:
    """Settles the board at every interval, and keeps it."""

    name: Final = "alert_keeper"

    def __init__(self, board: AlertBoard, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        """Take the board; `interval_s` is how much of the counts a kill may cost."""
        self._board = board
        self._clock = clock
        self._interval_s = interval_s
        self._log = structlog.get_logger("roboinvest.alerts")

    async def run(self, ctx: ServiceContext) -> None:
        """Keep the board until cancelled, and once more then."""
        try:
            async for _ in ctx.every(self._interval_s):
                self._board.settle(self._clock.now())
                await self._flush()
        finally:
            await self._flush()

    async def _flush(self) -> None:
        try:
            await self._board.flush()
        except TryLater as error:  # it stays to be kept
            self._log.warning("alerts_not_kept", error=str(error))
