"""One look at Alpaca's trade stream, through the daemon's own service, tried once.

A second connection never pushes the first one out: it is refused. So a daemon beside us is not
disturbed.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.stream import AlpacaTradeStream, StreamPolicy, TradeUpdate
from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.service import ServiceContext
from tools.live_doctor.findings import Patience, StreamSeen

_CROWDED_S: Final = 90.0  # what the service wants to wait where its place is taken


class _OneTry(ServiceContext):
    """A context in which a service that wants to wait before its next try has ended."""

    def __init__(self, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        super().__init__("doctor", patience_s=60.0, ready_within_s=60.0, loop_time=loop.time)
        self._ended = ended
        self.wanted_s = 0.0  # the wait before a second try

    async def sleep(self, seconds: float) -> None:
        """Say that the try is over, and wait to be cancelled."""
        self.wanted_s = seconds
        self._ended.set()
        await asyncio.Event().wait()


async def look_at_alpaca_stream(
    access: AlpacaAccess,
    *,
    clock: Clock,
    rng: random.Random,
    in_flight: InFlight,
    patience: Patience,
) -> StreamSeen:
    """Connect, say who we are, ask for trade updates, and leave."""
    ended = asyncio.Event()
    context = _OneTry(ended)

    async def on_update(_: TradeUpdate) -> None:
        return

    async def on_connected() -> None:
        ended.set()

    async def on_quiet() -> bool:
        return False

    stream = AlpacaTradeStream(
        access,
        on_update=on_update,
        on_connected=on_connected,
        on_quiet=on_quiet,
        on_refused=lambda _: ended.set(),
        clock=clock,
        rng=rng,
        in_flight=in_flight,
        policy=_policy(patience),
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(stream.run(context))
        try:
            async with asyncio.timeout(patience.stream_s):
                await ended.wait()
        except TimeoutError:
            return StreamSeen(reason=f"no subscription within {patience.stream_s:g} s")
        finally:
            state = stream.state
            running.cancel()
    return StreamSeen(
        is_up=state.is_connected,
        is_refused=state.is_refused,
        is_taken=context.wanted_s >= _CROWDED_S,
        reason=state.reason,
    )


def _policy(patience: Patience) -> StreamPolicy:
    return StreamPolicy(
        open_s=patience.stream_step_s,
        answer_s=patience.stream_step_s,
        backoff_first_s=1.0,
        backoff_max_s=1.0,
        crowded_s=_CROWDED_S,
        tries=1,
    )
