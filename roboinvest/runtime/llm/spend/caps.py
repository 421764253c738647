"""How much may be spent: by a call, an iteration, an agent in a day, all in a day, all in a month.

Caps are nested: a call has to fit into every one of them, so the tightest binds, in whatever order
a person wrote them. The day's cap moves with the trading result; how far it can rise is a ceiling
that only a person changes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Self

from roboinvest.core.errors import BadSettings
from roboinvest.core.records import canonical_json


class Cap(StrEnum):
    """What is capped, from the inside out."""

    CALL = "call"
    ITERATION = "iteration"  # what asks about one tick or one lab iteration, whenever it asks
    AGENT = "agent"  # in an exchange day
    DAY = "day"  # all agents in an exchange day
    MONTH = "month"  # all agents in a month of exchange days


_SUBJECTS: Final = {
    Cap.CALL: "the cap of a call",
    Cap.ITERATION: "the cap of an iteration",
    Cap.AGENT: "the day's cap of an agent",
    Cap.DAY: "the day's cap",
    Cap.MONTH: "the month's cap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCaps:
    """The caps in USD. None: no cap of its own; the day always has one."""

    day_usd: Decimal  # where it begins
    day_ceiling_usd: Decimal | None = None  # the most it is ever moved to; None: day_usd
    call_usd: Decimal | None = None
    iteration_usd: Decimal | None = None
    agent_day_usd: Decimal | None = None
    month_usd: Decimal | None = None
    soft_frac: Decimal = Decimal("0.8")  # of a cap; whoever passes it is warned of

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            BadSettings: a cap is zero or less, or the day begins above its ceiling.
        """
        for name in (field.name for field in fields(self) if field.name.endswith("_usd")):
            usd = getattr(self, name)
            if usd is not None and not (usd.is_finite() and usd > 0):
                raise BadSettings(
                    f"{name} = {usd} is no cap: it has to be more than 0 USD; to spend nothing "
                    'set provider = "rules"'
                )
        if self.day_usd > self.ceiling_usd:
            raise BadSettings(
                f"day_usd = {self.day_usd} is above its ceiling of {self.ceiling_usd} USD; "
                "lower it, or raise day_ceiling_usd"
            )
        if not (self.soft_frac.is_finite() and 0 < self.soft_frac <= 1):
            raise BadSettings(f"soft_frac = {self.soft_frac} is no share between 0 and 1")

    @property
    def ceiling_usd(self) -> Decimal:
        """Return the most that the day's cap is moved to."""
        return self.day_usd if self.day_ceiling_usd is None else self.day_ceiling_usd

    def limit(self, cap: Cap, day_usd: Decimal) -> Decimal | None:
        """Return a cap in USD, where the day's stands at `day_usd`; None: there is none."""
        match cap:
            case Cap.CALL:
                return self.call_usd
            case Cap.ITERATION:
                return self.iteration_usd
            case Cap.AGENT:
                return self.agent_day_usd
            case Cap.DAY:
                return day_usd
            case Cap.MONTH:
                return self.month_usd

    def to_json(self) -> str:
        """Return it as `from_json` reads it."""
        return canonical_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        figures: dict[str, Any] = {
            name: None if value is None else Decimal(value)
            for name, value in json.loads(text).items()
        }
        return cls(**figures)


def subject_of(cap: Cap, name: str) -> str:
    """Return how a sentence names a cap."""
    return f"{_SUBJECTS[cap]} ({name})" if name else _SUBJECTS[cap]
