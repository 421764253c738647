"""Faults for a house that is overseen: what is planted, and what a person would say of it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.overseen import World
from tests.fakes.services import hanging, raising, returning

BEGINS_S: Final = 1_800.0  # the fault; before it the house is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    name: str
    agent: str  # whose fault it is
    causes: tuple[str, ...]  # any of which is right
    plant: Callable[[World], object]
    ends_in: str  # "healed", "recovered" (the fault goes away), "acted", "escalated"
    begins_s: float = BEGINS_S
    mends: Callable[[World], object] | None = None  # the fault goes away by itself
    mends_s: float = 1_500.0  # after it began
    rung: str = ""  # that has to have been pulled


def fails(error: Callable[[], BaseException]) -> Callable[[World], None]:
    """Return a plant that lets every call of the scout fail."""

    def call() -> None:
        raise error()

    def plant(world: World) -> None:
        world.scout.call = call

    return plant


def cured_by_restart(plant: Callable[[World], object]) -> Callable[[World], None]:
    """Return a plant that a restart of the scout cures."""

    def planted(world: World) -> None:
        plant(world)
        world.scout.cured_by_restart = True

    return planted


def runs(script: Callable[[ServiceContext], Any]) -> Callable[[World], None]:
    """Return a plant that lets the feed run as a script."""

    def plant(world: World) -> None:
        world.feed.run_as = script

    return plant


async def spinning(ctx: ServiceContext) -> None:
    """Go round without getting anywhere."""
    while True:
        ctx.beat(progress=7)
        await ctx.sleep(1.0)


def sets(**values: Any) -> Callable[[World], None]:
    """Return a plant that sets fields of the world."""

    def plant(world: World) -> None:
        for name, value in values.items():
            setattr(world, name, value)

    return plant


def answers(source: str, reason: str) -> Callable[[World], None]:
    """Return a plant that lets the model answer so."""

    def plant(world: World) -> None:
        world.model.source, world.model.reason = source, reason

    return plant


def alert(key: str, kind: str, message: str) -> Callable[[World], None]:
    """Return a plant that raises the alert of a client."""

    def plant(world: World) -> None:
        world.bus.publish(
            AlertRaised(
                at=world.clock.now(),
                key=key,
                severity=Severity.CRITICAL,
                kind=kind,
                message=message,
            )
        )

    return plant


def resolves(key: str) -> Callable[[World], None]:
    """Return what ends the alert of a client."""

    def plant(world: World) -> None:
        world.bus.publish(AlertResolved(at=world.clock.now(), key=key, message="it answers"))

    return plant


def leaks(world: World) -> None:
    """Let memory grow by a twentieth a minute."""
    world.memory_frac = min(world.memory_frac + 0.05, 0.99)
    if world.memory_frac < 0.99:
        asyncio.get_running_loop().call_later(60.0, leaks, world)


def damages_file(world: World) -> None:
    """Overwrite the Overseer's file, and let it be opened anew."""
    keeper = world.oversight._keeper
    assert keeper is not None
    keeper.close()
    path = world.data.root / "overseer.db"
    for each in (path, path.with_name("overseer.db-wal"), path.with_name("overseer.db-shm")):
        each.unlink(missing_ok=True)
    path.write_bytes(b"not a database" * 500)


def breaks_health(world: World) -> None:
    """Let the next look of the Overseer itself raise, once."""
    left = [1]

    def sense(_at: float) -> None:
        if left:
            left.pop()
            raise ZeroDivisionError("a look at nobody")

    world.oversight.overseer.sense(sense)


def both(*plants: Callable[[World], object]) -> Callable[[World], None]:
    """Return a plant of several."""

    def plant(world: World) -> None:
        for each in plants:
            each(world)

    return plant


def _name_error() -> BaseException:
    return NameError("name 'prise' is not defined")


def _key_error() -> BaseException:
    return KeyError("close")


_QUOTA = "openai:mini: 429 insufficient_quota"
_AWAY = "openai:mini: no answer within 20 s"

