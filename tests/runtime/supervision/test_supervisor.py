from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.events import (
    AlertRaised,
    AlertResolved,
    Event,
    ServiceFailed,
    ServiceRecovered,
    Severity,
)
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import (
    Child,
    Group,
    Restart,
    Service,
    ServiceContext,
    ServiceState,
    ServiceStatus,
    Strategy,
)
from roboinvest.runtime.supervision.supervisor import HouseEnd, Supervisor
from roboinvest.runtime.supervision.watchdog import LagProbe
from tests.fakes.clocks import LoopClock
from tests.fakes.services import (
    Scripted,
    Ticking,
    cancelled_by_nobody,
    deaf_once,
    hanging,
    raising,
    returning,
    spinning,
    steady,
    stubborn,
)
from tests.fakes.virtual_time import run_virtual

Script = Callable[[ServiceContext], Awaitable[None]]


class House:
    """A supervisor under virtual time, and what it said."""

    def __init__(
        self, *groups: Group, left_open: frozenset[str] = frozenset(), **terms: float
    ) -> None:
        self.said: list[Event] = []
        self.stopping = 0
        self.supervisor = Supervisor(
            groups,
            clock=LoopClock(),
            rng=random.Random(1),
            publish=self.said.append,
            limits=RestartLimits(max_restarts=int(terms.get("max_restarts", 5))),
            stop_grace_s=terms.get("stop_grace_s", 20.0),
            on_stopping=self._note_stopping,
            left_open=left_open,
        )
        self.ended_at: float | None = None

    def _note_stopping(self) -> None:
        self.stopping += 1

    async def live(self, *moments: tuple[float, Callable[[], object]], until: float) -> HouseEnd:
        """Run until a loop time, doing things at moments in between; return the end."""
        loop = asyncio.get_running_loop()
        for at, act in moments:
            loop.call_at(at, act)
        loop.call_at(until, self.supervisor.request_stop, "the test is over")
        end = await self.supervisor.run()
        self.ended_at = loop.time()
        return end

    def all_said(self, kind: type[Event]) -> list[Event]:
        """Return the facts of one kind."""
        return [event for event in self.said if isinstance(event, kind)]

    def state(self, name: str) -> ServiceState:
        """Return where a service stands."""
        return next(s.state for s in self.supervisor.statuses() if s.name == name)


def one_for_one(*children: Child) -> Group:
    return Group(children=children)


def rest_for_one(*children: Child) -> Group:
    return Group(children=children, strategy=Strategy.REST_FOR_ONE)


def child(service: Service, **terms: object) -> Child:
    return Child(service=service, **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "reason", "bound_s"),
    [
        (raising, "RuntimeError: the feed sent nonsense", 1.0),
        (returning, "returned, although", 1.0),
        (hanging, "made no progress for 60 s", 61.0),
        (spinning, "made no progress for 60 s", 125.0),
        (cancelled_by_nobody, "was cancelled by nobody", 2.0),
        (deaf_once, "made no progress for 60 s", 67.0),
    ],
)
def test_i_sup_1_a_service_in_trouble_is_replaced_within_its_bound_and_no_other_loses_a_tick(
    script: Script, reason: str, bound_s: float
) -> None:
    async def main() -> None:
        patient = Scripted("patient", script, steady)
        others = [Ticking(f"other {n}", interval_s=10.0) for n in range(3)]
        house = House(one_for_one(child(others[0]), child(patient), *map(child, others[1:])))
        second_run_at: list[float] = []

        def look() -> None:
            if patient.runs == 2 and not second_run_at:
                second_run_at.append(asyncio.get_running_loop().time())

        moments = [(float(n), look) for n in range(1, 200)]
        end = await house.live(*moments, until=599.5)
        assert end == HouseEnd(exit_code=0, reason="the test is over")
        assert patient.runs == 2
        assert second_run_at[0] <= bound_s + 2.0
        assert [len(other.ticks) for other in others] == [60, 60, 60]
        failed = house.all_said(ServiceFailed)
        assert [event.service for event in failed if isinstance(event, ServiceFailed)] == [
            "patient"
        ]
        assert reason in str(failed[0])
        assert len(house.all_said(ServiceRecovered)) == 1

    run_virtual(main)


