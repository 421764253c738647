"""The last look before a request leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, Event, TradingState
from roboinvest.core.orders import Leg
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.order_guard import OrderGuard
from tests.fakes.clocks import START, ManualClock
from tests.fakes.journals import an_intent


@pytest.fixture
def gate(tmp_path: Path) -> TradingGate:
    gate = TradingGate(HaltFile(tmp_path / "HALT"))
    gate.enter(TradingState.READY, "books read")
    return gate


def guard_of(gate: TradingGate, heard: list[Event] | None = None) -> OrderGuard:
    publish = list[Event]().append if heard is None else heard.append
    return OrderGuard(gate, publish=publish, clock=ManualClock())


@pytest.mark.parametrize(
    ("state", "entries", "exits"),
    [
        (TradingState.READY, True, True),
        (TradingState.DEGRADED, False, True),
        (TradingState.RECONCILING, False, False),
        (TradingState.STARTING, False, False),
    ],
)
def test_what_may_leave_follows_the_state(
    gate: TradingGate, state: TradingState, entries: bool, exits: bool
) -> None:
    guard = guard_of(gate)
    guard.on_state(state, "the desk says so")
    assert (guard.may_act(an_intent(leg=Leg.ENTRY)) is None) == entries
    assert all((guard.may_act(an_intent(leg=leg)) is None) == exits for leg in (Leg.EXIT, Leg.STOP))


def test_a_halt_is_seen_at_the_very_next_request(gate: TradingGate, tmp_path: Path) -> None:
    guard = guard_of(gate)
    assert guard.may_act(an_intent()) is None
    HaltFile(tmp_path / "HALT").set(HaltLevel.NEW, reason="lunch", by="ann", at=START)
    assert guard.may_act(an_intent()) == "trading is HALTED: lunch"
    assert guard.may_act(an_intent(leg=Leg.EXIT)) is not None


def test_a_difference_becomes_an_alert_and_its_end_too(gate: TradingGate) -> None:
    heard = list[Event]()
    guard = guard_of(gate, heard)
    guard.raised("broker.positions", "SPY: 10 more than ours")
    guard.resolved("broker.positions", "they agree")
    assert [type(event) for event in heard] == [AlertRaised, AlertResolved]


def test_agreement_with_the_broker_ends_what_an_earlier_run_left_open(gate: TradingGate) -> None:
    heard = list[Event]()
    guard = guard_of(gate, heard)
    guard.resume(["order.a", "order.b", "unknown.c"])
    guard.raised("broker.order.b", "b is not shown by the broker")
    guard.on_state(TradingState.DEGRADED, "b is not shown by the broker")
    assert [type(event) for event in heard] == [AlertRaised]
    guard.resolved("broker.order.b", "the broker shows b again")
    guard.on_state(TradingState.READY, "orders and positions agree with the broker")
    ended = [event.key for event in heard if isinstance(event, AlertResolved)]
    assert ended == ["broker.order.b", "broker.order.a", "broker.unknown.c"]
    guard.on_state(TradingState.READY, "orders and positions agree with the broker")
    assert len(heard) == 4


def test_what_this_run_tells_again_is_not_ended_by_an_agreement_about_something_else(
    gate: TradingGate,
) -> None:
    heard = list[Event]()
    guard = guard_of(gate, heard)
    guard.resume(["away", "order.a"])
    guard.raised("broker.away", "orders were not read twice")
    guard.on_state(TradingState.READY, "orders and positions agree with the broker")
    assert [event.key for event in heard if isinstance(event, AlertResolved)] == ["broker.order.a"]
