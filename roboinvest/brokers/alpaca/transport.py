"""How the venue calls: changes once, reads a few times, at the broker's pace, by a deadline.

Changes have a pool of threads of their own. Reads are repeated after a broken connection, an
overdue answer, a 5xx or a 429, each with a longer pause; a change never is, because what happened
to the first one is not known.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from roboinvest.brokers.alpaca.client import AlpacaClient
from roboinvest.brokers.alpaca.errors import CALL_FAILURES, NOT_SENT, Failure, failure_of
from roboinvest.core.ports import Clock
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane, RateLimiter
from roboinvest.runtime.vendors.requests_session import RateNote, wait_asked_for

ResultT = TypeVar("ResultT")
_KEPT_NOTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the venue waits, and how often it asks."""

    change_s: float = 10.0  # for the answer to a change, the wait for a turn included
    read_s: float = 10.0  # for the answer to one read, the wait for a turn included
    reads: int = 3  # how often a read is tried
    pause_s: float = 0.25  # before the second try; doubled each time, give or take a half


class RateNotes:
    """What replies said about limits, on its way from worker threads to the loop."""

    def __init__(self) -> None:
        self._notes: deque[RateNote] = deque(maxlen=_KEPT_NOTES)

    def __call__(self, note: RateNote) -> None:
        """Take a note; from any thread."""
        self._notes.append(note)

    def heed(self, limiter: RateLimiter, now_epoch_s: float) -> None:
        """Hold the limiter for as long as the broker asked; on the loop."""
        while self._notes:
            wait_s = wait_asked_for(self._notes.popleft(), now_epoch_s)
            if wait_s is not None:
                limiter.hold(wait_s)


class AlpacaTransport:
    """Calls the client from the loop."""

    def __init__(
        self,
        client: AlpacaClient,
        *,
        changes: VendorCalls,
        reads: VendorCalls,
        limiter: RateLimiter,
        notes: RateNotes,
        redactor: Redactor,
        clock: Clock,
        rng: random.Random,
        patience: Patience,
    ) -> None:
        self.client = client
        self._changes = changes
        self._reads = reads
        self._limiter = limiter
        self._notes = notes
        self._redact = redactor.text
        self._clock = clock
        self._rng = rng
        self._patience = patience

    async def change(self, call: Callable[[], ResultT]) -> ResultT | Failure:
        """Make a call that changes something, once, and return its result or what its end means."""
        try:
            return await self._changes.run(
                call, lane=Lane.ORDERS, deadline_s=self._patience.change_s
            )
        except CALL_FAILURES as error:
            return failure_of(error, self._redact)
        finally:
            self._heed()

    async def read(
        self,
        what: str,
        path: str,
        parse: Callable[[Any], ResultT],
        params: Mapping[str, str] | None = None,
        *,
        lane: Lane = Lane.ACCOUNT,
    ) -> ResultT:
        """Return what GET /v2<path> says, read by `parse` in the worker thread.

        Raises:
            KeysRefused: the broker does not let us read this.
            ReadFailed: no answer that could be believed; it is a TryLater.
        """
        pause_s = self._patience.pause_s
        for left in reversed(range(self._patience.reads)):
            result = await self._read_once(lambda: parse(self.client.get(path, params)), lane)
            if not isinstance(result, Failure):
                return result
            if result.is_definitive or result.code == NOT_SENT or not left:
                raise result.error(what)
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.5))
            pause_s *= 2
        raise ValueError(f"{self._patience.reads} reads; at least 1 is needed")

    def close(self) -> None:
        """Take no more calls, and close what is open."""
        self._changes.close()
        self._reads.close()
        self.client.close()

    async def _read_once(self, call: Callable[[], ResultT], lane: Lane) -> ResultT | Failure:
        try:
            return await self._reads.run(call, lane=lane, deadline_s=self._patience.read_s)
        except CALL_FAILURES as error:
            return failure_of(error, self._redact)
        finally:
            self._heed()

    def _heed(self) -> None:
        self._notes.heed(self._limiter, self._clock.now().timestamp())
