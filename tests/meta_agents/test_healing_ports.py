"""The ports against what really stands behind them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from meta_agents.healing_governed import Quarantines
from meta_agents.healing_ports import (
    Degrades,
    Escalations,
    Halts,
    NothingBehind,
    Order,
    Reconnects,
    Restarts,
)
from roboinvest.core.errors import Refused
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import Rung
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.fuse import Fuse
from roboinvest.runtime.oversight.hooks import HealingHooks
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group, Restart, ServiceState
from roboinvest.runtime.supervision.supervisor import Supervisor
from tests.fakes.clocks import START, LoopClock
from tests.fakes.services import Scripted, Ticking, raising, returning
from tests.fakes.virtual_time import run_virtual

Scene = Callable[["Floor"], Awaitable[None]]


def order(rung: Rung, agent: str = "feed", attempt_id: str = "heal-1") -> Order:
    return Order(
        attempt_id=attempt_id,
        agent=agent,
        cause=Cause.OWN_CODE,
        rung=rung,
        reason="it raised 9 times",
        at=START,
    )


class Floor:
    """A supervisor that runs, and threads."""

    def __init__(self, in_flight: InFlight, pool: ThreadPoolExecutor) -> None:
        self.feed, self.core = Ticking("feed"), Ticking("core")
        self.fuse = Fuse()
        self.threads = Threads(pool, in_flight)
        children = (
            Child(service=self.core, essential=True),
            Child(service=self.feed),
            Child(service=Scripted("crashing", raising)),
            Child(service=Scripted("once", returning), restart=Restart.TRANSIENT),
        )
        self.tree = Supervisor(
            [Group(children=children)],
            clock=LoopClock(),
            rng=random.Random(1),
            publish=lambda event: None,
            limits=RestartLimits(max_restarts=1),
        )

    def state(self, name: str) -> ServiceState:
        return next(each.state for each in self.tree.statuses() if each.name == name)


def play(scene: Scene) -> None:
    in_flight = InFlight()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            floor = Floor(in_flight, pool)
            async with asyncio.TaskGroup() as group:
                house = group.create_task(floor.tree.run())
                await asyncio.sleep(60)
                await scene(floor)
                house.cancel()

    run_virtual(main, in_flight)


def test_a_restart_really_starts_the_service_again_and_no_other() -> None:
    async def scene(floor: Floor) -> None:
        port, wanted = Restarts(lambda: floor.tree), order(Rung.RESTART)
        assert await port.refusal(wanted) is None
        assert await port.happened(wanted) is None
        text = await port.act(wanted)
        assert text == "the supervisor was asked to restart feed"
        assert await port.happened(wanted) is False  # asked is not done
        await asyncio.sleep(5)
        assert await port.happened(wanted) is True
        assert (floor.feed.runs, floor.core.runs) == (2, 1)

    play(scene)


@pytest.mark.parametrize(
    ("agent", "word"),
    [
        ("nobody", "keeps no service nobody"),
        ("crashing", "quarantined, and healing releases nobody"),
        ("once", "does not run any more"),
    ],
)
def test_a_restart_is_refused_for_what_is_kept_down_or_not_kept(agent: str, word: str) -> None:
    async def scene(floor: Floor) -> None:
        port = Restarts(lambda: floor.tree)
        refusal = await port.refusal(order(Rung.RESTART, agent))
        assert refusal is not None
        assert word in refusal

    play(scene)


def test_a_quarantine_really_stops_the_service_and_the_essential_are_refused() -> None:
    async def scene(floor: Floor) -> None:
        port = Quarantines(lambda: floor.tree, floor.threads)
        wanted = order(Rung.QUARANTINE)
        assert await port.refusal(wanted) is None
        await port.act(wanted)
        await asyncio.sleep(10)
        assert await port.happened(wanted) is True
        assert floor.state("feed") is ServiceState.QUARANTINED
        ticks = len(floor.feed.ticks)
        await asyncio.sleep(600)
        assert len(floor.feed.ticks) == ticks
        assert "quarantined already" in str(await port.refusal(wanted))
        essential = order(Rung.QUARANTINE, "core")
        assert "essential" in str(await port.refusal(essential))
        with pytest.raises(Refused, match="essential"):
            await port.act(essential)
        nobody = await port.refusal(order(Rung.QUARANTINE, "nobody"))
        assert "nothing to put away" in str(nobody)

    play(scene)


def test_a_hook_is_pulled_and_its_return_is_called_no_more_than_that() -> None:
    async def scene(floor: Floor) -> None:
        hooks, pulled = HealingHooks(), []
        port, wanted = Reconnects(hooks), order(Rung.RECONNECT)
        assert "registered no way" in str(await port.refusal(wanted))
        with pytest.raises(Refused):
            await port.act(wanted)

        async def pull() -> None:
            pulled.append(1)

        hooks.register("feed", "clears the cache of quotes", pull)
        assert await port.refusal(wanted) is None
        text = await port.act(wanted)
        assert text == "the hook of feed returned, which clears the cache of quotes"
        assert pulled == [1]
        assert await port.happened(wanted) is None

    play(scene)


def test_degrading_sets_the_switch_once() -> None:
    async def scene(floor: Floor) -> None:
        model: Any = object()
        switch = ModelSwitch(model, model)
        port, wanted = Degrades(switch), order(Rung.DEGRADE)
        assert await port.refusal(wanted) is None
        assert await port.happened(wanted) is False
        await port.act(wanted)
        assert await port.happened(wanted) is True
        assert "heal heal-1: its own code: it raised 9 times" in switch.degraded["feed"]
        assert "rules answer feed already" in str(await port.refusal(wanted))

    play(scene)


def test_a_halt_is_set_never_lowered_and_never_lifted(tmp_path: Path) -> None:
    async def scene(floor: Floor) -> None:
        file = HaltFile(tmp_path / "HALT")
        port, wanted = Halts(file, floor.threads), order(Rung.HALT_TRADING)
        assert await port.refusal(wanted) is None
        assert await port.happened(wanted) is False
        await port.act(wanted)
        assert await port.happened(wanted) is True
        halt = file.read()
        assert halt is not None
        assert (halt.level, halt.by) == (HaltLevel.NEW, "healer")
        assert "heal heal-1" in halt.reason
        assert "halted already by healer" in str(await port.refusal(wanted))
        file.set(HaltLevel.FLATTEN, reason="a person", by="ann", at=START)
        await port.act(wanted)  # whoever asks all the same
        assert file.at_least(HaltLevel.FLATTEN)
        assert not [name for name in dir(port) if name in ("clear", "lift", "release", "resume")]

    play(scene)


def test_escalation_blows_the_fuse_once() -> None:
    async def scene(floor: Floor) -> None:
        port, wanted = Escalations(floor.fuse), order(Rung.ESCALATE)
        assert await port.refusal(wanted) is None
        await port.act(wanted)
        assert "heal heal-1" in str(floor.fuse.reason)
        assert "on its way" in str(await port.refusal(wanted))
        assert await port.happened(wanted) is None

    play(scene)


def test_a_port_with_nothing_behind_it_refuses_with_a_sentence() -> None:
    async def scene(floor: Floor) -> None:
        port, wanted = NothingBehind("no model is configured"), order(Rung.DEGRADE)
        assert await port.refusal(wanted) == "no model is configured"
        with pytest.raises(Refused, match="degrade of feed: no model is configured"):
            await port.act(wanted)
        assert await port.happened(wanted) is False

    play(scene)
