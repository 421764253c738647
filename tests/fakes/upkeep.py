"""A keeper of governance beside people and machines that use the same file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from roboinvest.core.approvals import InboxRules
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Proposal, ProposalKind
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.upkeep.keeper import GovernanceKeeper
from roboinvest.runtime.upkeep.rounds import Rounds
from roboinvest.runtime.vendors.calls import VendorCalls
from tests.fakes.clocks import START, ManualClock
from tests.fakes.governance import a_proposal
from tests.fakes.revisions import AgentHouse, agent_house


class LoopsClock:
    """The time of one loop, also for the threads that work for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: datetime = START) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        """Return the wall time: the start plus the loop's time."""
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()


@dataclass
class KeptHouse:
    """A data folder, the keeper that looks after it, and what it told."""

    data: Path
    clock: Clock
    opens: Callable[..., GovernanceFile] = GovernanceFile.open
    every_s: float = 60.0
    whole_every_s: float = 3600.0
    in_flight: InFlight = field(default_factory=InFlight)
    told: list[Event] = field(default_factory=list)
    left_open: tuple[str, ...] = ()
    open_keys: tuple[str, ...] = ()  # of the alerts of others

    def __post_init__(self) -> None:
        self.rounds = Rounds(
            self.data, self.clock, rules=InboxRules(), limits=GovernorLimits(), opens=self.opens
        )
        self.calls = VendorCalls("governance", threads=1, limiter=None, in_flight=self.in_flight)
        self.keeper = GovernanceKeeper(
            self.rounds,
            self.calls,
            every_s=self.every_s,
            whole_every_s=self.whole_every_s,
            publish=self.told.append,
            clock=self.clock,
            left_open=self.left_open,
            open_keys=lambda: self.open_keys,
        )

    def alerts(self) -> dict[str, AlertRaised]:
        """Return the alerts that are open, by key, without the part that all have."""
        found: dict[str, AlertRaised] = {}
        for event in self.told:
            if isinstance(event, AlertRaised):
                found[event.key.removeprefix("governance.")] = event
            elif isinstance(event, AlertResolved):
                found.pop(event.key.removeprefix("governance."), None)
        return found

    def raised(self, key: str) -> int:
        """Return how often an alert was raised."""
        wanted = f"governance.{key}"
        return sum(isinstance(each, AlertRaised) and each.key == wanted for each in self.told)

    def close(self) -> None:
        """Let go of file and thread."""
        self.rounds.hurry()
        self.rounds.close()
        self.calls.close()


@contextmanager
def kept(data: Path, clock: Clock | None = None, **more: Any) -> Iterator[KeptHouse]:
    """Look after a data folder."""
    house = KeptHouse(data, clock or ManualClock(), **more)
    try:
        yield house
    finally:
        house.close()


@contextmanager
def lived_in(data: Path, clock: ManualClock) -> Iterator[tuple[AgentHouse, Inbox]]:
    """Use the revisions and the inbox of a folder, as commands do."""
    with agent_house(data, clock) as house:
        yield house, Inbox(house.file, InboxRules(), clock)


def a_schedule(number: int = 0, **fields: Any) -> Proposal:
    """Return p<number>: another schedule, which people have an hour to say no to."""
    values: dict[str, Any] = {
        "kind": ProposalKind.SCHEDULE,
        "subject": f"track-{number}",
        "before": '"hourly"',
        "after": '"daily"',
        "undo": None,
    }
    return a_proposal(number, **{**values, **fields})


def file_of(data: Path) -> Path:
    """Return where the governance file lies."""
    return data / FILE_NAME
