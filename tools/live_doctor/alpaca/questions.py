"""What the live doctor asks Alpaca: six reads in one burst.

Asked is what the daemon will ask, by its own client: the account, the clock, and the three lists
that a reconciliation reads. Nothing is ever placed, changed or cancelled, so that leave to trade
is read from the account and not tried. Prices have an address, and so a client, of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from roboinvest.brokers.alpaca.client import AlpacaAccess, AlpacaClient
from roboinvest.brokers.alpaca.errors import CALL_FAILURES, Failure, Unreadable, failure_of
from roboinvest.brokers.alpaca.wire import (
    account_of,
    clock_of,
    execution_of,
    orders_of,
    position_of,
    rows,
)
from roboinvest.core.ports import Clock
from roboinvest.core.venue import VenueAccount
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.deadline_pools import SocketLimits
from roboinvest.runtime.vendors.rate_limiter import Lane
from roboinvest.runtime.vendors.requests_session import RateNote
from tools.live_doctor.alpaca.prices import PriceClient
from tools.live_doctor.clock_skew import ClockSample
from tools.live_doctor.findings import Patience

ACCOUNT: Final = "account"
CLOCK: Final = "clock"
LISTS: Final = ("orders", "positions", "executions")
PRICES: Final = "prices"
QUESTIONS: Final = (ACCOUNT, CLOCK, *LISTS, PRICES)  # the first ones first, where calls are few
_A_SECOND: Final = timedelta(seconds=1)  # the grain of a Date header


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """The account, and what only its owner can switch on."""

    account: VenueAccount
    may_short: bool | None  # None: it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaAnswers:
    """Everything that came back."""

    replies: Mapping[str, Any]  # by question, read; a `Failure` where it failed
    clock: ClockSample | None  # the vendor's clock, if only by the head of some answer
    notes: Sequence[RateNote]  # what answers said about limits
    answered_at: datetime  # UTC, when all was over


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    reply: Any
    asked_at: datetime
    answered_at: datetime


class AlpacaQuestions:
    """Asks one account."""

    def __init__(
        self,
        access: AlpacaAccess,
        prices_url: str | None,
        *,
        symbol: str,
        clock: Clock,
        in_flight: InFlight,
        patience: Patience,
    ) -> None:
        """Prepare the clients; nothing is asked.

        Args:
            access: where, and as whom.
            prices_url: checked; None: prices are not asked for.
            symbol: whose price is asked for.
            clock: ours; called in worker threads.
            in_flight: counts the calls under way.
            patience: see there.

        Raises:
            BadSettings: the address is wrong, or the client is another than the one we know.
        """
        self._access = access
        self._prices_url = prices_url
        self._symbol = symbol
        self._clock = clock
        self._in_flight = in_flight
        self._patience = patience
        self._redact = access.redactor().text
        self._notes: list[tuple[RateNote, datetime]] = []  # and when they came, by our clock

    async def ask(self, names: Sequence[str]) -> AlpacaAnswers:
        """Return the answers to these questions, or how each of them failed."""
        patience = self._patience
        limits = SocketLimits(
            connect_s=patience.connect_s, read_s=patience.reply_s, total_s=patience.reply_s
        )
        trading = AlpacaClient(
            self._access, limits=limits, monotonic=self._clock.monotonic, on_note=self._note
        )
        prices = PriceClient(
            self._access,
            self._prices_url,
            limits=limits,
            monotonic=self._clock.monotonic,
            on_note=self._note,
        )
        jobs = self._jobs(trading, prices)
        # No limiter: this is one burst, and whoever asks has cut it to the allowance of a minute.
        calls = VendorCalls("alpaca", threads=len(jobs), limiter=None, in_flight=self._in_flight)
        began = self._clock.now()
        try:
            async with asyncio.TaskGroup() as group:
                asked = {name: group.create_task(self._once(calls, jobs[name])) for name in names}
        finally:
            calls.close()
            trading.close()
            prices.close()
        found = {name: task.result() for name, task in asked.items()}
        return AlpacaAnswers(
            replies={
                name: each.reply if isinstance(each, _Timed) else each
                for name, each in found.items()
            },
            clock=self._clock_sample(found.get(CLOCK), began),
            notes=[note for note, _ in self._notes],
            answered_at=self._clock.now(),
        )

    def _jobs(self, trading: AlpacaClient, prices: PriceClient) -> Mapping[str, Callable[[], Any]]:
        """Return what makes and reads each question, for a worker thread."""
        is_paper = not self._access.live
        since = (self._clock.now().astimezone(UTC) - timedelta(days=1)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        orders = {"status": "open", "limit": "1", "nested": "true"}
        fills = {"after": since, "page_size": "1"}
        return {
            ACCOUNT: lambda: _account(trading.get("/account"), is_paper=is_paper),
            CLOCK: lambda: clock_of(trading.get("/clock")),
            "orders": lambda: _each(orders_of, trading.get("/orders", orders)),
            "positions": lambda: _each(position_of, trading.get("/positions")),
            "executions": lambda: _each(
                execution_of, trading.get("/account/activities/FILL", fills)
            ),
            PRICES: lambda: _bars(prices.latest_bars(self._symbol)),
        }

    async def _once(self, calls: VendorCalls, job: Callable[[], Any]) -> _Timed | Failure:
        def timed() -> _Timed:
            asked_at = self._clock.now()
            reply = job()
            return _Timed(reply=reply, asked_at=asked_at, answered_at=self._clock.now())

        try:
            return await calls.run(timed, lane=Lane.DATA, deadline_s=self._patience.question_s)
        except CALL_FAILURES as error:
            return failure_of(error, self._redact)

    def _note(self, note: RateNote) -> None:
        self._notes.append((note, self._clock.now()))

    def _clock_sample(self, asked: _Timed | Failure | None, began: datetime) -> ClockSample | None:
        """Return the vendor's clock as it was asked for, or else by the head of an answer."""
        if isinstance(asked, _Timed):
            return ClockSample(
                vendor_at=asked.reply.at, asked_at=asked.asked_at, answered_at=asked.answered_at
            )
        for note, came_at in self._notes:
            if note.server_epoch_s is not None:
                return ClockSample(
                    vendor_at=datetime.fromtimestamp(note.server_epoch_s, UTC),
                    asked_at=began,
                    answered_at=came_at,
                    grain=_A_SECOND,
                )
        return None


def _account(raw: Any, *, is_paper: bool) -> AccountFacts:  # noqa: ANN401 JSON
    account = account_of(raw, is_paper=is_paper)
    may_short = raw.get("shorting_enabled")
    return AccountFacts(
        account=account, may_short=may_short if isinstance(may_short, bool) else None
    )


def _each(read: Callable[[Any], object], raw: Any) -> int:  # noqa: ANN401 JSON
    """Return how many records came, each of which could be read."""
    return len([read(row) for row in rows(raw)])


def _bars(raw: Any) -> int:  # noqa: ANN401 JSON
    """Return of how many symbols a bar came."""
    bars = raw.get("bars") if isinstance(raw, dict) else None
    if not isinstance(bars, dict):
        raise Unreadable("it has no bars")
    return len(bars)
