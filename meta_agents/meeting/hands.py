"""What stands behind the ports of a meeting in this house."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from meta_agents.meeting.ports import Order
from roboinvest.core.errors import Refused
from roboinvest.core.oversight.decisions import Act, Knob, json_value, number_in
from roboinvest.core.ports import SpendBook
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.oversight.tuned import TunedValues
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """A number that somebody in the house goes by, and how far it may be turned."""

    start: Decimal  # while nobody has turned it
    least: Decimal
    most: Decimal


class TunedHand:
    """Keeps numbers in the Overseer's file, and tells whoever goes by them at once.

    `tell` may be None where they are read when they are needed, or at the next start.
    """

    def __init__(
        self,
        act: Act,
        values: TunedValues,
        dials: Mapping[str, Dial],
        threads: Threads,
        tell: Callable[[str, Decimal], Awaitable[None]] | None = None,
    ) -> None:
        """Take the dials by their subjects."""
        self._act, self._values, self._dials = act, values, dict(dials)
        self._threads, self._tell = threads, tell

    async def knobs(self) -> tuple[Knob, ...]:
        """Return the dials."""
        return tuple([await self._knob(name) for name in sorted(self._dials)])

    async def standing(self, subject: str) -> str | None:
        """Look into the file."""
        return (await self._knob(subject)).text if subject in self._dials else None

    async def put(self, order: Order) -> None:
        """Turn a dial inside its bounds."""
        dial = self._dials.get(order.subject)
        value = number_in(order.value)
        if dial is None or not dial.least <= value <= dial.most:
            raise Refused(f"{self._act} of {order.subject} cannot be {value:f} here")
        name = tuned_name(self._act, order.subject)
        await self._threads.do(
            name, lambda: self._values.put(name, value, by=order.by, at=order.at)
        )
        if self._tell is not None:
            await self._tell(order.subject, value)

    async def _knob(self, subject: str) -> Knob:
        dial, name = self._dials[subject], tuned_name(self._act, subject)
        value = await self._threads.do(name, lambda: self._values.get(name, dial.start))
        bounded = min(max(value, dial.least), dial.most)
        return Knob(act=self._act, subject=subject, value=bounded, least=dial.least, most=dial.most)


def tuned_name(act: Act, subject: str) -> str:
    """Return by which name a number is kept: "set_interval/alpha_discovery"."""
    return f"{act}/{subject}"


class LlmCapHand:
    """Moves the day's cap of language models between the floor and the ceiling of a person."""

    SUBJECT: Final = "llm_day"

    def __init__(
        self,
        spend: SpendBook,
        read: Callable[[], Awaitable[Decimal]],
        *,
        floor_usd: Decimal,
        ceiling_usd: Decimal,
    ) -> None:
        """Take the book, and a way to see what the cap is."""
        self._spend, self._read = spend, read
        self._floor, self._ceiling = floor_usd, ceiling_usd

    async def knobs(self) -> tuple[Knob, ...]:
        """Return the cap, and the ceiling, which only a person moves."""
        cap = Knob(
            act=Act.SET_LLM_CAP,
            subject=self.SUBJECT,
            value=await self._read(),
            least=self._floor,
            most=self._ceiling,
        )
        ceiling = Knob(
            act=Act.SET_LLM_CEILING,
            subject=self.SUBJECT,
            value=self._ceiling,
            least=self._floor,
            most=Decimal(10) * self._ceiling,
            is_by_hand=True,
        )
        return cap, ceiling

    async def standing(self, subject: str) -> str | None:
        """Look at the cap."""
        return json_value(await self._read()) if subject == self.SUBJECT else None

    async def put(self, order: Order) -> None:
        """Move the cap."""
        value = number_in(order.value)
        if order.act is not Act.SET_LLM_CAP or not self._floor <= value <= self._ceiling:
            raise Refused(f"the day's cap lies in {self._floor} to {self._ceiling} USD: {value:f}")
        await self._spend.set_day_cap(value, order.why, order.at)


class Supervises(Protocol):
    """The supervisor, as far as a meeting may ask it."""

    def quarantine(self, name: str) -> None:
        """Ask for a stop until somebody releases it; Refused: the house needs it."""

    def release(self, name: str) -> None:
        """Ask for a start after a quarantine."""

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return every service."""


class QuarantineHand:
    """Puts services in quarantine; the way back is a person's."""

    def __init__(self, supervisor: Supervises, spared: frozenset[str]) -> None:
        """Take the supervisor, and the services that are never offered."""
        self._supervisor, self._spared = supervisor, spared

    async def knobs(self) -> tuple[Knob, ...]:
        """Return the services that the house can do without."""
        return tuple(
            Knob(act=Act.QUARANTINE, subject=each.name, value=_is_held(each))
            for each in self._supervisor.statuses()
            if each.name not in self._spared and not each.essential
        )

    async def standing(self, subject: str) -> str | None:
        """Look at the service."""
        found = (each for each in self._supervisor.statuses() if each.name == subject)
        status = next(found, None)
        return None if status is None else json_value(_is_held(status))

    async def put(self, order: Order) -> None:
        """Ask the supervisor."""
        if order.subject in self._spared:
            raise Refused(f"the house cannot do without {order.subject}")
        if order.value == "true":
            self._supervisor.quarantine(order.subject)
        else:
            self._supervisor.release(order.subject)


def _is_held(status: ServiceStatus) -> bool:
    return status.state is ServiceState.QUARANTINED
