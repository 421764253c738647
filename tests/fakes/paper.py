"""A paper broker on a one-minute market, and short readings of what it reports."""

from __future__ import annotations

from decimal import Decimal

from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.orders import Settlement
from tests.fakes.markets import bar, intent, minute, update

FLAT = (100.0, 100.0, 100.0, 100.0)


def broker(
    cash: str = "100000", rules: FillRules = FRICTIONLESS, *, allow_short: bool = False
) -> PaperBroker:
    """Return a broker without costs, unless told otherwise."""
    return PaperBroker(Decimal(cash), rules, allow_short=allow_short)


async def step(paper: PaperBroker, number: int, *row: float, volume: float = 1e6) -> Settlement:
    """Settle the bar that opens `number` minutes after the open and closes a minute later."""
    return await paper.settle(
        update(minute(number + 1), bar(minute(number), row or FLAT, volume=volume))
    )


async def holding(paper: PaperBroker, qty: str = "100", **bracket: str) -> PaperBroker:
    """Buy at 100 in bar 0."""
    await paper.submit(intent("a", qty=qty, **bracket), minute(0))  # type: ignore[arg-type]
    await step(paper, 0)
    return paper


def states(settlement: Settlement) -> list[tuple[str, str]]:
    """Return (order id, state) of every reported change, in order."""
    return [(order.client_order_id, order.state.value) for order in settlement.orders]


def prices(settlement: Settlement) -> list[tuple[str, Decimal, Decimal]]:
    """Return (execution id, signed shares, price) of every fill, in order."""
    return [(fill.execution_id, fill.qty, fill.price) for fill in settlement.fills]


async def open_ids(paper: PaperBroker) -> list[str]:
    """Return the ids of what can still fill, oldest first."""
    return [order.client_order_id for order in await paper.open_orders()]
