"""The hands of healing: one port for each rung, and what stands behind it in this house.

A port says why it cannot act, acts once, and says afterwards whether what it promised is there to
be seen. That an action returned is not taken for its effect: the Healer measures. No port lifts a
halt, releases a quarantine, or touches an order, a position or a limit. A port with nothing behind
it refuses with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from roboinvest.core.errors import Refused
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import Rung
from roboinvest.runtime.halt import HaltFile, HaltLevel
from roboinvest.runtime.oversight.fuse import Fuse
from roboinvest.runtime.oversight.hooks import HealingHooks
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus

WHO: Final = "healer"
_MAX_WORDS: Final = 1_000  # of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One rung, to be pulled once."""

    attempt_id: str
    agent: str
    cause: Cause
    rung: Rung
    reason: str  # why, in words
    at: datetime  # UTC

    @property
    def words(self) -> str:
        """Return what a journal says of it; the id is in it, so that it is known again."""
        return f"heal {self.attempt_id}: {self.cause.words}: {self.reason}"[:_MAX_WORDS]


class HealPort(Protocol):
    """What stands behind a rung."""

    async def refusal(self, order: Order) -> str | None:
        """Return why it cannot be done now, in a sentence; None: it can. Nothing is changed."""

    async def act(self, order: Order) -> str:
        """Do it once, and return what was done, in words.

        Raises:
            Refused, NeedsApproval: nothing was done.
            TryLater: it is not known what was done.
        """

    async def happened(self, order: Order) -> bool | None:
        """Return whether what was promised is there to be seen; None: nobody can say."""


class Supervises(Protocol):
    """The supervisor, as far as healing may ask it."""

    def restart(self, name: str) -> None:
        """Ask for a stop and a start."""

    def quarantine(self, name: str) -> None:
        """Ask for a stop until somebody releases it.

        Raises:
            Refused: the house cannot do without it.
        """

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return every service."""


class NothingBehind:
    """A port that has nobody."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    async def refusal(self, order: Order) -> str | None:  # noqa: ARG002 port
        """Return the sentence."""
        return self._sentence

    async def act(self, order: Order) -> str:
        """Refuse.

        Raises:
            Refused: always.
        """
        raise Refused(f"{order.rung.words} of {order.agent}: {self._sentence}")

    async def happened(self, order: Order) -> bool | None:  # noqa: ARG002 port
        """Return that nothing did."""
        return False


class Restarts:
    """Asks the supervisor to stop and start a service."""

    def __init__(self, supervisor: Callable[[], Supervises]) -> None:
        """Take where to find the supervisor, which is made later than what it keeps."""
        self._supervisor = supervisor
        self._before: dict[str, int] = {}  # restarts, by attempt

    async def refusal(self, order: Order) -> str | None:
        """Say no for what is not kept, and for what a quarantine or its end keeps down."""
        status = _status(self._supervisor(), order.agent)
        if status is None:
            return f"the supervisor keeps no service {order.agent}"
        if status.state is ServiceState.QUARANTINED:
            return f"{order.agent} is quarantined, and healing releases nobody"
        if status.state in (ServiceState.FINISHED, ServiceState.STOPPED):
            return f"{order.agent} is {status.state} and does not run any more"
        return None

    async def act(self, order: Order) -> str:
        """Ask for the restart."""
        status = _status(self._supervisor(), order.agent)
        if status is None:
            raise Refused(f"the supervisor keeps no service {order.agent}; nothing was done")
        self._before = {order.attempt_id: status.restarts} | dict(list(self._before.items())[:99])
        self._supervisor().restart(order.agent)
        return f"the supervisor was asked to restart {order.agent}"

    async def happened(self, order: Order) -> bool | None:
        """Look whether it was started since; a new process does not know."""
        before, status = (
            self._before.get(order.attempt_id),
            _status(self._supervisor(), order.agent),
        )
        return None if before is None or status is None else status.restarts > before


class Reconnects:
    """Pulls the hook that a service registered: clears its cache, or connects again."""

    def __init__(self, hooks: HealingHooks) -> None:
        self._hooks = hooks

    async def refusal(self, order: Order) -> str | None:
        """Say no where nothing is registered."""
        if self._hooks.find(order.agent) is None:
            return f"{order.agent} registered no way to clear a cache or to connect again"
        return None

    async def act(self, order: Order) -> str:
        """Pull the hook."""
        hook = self._hooks.find(order.agent)
        if hook is None:
            raise Refused(f"{order.agent} registered no hook; nothing was done")
        await hook.pull()
        return f"the hook of {order.agent} returned, which {hook.what}"

    async def happened(self, order: Order) -> bool | None:  # noqa: ARG002 port
        """Nobody can see into a cache."""
        return None


class Degrades:
    """Lets rules answer an agent in place of its model."""

    def __init__(self, switch: ModelSwitch) -> None:
        self._switch = switch

    async def refusal(self, order: Order) -> str | None:
        """Say no where rules answer already."""
        why = self._switch.degraded.get(order.agent)
        return None if why is None else f"rules answer {order.agent} already ({why})"

    async def act(self, order: Order) -> str:
        """Set the switch."""
        self._switch.degrade(order.agent, f"degraded by {order.words}")
        return f"rules answer {order.agent} until it is restored"

    async def happened(self, order: Order) -> bool | None:
        """Look at the switch."""
        return order.agent in self._switch.degraded


class Halts:
    """Halts trading: no new risk. Only a person lifts it."""

    def __init__(self, halt: HaltFile, threads: Threads) -> None:
        self._halt = halt
        self._threads = threads

    async def refusal(self, order: Order) -> str | None:  # noqa: ARG002 port
        """Say no where a halt is in force, which is as far as healing goes."""
        halt = await self._threads.do("a look at HALT", self._halt.read)
        return None if halt is None else f"trading is halted already by {halt.by}: {halt.reason}"

    async def act(self, order: Order) -> str:
        """Set the halt; a stronger one that is there stays."""

        def act() -> str:
            words = order.words
            halt = self._halt.set(HaltLevel.NEW, reason=words, by=WHO, at=order.at)
            return f"trading is halted ({halt.level}) by {halt.by}; a person lifts it"

        return await self._threads.do("a halt", act)

    async def happened(self, order: Order) -> bool | None:  # noqa: ARG002 port
        """Look at the file."""
        return await self._threads.do("a look at HALT", self._halt.read) is not None


class Escalations:
    """Asks for a clean process: the supervisor ends this one with code 70."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse

    async def refusal(self, order: Order) -> str | None:  # noqa: ARG002 port
        """Say no where it was asked for already."""
        why = self._fuse.reason
        return None if why is None else f"a clean process is on its way: {why}"

    async def act(self, order: Order) -> str:
        """Blow the fuse."""
        self._fuse.blow(order.words)
        return "the supervisor was asked to end this process with code 70"

    async def happened(self, order: Order) -> bool | None:  # noqa: ARG002 port
        """Nobody can say: who asks later is another process."""
        return None


def _status(supervisor: Supervises, name: str) -> ServiceStatus | None:
    return next((each for each in supervisor.statuses() if each.name == name), None)
