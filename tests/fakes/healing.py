"""Patients, ports that do or do not what they say, and a Healer on a file of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from meta_agents.healing import Healer
from meta_agents.healing_ports import HealPort, Order
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import (
    ActionEnd,
    Reading,
    Rung,
    Verdict,
)
from roboinvest.core.oversight.ladder import Sick, Trait
from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import LoopClock

EVERYTHING = frozenset(
    {Trait.SUPERVISED, Trait.HOOKED, Trait.ASKS_MODELS, Trait.PROMPTED, Trait.REVISED}
    | {Trait.TOUCHES_MONEY}
)


@dataclass
class Patient:
    """An agent with one figure."""

    cause: Cause = Cause.OWN_CODE
    value: float = 0.9
    limit: float = 0.2
    root: str = ""
    cured_by: frozenset[Rung] = frozenset()
    traits: frozenset[Trait] = EVERYTHING
    observations: int = 1  # since any action
    is_known: bool = True  # to whoever measures


class FakeWard:
    """Knows patients; `is_looking` says whether a health pass was held lately."""

    def __init__(self, clock: Clock, patients: Mapping[str, Patient]) -> None:
        self.clock = clock
        self.patients = dict(patients)
        self.is_looking = True
        self.measured: list[tuple[str, datetime]] = []

    def sick(self) -> Sequence[Sick] | None:
        """Return the patients above their limit."""
        if not self.is_looking:
            return None
        return [
            Sick(
                agent=name,
                cause=each.cause,
                reason=f"{name} fails",
                metric="errors",
                value=each.value,
                limit=each.limit,
                root=each.root or name,
            )
            for name, each in sorted(self.patients.items())
            if each.value > each.limit
        ]

    def measure(self, agent: str, metric: str, since: datetime) -> Reading | None:
        """Return the figure now."""
        self.measured.append((agent, since))
        patient = self.patients.get(agent)
        if patient is None or not patient.is_known:
            return None
        at = self.clock.now()
        return Reading(value=patient.value, at=at, observations=patient.observations)

    def traits(self, agent: str) -> frozenset[Trait]:
        """Return the traits of a patient."""
        found = self.patients.get(agent)
        return frozenset() if found is None else found.traits


class FakePort:
    """Does what it says, unless it is given another behaviour."""

    def __init__(self, ward: FakeWard, each: Callable[[Order], Awaitable[None]] | None = None):
        self.ward = ward
        self.orders: list[Order] = []
        self.refuses: str | None = None
        self.seen: bool | None = None  # what `happened` says
        self._each = each

    async def refusal(self, order: Order) -> str | None:
        """Return the sentence that was set."""
        return self.refuses

    async def act(self, order: Order) -> str:
        """Note the order; cure whom it cures."""
        self.orders.append(order)
        if self._each is not None:
            await self._each(order)
        for name, patient in self.ward.patients.items():
            is_meant = order.agent in (name, patient.root)
            if is_meant and order.rung in patient.cured_by:
                patient.value = 0.0
        return f"{order.rung} was done"

    async def happened(self, order: Order) -> bool | None:
        """Return what was set."""
        return self.seen


async def raises(order: Order) -> None:
    """Raise what nobody expects."""
    raise RuntimeError("the port fell over")


async def hangs(order: Order) -> None:
    """Never return."""
    await asyncio.Event().wait()


class FakeJournal:
    """Remembers what it was told; `broken` makes it raise."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Rung]] = []
        self.broken: Exception | None = None

    async def begun(self, order: Order, metric: str, value: float) -> None:
        """Note it."""
        if self.broken is not None:
            raise self.broken
        self.told.append(("begun", order.rung))

    async def ended(self, order: Order, end: ActionEnd, words: str) -> None:
        """Note it."""
        if self.broken is not None:
            raise self.broken
        self.told.append(("ended", order.rung))


@dataclass
class Infirmary:
    """A Healer, its file, its ports and what it published."""

    folder: Path
    file: OverseerFile
    ward: FakeWard
    clock: LoopClock
    threads: Threads
    in_flight: InFlight
    ports: dict[Rung, FakePort]
    healer: Healer
    attempts: HealAttempts
    journal: FakeJournal
    heard: list[Event] = field(default_factory=list)

    def rows(self) -> list[tuple[Rung, Verdict | None]]:
        """Return rung and verdict of every attempt, oldest first."""
        return [(each.rung, each.verdict) for each in reversed(self.attempts.newest(1000))]

    def raised(self) -> list[str]:
        """Return the keys of alerts that were raised."""
        return [each.key for each in self.heard if isinstance(each, AlertRaised)]

    def resolved(self) -> list[str]:
        """Return the keys of alerts that were resolved."""
        return [each.key for each in self.heard if isinstance(each, AlertResolved)]

    async def later(self, minutes: float) -> Any:
        """Let time pass, and make one pass."""
        await asyncio.sleep(minutes * 60)
        return await self.healer.heal_once()


@contextmanager
def infirmary(
    folder: Path,
    in_flight: InFlight,
    patients: Mapping[str, Patient],
    *,
    healer: type[Healer] = Healer,
    **more: Any,
) -> Iterator[Infirmary]:
    """Open a Healer on the file of a folder; to be used within a loop."""
    clock = LoopClock()
    ward = more.pop("ward", None) or FakeWard(clock, patients)
    ports = {rung: FakePort(ward) for rung in Rung}
    behind: dict[Rung, HealPort] = {**ports, **more.pop("ports", {})}
    journal = FakeJournal()
    heard: list[Event] = []
    taken = itertools.count(more.pop("first_id", 0))
    with (
        ThreadPoolExecutor(1) as pool,
        OverseerFile.open(folder / FILE_NAME, patience_s=0.2) as file,
    ):
        attempts = HealAttempts(file)
        threads = Threads(pool, in_flight)
        made = healer(
            ward,
            behind,
            attempts,
            journal=journal,
            threads=threads,
            clock=clock,
            new_id=lambda: f"heal-{next(taken)}",
            publish=heard.append,
            **more,
        )
        yield Infirmary(
            folder=folder,
            file=file,
            ward=ward,
            clock=clock,
            threads=threads,
            in_flight=in_flight,
            ports=ports,
            healer=made,
            attempts=attempts,
            journal=journal,
            heard=heard,
        )