FAULTS: Final = (
    Fault(
        name="a service raises at every start",
        agent="feed",
        causes=("own_code",),
        plant=runs(raising),
        ends_in="acted",
    ),
    Fault(
        name="a service hangs for ever",
        agent="feed",
        causes=("own_code",),
        plant=runs(hanging),
        ends_in="acted",
    ),
    Fault(
        name="a service returns early",
        agent="feed",
        causes=("own_code",),
        plant=runs(returning),
        ends_in="acted",
    ),
    Fault(
        name="a service spins without progress",
        agent="feed",
        causes=("own_code",),
        plant=runs(spinning),
        ends_in="acted",
    ),
    Fault(
        name="a service raises, and mends by itself",
        agent="feed",
        causes=("own_code",),
        plant=runs(raising),
        mends=lambda world: setattr(world.feed, "run_as", None),
        mends_s=20.0,
        ends_in="recovered",
    ),
    Fault(
        name="an agent floods errors until it is restarted",
        agent="scout",
        causes=("own_code",),
        plant=cured_by_restart(fails(_key_error)),
        ends_in="healed",
        rung="restart",
    ),
    Fault(
        name="a bug that no restart mends",
        agent="scout",
        causes=("own_code",),
        plant=fails(_name_error),
        ends_in="acted",
        rung="code_proposal",
    ),
    Fault(
        name="an agent slows tenfold",
        agent="scout",
        causes=("own_code",),
        plant=lambda world: setattr(world.scout, "takes_s", 1.0),
        begins_s=5_400.0,
        mends=lambda world: setattr(world.scout, "takes_s", 0.1),
        ends_in="recovered",
    ),
    Fault(
        name="a key is refused to an agent",
        agent="scout",
        causes=("configuration",),
        plant=fails(lambda: PermissionError(errno.EACCES, "denied")),
        ends_in="acted",
        rung="quarantine",
    ),
    Fault(
        name="an agent finds no memory",
        agent="scout",
        causes=("resource",),
        plant=cured_by_restart(fails(lambda: MemoryError("no more"))),
        ends_in="healed",
        rung="restart",
    ),
    Fault(
        name="an agent has spent its budget",
        agent="scout",
        causes=("budget",),
        plant=fails(lambda: type("BudgetSpent", (Exception,), {})("the day's")),
        mends=lambda world: setattr(world.scout, "call", None),
        ends_in="recovered",
    ),
    Fault(
        name="something an agent calls is away",
        agent="scout",
        causes=("dependency",),
        plant=fails(lambda: TryLater("Chroma is away")),
        mends=lambda world: setattr(world.scout, "call", None),
        ends_in="recovered",
        rung="restart",
    ),
    Fault(
        name="the process leaks memory",
        agent="process",
        causes=("resource",),
        plant=leaks,
        ends_in="escalated",
        rung="escalate",
    ),
    Fault(
        name="file descriptors run out",
        agent="process",
        causes=("resource",),
        plant=sets(gauges={"open_files_frac": 0.99}),
        ends_in="escalated",
        rung="escalate",
    ),
    Fault(
        name="the loop is late",
        agent="process",
        causes=("resource",),
        plant=sets(lag_s=1.0),
        mends=sets(lag_s=0.0),
        ends_in="recovered",
    ),
    Fault(
        name="the disk is nearly full",
        agent="data folder",
        causes=("resource",),
        plant=sets(disk_frac=0.98),
        mends=sets(disk_frac=0.5),
        ends_in="recovered",
    ),
    Fault(
        name="the disk is full",
        agent="data folder",
        causes=("resource",),
        plant=sets(trouble=OSError(errno.ENOSPC, "No space left on device")),
        mends=sets(trouble=None),
        ends_in="recovered",
    ),
    Fault(
        name="the data folder is read-only",
        agent="data folder",
        causes=("resource",),
        plant=sets(trouble=OSError(errno.EROFS, "Read-only file system")),
        mends=sets(trouble=None),
        ends_in="recovered",
    ),
    Fault(
        name="the data goes stale",
        agent="market data",
        causes=("data_gap",),
        plant=sets(is_stale=True),
        mends=sets(is_stale=False),
        ends_in="recovered",
    ),
    Fault(
        name="the data is garbage",
        agent="market data",
        causes=("data_gap", "dependency"),
        plant=sets(is_stale=True, bad_rows=9),
        mends=sets(is_stale=False, bad_rows=0),
        ends_in="recovered",
    ),
    Fault(
        name="the broker answers 500",
        agent="broker",
        causes=("provider",),
        plant=alert("broker.away", "broker", "alpaca answered 500 to every call"),
        mends=resolves("broker.away"),
        ends_in="recovered",
    ),
    Fault(
        name="the broker does not answer",
        agent="broker",
        causes=("provider",),
        plant=alert("broker.away", "broker", "the broker did not answer in time: no answer"),
        mends=resolves("broker.away"),
        ends_in="recovered",
    ),
    Fault(
        name="the model's quota is out",
        agent="language model",
        causes=("budget",),
        plant=answers("rules", _QUOTA),
        mends=answers("openai:mini", ""),
        ends_in="recovered",
    ),
    Fault(
        name="the model does not answer",
        agent="language model",
        causes=("provider",),
        plant=answers("rules", _AWAY),
        mends=answers("openai:mini", ""),
        ends_in="recovered",
    ),
    Fault(
        name="the model's replies are garbage",
        agent="SimpleOrganicStrategyAgent",
        causes=("bad_output",),
        plant=answers("safe", "openai:mini: unreadable twice"),
        ends_in="healed",
        rung="degrade",
    ),
    Fault(
        name="the Overseer's file is damaged",
        agent="overseer.file",
        causes=(),
        plant=damages_file,
        ends_in="acted",
    ),
    Fault(
        name="the Overseer itself raises",
        agent="health",
        causes=(),
        plant=breaks_health,
        ends_in="recovered",
    ),
    Fault(
        name="two at once: a bug beside a full disk",
        agent="scout",
        causes=("own_code",),
        plant=both(fails(_name_error), sets(trouble=OSError(errno.ENOSPC, "No space left"))),
        mends=sets(trouble=None),
        ends_in="acted",
    ),
)
