"""Lists that come in pages, read to their end or not at all.

Orders are paged by the time of their submission, one microsecond back into the page before, so
that two orders of one instant cannot fall between two pages. Executions are paged by the id of the
last one. A list that does not advance, or has no end, is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from roboinvest.brokers.alpaca.errors import Unreadable
from roboinvest.brokers.alpaca.transport import AlpacaTransport
from roboinvest.brokers.alpaca.wire import execution_of, orders_of, rows
from roboinvest.core.errors import TryLater
from roboinvest.core.venue import Execution, VenueOrder

ORDERS_A_PAGE: Final = 500  # the most that may be asked for
EXECUTIONS_A_PAGE: Final = 100  # the most that may be asked for
_NEARLY_FULL: Final = ORDERS_A_PAGE - 10  # legs count for a page or not, nobody says
_MOST_PAGES: Final = 400
_OVERLAP: Final = timedelta(microseconds=1)
_MARGIN: Final = timedelta(seconds=2)  # times of the broker are cut to seconds in a question


async def all_orders(transport: AlpacaTransport, reach: datetime) -> dict[str, VenueOrder]:
    """Return by venue id all open orders, and all that ended and were submitted after `reach`.

    Open orders are read twice: flat, because a leg whose entry is filled is no part of an open
    group, and nested, because only that tells whose leg it is. What is read later is newer.

    Raises:
        TryLater: a page is missing.
    """
    found: dict[str, VenueOrder] = {}
    for nested in ("false", "true"):
        merge(found, await _order_pages(transport, {"status": "open", "nested": nested}))
    merge(found, await ended_orders(transport, reach))
    return found


async def ended_orders(transport: AlpacaTransport, reach: datetime) -> Sequence[VenueOrder]:
    """Return the orders that ended and were submitted after `reach`.

    Raises:
        TryLater: a page is missing.
    """
    after = _instant((reach - _MARGIN).astimezone(UTC))
    return await _order_pages(transport, {"status": "closed", "nested": "true", "after": after})


def merge(found: dict[str, VenueOrder], newer: Iterable[VenueOrder]) -> None:
    """Take newer reports in; whose leg an order is, is not forgotten."""
    for order in newer:
        known = found.get(order.venue_id)
        if known is not None and order.parent_id is None:
            order = replace(order, parent_id=known.parent_id)
        found[order.venue_id] = order


async def _order_pages(transport: AlpacaTransport, question: Mapping[str, str]) -> list[VenueOrder]:
    found: dict[str, VenueOrder] = {}
    params = {**question, "direction": "asc", "limit": str(ORDERS_A_PAGE)}
    for _ in range(_MOST_PAGES):
        page = await transport.read(f"{question['status']} orders", "/orders", _orders, params)
        fresh = [order for order in page if order.venue_id not in found]
        found |= {order.venue_id: order for order in fresh}
        if len(page) < _NEARLY_FULL:
            return list(found.values())
        groups = (order.created_at for order in page if order.parent_id is None)
        last = max((at for at in groups if at is not None), default=None)
        if last is None or not fresh:
            raise TryLater("alpaca: the list of orders does not advance; try again")
        params["after"] = _instant(last - _OVERLAP)
    raise TryLater(f"alpaca: more than {_MOST_PAGES} pages of orders; look at the account")


async def all_executions(transport: AlpacaTransport, since: datetime) -> Sequence[Execution]:
    """Return every execution since, oldest first; a few from before may be among them.

    Raises:
        TryLater: a page is missing.
    """
    found: dict[str, Execution] = {}
    params = {
        "after": _instant((since - _MARGIN).astimezone(UTC).replace(microsecond=0)),
        "direction": "asc",
        "page_size": str(EXECUTIONS_A_PAGE),
    }
    for _ in range(_MOST_PAGES):
        page, last = await transport.read(
            "executions", "/account/activities/FILL", _executions, params
        )
        fresh = [execution for execution in page if execution.execution_id not in found]
        found |= {execution.execution_id: execution for execution in fresh}
        if len(page) < EXECUTIONS_A_PAGE:
            return sorted(found.values(), key=lambda e: (e.at, e.execution_id))
        if not fresh:
            raise TryLater("alpaca: the list of executions does not advance; try again")
        params["page_token"] = last
    raise TryLater(f"alpaca: more than {_MOST_PAGES} pages of executions; ask for less")


def _orders(raw: Any) -> list[VenueOrder]:  # noqa: ANN401 JSON
    return [order for row in rows(raw) for order in orders_of(row)]


def _executions(raw: Any) -> tuple[list[Execution], str]:  # noqa: ANN401 JSON
    """Return a page and the token of the next: the id of its last row as the broker writes it."""
    page = rows(raw)
    if len(page) > EXECUTIONS_A_PAGE:
        raise Unreadable(f"{len(page)} rows in a page of {EXECUTIONS_A_PAGE}")
    return [execution_of(row) for row in page], str(page[-1]["id"]) if page else ""


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
