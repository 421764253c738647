"""Drops what models were asked and said once it is old; what it cost stays for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.supervision.service import ServiceContext

INTERVAL_S: Final = 3600.0


class ForgetTexts:
    """A service that looks once an hour."""

    name: Final = "llm_forgetting"

    def __init__(self, ledger: SpendLedger, keep: timedelta, clock: Clock) -> None:
        self._ledger, self._keep, self._clock = ledger, keep, clock
        self._log = structlog.get_logger("roboinvest.llm")

    async def run(self, ctx: ServiceContext) -> None:
        """Drop until cancelled."""
        ctx.ready()
        async for _ in ctx.every(INTERVAL_S, at_once=False):
            await self.drop_once()

    async def drop_once(self) -> int:
        """Drop what is older than is kept; return how many texts."""
        try:
            dropped = await self._ledger.drop_texts(self._clock.now() - self._keep)
        except TryLater:
            return 0  # in an hour
        if dropped:
            self._log.info("old_texts_dropped", texts=dropped)
        return dropped
