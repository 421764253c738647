"""What stands behind some rungs: the switch before the models, the fuse, the hooks, the threads."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.tasks import Answer
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.fuse import Blown, Fuse
from roboinvest.runtime.oversight.hooks import HealingHooks
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group
from roboinvest.runtime.supervision.supervisor import ESCALATED, HouseEnd, Supervisor
from tests.fakes.clocks import LoopClock
from tests.fakes.services import Ticking
from tests.fakes.virtual_time import run_virtual


class Says:
    """A model that says its own name."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def ask(self, task: Any, inputs: Any, *, about: str = "") -> Answer[Any]:
        """Answer."""
        return Answer(output=about, source=self._name, cost_usd=Decimal(0), latency_ms=0.0)


async def test_a_degraded_agent_is_answered_by_rules_and_is_told_so_until_it_is_restored() -> None:
    switch = ModelSwitch(Says("openai:m"), Says("rules"))
    ours, other = SimpleNamespace(agent="strategy"), SimpleNamespace(agent="scout")

    async def source(task: Any) -> tuple[str, str]:
        answer: Answer[Any] = await switch.ask(task, None, about="tick")
        return answer.source, answer.reason

    assert await source(ours) == ("openai:m", "")
    switch.degrade("strategy", "replies cannot be read")
    assert await source(ours) == ("rules", "replies cannot be read")
    assert await source(other) == ("openai:m", "")
    switch.restore("strategy")
    assert await source(ours) == ("openai:m", "")
    assert switch.degraded == {}


@pytest.mark.parametrize("hopeless", [(Blown,), ()])
def test_a_blown_fuse_ends_the_house_with_the_code_that_the_service_manager_knows(
    hopeless: tuple[type[Exception], ...],
) -> None:
    fuse, other = Fuse(), Ticking("other")

    async def main() -> HouseEnd:
        tree = Supervisor(
            [Group(children=(Child(service=other), Child(service=fuse, essential=True)))],
            clock=LoopClock(),
            rng=random.Random(1),
            publish=lambda event: None,
            limits=RestartLimits(),
            hopeless=hopeless,
        )
        async with asyncio.TaskGroup() as group:
            house = group.create_task(tree.run())
            await asyncio.sleep(86_400)  # it waits in peace
            assert tree.essentials_run()
            assert fuse.reason is None
            fuse.blow("the first reason")
            fuse.blow("another one")
            return await house

    end = run_virtual(main)
    assert end.exit_code == ESCALATED
    assert "the first reason" in end.reason
    assert len(other.ticks) > 8_000


async def test_a_hook_is_registered_once_and_says_what_it_does() -> None:
    hooks = HealingHooks()

    async def pull() -> None:
        return None

    hooks.register("feed", "connects again", pull)
    found = hooks.find("feed")
    assert found is not None
    assert found.what == "connects again"
    assert hooks.find("other") is None
    with pytest.raises(BadInput, match="connects again"):
        hooks.register("feed", "clears", pull)
    with pytest.raises(BadInput, match="does not say"):
        hooks.register("other", " ", pull)


class Line:
    """A service that can connect again."""

    name = "line"
    reconnects = "dials again"

    def __init__(self, seconds: float = 0.0) -> None:
        self.dialled, self._seconds = 0, seconds

    async def reconnect(self) -> None:
        """Dial."""
        self.dialled += 1
        await asyncio.sleep(self._seconds)


def test_what_a_service_can_do_is_offered_within_a_deadline() -> None:
    async def main() -> None:
        hooks, line, mute = HealingHooks(), Line(), Line(seconds=60.0)
        hooks.offer("feed", line)
        hooks.offer("other", mute)
        found, hangs = hooks.find("feed"), hooks.find("other")
        assert found is not None
        assert hangs is not None
        assert found.what == "dials again"
        await found.pull()
        await found.pull()
        assert line.dialled == 2
        with pytest.raises(TryLater, match=r"line took more than 20 s .* \(dials again\)"):
            await hangs.pull()
        assert asyncio.get_running_loop().time() == 20.0

    run_virtual(main, InFlight())


async def test_a_thread_that_hangs_is_not_waited_for_longer_than_its_deadline() -> None:
    gate, in_flight = threading.Event(), InFlight()
    with ThreadPoolExecutor(1) as pool:
        threads = Threads(pool, in_flight, deadline_s=0.05)
        with pytest.raises(
            TryLater, match=r"the disk took more than 0\.05 s; it may still be done"
        ):
            await threads.do("the disk", gate.wait)
        assert in_flight.count == 0
        gate.set()
        assert await threads.do("the disk", lambda: 7) == 7
