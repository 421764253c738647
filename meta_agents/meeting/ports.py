"""What a meeting needs of others, in small ports.

A hand sets one sort of thing. It says what can be set here and what stands there now, and it sets a
value once or twice alike; whether it did is looked up afterwards, and never taken from its word. No
hand adds risk unless a person asked for exactly that, and each keeps to its own bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from meta_agents.delegations import CodeRequest, Delegation, DesignRequest, PromptRequest
from meta_agents.meeting.facts import ReportFacts
from roboinvest.core.oversight.decisions import Act, Knob
from roboinvest.core.oversight.scoring import Metric, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Something to be set."""

    decision_id: str
    act: Act
    subject: str
    value: str  # JSON text
    why: str  # for a journal; the decision's id is in it
    by: str  # the meeting, or the person who wants it undone
    at: datetime  # UTC


class Hand(Protocol):
    """Sets things of one sort."""

    async def knobs(self) -> tuple[Knob, ...]:
        """Return what can be set here, each with its bounds and its value."""

    async def standing(self, subject: str) -> str | None:
        """Return the JSON text of what stands there now; None: there is no such thing."""

    async def put(self, order: Order) -> None:
        """Set it; set twice is set once.

        Raises:
            Refused: it is out of bounds, or may not be; nothing was changed.
            TryLater: it is not known whether it was changed.
        """


class Delegates(Protocol):
    """Who takes requests; see `Delegations`."""

    async def code(self, request: CodeRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for a change of code."""

    async def prompt(self, request: PromptRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for other words of a prompt."""

    async def design(self, request: DesignRequest, attempt_id: str | None = None) -> Delegation:
        """Ask for a design."""


class Reports(Protocol):
    """The daily report."""

    async def newest(self) -> ReportFacts | None:
        """Return the last one; None: there is none yet.

        Raises:
            BadInput: it cannot be read.
            TryLater: not now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """The log since a mark."""

    records: Sequence[Mapping[str, Any]]
    mark: str | None  # where to go on
    skipped: int  # lines that could not be read


class LogRecords(Protocol):
    """The new part of the log."""

    async def since(self, mark: str | None) -> LogPart:
        """Return what is new since a mark; None: since the beginning.

        Raises:
            TryLater: it cannot be read now.
        """


class Measures(Protocol):
    """What the house measures, from its own books."""

    async def metrics(self) -> tuple[Metric, ...]:
        """Return what is measured."""

    async def sample(
        self, metric: str, subject: str, since: datetime, until: datetime
    ) -> Sample | None:
        """Return observations of a metric over a span, of the subject where it has its own.

        None: nothing was observed.
        """


class Shows(Protocol):
    """Where a frontend looks."""

    async def show(self, name: str, text: str) -> None:
        """Write a JSON document in the place of an older one.

        Raises:
            TryLater: it could not be written.
        """
