"""Alpaca for a thread of its own: the blocking calls of the kill switch, on a client of its own.

It shares neither pool nor limiter nor loop with the daemon's venue, and its sockets are less
patient. Lists are one page: what a halt has to end is at most a few dozen orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from roboinvest.brokers.alpaca.client import AlpacaAccess, AlpacaClient, in_path
from roboinvest.brokers.alpaca.errors import CALL_FAILURES, Failure, failure_of
from roboinvest.brokers.alpaca.wire import (
    account_of,
    execution_of,
    orders_of,
    position_of,
    request_of,
    rows,
)
from roboinvest.core.orders import OrderIntent
from roboinvest.core.venue import Execution, Outcome, OutcomeKind, VenueOrder, VenuePosition
from roboinvest.runtime.vendors.deadline_pools import SocketLimits

ResultT = TypeVar("ResultT")
LIMITS: Final = SocketLimits(connect_s=1.0, read_s=1.5, total_s=2.0)
_A_PAGE: Final = "500"


class AlpacaHands:
    """The `Hands` of the kill switch; see `brokers.emergency`."""

    def __init__(
        self,
        access: AlpacaAccess,
        *,
        monotonic: Callable[[], float],
        limits: SocketLimits = LIMITS,
    ) -> None:
        """Build the client; nothing is sent.

        Raises:
            BadSettings: an address is wrong or not allowed.
        """
        self._redact = access.redactor().text
        self._client = AlpacaClient(
            access, limits=limits, monotonic=monotonic, on_note=lambda _note: None
        )

    def open_orders(self) -> Sequence[VenueOrder]:
        """Return every order that can still fill, legs included; TryLater where that is unknown."""
        found: dict[str, VenueOrder] = {}
        for nested in ("false", "true"):  # a leg whose entry is filled is listed flat only
            question = {"status": "open", "nested": nested, "limit": _A_PAGE}
            for order in self._read("open orders", "/orders", _orders, question):
                known = found.get(order.venue_id)
                if known is not None and order.parent_id is None:
                    order = replace(order, parent_id=known.parent_id)
                found[order.venue_id] = order
        return [order for order in found.values() if order.is_open]

    def family(self, venue_id: str) -> Sequence[VenueOrder]:
        """Return an order and the legs of its bracket; TryLater where that is unknown."""
        path = f"/orders/{in_path(venue_id)}"
        return self._read("an order", path, orders_of, {"nested": "true"})

    def executions(self, since: datetime) -> Sequence[Execution]:
        """Return the last hundred executions since; TryLater where that is unknown."""
        question = {"after": _instant(since), "direction": "desc", "page_size": "100"}
        return self._read("executions", "/account/activities/FILL", _executions, question)

    def positions(self) -> Sequence[VenuePosition]:
        """Return what is held; TryLater where that is unknown."""
        return self._read("positions", "/positions", _positions, {})

    def account_id(self) -> str:
        """Return whose account the keys open; TryLater where that is unknown."""
        return self._read(
            "the account", "/account", lambda raw: account_of(raw, is_paper=True).account_id, {}
        )

    def cancel(self, venue_id: str) -> Outcome:
        """Ask for the end of an order."""
        result = self._call(lambda: self._client.delete(f"/orders/{in_path(venue_id)}"))
        return (
            result.outcome() if isinstance(result, Failure) else Outcome(kind=OutcomeKind.ACCEPTED)
        )

    def place(self, intent: OrderIntent) -> Outcome:
        """Send an intent, once."""
        result = self._call(lambda: orders_of(self._client.post("/orders", request_of(intent))))
        if isinstance(result, Failure):
            return result.outcome()
        return Outcome(kind=OutcomeKind.ACCEPTED, orders=result)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(
        self,
        what: str,
        path: str,
        parse: Callable[[Any], ResultT],
        question: dict[str, str],
    ) -> ResultT:
        def once() -> ResultT | Failure:
            return self._call(lambda: parse(self._client.get(path, question)))

        result = once()
        if isinstance(result, Failure) and not result.is_definitive:
            result = once()
        if isinstance(result, Failure):
            raise result.error(what)
        return result

    def _call(self, call: Callable[[], ResultT]) -> ResultT | Failure:
        try:
            return call()
        except CALL_FAILURES as error:
            return failure_of(error, self._redact)


def _orders(raw: Any) -> list[VenueOrder]:  # noqa: ANN401 JSON
    return [order for row in rows(raw) for order in orders_of(row)]


def _executions(raw: Any) -> list[Execution]:  # noqa: ANN401 JSON
    return [execution_of(row) for row in rows(raw)]


def _positions(raw: Any) -> list[VenuePosition]:  # noqa: ANN401 JSON
    return [position_of(row) for row in rows(raw)]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
