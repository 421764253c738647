"""The sign of life for a watcher elsewhere: a dead machine cannot say that it is dead.

The address is called only while the daemon lives and is READY, so that its silence means one of
many things that a person has to look at. Nothing else is called: no redirect is followed, no proxy
of the environment is used, and what comes back is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.service import ServiceContext

if TYPE_CHECKING:  # a library that few runs need
    import httpx2

ALERT_KEY: Final = "notify.heartbeat"
DEADLINE_S: Final = 10.0
LOOK_S: Final = 5.0  # how soon after it becomes READY the daemon shows it
_SLACK_S: Final = 0.5  # timers are not exact
FAILURES: Final = 3  # in a row before it is an alert


class HeartbeatPing:
    """Calls an address while all is well."""

    name: Final = "heartbeat_ping"

    def __init__(
        self,
        url: Secret,
        lives: Callable[[], bool],
        *,
        interval_s: float,
        publish: Callable[[Event], None],
        clock: Clock,
        in_flight: InFlight,
        deadline_s: float = DEADLINE_S,
        left_open: bool = False,
    ) -> None:
        """Take the address, checked by the caller.

        Args:
            url: that is called, by GET.
            lives: whether the daemon lives and is READY.
            interval_s: between two calls.
            publish: hears of several failures in a row, and of their end.
            clock: tells when.
            in_flight: counts calls under way.
            deadline_s: of one call.
            left_open: whether an earlier run left the alert open.
        """
        self._url = url
        self._lives = lives
        self._interval_s = interval_s
        self._publish = publish
        self._clock = clock
        self._in_flight = in_flight
        self._deadline_s = deadline_s
        self._is_raised = left_open
        self._failed = 0
        self._log = structlog.get_logger("roboinvest.heartbeat")

    async def run(self, ctx: ServiceContext) -> None:
        """Call at every interval until cancelled."""
        import httpx2

        async with httpx2.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=self._deadline_s
        ) as client:
            loop, due = asyncio.get_running_loop(), 0.0
            async for _ in ctx.every(min(LOOK_S, self._interval_s)):
                if loop.time() >= due and self._lives():
                    due = loop.time() + self._interval_s - _SLACK_S
                    self._note(await self._ping(client))

    async def _ping(self, client: httpx2.AsyncClient) -> str | None:
        """Call once; return what was wrong, without the address."""
        import httpx2

        try:
            async with asyncio.timeout(self._deadline_s):
                with self._in_flight:
                    async with client.stream("GET", self._url.reveal()) as response:
                        code = response.status_code
        except TimeoutError:
            return f"no answer within {self._deadline_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return type(error).__name__  # its text may name the address
        return None if 200 <= code < 300 else f"HTTP {code}"

    def _note(self, trouble: str | None) -> None:
        at = self._clock.now()
        if trouble is None:
            self._failed = 0
            if self._is_raised:
                self._is_raised = False
                message = "the watcher's address answers again"
                self._publish(AlertResolved(at=at, key=ALERT_KEY, message=message))
            return
        self._failed += 1
        self._log.warning("heartbeat_not_taken", trouble=trouble, in_a_row=self._failed)
        if self._failed == FAILURES or (self._failed > FAILURES and not self._is_raised):
            self._is_raised = True
            self._publish(
                AlertRaised(
                    at=at,
                    key=ALERT_KEY,
                    severity=Severity.LOW,
                    kind="system",
                    message=f"the watcher's address took none of {self._failed} calls ({trouble}); "
                    "look at notify.heartbeat_url and at the watcher",
                )
            )
