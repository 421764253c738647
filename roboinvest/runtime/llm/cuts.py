"""Charges the calls that were cancelled: nobody knows what they cost, so all that was reserved.

Whoever is cancelled must end at once, and cannot wait for a disk. It leaves the call's id here;
this service charges it. What a killed process left is charged by the next one, when it opens the
ledger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.supervision.service import ServiceContext

PAUSE_S: Final = 1.0  # before the ledger is asked again


class Cuts:
    """The service that charges."""

    name: Final = "llm_cuts"

    def __init__(self, ledger: SpendLedger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[str, str]] = deque()  # call, why
        self._came = asyncio.Event()
        self.unrecorded = 0  # asks whose record could not be written

    def add(self, call_id: str, why: str) -> None:
        """Take a call to be charged."""
        self._waiting.append((call_id, why))
        self._came.set()

    async def run(self, ctx: ServiceContext) -> None:
        """Charge what comes, until stopped."""
        ctx.ready()
        while True:
            ctx.idle()
            await self._came.wait()
            self._came.clear()
            await self.charge()
            ctx.beat()

    async def close(self) -> None:
        """Charge what waits, if the ledger takes it; if not, its next start does that."""
        while self._waiting:
            call_id, why = self._waiting.popleft()
            try:
                await self._ledger.cut(call_id, why)
            except TryLater:
                return

    async def charge(self) -> None:
        """Charge what waits, however long the ledger takes nothing."""
        while self._waiting:
            call_id, why = self._waiting[0]
            try:
                await self._ledger.cut(call_id, why)
            except TryLater:
                await asyncio.sleep(PAUSE_S)
                continue
            self._waiting.popleft()