def test_one_that_ignores_every_cancellation_is_replaced_and_reported() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        deaf = Scripted("deaf", stubborn(gate), steady)
        other = Ticking("other", interval_s=10.0)
        house = House(one_for_one(child(deaf, stop_within_s=5.0), child(other)))
        end = await house.live(until=299.5)
        gate.set()
        assert deaf.runs == 2
        assert len(other.ticks) == 30
        assert end.abandoned == ("deaf",)
        alerts = house.all_said(AlertRaised)
        assert "ignored its cancellation" in str(alerts[0])
        assert house.all_said(AlertResolved)

    run_virtual(main)


def test_an_essential_one_that_ignores_cancellation_is_never_doubled() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        sender = Scripted("sender", stubborn(gate), steady)
        house = House(one_for_one(child(sender, essential=True)))
        end = await house.live(until=299.5)
        gate.set()
        assert end.exit_code == 70
        assert "two of it must never run" in end.reason
        assert sender.runs == 1
        assert house.all_said(ServiceFailed)

    run_virtual(main)


def test_too_many_failures_quarantine_a_service_and_a_release_brings_it_back() -> None:
    async def main() -> None:
        flaky = Scripted("flaky", *[raising] * 7, steady)  # once more after the release
        house = House(one_for_one(child(flaky)))
        seen: list[ServiceState] = []
        end = await house.live(
            (200.0, lambda: seen.append(house.state("flaky"))),
            (201.0, lambda: house.supervisor.release("flaky")),
            (230.0, lambda: seen.append(house.state("flaky"))),
            until=300.0,
        )
        assert end.exit_code == 0
        assert seen == [ServiceState.QUARANTINED, ServiceState.RUNNING]
        assert flaky.runs == 8
        last = house.all_said(ServiceFailed)[-2]
        assert isinstance(last, ServiceFailed)
        assert last.quarantined
        (alert,) = house.all_said(AlertRaised)
        assert isinstance(alert, AlertRaised)
        assert alert.severity is Severity.HIGH
        assert "release it" in alert.message
        assert len(house.all_said(AlertResolved)) == 1

    run_virtual(main)


def test_too_many_failures_of_an_essential_service_stop_the_house_with_70() -> None:
    async def main() -> None:
        journal: list[str] = []
        other = Ticking("other", journal=journal)
        house = House(one_for_one(child(other), child(Scripted("store", raising), essential=True)))
        end = await house.live(until=10_000.0)
        assert end.exit_code == 70
        assert "RuntimeError: the feed sent nonsense" in end.reason
        assert house.ended_at is not None
        assert house.ended_at < 60.0
        assert journal[-1] == "other stops"
        assert house.stopping == 1

    run_virtual(main)


@settings(max_examples=25, deadline=None)
@given(
    lives=st.lists(
        st.one_of(st.floats(min_value=0.0, max_value=2_000.0), st.just(0.0)),
        min_size=1,
        max_size=12,
    ),
    max_restarts=st.integers(min_value=0, max_value=5),
)
def test_i_sup_2_starts_in_an_hour_are_bounded_for_any_pattern_of_failures(
    lives: list[float], max_restarts: int
) -> None:
    starts: list[float] = []

    def dying_after(seconds: float) -> Script:
        async def script(ctx: ServiceContext) -> None:
            starts.append(asyncio.get_running_loop().time())
            ctx.beat()
            ctx.idle()
            await asyncio.sleep(seconds)
            raise RuntimeError("again")

        return script

    async def main() -> None:
        service = Scripted("dying", *[dying_after(seconds) for seconds in lives])
        house = House(one_for_one(child(service)), max_restarts=max_restarts)
        await house.live(until=2 * 3_600.0)

    run_virtual(main)
    for first in starts:
        hour = [start for start in starts if first <= start < first + 3_600.0]
        assert len(hour) <= 1 + 7 * max_restarts


