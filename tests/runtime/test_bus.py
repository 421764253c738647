from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Event,
    ServiceRecovered,
    Severity,
    TickCompleted,
)
from roboinvest.runtime.bus import EventBus, WhenFull
from tests.fakes.clocks import START, LoopClock
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual


def tick(number: int) -> TickCompleted:
    return TickCompleted(at=START, tick_id=str(number), tick_at=START)


def numbers(events: list[Event]) -> list[int]:
    return [int(event.tick_id) for event in events if isinstance(event, TickCompleted)]


def with_bus(scenario: Callable[[EventBus], Awaitable[None]]) -> None:
    """Run a scenario beside a bus that delivers."""

    async def main() -> None:
        bus = EventBus(LoopClock())
        async with asyncio.TaskGroup() as group:
            delivering = group.create_task(bus.run(context("bus")))
            await asyncio.sleep(0)
            await scenario(bus)
            delivering.cancel()

    run_virtual(main)


def keep(events: list[Event]) -> Callable[[Event], Awaitable[None]]:
    async def receive(event: Event) -> None:
        events.append(event)

    return receive


def test_a_subscriber_gets_the_kinds_it_asked_for_in_order_and_a_base_class_gets_all() -> None:
    async def scenario(bus: EventBus) -> None:
        ticks: list[Event] = []
        everything: list[Event] = []
        bus.subscribe("ticks", (TickCompleted,), keep(ticks))
        bus.subscribe("everything", (Event,), keep(everything))
        for n in range(5):
            bus.publish(tick(n))
        bus.publish(ServiceRecovered(at=START, service="feed"))
        await bus.settled()
        assert numbers(ticks) == [0, 1, 2, 3, 4]
        assert len(ticks) == 5
        assert len(everything) == 6

    with_bus(scenario)


def test_what_was_published_before_the_bus_runs_is_delivered_when_it_does() -> None:
    async def main() -> None:
        bus = EventBus(LoopClock())
        seen: list[Event] = []
        bus.subscribe("early", (TickCompleted,), keep(seen))
        bus.publish(tick(1))
        for _ in range(2):  # a restart of the bus loses nothing either
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await bus.run(context("bus"))
            bus.publish(tick(2))
        assert numbers(seen) == [1, 2]

    run_virtual(main)


@pytest.mark.parametrize(
    ("policy", "kept"), [(WhenFull.DROP_OLDEST, [7, 8, 9]), (WhenFull.DROP_NEWEST, [0, 1, 2])]
)
def test_a_full_queue_gives_up_what_its_policy_says_and_counts_it(
    policy: WhenFull, kept: list[int]
) -> None:
    async def scenario(bus: EventBus) -> None:
        slow: list[Event] = []
        quick: list[Event] = []
        bus.subscribe("slow", (TickCompleted,), keep(slow), capacity=3, when_full=policy)
        bus.subscribe("quick", (TickCompleted,), keep(quick))
        for n in range(10):
            bus.publish(tick(n))
        await bus.settled()
        assert numbers(slow) == kept
        assert numbers(quick) == list(range(10))
        slow_counts, quick_counts = bus.counts()
        assert (slow_counts.dropped, slow_counts.delivered) == (7, 3)
        assert (quick_counts.dropped, quick_counts.delivered) == (0, 10)

    with_bus(scenario)


async def _raise(_: Event) -> None:
    raise RuntimeError("cannot parse")


async def _cancelled_by_nobody(_: Event) -> None:
    raise asyncio.CancelledError


