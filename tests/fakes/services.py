"""Services that behave, and services that do not, for tests of whatever keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from roboinvest.runtime.supervision.service import ServiceContext


def context(name: str = "service", **terms: float) -> ServiceContext:
    """Return a context outside a supervisor, on the running loop's time."""
    loop = asyncio.get_running_loop()
    return ServiceContext(
        name,
        patience_s=terms.get("patience_s", 60.0),
        ready_within_s=terms.get("ready_within_s", 30.0),
        loop_time=loop.time,
    )


class Ticking:
    """Ticks every `interval_s`, and remembers when; optionally into a journal shared with others.

    `each` is called at each tick and may raise, return or hang in place of it.
    """

    def __init__(
        self,
        name: str,
        *,
        interval_s: float = 10.0,
        journal: list[str] | None = None,
        each: Callable[[int], Awaitable[None]] | None = None,
        starts_in_s: float = 0.0,
    ) -> None:
        self.name = name
        self.runs = 0
        self.ticks: list[float] = []
        self.missed: list[int] = []
        self._interval_s = interval_s
        self._journal = [] if journal is None else journal
        self._each = each
        self._starts_in_s = starts_in_s

    async def run(self, ctx: ServiceContext) -> None:
        """Tick until cancelled."""
        self.runs += 1
        self._journal.append(f"{self.name} starts")
        try:
            await asyncio.sleep(self._starts_in_s)
            ctx.ready()
            self._journal.append(f"{self.name} is ready")
            async for missed in ctx.every(self._interval_s):
                self.ticks.append(asyncio.get_running_loop().time())
                self.missed.append(missed)
                if self._each is not None:
                    await self._each(len(self.ticks))
        finally:
            self._journal.append(f"{self.name} stops")


class Scripted:
    """Runs one script for each of its runs; the last one for all that follow."""

    def __init__(self, name: str, *scripts: Callable[[ServiceContext], Awaitable[None]]) -> None:
        self.name = name
        self.runs = 0
        self._scripts = scripts

    async def run(self, ctx: ServiceContext) -> None:
        """Follow the script of this run."""
        script = self._scripts[min(self.runs, len(self._scripts) - 1)]
        self.runs += 1
        await script(ctx)


async def raising(_ctx: ServiceContext) -> None:
    """Raise."""
    raise RuntimeError("the feed sent nonsense")


async def returning(_ctx: ServiceContext) -> None:
    """Return, although nobody asked."""


async def hanging(ctx: ServiceContext) -> None:
    """Become ready, then wait for what never comes, without announcing it."""
    ctx.ready()
    await asyncio.Event().wait()


async def spinning(ctx: ServiceContext) -> None:
    """Go round for ever without getting anywhere; every wait is announced."""
    ctx.ready()
    while True:
        ctx.beat(progress=7)
        await ctx.sleep(1.0)


async def cancelled_by_nobody(ctx: ServiceContext) -> None:
    """Die of a cancellation that was not ours."""
    ctx.ready()
    await asyncio.sleep(1.0)
    raise asyncio.CancelledError


async def steady(ctx: ServiceContext) -> None:
    """Work as it should."""
    async for _ in ctx.every(10.0):
        pass


def stubborn(gate: asyncio.Event) -> Callable[[ServiceContext], Awaitable[None]]:
    """Return a script that hangs and ignores every cancellation until the gate opens."""

    async def script(ctx: ServiceContext) -> None:
        ctx.ready()
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    return script


async def deaf_once(ctx: ServiceContext) -> None:
    """Hang, and ignore the first cancellation."""
    ctx.ready()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()