def test_start_is_in_order_each_after_the_one_before_is_ready_and_stop_is_in_reverse() -> None:
    async def main() -> list[str]:
        journal: list[str] = []
        names = ("bus", "store", "feed", "trading")
        bus, store, feed, trading = (
            Ticking(name, journal=journal, starts_in_s=2.0) for name in names
        )
        house = House(
            one_for_one(child(bus), child(store)), rest_for_one(child(feed), child(trading))
        )
        await house.live(until=60.0)
        return journal

    journal = run_virtual(main)
    names = ("bus", "store", "feed", "trading")
    assert journal == [
        *(f"{name} {verb}" for name in names for verb in ("starts", "is ready")),
        *(f"{name} stops" for name in reversed(names)),
    ]


def test_a_service_that_is_not_essential_does_not_hold_up_the_start() -> None:
    async def main() -> None:
        memory = Scripted("memory", raising, raising, steady)
        trading = Ticking("trading", interval_s=10.0)
        house = House(one_for_one(child(memory), child(trading)))
        await house.live(until=59.5)
        assert trading.ticks[0] == 0.0
        assert memory.runs == 3

    run_virtual(main)


def test_an_essential_service_holds_up_the_start_until_it_is_ready() -> None:
    async def main() -> None:
        store = Scripted("store", raising, steady)
        trading = Ticking("trading")
        house = House(one_for_one(child(store, essential=True), child(trading)))
        await house.live(until=59.5)
        assert trading.ticks[0] >= 0.8

    run_virtual(main)


def test_a_start_that_takes_too_long_is_a_failure() -> None:
    async def main() -> None:
        slow = Ticking("slow", starts_in_s=500.0)
        house = House(one_for_one(child(slow, ready_within_s=3.0)))
        await house.live(until=5.0)
        assert "was not ready within 3 s" in str(house.all_said(ServiceFailed)[0])

    run_virtual(main)


def test_in_a_rest_for_one_group_those_that_started_later_go_down_and_come_back_with_it() -> None:
    async def main() -> list[str]:
        journal: list[str] = []

        async def fail_at_third(tick: int) -> None:
            if tick == 3 and stream.runs == 1:
                raise RuntimeError("stream lost")

        broker = Ticking("broker", journal=journal)
        stream = Ticking("stream", journal=journal, each=fail_at_third)
        trading = Ticking("trading", journal=journal)
        apart = Ticking("apart", journal=journal)
        house = House(
            rest_for_one(child(broker), child(stream), child(trading)), one_for_one(child(apart))
        )
        await house.live(until=60.0)
        assert (broker.runs, stream.runs, trading.runs, apart.runs) == (1, 2, 2, 1)
        return journal

    journal = run_virtual(main)
    failure = journal.index("stream stops")
    assert journal[failure : failure + 6] == [
        "stream stops",
        "trading stops",
        "stream starts",
        "stream is ready",
        "trading starts",
        "trading is ready",
    ]


def test_a_transient_service_may_finish_and_a_temporary_one_is_not_started_again() -> None:
    async def main() -> None:
        job = Scripted("job", returning)
        crashing_job = Scripted("crashing job", raising, returning)
        once = Scripted("once", raising)
        house = House(
            one_for_one(
                child(job, restart=Restart.TRANSIENT),
                child(crashing_job, restart=Restart.TRANSIENT),
                child(once, restart=Restart.TEMPORARY),
            )
        )
        states: list[list[ServiceState]] = []
        await house.live(
            (50.0, lambda: states.append([s.state for s in house.supervisor.statuses()])),
            until=60.0,
        )
        assert states == [[ServiceState.FINISHED] * 3]
        assert (job.runs, crashing_job.runs, once.runs) == (1, 2, 1)
        assert [
            e.service for e in house.all_said(ServiceFailed) if isinstance(e, ServiceFailed)
        ] == [
            "crashing job",
            "once",
        ]

    run_virtual(main)


