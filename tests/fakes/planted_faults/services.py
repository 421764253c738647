"""Faults of services and agents: they raise, hang, return, flood, slow down, lie."""

from __future__ import annotations

import errno
from typing import Final

from roboinvest.core.errors import TryLater
from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.runtime.supervision.service import ServiceContext, ServiceState
from tests.fakes.overseen import World
from tests.fakes.overseen_parts import a_crew, keeping_house
from tests.fakes.planted_faults.values import (
    Fault,
    both,
    bug,
    crew,
    cured_by_restart,
    fails,
    gauge,
    hungry,
    later,
    runs,
    works,
)
from tests.fakes.services import deaf_once, hanging, raising, returning

LINKS: Final = ("source", "reader", "writer")
MANY: Final = tuple(f"watcher-{number:02d}" for number in range(25))


async def spinning(ctx: ServiceContext) -> None:
    """Go round without getting anywhere."""
    while True:
        ctx.beat(progress=7)
        await ctx.sleep(1.0)


def away() -> BaseException:
    """Return what a caller is told by somebody who is away."""
    return TryLater("it is away")


def never_starts(world: World) -> None:
    """Let the feed fail, and hang at each start from then on."""
    world.feed.start_hangs = True
    world.feed.run_as = raising


def insane(world: World) -> None:
    """Let the scout note a reading that is no number, as a bug of its own would."""

    def call() -> None:
        pulse = world.oversight.overseer.pulse("scout")
        assert pulse is not None
        pulse.gauge("spread", float("nan"), world.clock.monotonic())

    world.scout.call = call


def relapses(world: World) -> None:
    """Fall ill, be cured by each restart, and fall ill again twenty minutes later."""
    cured_by_restart(fails(hungry))(world)
    runs_before = world.scout.runs

    def again() -> None:
        if world.scout.runs > runs_before and world.scout.call is None:
            relapses(world)

    later(1_200.0, lambda _: again())(world)


