"""Generated code stays off until its box was tried and holds; nobody waits for the trial."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.upkeep.code_agents import (
    SETTLE_S,
    TRIED_WITHIN_S,
    BoxFound,
    BoxTrial,
    CodeAgents,
)
from roboinvest.runtime.vendors.calls import VendorCalls
from tests.fakes.clocks import ManualClock
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

HOLDS = BoxFound(tier="B", runs_code=True, reason="Landlock, seccomp and limits hold")
OFF = BoxFound(tier="D", runs_code=False, reason="nothing would hold it: no Landlock")


class Tried:
    """A trial under virtual time, and what came of it."""

    def __init__(
        self, detect: Callable[[], BoxFound], *, left_open: tuple[str, ...] = (), runs: int = 1
    ) -> None:
        self.agents, self.told = CodeAgents(), list[Event]()
        self.before: Exception | None = None
        self.ready_at_once = False
        self.detections = 0
        self._detect, self._left_open, self._runs = detect, left_open, runs
        self.ended_at = 0.0
        in_flight = InFlight()
        run_virtual(lambda: self._live(in_flight), in_flight)

    async def _live(self, in_flight: InFlight) -> None:
        def detect() -> BoxFound:
            self.detections += 1
            return self._detect()

        calls = VendorCalls("the sandbox", threads=1, limiter=None, in_flight=in_flight)
        trial = BoxTrial(
            self.agents,
            detect,
            calls,
            publish=self.told.append,
            clock=ManualClock(),
            left_open=self._left_open,
        )
        for _ in range(self._runs):
            ctx = context("sandbox")
            running = asyncio.ensure_future(trial.run(ctx))
            await asyncio.sleep(0)
            self.ready_at_once = ctx.is_ready
            if self.agents.found is None:
                with pytest.raises(TryLater) as refusal:
                    self.agents.require()
                self.before = refusal.value
            await asyncio.sleep(SETTLE_S + 1)
            assert not running.done()  # it stays, so that no service looks amiss
            assert ctx.hung_at() is None
            running.cancel()
            await asyncio.wait([running])
        calls.close()


def test_before_the_trial_code_stays_off_and_nobody_waits_for_it() -> None:
    tried = Tried(lambda: HOLDS)
    assert tried.ready_at_once
    assert "ask again in a moment" in str(tried.before)


def test_a_box_that_holds_lets_code_run_and_is_no_alert() -> None:
    tried = Tried(lambda: HOLDS)
    assert tried.agents.allowed
    assert tried.agents.require() == tried.agents.found == HOLDS
    assert tried.told == []


def test_a_box_that_does_not_hold_keeps_code_off_and_says_why_in_one_sentence() -> None:
    tried = Tried(lambda: OFF)
    assert not tried.agents.allowed
    with pytest.raises(Refused) as refusal:
        tried.agents.require()
    assert str(refusal.value) == (
        "code agents are off, this machine gives only tier D: nothing would hold it: no Landlock; "
        "see roboinvest doctor"
    )
    (alert,) = tried.told
    assert isinstance(alert, AlertRaised)
    assert (alert.key, alert.severity) == ("sandbox.off", Severity.MEDIUM)
    assert alert.message == str(refusal.value)


def test_what_was_found_holds_for_the_life_of_the_daemon() -> None:
    tried = Tried(lambda: OFF, runs=2)
    assert tried.detections == 1
    assert len(tried.told) == 1
    tried.agents.settle(HOLDS)
    assert not tried.agents.allowed


def test_the_alert_of_an_earlier_run_ends_when_the_box_holds_now() -> None:
    tried = Tried(lambda: HOLDS, left_open=("off",))
    (end,) = tried.told
    assert isinstance(end, AlertResolved)
    assert Tried(lambda: OFF, left_open=("off",)).told == []


@pytest.mark.parametrize("error", [OSError(11, "no process can be made"), TryLater("busy")])
def test_a_trial_that_fails_is_a_box_that_does_not_hold(error: Exception) -> None:
    def fails() -> BoxFound:
        raise error

    found = Tried(fails).agents.found
    assert found is not None
    assert (found.tier, found.runs_code) == ("D", False)
    assert "could not be tried" in found.reason


async def test_a_trial_that_hangs_is_given_up_and_holds_up_nobody() -> None:
    opened = threading.Event()

    def hangs() -> BoxFound:
        opened.wait()
        return HOLDS

    agents, told = CodeAgents(), list[Event]()
    calls = VendorCalls("the sandbox", threads=1, limiter=None, in_flight=InFlight())
    trial = BoxTrial(agents, hangs, calls, publish=told.append, clock=ManualClock(), settle_s=0)
    running = asyncio.ensure_future(trial.run(context("sandbox")))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not agents.allowed
    running.cancel()
    await asyncio.wait([running])
    opened.set()
    assert TRIED_WITHIN_S < 120
    calls.close()
