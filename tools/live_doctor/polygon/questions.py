"""What the live doctor asks Polygon: two calls, of the five a minute that the free plan has.

The first is about bars, because it tells of key and plan at once; which bars depends on what they
are for. A daemon needs those of the newest session, which a free plan refuses; `data fetch` needs
those of the past. The second tells the vendor's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.ports import Clock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.rate_limiter import Lane
from tools.data_fetcher.polygon.client import NAME, Body, PolygonClient
from tools.data_fetcher.polygon.facts import market_state_of
from tools.live_doctor.clock_skew import ClockSample
from tools.live_doctor.findings import Patience

BARS: Final = "bars"
MARKET: Final = "market"
QUESTIONS: Final = (BARS, MARKET)  # the first one first, where only one call is allowed
_A_SECOND: Final = timedelta(seconds=1)  # the grain of the vendor's time
_ENOUGH: Final = 5  # bars


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsSeen:
    """What came of the bars."""

    count: int
    is_delayed: bool  # the vendor says that the plan gets them late


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonAnswers:
    """Everything that came back; an error where a question failed, None where it was not asked."""

    bars: BarsSeen | RoboInvestError | None
    clock: ClockSample | RoboInvestError | None

    @property
    def failures(self) -> Sequence[RoboInvestError]:
        """Return how questions failed."""
        return [each for each in (self.bars, self.clock) if isinstance(each, RoboInvestError)]

    @property
    def count(self) -> int:
        """Return how many questions were asked."""
        return sum(each is not None for each in (self.bars, self.clock))


class PolygonQuestions:
    """Asks with one key."""

    def __init__(
        self,
        key: Secret,
        url: str,
        *,
        symbol: str,
        day: date,
        clock: Clock,
        in_flight: InFlight,
        patience: Patience,
    ) -> None:
        """Prepare; nothing is asked.

        Args:
            key: of the account.
            url: checked address of the interface.
            symbol: whose bars are asked for.
            day: exchange day of those bars.
            clock: ours; called in worker threads.
            in_flight: counts the calls under way.
            patience: see there.
        """
        self._key = key
        self._url = url
        self._symbol = symbol
        self._day = day.isoformat()
        self._clock = clock
        self._in_flight = in_flight
        self._patience = patience

    async def ask(self, names: Sequence[str]) -> PolygonAnswers:
        """Return the answers to these questions, or how each of them failed."""
        patience = self._patience
        limits = SocketLimits(
            connect_s=patience.connect_s, read_s=patience.reply_s, total_s=patience.reply_s
        )
        client = PolygonClient(
            self._key, base_url=self._url, limits=limits, monotonic=self._clock.monotonic
        )
        jobs: dict[str, Callable[[], Any]] = {
            BARS: lambda: self._bars(client),
            MARKET: lambda: self._time(client),
        }
        # No limiter: this is one burst, and whoever asks has cut it to the allowance of a minute.
        calls = VendorCalls(NAME, threads=len(jobs), limiter=None, in_flight=self._in_flight)
        try:
            async with asyncio.TaskGroup() as group:
                asked = {name: group.create_task(self._once(calls, jobs[name])) for name in names}
        finally:
            calls.close()
        found = {name: task.result() for name, task in asked.items()}
        return PolygonAnswers(bars=found.get(BARS), clock=found.get(MARKET))

    async def _once(self, calls: VendorCalls, job: Callable[[], Any]) -> Any:  # noqa: ANN401 either
        try:
            return await calls.run(job, lane=Lane.DATA, deadline_s=self._patience.question_s)
        except RoboInvestError as error:
            return error

    def _bars(self, client: PolygonClient) -> BarsSeen:
        day = self._day
        body: Body = client.ask(
            lambda vendor: vendor.list_aggs(
                self._symbol, 1, "minute", day, day, adjusted=False, limit=_ENOUGH, raw=True
            )
        )
        results = body.get("results")
        return BarsSeen(
            count=len(results) if isinstance(results, list) else 0,
            is_delayed=body.get("status") == "DELAYED",
        )

    def _time(self, client: PolygonClient) -> ClockSample:
        asked_at = self._clock.now()
        body = client.ask(lambda vendor: vendor.get_market_status(raw=True))
        answered_at: datetime = self._clock.now()
        return ClockSample(
            vendor_at=market_state_of(body).server_time,
            asked_at=asked_at,
            answered_at=answered_at,
            grain=_A_SECOND,
        )
