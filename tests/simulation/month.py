"""A month of services with chance failures, told as one digest; run as a program by a test."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from datetime import datetime

from roboinvest.core.events import Event
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group
from roboinvest.runtime.supervision.supervisor import Supervisor
from tests.fakes.clocks import LoopClock
from tests.fakes.services import Ticking
from tests.fakes.virtual_time import run_virtual

MONTH_S = 30 * 86_400.0


def trace_of(seed: int) -> str:
    """Return the digest of everything that happened, and when."""
    trace = hashlib.sha256()

    def note(*facts: object) -> None:
        trace.update(repr(facts).encode())

    async def main() -> None:
        chance = random.Random(seed)
        loop = asyncio.get_running_loop()

        def flaky(name: str) -> Ticking:
            async def each(tick: int) -> None:
                note(name, tick, round(loop.time(), 6))
                if chance.random() < 0.002:
                    raise RuntimeError(f"{name} at {tick}")
                await asyncio.sleep(chance.uniform(0.0, 2.0))

            return Ticking(name, interval_s=300.0, each=each)

        def said(event: Event) -> None:
            at: datetime = event.at
            note(type(event).__name__, at.isoformat(), sorted({"a", "b", name_of(event)}))

        supervisor = Supervisor(
            [Group(children=tuple(Child(service=flaky(f"service {n}")) for n in range(6)))],
            clock=LoopClock(),
            rng=random.Random(seed + 1),
            publish=said,
            limits=RestartLimits(max_restarts=50),
            stop_grace_s=20.0,
            on_stopping=lambda: None,
        )
        loop.call_at(MONTH_S, supervisor.request_stop, "the month is over")
        end = await supervisor.run()
        note(end.exit_code, loop.time())

    run_virtual(main)
    return trace.hexdigest()


def name_of(event: Event) -> str:
    """Return whom an event is about."""
    return str(getattr(event, "service", ""))


if __name__ == "__main__":
    print(trace_of(int(sys.argv[1])))