async def _hang(_: Event) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("fails", [_raise, _cancelled_by_nobody, _hang])
def test_a_failing_subscriber_hurts_nobody_else_and_is_reported_once(
    fails: Callable[[Event], Awaitable[None]], logged: list[MutableMapping[str, Any]]
) -> None:
    async def scenario(bus: EventBus) -> None:
        healthy: list[Event] = []
        alerts: list[Event] = []
        bus.subscribe("broken", (TickCompleted,), fails, deadline_s=5.0)
        bus.subscribe("healthy", (TickCompleted,), keep(healthy))
        bus.subscribe("alerts", (AlertRaised,), keep(alerts))
        for n in range(4):
            bus.publish(tick(n))
        await bus.settled()
        assert numbers(healthy) == [0, 1, 2, 3]
        assert bus.counts()[0].failed == 4
        (alert,) = alerts
        assert isinstance(alert, AlertRaised)
        assert alert.key == "bus.broken"
        assert "broken failed on an event" in alert.message

    with_bus(scenario)
    assert [line["event"] for line in logged] == ["delivery_failed"] * 4


def test_a_subscriber_that_works_again_resolves_its_alert() -> None:
    async def scenario(bus: EventBus) -> None:
        alerts: list[Event] = []

        async def fails_on_odd(event: TickCompleted) -> None:
            if int(event.tick_id) % 2:
                raise ValueError("odd")

        bus.subscribe("moody", (TickCompleted,), fails_on_odd)
        bus.subscribe("alerts", (AlertRaised, AlertResolved), keep(alerts))
        for n in (0, 1, 3, 4):
            bus.publish(tick(n))
        await bus.settled()
        assert [type(alert) for alert in alerts] == [AlertRaised, AlertResolved]

    with_bus(scenario)


def test_a_subscriber_that_fails_on_alerts_does_not_start_an_avalanche() -> None:
    async def scenario(bus: EventBus) -> None:
        bus.subscribe("alerting", (AlertRaised, AlertResolved), _raise)
        bus.publish(
            AlertRaised(at=START, key="k", severity=Severity.LOW, kind="system", message="m")
        )
        await bus.settled()
        assert bus.counts()[0].failed == 1

    with_bus(scenario)


def test_a_slow_subscriber_does_not_hold_up_a_quick_one() -> None:
    async def scenario(bus: EventBus) -> None:
        quick: list[Event] = []
        loop = asyncio.get_running_loop()

        async def slowly(_: Event) -> None:
            await asyncio.sleep(10.0)

        bus.subscribe("slow", (TickCompleted,), slowly)
        bus.subscribe("quick", (TickCompleted,), keep(quick))
        before = loop.time()
        for n in range(3):
            bus.publish(tick(n))
        await asyncio.sleep(0.001)
        assert numbers(quick) == [0, 1, 2]
        await bus.settled()
        assert loop.time() - before == pytest.approx(30.0)

    with_bus(scenario)


def test_an_unsubscribed_one_gets_nothing_more_even_in_the_middle_of_a_delivery() -> None:
    async def scenario(bus: EventBus) -> None:
        begun: list[int] = []

        async def slowly(event: TickCompleted) -> None:
            begun.append(int(event.tick_id))
            await asyncio.sleep(100.0)
            raise AssertionError("this delivery was cancelled")

        subscription = bus.subscribe("tab", (TickCompleted,), slowly, deadline_s=1_000.0)
        bus.publish(tick(1))
        bus.publish(tick(2))
        await asyncio.sleep(1.0)
        bus.unsubscribe(subscription)
        bus.publish(tick(3))
        await asyncio.sleep(500.0)
        await bus.settled()
        assert begun == [1]
        assert bus.counts() == ()

    with_bus(scenario)


def test_settled_waits_for_what_a_delivery_publishes_in_turn() -> None:
    async def scenario(bus: EventBus) -> None:
        recovered: list[Event] = []

        async def answer(_: TickCompleted) -> None:
            await asyncio.sleep(1.0)
            bus.publish(ServiceRecovered(at=START, service="x"))

        bus.subscribe("recovered", (ServiceRecovered,), keep(recovered))
        bus.subscribe("answers", (TickCompleted,), answer)
        bus.publish(tick(1))
        await bus.settled()
        assert len(recovered) == 1

    with_bus(scenario)
