"""Reconciler: the service that keeps the desk's books in agreement with the broker's.

It runs at the start (until then nothing is sent), every half minute, whenever it is woken (a
stream that came back, an answer that could not be believed), and sooner while anything is in doubt.
"""

from __future__ import annotations

import asyncio
from typing import Final

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.core.errors import TryLater
from roboinvest.runtime.supervision.service import ServiceContext


class Reconciler:
    """The supervised loop of one desk."""

    name: Final = "reconciler"

    def __init__(self, desk: OrderDesk, *, interval_s: float = 30.0) -> None:
        self._desk = desk
        self._interval_s = interval_s

    async def run(self, ctx: ServiceContext) -> None:
        """Compare until cancelled."""
        desk, loop = self._desk, asyncio.get_running_loop()
        await desk.begin()
        due = loop.time()
        while True:
            if loop.time() >= due:
                await desk.reconcile()
                await desk.ask_for_account()
                due = loop.time() + desk.next_in(self._interval_s)
            else:
                await self._resolve()
            ctx.beat()
            wait = min(due - loop.time(), desk.next_in(self._interval_s))
            ctx.idle(wait)
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    await desk.woken()
                due = loop.time()
            except TimeoutError:
                pass  # nobody called; the next thing is due

    async def _resolve(self) -> None:
        try:
            await self._desk.resolve()
        except TryLater:
            return  # the journal is away; the desk has said so, and asks again
