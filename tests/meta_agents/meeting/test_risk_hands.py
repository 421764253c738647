"""Hands on the account: each takes risk away, and a part of the house never gives it back."""

from __future__ import annotations

import pytest

from meta_agents.meeting.agreements import HOUSE_NAMES
from meta_agents.meeting.ports import Order
from meta_agents.meeting.risk_hands import LimitHand, LockHand
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.risk import RiskLimits
from roboinvest.trading.locks.desk import LockDesk
from roboinvest.trading.lowered_limits import LimitBook, LimitDesk
from tests.fakes.clocks import START, ManualClock
from tests.fakes.shelves import Shelf


def order(act: Act, subject: str, value: str, by: str = "governance") -> Order:
    return Order(
        decision_id="m1.1", act=act, subject=subject, value=value, why="m1.1", by=by, at=START
    )


async def test_a_limit_is_offered_down_to_a_tenth_and_up_to_the_settings() -> None:
    hand = LimitHand(LimitDesk(Shelf(), LimitBook(RiskLimits())))
    knobs = {each.subject: each for each in await hand.knobs()}
    assert "price_collar_frac" not in knobs, "an exit outside of it would be refused"
    assert "max_position_usd" not in knobs, "the settings have none"
    trades = knobs["max_trades_per_day"]
    assert (str(trades.value), str(trades.least), str(trades.most)) == ("20", "2", "20")
    assert await hand.standing("allow_short") is None


@pytest.mark.parametrize("name", sorted(HOUSE_NAMES | {"Governance", " governance "}))
async def test_no_part_of_the_house_raises_a_limit_or_opens_a_lock(name: str) -> None:
    book = LimitBook(RiskLimits())
    limits = LimitHand(LimitDesk(Shelf(), book))
    await limits.put(order(Act.SET_LIMIT, "max_trades_per_day", '"10"'))
    with pytest.raises(Refused):
        await limits.put(order(Act.SET_LIMIT, "max_trades_per_day", '"20"', name))
    locks = LockHand(LockDesk(Shelf(), ManualClock(), lambda: None), ["SPY"])
    await locks.put(order(Act.LOCK_ENTRIES, "SPY", "false"))
    with pytest.raises(Refused):
        await locks.put(order(Act.LOCK_ENTRIES, "SPY", "true", name))
    assert book.now.max_trades_per_day == 10
    assert await locks.standing("SPY") == "false"


async def test_a_person_goes_back_to_the_settings_and_no_further() -> None:
    book = LimitBook(RiskLimits())
    hand = LimitHand(LimitDesk(Shelf(), book))
    await hand.put(order(Act.SET_LIMIT, "max_trades_per_day", '"10"'))
    for value in ('"21"', '"1"'):
        with pytest.raises(Refused):
            await hand.put(order(Act.SET_LIMIT, "max_trades_per_day", value, "ann"))
    with pytest.raises(BadInput):
        await hand.put(order(Act.SET_LIMIT, "max_trades_per_day", '"NaN"', "ann"))
    await hand.put(order(Act.SET_LIMIT, "max_trades_per_day", '"20"', "ann"))
    assert book.now == RiskLimits()


async def test_entries_are_locked_of_what_is_traded_and_opened_by_a_person() -> None:
    hand = LockHand(LockDesk(Shelf(), ManualClock(), lambda: None), ["SPY"])
    assert [each.subject for each in await hand.knobs()] == ["all", "SPY"]
    with pytest.raises(Refused, match="not traded"):
        await hand.put(order(Act.LOCK_ENTRIES, "QQQ", "false"))
    assert await hand.standing("QQQ") is None
    await hand.put(order(Act.LOCK_ENTRIES, "all", "false"))
    assert [await hand.standing(each) for each in ("all", "SPY")] == ["false", "true"]
    for _ in range(2):
        await hand.put(order(Act.LOCK_ENTRIES, "all", "true", "ann"))
    assert await hand.standing("all") == "true"
