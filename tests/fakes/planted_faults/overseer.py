"""Faults of the Overseer itself: its file, its looks, its hands, its board, its audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from meta_agents.healing_ports import HealPort, Order
from roboinvest.core.errors import TryLater
from roboinvest.core.events import TickCompleted
from roboinvest.core.oversight.healing_record import ActionEnd, HealAttempt, Rung, Verdict
from roboinvest.runtime.governance.file import FILE_NAME as GOVERNANCE
from roboinvest.runtime.supervision.service import ServiceState
from tests.fakes.overseen import World
from tests.fakes.planted_faults.values import Fault, Plant, both, bug, fails


class LyingPort:
    """Says that it did what it did not do."""

    async def refusal(self, order: Order) -> str | None:
        """Stand ready."""
        return None

    async def act(self, order: Order) -> str:
        """Do nothing, and say otherwise."""
        return f"{order.agent} was restarted"

    async def happened(self, order: Order) -> bool | None:
        """Know better, when asked."""
        return False


class BrokenPort(LyingPort):
    """Has a bug."""

    async def act(self, order: Order) -> str:
        """Raise."""
        raise ZeroDivisionError("a hand that is none")


def hand(rung: Rung, port: HealPort) -> Plant:
    """Return a plant that puts something else behind a rung."""

    def plant(world: World) -> None:
        healer: Any = world.oversight._healer
        healer._ports = {**healer._ports, rung: port}

    return plant


def ended_as(end: ActionEnd) -> Any:
    """Return what says that the restart ended so, was not believed, and that the ladder went on."""

    def prove(_world: World, attempts: tuple[HealAttempt, ...]) -> None:
        first = attempts[0]
        assert first.rung is Rung.RESTART
        assert first.action_end is end
        assert first.verdict is Verdict.NOT_HEALED
        assert Rung.QUARANTINE in {each.rung for each in attempts if each.verdict != "refused"}

    return prove


def damages(path: Path) -> None:
    """Write something else over a database."""
    for each in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(b"not a database" * 500)


def damages_file(world: World) -> None:
    """Overwrite the Overseer's file, and let it be opened anew."""
    keeper = world.oversight._keeper
    assert keeper is not None
    keeper.close()
    damages(world.data.root / "overseer.db")


def damages_audit(world: World) -> None:
    """Overwrite the file of the audit log, and of the revisions."""
    damages(world.data.root / GOVERNANCE)


def quarantined_all_the_same(world: World, attempts: tuple[HealAttempt, ...]) -> None:
    """Say that harm was stopped although it could not be told to the audit log."""
    assert world.statuses["scout"].state is ServiceState.QUARANTINED
    away = next(each for each in attempts if each.rung is Rung.QUARANTINE)
    assert away.action_end is ActionEnd.RETURNED
    assert "the audit log was not told" in away.action


def sense_raises(times: int) -> Plant:
    """Return a plant that lets a sense of the Overseer raise at so many looks."""

    def plant(world: World) -> None:
        left = [times]

        def sense(_at: float) -> None:
            if left[0]:
                left[0] -= 1
                raise ZeroDivisionError("a look at nobody")

        world.oversight.overseer.sense(sense)

    return plant


def still_looked(world: World, _attempts: tuple[HealAttempt, ...]) -> None:
    """Say that everybody else was looked at every minute all the same."""
    assert world.health_passes() >= int(world.lived_s // 60) - 2
    assert world.statuses["health"].restarts == 0


def deaf(world: World) -> None:
    """Let somebody who listens fail on each tick."""

    async def hear(_event: object) -> None:
        if not world.parts.get("hears again"):
            raise ZeroDivisionError("who listens has a bug")

    world.bus.subscribe("diary", (TickCompleted,), hear)


FAULTS: Final = (
    Fault(
        name="the Overseer's file is damaged",
        mechanism="own file",
        agent="overseer.file",
        says="memory is away",
        plant=damages_file,
        ends_in="acted",
        is_sample=True,
    ),
    Fault(
        name="the audit log is damaged while an agent has to go",
        mechanism="own file",
        agent="scout",
        causes=("configuration",),
        plant=both(damages_audit, fails(lambda: PermissionError(13, "denied"))),
        ends_in="acted",
        rung="quarantine",
        proves=quarantined_all_the_same,
    ),
    Fault(
        name="the Overseer's look raises, once",
        mechanism="blindness",
        agent="health.senses",
        says="a look at nobody",
        plant=sense_raises(1),
        mends=lambda _: None,
        mends_s=60.0,
        ends_in="recovered",
        proves=still_looked,
    ),
    Fault(
        name="a sense of the Overseer raises at every look",
        mechanism="blindness",
        agent="health.senses",
        says="a look at nobody",
        plant=sense_raises(25),
        mends=lambda _: None,
        ends_in="recovered",
        proves=still_looked,
        is_sample=True,
    ),
    Fault(
        name="a hand of healing raises",
        mechanism="bad hands",
        agent="scout",
        causes=("own_code",),
        plant=both(hand(Rung.RESTART, BrokenPort()), fails(bug)),
        ends_in="acted",
        rung="quarantine",
        proves=ended_as(ActionEnd.FAILED),
    ),
    Fault(
        name="a hand of healing says that it did what it did not",
        mechanism="bad hands",
        agent="scout",
        causes=("own_code",),
        plant=both(hand(Rung.RESTART, LyingPort()), fails(bug)),
        ends_in="acted",
        rung="quarantine",
        proves=ended_as(ActionEnd.RETURNED),
        is_sample=True,
    ),
    Fault(
        name="a hand lies while the agent gets well alone",
        mechanism="bad hands",
        agent="scout",
        causes=("own_code",),
        plant=both(hand(Rung.RESTART, LyingPort()), fails(bug)),
        mends=lambda world: setattr(world.scout, "call", None),
        mends_s=500.0,
        ends_in="recovered",
        rung="restart",
    ),
    Fault(
        name="who listens to facts fails on each",
        mechanism="bus",
        agent="bus.diary",
        says="diary failed on an event",
        plant=deaf,
        mends=lambda world: world.parts.update({"hears again": True}),
        ends_in="recovered",
        is_sample=True,
    ),
    Fault(
        name="alerts cannot be kept while the data goes stale",
        mechanism="two at once",
        agent="market data",
        causes=("data_gap",),
        plant=both(
            lambda world: setattr(world, "store_fails", TryLater("the store takes nothing")),
            lambda world: setattr(world, "is_stale", True),
        ),
        mends=both(
            lambda world: setattr(world, "store_fails", None),
            lambda world: setattr(world, "is_stale", False),
        ),
        ends_in="recovered",
    ),
)
