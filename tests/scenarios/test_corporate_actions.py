"""A split over a weekend: Apple's seven for one of 2014-06-09, with open positions.

Told of it, the account holds seven times the shares at a seventh of the price, its stop moves
along, and nothing is earned or lost. Not told, the price is no longer trusted: nothing fills, the
mark stays where it was, and a person is told why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from roboinvest.core.events import AlertRaised
from roboinvest.core.ledger import Lot
from roboinvest.core.orders import Action, Leg, Order
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.trading.state import TickState
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.town import Town
from tests.fakes.worlds import recorded

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
ENTERED_AT = datetime(2014, 6, 6, 19, 40, tzinfo=UTC)
WAY_OFF = 0.05  # stop and target, so that neither is met


def buys_on_friday(inputs: StrategyInputs, brief: SymbolBrief) -> View:
    if inputs.at != ENTERED_AT:
        return hold("AAPL")
    close = brief.observation.close
    stop, target = close * (1 - WAY_OFF), close * (1 + WAY_OFF)
    return view("AAPL", Action.BUY, stop=stop, target=target)


@dataclass(frozen=True)
class Weekend:
    """The account around the split."""

    town: Town
    friday: TickState  # its last tick
    monday: list[TickState]
    lot_before: Lot
    orders_before: dict[Leg, Order]

    @property
    def lot(self) -> Lot:
        """Return what is held in the end."""
        assert self.town.runner is not None
        (lot,) = self.town.runner.books.account.ledger.lots()
        return lot

    def order(self, leg: Leg) -> Order:
        """Return the open order of a leg in the end."""
        assert self.town.runner is not None
        order = self.town.runner.books.account.working("AAPL", leg)
        assert order is not None
        return order


async def lived(pack: Path, folder: Path, *, with_actions: bool) -> Weekend:
    market = recorded(pack, "AAPL", "lean", str(FRIDAY), str(MONDAY), with_actions=with_actions)
    market = replace(market, starts_at=ENTERED_AT - timedelta(minutes=2))
    town = Town(market=market, folder=folder, model=ScriptedModel(buys_on_friday))
    town.until = datetime(2014, 6, 6, 20, 0, tzinfo=UTC)
    await town.live()
    assert town.runner is not None
    account = town.runner.books.account
    (lot,) = account.ledger.lots()
    orders = {order.leg: order for order in account.open_orders()}
    friday, fridays_ticks = town.states[-1], len(town.states)
    town.until = None
    await town.live()
    return Weekend(
        town=town,
        friday=friday,
        monday=town.states[fridays_ticks:],
        lot_before=lot,
        orders_before=orders,
    )


def marks(states: list[TickState]) -> list[Decimal]:
    return [state["world"].marks["AAPL"] for state in states]


async def test_a_known_split_changes_the_count_of_shares_and_nothing_else(
    data_pack: Path, tmp_path: Path
) -> None:
    seen = await lived(data_pack, tmp_path, with_actions=True)
    before = seen.lot_before
    assert before.qty > 0
    assert seen.lot.qty == before.qty * 7
    assert seen.lot.price * 7 == pytest.approx(before.price)
    stop, target = seen.orders_before[Leg.STOP], seen.orders_before[Leg.TARGET]
    assert stop.stop_price is not None
    assert target.limit_price is not None
    assert seen.order(Leg.STOP).stop_price == (stop.stop_price / 7).quantize(Decimal("0.01"))
    assert seen.order(Leg.STOP).qty == stop.qty * 7
    assert seen.order(Leg.TARGET).limit_price == (target.limit_price / 7).quantize(Decimal("0.01"))
    assert not any(state["tick"].settlement.fills for state in seen.monday)
    assert all(state["tick"].update.suspended == {} for state in seen.monday)
    assert sum(state["tick"].update.actions != () for state in seen.monday) == 1
    assert seen.town.bus.all_said(AlertRaised) == []
    assert_equity_follows_the_price(seen)


def assert_equity_follows_the_price(seen: Weekend) -> None:
    qty, old = seen.lot.qty, marks([seen.friday])[0] / 7
    before = seen.friday["execution"].account.equity
    for state, mark in zip(seen.monday, marks(seen.monday), strict=True):
        assert state["execution"].account.equity - before == pytest.approx(qty * (mark - old))
        assert 85 < mark < 100
    assert seen.town.commits[-1].record.realised_pnl == 0


async def test_an_unknown_split_suspends_the_symbol_and_freezes_its_mark(
    data_pack: Path, tmp_path: Path
) -> None:
    seen = await lived(data_pack, tmp_path, with_actions=False)
    last_good = marks([seen.friday])[0]
    assert 640 < last_good < 650
    assert len(seen.monday) == 390
    assert set(marks(seen.monday)) == {last_good}
    assert {s["execution"].account.equity for s in seen.monday} == {
        seen.friday["execution"].account.equity
    }
    assert not any(state["tick"].settlement.fills for state in seen.monday)
    assert all("AAPL" in state["tick"].update.suspended for state in seen.monday)
    assert seen.lot == seen.lot_before
    assert seen.order(Leg.STOP).stop_price == seen.orders_before[Leg.STOP].stop_price
    (alert,) = seen.town.bus.all_said(AlertRaised)
    assert alert.key == "data.AAPL"
    assert "like a 7:1 split" in alert.message