def test_the_house_stops_within_its_grace_although_children_are_stubborn() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        names = [f"deaf {n}" for n in range(8)]
        deaf = [child(Scripted(name, stubborn(gate)), patience_s=1e9) for name in names]
        polite = Ticking("polite")
        house = House(one_for_one(child(polite), *deaf))
        end = await house.live(until=100.0)
        gate.set()
        assert house.ended_at is not None
        assert house.ended_at - 100.0 <= 20.0
        assert set(end.abandoned) == set(names)
        assert end.exit_code == 0
        assert house.state("polite") is ServiceState.STOPPED

    run_virtual(main)


def test_a_stop_during_the_start_starts_nothing_more() -> None:
    async def main() -> None:
        slow, late = Ticking("slow", starts_in_s=20.0), Ticking("late")
        house = House(one_for_one(child(slow), child(late)))
        end = await house.live(until=5.0)
        assert end.exit_code == 0
        assert (slow.runs, late.runs) == (1, 0)

    run_virtual(main)


def test_a_supervisor_that_is_cancelled_stops_its_children_first() -> None:
    async def main() -> None:
        journal: list[str] = []
        house = House(
            one_for_one(child(Ticking("a", journal=journal)), child(Ticking("b", journal=journal)))
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await house.supervisor.run()
        assert journal[-2:] == ["b stops", "a stops"]
        assert house.stopping == 1

    run_virtual(main)


def test_an_asked_restart_is_no_failure_and_takes_its_dependants_along() -> None:
    async def main() -> None:
        feed, trading = Ticking("feed"), Ticking("trading")
        house = House(rest_for_one(child(feed), child(trading)))
        await house.live((25.0, lambda: house.supervisor.restart("feed")), until=60.0)
        assert (feed.runs, trading.runs) == (2, 2)
        assert not house.said

    run_virtual(main)


def test_a_quarantined_service_stays_down_and_an_essential_one_cannot_be_quarantined() -> None:
    async def main() -> None:
        research, store = Ticking("research"), Ticking("store")
        house = House(one_for_one(child(research), child(store, essential=True)))
        with pytest.raises(Refused, match="store is essential"):
            house.supervisor.quarantine("store")
        await house.live((25.0, lambda: house.supervisor.quarantine("research")), until=499.5)
        assert len(research.ticks) == 3
        assert len(store.ticks) == 50
        assert house.state("research") is ServiceState.QUARANTINED

    run_virtual(main)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    house = House(one_for_one(child(Ticking("world_monitor"))))
    with pytest.raises(BadInput, match="did you mean world_monitor"):
        house.supervisor.restart("world_monitr")


@pytest.mark.parametrize("with_probe", [True, False])
def test_a_stall_of_the_loop_is_not_held_against_the_services(with_probe: bool) -> None:
    async def main() -> None:
        async def work(_: int) -> None:
            for _step in range(3):
                await asyncio.sleep(1.0)

        services = [Ticking(f"s{n}", interval_s=10.0, each=work) for n in range(3)]
        probe = LagProbe(on_stall=lambda seconds: house.supervisor.forgive(seconds))
        probes = [child(probe)] if with_probe else []
        house = House(one_for_one(*probes, *(child(s, patience_s=15.0) for s in services)))
        loop = asyncio.get_running_loop()
        await house.live((101.5, lambda: loop.jump(600.0)), until=899.5)  # type: ignore[attr-defined]
        assert not house.all_said(ServiceFailed)
        assert [s.runs for s in services] == [1, 1, 1]
        assert [sum(s.missed) for s in services] == [59, 59, 59]
        assert [len(s.ticks) + sum(s.missed) for s in services] == [90, 90, 90]

    run_virtual(main)


def test_a_hang_after_a_long_announced_wait_ended_early_is_found_soon() -> None:
    async def woken_then_hanging(ctx: ServiceContext) -> None:
        ctx.beat()
        ctx.idle(86_400.0)
        await asyncio.sleep(100.0)
        ctx.beat()
        await asyncio.Event().wait()

    async def main() -> None:
        service = Scripted("woken", woken_then_hanging, steady)
        house = House(one_for_one(child(service, patience_s=60.0)))
        await house.live(until=100.0 + 2 * 60.0 + 5.0)
        assert service.runs == 2

    run_virtual(main)


def test_statuses_tell_state_restarts_last_error_and_age_of_the_last_beat() -> None:
    async def main() -> None:
        house = House(one_for_one(child(Scripted("flaky", raising, steady))))
        seen: list[ServiceStatus] = []
        await house.live((47.0, lambda: seen.extend(house.supervisor.statuses())), until=50.0)
        (status,) = seen
        assert status.state is ServiceState.RUNNING
        assert status.restarts == 1
        assert status.last_error == "RuntimeError: the feed sent nonsense"
        assert status.beats == 5
        assert status.last_beat_age_s is not None
        assert 5.0 < status.last_beat_age_s < 10.0

    run_virtual(main)


def test_i_time_1_a_month_with_hourly_failures_and_a_stall_costs_no_tick_elsewhere() -> None:
    async def main() -> None:
        async def fail_hourly(tick: int) -> None:
            if tick % 60 == 0:
                raise RuntimeError("hourly")

        flaky = Ticking("flaky", interval_s=60.0, each=fail_hourly)
        health = Ticking("health", interval_s=60.0)
        heal = Ticking("heal", interval_s=300.0)
        review = Ticking("review", interval_s=3_600.0)
        report = Ticking("report", interval_s=86_400.0)
        regular = (health, heal, review, report)
        house = House(one_for_one(child(flaky), *map(child, regular)))
        stall = (15 * 86_400 + 30.0, asyncio.get_running_loop().jump)  # type: ignore[attr-defined]
        await house.live((stall[0], lambda: stall[1](600.0)), until=30 * 86_400 - 0.5)
        counts = [len(service.ticks) + sum(service.missed) for service in regular]
        assert counts == [43_200, 8_640, 720, 30]
        assert [max(service.missed) for service in regular] == [9, 1, 0, 0]
        assert len(house.all_said(ServiceFailed)) >= 700

    run_virtual(main)


def test_i_sup_3_an_overseer_in_trouble_stops_no_execution_and_execution_no_reconciliation() -> (
    None
):
    async def main() -> None:
        overseer = Scripted("overseer", raising, hanging, returning, raising, spinning)
        reconciler = Ticking("reconciler", interval_s=30.0)
        executor = Scripted("executor", hanging, raising, returning, steady)
        graph = Ticking("graph", interval_s=60.0)
        house = House(
            one_for_one(child(overseer)),
            one_for_one(child(reconciler)),
            rest_for_one(child(executor), child(graph)),
            max_restarts=3,
        )
        end = await house.live(until=3_599.5)
        assert end.exit_code == 0
        assert house.state("overseer") is ServiceState.QUARANTINED
        assert len(reconciler.ticks) == 120
        assert executor.runs == 4
        late = [at for at in graph.ticks if at > 600.0]
        assert len(late) == 50  # once execution had recovered, not one was lost

    run_virtual(main)


def test_an_alert_that_an_earlier_run_left_open_is_resolved_when_its_service_works() -> None:
    async def main() -> None:
        house = House(
            one_for_one(child(Scripted("well", steady)), child(Scripted("ill", raising))),
            left_open=frozenset({"well", "ill"}),
        )
        await house.live(until=200.0)
        (resolved,) = house.all_said(AlertResolved)
        assert isinstance(resolved, AlertResolved)
        assert resolved.key == "service.well"

    run_virtual(main)