def stays_away(world: World, attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the scout is put away still, although its trouble is over."""
    assert world.statuses["scout"].state is ServiceState.QUARANTINED
    assert [each.rung.value for each in attempts if each.verdict != "refused"] == ["quarantine"]


def climbs_on(world: World, attempts: tuple[HealAttempt, ...]) -> None:
    """Say that what fell ill again was not given the same rung again."""
    pulled = [each.rung.value for each in attempts if each.verdict != "refused"]
    assert pulled[0] == "restart"
    assert "restart" not in pulled[1:]
    assert "quarantine" in pulled
    assert world.statuses["scout"].state is ServiceState.QUARANTINED


def is_emptied(world: World) -> None:
    """Let a queue of the scribe fill until somebody empties it."""
    gauge("scribe", "queue_frac", 0.99)(world)

    async def empty() -> None:
        gauge("scribe", "queue_frac", 0.1)(world)

    world.oversight.hooks.register("scribe", "drops what waits in its queue", empty)


FAULTS: Final = (
    Fault(
        name="a service raises at every start",
        mechanism="crash loop",
        agent="feed",
        causes=("own_code",),
        plant=runs(raising),
        ends_in="acted",
        is_sample=True,
    ),
    Fault(
        name="a service hangs for ever",
        mechanism="hang",
        agent="feed",
        causes=("own_code",),
        plant=runs(hanging),
        ends_in="acted",
    ),
    Fault(
        name="a service returns early",
        mechanism="crash loop",
        agent="feed",
        causes=("own_code",),
        plant=runs(returning),
        ends_in="acted",
    ),
    Fault(
        name="a service spins without progress",
        mechanism="hang",
        agent="feed",
        causes=("own_code",),
        plant=runs(spinning),
        ends_in="acted",
        is_sample=True,
    ),
    Fault(
        name="a service hangs, and hears only the second cancellation",
        mechanism="hang",
        agent="feed",
        causes=("own_code",),
        plant=runs(deaf_once),
        ends_in="acted",
    ),
    Fault(
        name="a service never gets ready again",
        mechanism="hang",
        agent="feed",
        causes=("own_code",),
        plant=never_starts,
        ends_in="acted",
    ),
    Fault(
        name="a service raises, and mends by itself",
        mechanism="crash loop",
        agent="feed",
        causes=("own_code",),
        plant=runs(raising),
        mends=lambda world: setattr(world.feed, "run_as", None),
        mends_s=20.0,
        ends_in="recovered",
    ),
    Fault(
        name="retention fails whenever it is due",
        mechanism="crash loop",
        agent="retention",
        causes=("dependency",),
        plant=lambda world: world.parts.update({"retention fails": TryLater("the store is away")}),
        begins_s=3_540.0,
        mends=lambda world: world.parts.update({"retention fails": None}),
        mends_s=7_000.0,
        lives_s=9_000.0,
        ends_in="recovered",
        house={"services": keeping_house},
    ),
    Fault(
        name="an agent floods errors until it is restarted",
        mechanism="errors",
        agent="scout",
        causes=("own_code",),
        plant=cured_by_restart(fails(hungry)),
        ends_in="healed",
        rung="restart",
        is_sample=True,
    ),
    Fault(
        name="a bug that no restart mends",
        mechanism="errors",
        agent="scout",
        causes=("own_code",),
        plant=fails(bug),
        ends_in="acted",
        rung="code_proposal",
    ),
    Fault(
        name="an agent falls ill again after each restart",
        mechanism="flapping",
        agent="scout",
        causes=("own_code",),
        plant=relapses,
        ends_in="acted",
        rung="quarantine",
        flaps=True,
        lives_s=7_200.0,
        proves=climbs_on,
        is_sample=True,
    ),
    Fault(
        name="an agent reads what is no number off itself",
        mechanism="errors",
        agent="scout",
        causes=("own_code",),
        plant=insane,
        ends_in="acted",
        rung="restart",
    ),
    Fault(
        name="an agent slows tenfold",
        mechanism="slowness",
        agent="scout",
        causes=("own_code",),
        plant=lambda world: setattr(world.scout, "takes_s", 1.0),
        begins_s=5_400.0,
        mends=lambda world: setattr(world.scout, "takes_s", 0.1),
        ends_in="recovered",
    ),
    Fault(
        name="a key is refused to an agent",
        mechanism="settings",
        agent="scout",
        causes=("configuration",),
        plant=fails(lambda: PermissionError(errno.EACCES, "denied")),
        ends_in="acted",
        rung="quarantine",
    ),
    Fault(
        name="a quarantined agent whose trouble is over",
        mechanism="settings",
        agent="scout",
        causes=("configuration",),
        plant=fails(lambda: PermissionError(errno.EPERM, "not permitted")),
        mends=works(),
        ends_in="acted",
        rung="quarantine",
        proves=stays_away,
    ),
    Fault(
        name="an agent finds no memory",
        mechanism="resources",
        agent="scout",
        causes=("resource",),
        plant=cured_by_restart(fails(lambda: MemoryError("no more"))),
        ends_in="healed",
        rung="restart",
    ),
    Fault(
        name="a bound queue fills",
        mechanism="queue",
        agent="scribe",
        causes=("resource",),
        plant=is_emptied,
        ends_in="healed",
        rung="reconnect",
        house={"services": a_crew(scribe=())},
        is_sample=True,
    ),
    Fault(
        name="an agent has spent its budget",
        mechanism="money",
        agent="scout",
        causes=("budget",),
        plant=fails(lambda: type("BudgetSpent", (Exception,), {})("the day's")),
        mends=works(),
        ends_in="recovered",
    ),
    Fault(
        name="something an agent calls is away",
        mechanism="dependency",
        agent="scout",
        causes=("dependency",),
        plant=fails(lambda: TryLater("Chroma is away")),
        mends=works(),
        ends_in="recovered",
        rung="restart",
    ),
    Fault(
        name="the first of a chain of three fails",
        mechanism="dependency",
        agent="source",
        causes=("own_code",),
        plant=both(crew(LINKS[:1], bug), crew(LINKS[1:], away)),
        mends=crew(LINKS, None),
        ends_in="recovered",
        folds={"reader": "source", "writer": "source"},
        house={"services": a_crew(source=(), reader=("source",), writer=("reader",))},
        is_sample=True,
    ),
    Fault(
        name="errors of many agents at once, because of one",
        mechanism="storm",
        agent="quotes",
        causes=("own_code",),
        plant=both(crew(("quotes",), bug), crew(MANY, away)),
        mends=crew((*MANY, "quotes"), None),
        ends_in="recovered",
        folds=dict.fromkeys(MANY, "quotes"),
        house={"services": a_crew(quotes=(), **dict.fromkeys(MANY, ("quotes",)))},
        is_sample=True,
    ),
    Fault(
        name="a service crashes while another agent is being healed",
        mechanism="two at once",
        agent="scout",
        causes=("own_code",),
        plant=both(cured_by_restart(fails(hungry)), later(360.0, runs(raising))),
        ends_in="acted",
        rung="restart",
        flaps=True,
        tells=("agent.scout", "service.feed"),
        proves=lambda world, attempts: _healed_beside(attempts),
    ),
)


def _healed_beside(attempts: tuple[HealAttempt, ...]) -> None:
    """Say that the one was healed by its restart, and the other was not given the credit."""
    healed = [(each.agent, each.rung.value) for each in attempts if each.verdict == "healed"]
    assert healed == [("scout", "restart")]
