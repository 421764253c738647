"""What trading does not need is not there before it, and stands in its place afterwards."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from meta_agents.overseer_models import MODEL
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.overseeing.hooks import offer_hooks
from roboinvest.app.overseeing.late import AGAIN_S, Late
from roboinvest.app.roster import BROKER, DATA, PROMPTS
from roboinvest.core.errors import TryLater
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.hooks import HealingHooks
from tests.fakes.overseen import World, lived
from tests.fakes.services import Ticking, context
from tests.fakes.virtual_time import run_virtual

ROOT = Path(__file__).resolve().parents[2]
LATER = (
    *("meta_agents.healing", "meta_agents.daily_report.service", "meta_agents.performance_analyst"),
    *("meta_agents.overseer_service", "meta_agents.governance_meeting", "roboinvest.app.reviews"),
    *("roboinvest.app.overseeing.watch", "meta_agents.delegations"),
)


def imported(name: str) -> Iterator[str]:
    """Yield the modules of ours that a module imports while it is imported."""
    path = ROOT / f"{name.replace('.', '/')}.py"
    if not path.exists():
        return
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            waiting += ast.iter_child_nodes(node)


def reached(start: str) -> set[str]:
    """Return every module of ours that is loaded with one."""
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported(name)
    return found


def test_a_daemon_that_starts_loads_nothing_that_reports_heals_or_meets() -> None:
    found = reached("roboinvest.app.start")
    assert "roboinvest.app.house" in found
    assert "meta_agents.overseer" in found
    assert not found & set(LATER)
    assert set(LATER) <= reached("roboinvest.app.overseeing.watch")


@pytest.mark.parametrize(
    ("mode", "speed"), [("simulation", 1.0), ("simulation", None), ("replay", 1.0)]
)
def test_the_services_are_those_that_the_supervisor_was_told_of(
    tmp_path: Path, mode: str, speed: float | None
) -> None:
    world = lived(tmp_path, 120.0, lambda _: None, mode=mode, speed=speed)
    watch = world.oversight._watch
    assert watch is not None
    assert tuple(watch.services) == world.oversight.names()
    assert all(late.service is watch.services[late.name] for late in world.watchers)
    assert world.raised() == []


def test_a_load_that_takes_too_long_is_tried_again_and_is_no_failure() -> None:
    tried: list[float] = []

    async def main() -> None:
        ctx, real = context("late"), Ticking("late", interval_s=1.0)

        async def load() -> Any:
            tried.append(ctx._loop_time())
            if len(tried) < 3:
                raise TryLater("the machine is busy")
            return real

        late = Late("late", load)
        with suppress(TimeoutError):
            async with asyncio.timeout(3 * AGAIN_S):
                await late.run(ctx)
        assert late.service is real
        assert ctx.is_ready

    run_virtual(main, InFlight())
    assert tried == [0.0, AGAIN_S, 2 * AGAIN_S]


class Stream:
    """A service that can connect again."""

    reconnects = "dials again"

    def __init__(self, name: str) -> None:
        self.name, self.dialled = name, 0

    async def run(self, ctx: Any) -> None:
        """Nothing."""

    async def reconnect(self) -> None:
        """Dial."""
        self.dialled += 1


async def test_what_can_connect_again_is_offered_to_those_that_live_by_it() -> None:
    hooks, models = HealingHooks(), OpenedModels(model=Any)  # type: ignore[arg-type]
    market, broker = Stream("market_stream"), Stream("alpaca-trade-stream")
    services: list[Any] = [market, broker, Stream("recall"), Ticking("plain", interval_s=1.0)]

    async def own() -> None:
        """What somebody registered before."""

    hooks.register("recall", "its own way", own)
    offer_hooks(hooks, services, models)
    for agent in ("market_stream", DATA):
        found = hooks.find(agent)
        assert found is not None
        await found.pull()
    assert (market.dialled, broker.dialled) == (2, 0)
    assert hooks.find(BROKER) is not None
    assert hooks.find("recall").what == "its own way"  # type: ignore[union-attr]
    assert all(hooks.find(name) is None for name in ("plain", MODEL, *PROMPTS))


def test_a_hook_of_the_house_is_pulled_by_healing(tmp_path: Path) -> None:
    stream = Stream("feed")

    def plant(world: World) -> None:
        world.oversight.hooks.offer("feed", stream)

        def away() -> None:
            raise ConnectionResetError("the line is dead")

        world.at(300.0, lambda: setattr(world.feed, "call", away))

    lived(tmp_path, 1800.0, plant)
    assert stream.dialled >= 1
