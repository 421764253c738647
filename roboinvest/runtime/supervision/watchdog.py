"""Three guards around the loop: how late it is, whether the service manager may trust it, and the
end of a stop that does not end.

The service manager is fed from the loop and only while real progress is made: a timer in another
thread would keep a wedged daemon alive for ever. The forced exit is the opposite case. It has to
work when the loop does not, so it is a thread, and a signal reaches it without the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import itertools
import math
import os
import queue
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import FrameType
from typing import Final

from roboinvest.core.ports import Clock
from roboinvest.runtime.supervision.service import ServiceContext

FORCED: Final = 75
MAX_LAG_S: Final = 5.0
_STALL_S: Final = 1.0
_WINDOW: Final = 300  # samples: five minutes at one a second
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LagFigures:
    """How late the loop was over the last five minutes, in seconds."""

    p50_s: float
    p99_s: float
    max_s: float
    samples: int


class LagProbe:
    """A service that sleeps a second and measures by how much it overslept."""

    name: Final = "lag_probe"

    def __init__(
        self, *, interval_s: float = 1.0, on_stall: Callable[[float], None] = lambda _: None
    ) -> None:
        self._interval_s = interval_s
        self._on_stall = on_stall
        self._lags: deque[float] = deque(maxlen=_WINDOW)
        self._due: float | None = None

    async def run(self, ctx: ServiceContext) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        ctx.ready()
        try:
            while True:
                self._due = loop.time() + self._interval_s
                await ctx.sleep(self._interval_s)
                lag_s = max(0.0, loop.time() - self._due)
                self._lags.append(lag_s)
                ctx.beat()
                if lag_s > _STALL_S:
                    self._on_stall(lag_s)
        finally:
            self._due = None

    def current_s(self) -> float:
        """Return the lag now: the last sample, or how overdue the next one is; inf if stopped."""
        if self._due is None:
            return math.inf
        overdue_s = asyncio.get_running_loop().time() - self._due
        return max(overdue_s, self._lags[-1] if self._lags else 0.0, 0.0)

    def figures(self) -> LagFigures:
        """Return the percentiles (nearest rank) of the last five minutes."""
        lags = sorted(self._lags) or [0.0]
        return LagFigures(
            p50_s=lags[math.ceil(0.50 * len(lags)) - 1],
            p99_s=lags[math.ceil(0.99 * len(lags)) - 1],
            max_s=lags[-1],
            samples=len(self._lags),
        )


class ServiceManager:
    """Speaks the sd_notify protocol; without a socket in the environment it says nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.failed = 0  # messages the service manager did not take
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._watchdog_us = environ.get("WATCHDOG_USEC", "")
        self._watchdog_pid = environ.get("WATCHDOG_PID", "")

    def feed_interval_s(self) -> float | None:
        """Return half the time after which it gives us up; None when it does not watch us."""
        is_ours = self._watchdog_pid in ("", str(os.getpid()))
        if not is_ours or not self._watchdog_us.isdigit() or self._watchdog_us == "0":
            return None
        return int(self._watchdog_us) / 2_000_000

    def tell(self, **facts: str) -> None:
        """Send facts such as READY="1", WATCHDOG="1", STOPPING="1", STATUS="text"."""
        if not self._address:
            return
        lines = (f"{key}={' '.join(text.split())}" for key, text in facts.items())
        message = "\n".join(lines).encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message, self._address)
            except OSError:  # a full or missing socket must not hurt the daemon
                self.failed += 1


class LivenessFeeder:
    """A service, the last to start, that tells the service manager whether we live."""

    name: Final = "liveness"

    def __init__(
        self,
        manager: ServiceManager,
        lag_s: Callable[[], float],
        checks: Mapping[str, Callable[[], bool]],
        *,
        max_lag_s: float = MAX_LAG_S,
        at_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the checks: what is wrong when one is False -> the check."""
        self._manager = manager
        self._lag_s = lag_s
        self._checks = checks
        self._max_lag_s = max_lag_s
        self._at_ready = at_ready

    async def run(self, ctx: ServiceContext) -> None:
        """Feed until cancelled."""
        self._manager.tell(READY="1", STATUS="running")
        ctx.ready()
        self._at_ready()
        interval_s = min(self._manager.feed_interval_s() or 10.0, 10.0)
        try:
            async for _ in ctx.every(interval_s):
                self.feed()
        finally:
            self._manager.tell(STOPPING="1", STATUS="stopping")

    def feed(self) -> tuple[str, ...]:
        """Feed once unless something is wrong; return what is wrong."""
        wrong = [what for what, check in self._checks.items() if not check()]
        lag_s = self._lag_s()
        if not lag_s < self._max_lag_s:
            wrong.append(f"the loop is {lag_s:.1f} s late, limit {self._max_lag_s:g} s")
        if wrong:
            self._manager.tell(STATUS=f"not fed: {'; '.join(wrong)}")
        else:
            self._manager.tell(WATCHDOG="1", STATUS="running")
        return tuple(wrong)


class _Order(Enum):
    ARM = auto()
    HURRY = auto()
    DISARM = auto()


class ForcedExit:
    """A thread that ends the process when a stop takes too long."""

    def __init__(
        self,
        *,
        after_s: float,
        clock: Clock,
        end_process: Callable[[int], None] = os._exit,
        last_words: Callable[[], None] = faulthandler.dump_traceback,
    ) -> None:
        self._after_s = after_s
        self._clock = clock
        self._end_process = end_process
        self._last_words = last_words
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, name="forced-exit", daemon=True)

    def start(self) -> None:
        """Start the thread; it sleeps until `arm`."""
        self._thread.start()

    def arm(self) -> None:
        """Begin to count. Safe in a signal handler: this queue takes no lock we could hold."""
        self._orders.put(_Order.ARM)

    def hurry(self) -> None:
        """End the process now: a person has asked twice."""
        self._orders.put(_Order.HURRY)

    def disarm(self) -> None:
        """End the thread: the stop came to its end."""
        self._orders.put(_Order.DISARM)

    def _watch(self) -> None:
        order = self._orders.get()
        deadline = self._clock.monotonic() + self._after_s
        while order is _Order.ARM:
            try:
                order = self._orders.get(timeout=max(deadline - self._clock.monotonic(), 0.0))
            except queue.Empty:
                self._last_words()
                break
        if order is not _Order.DISARM:
            self._end_process(FORCED)


@contextlib.contextmanager
def stop_signals(asked: Callable[[str], None], forced: ForcedExit) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a call of `asked(reason)` on the loop, and arm the forced exit.

    The handlers are the interpreter's, not the loop's, so that a wedged loop is ended as well. A
    second Ctrl-C does not wait; a service manager may repeat its SIGTERM and still has patience.
    """
    loop, interrupts = asyncio.get_running_loop(), itertools.count()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and next(interrupts):
            forced.hurry()
        forced.arm()
        loop.call_soon_threadsafe(asked, signal.Signals(number).name)

    before = {number: signal.signal(number, on_signal) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
