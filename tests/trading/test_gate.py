"""The gate: whoever has a doubt is believed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, Event, TradingState
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.trading.gate import GateWatch, TradingGate
from tests.fakes.clocks import START, ManualClock

STRICTEST_FIRST = [
    TradingState.STARTING,
    TradingState.RECONCILING,
    TradingState.DEGRADED,
    TradingState.READY,
]


@pytest.fixture
def halt_file(tmp_path: Path) -> HaltFile:
    return HaltFile(tmp_path / "HALT")


def test_a_gate_nobody_has_spoken_to_is_starting(halt_file: HaltFile) -> None:
    assert TradingGate(halt_file).look() == (TradingState.STARTING, "starting")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(STRICTEST_FIRST, 2)))
def test_the_strictest_voice_decides_and_its_reason_is_shown(
    halt_file: HaltFile, one: TradingState, other: TradingState
) -> None:
    for first, second in ((one, other), (other, one)):
        gate = TradingGate(halt_file)
        gate.enter(first, f"the daemon is {first}")
        gate.hear("orders", second, f"orders are {second}")
        state, reason = gate.look()
        assert state is one
        assert reason.endswith(one.value)


def test_a_voice_replaces_what_it_said_before(halt_file: HaltFile) -> None:
    gate = TradingGate(halt_file)
    gate.enter(TradingState.READY, "books read")
    gate.hear("orders", TradingState.DEGRADED, "positions differ")
    gate.hear("orders", TradingState.READY, "positions agree")
    assert gate.look()[0] is TradingState.READY


def test_a_halt_beats_every_voice(halt_file: HaltFile) -> None:
    gate = TradingGate(halt_file)
    gate.hear("orders", TradingState.STARTING, "not yet")
    halt_file.set(HaltLevel.NEW, reason="lunch", by="ann", at=START)
    assert gate.look() == (TradingState.HALTED, "lunch")


def test_the_watch_tells_a_change_once_and_the_end_of_a_halt(halt_file: HaltFile) -> None:
    gate, told = TradingGate(halt_file), list[Event]()
    gate.enter(TradingState.READY, "books read")
    watch = GateWatch(gate, publish=told.append, clock=ManualClock())
    halt_file.set(HaltLevel.NEW, reason="lunch", by="ann", at=START)
    watch.look_once()
    watch.look_once()
    halt_file.clear()
    watch.look_once()
    alerts = [event for event in told if isinstance(event, AlertRaised | AlertResolved)]
    assert [type(alert) for alert in alerts] == [AlertRaised, AlertResolved]
    assert len(told) == 4
