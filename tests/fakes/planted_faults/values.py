"""A fault as a value: what is planted, what a person would say of it, and how it has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from roboinvest.core.events import AlertRaised, AlertResolved, Severity
from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.overseen import Furnish, World, unfurnished

BEGINS_S: Final = 1_800.0  # the fault; before it the house is well
LIVES_S: Final = 5_400.0  # with the fault
Plant = Callable[[World], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    name: str
    mechanism: str  # of what sort it is; the sample has one of each
    agent: str  # whose fault it is: an agent, or the key of the alert that its keeper raises
    causes: tuple[str, ...] = ()  # any of which is right; (): its own keeper names it, by `says`
    says: str = ""  # words of the alert
    plant: Plant
    ends_in: str  # "healed", "recovered" (the fault goes away), "acted", "escalated"
    begins_s: float = BEGINS_S
    lives_s: float = LIVES_S
    mends: Plant | None = None  # the fault goes away by itself
    mends_s: float = 1_500.0  # after it began
    rung: str = ""  # that has to have been pulled
    tells: tuple[str, ...] | None = None  # keys that people hear of; None: that of `agent` alone
    folds: Mapping[str, str] = field(default_factory=dict)  # who else fails, and because of whom
    flaps: bool = False  # a heal is measured, and does not last
    proves: Callable[[World, tuple[HealAttempt, ...]], None] = lambda _, __: None  # asserts more
    furnish: Furnish = unfurnished
    house: Mapping[str, Any] = field(default_factory=dict)  # fields of the world
    is_sample: bool = False  # lived through by every run of the tests


def fails(error: Callable[[], BaseException], who: str = "scout") -> Plant:
    """Return a plant that lets every call of a patient fail."""

    def call() -> None:
        raise error()

    def plant(world: World) -> None:
        getattr(world, who).call = call

    return plant


def works(who: str = "scout") -> Plant:
    """Return what lets the calls of a patient go well again."""

    def mend(world: World) -> None:
        getattr(world, who).call = None

    return mend


def cured_by_restart(plant: Plant) -> Plant:
    """Return a plant that a restart of the scout cures."""

    def planted(world: World) -> None:
        plant(world)
        world.scout.cured_by_restart = True

    return planted


def runs(script: Callable[[ServiceContext], Any]) -> Plant:
    """Return a plant that lets the feed run as a script."""

    def plant(world: World) -> None:
        world.feed.run_as = script

    return plant


def sets(**values: Any) -> Plant:
    """Return a plant that sets fields of the world."""

    def plant(world: World) -> None:
        for name, value in values.items():
            setattr(world, name, value)

    return plant


def answers(source: str, reason: str) -> Plant:
    """Return a plant that lets the model answer so."""

    def plant(world: World) -> None:
        world.model.source, world.model.reason = source, reason

    return plant


def alert(key: str, kind: str, message: str) -> Plant:
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


def resolves(key: str) -> Plant:
    """Return what ends the alert of a client."""

    def plant(world: World) -> None:
        world.bus.publish(AlertResolved(at=world.clock.now(), key=key, message="it answers"))

    return plant


def both(*plants: Plant) -> Plant:
    """Return a plant of several."""

    def plant(world: World) -> None:
        for each in plants:
            each(world)

    return plant


def later(seconds: float, plant: Plant) -> Plant:
    """Return a plant that waits."""

    def planted(world: World) -> None:
        asyncio.get_running_loop().call_later(seconds, plant, world)

    return planted


def crew(names: tuple[str, ...], error: Callable[[], BaseException] | None) -> Plant:
    """Return a plant that lets the calls of agents of the crew fail; None: go well."""

    def call() -> None:
        if error is not None:
            raise error()

    def plant(world: World) -> None:
        world.parts["crew"].calls.update(dict.fromkeys(names, call))

    return plant


def gauge(name: str, what: str, value: float) -> Plant:
    """Return a plant that lets an agent of the crew read a value off itself."""

    def plant(world: World) -> None:
        world.parts["crew"].gauges[name] = {what: value}

    return plant


def bug() -> BaseException:
    """Return an error that only own code makes."""
    return NameError("name 'prise' is not defined")


def hungry() -> BaseException:
    """Return an error that own code makes of missing input."""
    return KeyError("close")
