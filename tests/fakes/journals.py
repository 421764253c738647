"""An order journal in memory: it keeps the contract, forgets at the end, and fails when told to.

tests/runtime/journal holds it and the real one to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.journal import (
    NEXT_JOURNAL_STATES,
    BookedExecution,
    JournalEntry,
    JournalState,
)
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
)
from roboinvest.core.records import canonical_json
from roboinvest.core.venue import Execution
from roboinvest.runtime.journal.values import Note, note_fact, note_of

NOON: Final = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)
LIMITS: Final = '{"max_order_usd":"5000"}'


def minute(number: int) -> datetime:
    """Return the instant so many minutes after noon in New York."""
    return NOON + timedelta(minutes=number)


def an_intent(number: int = 0, **fields: Any) -> OrderIntent:
    """Return the intent to buy 10 SPY in the tick of that minute, with a bracket."""
    tick_id = minute(number).strftime("%Y%m%dT%H%M%SZ")
    values: dict[str, Any] = {
        "client_order_id": client_order_id("test", tick_id, HOUSE_AGENT, "SPY", Leg.ENTRY),
        "tick_id": tick_id,
        "agent_id": HOUSE_AGENT,
        "revision_id": HOUSE_REVISION,
        "symbol": "SPY",
        "leg": Leg.ENTRY,
        "side": Side.BUY,
        "qty": Decimal(10),
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "mark": Decimal("125.5025"),
        "limit_price": Decimal("125.50"),
        "stop_loss": Decimal("124.00"),
        "take_profit": Decimal("128.50"),
        "valid_until": minute(number + 5),
    }
    return OrderIntent(**{**values, **fields})


def an_execution(name: str, venue_id: str = "v0", **fields: Any) -> Execution:
    """Return an execution of 4 SPY, reported without a client order id."""
    values: dict[str, Any] = {
        "execution_id": name,
        "venue_id": venue_id,
        "client_order_id": "",
        "symbol": "SPY",
        "side": Side.BUY,
        "qty": Decimal(4),
        "price": Decimal("125.495"),
        "at": minute(1),
    }
    return Execution(**{**values, **fields})


class InMemoryOrderJournal:
    """Keep everything in dicts. A daemon's next life goes on with the same object."""

    def __init__(self) -> None:
        self.takes_writes = True  # False: a full disk; reads go on
        self.events: list[str] = []  # what was written, one for each event of the real one
        self._entries: dict[str, JournalEntry] = {}
        self._links: dict[str, str] = {}
        self._executions: dict[str, Execution] = {}
        self._notes: dict[str, Note] = {}

    async def record(self, intent: OrderIntent, limits: str, at: datetime) -> JournalEntry:
        """Write an intent down, or return what is known of it."""
        return self.record_now(intent, limits, at, timeout_s=1)

    async def move(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Move an intent along the table."""
        return self.move_now(
            client_order_id,
            state,
            at,
            timeout_s=1,
            reason=reason,
            venue_id=venue_id,
            clean_lookups=clean_lookups,
        )

    async def link(self, venue_id: str, client_order_id: str) -> None:
        """Note that a broker's order is one of ours."""
        self._require_disk()
        if not venue_id:
            raise BadInput(f"an order of {client_order_id} has no id at the broker")
        self._link(venue_id, client_order_id)

    async def book(self, executions: Sequence[Execution]) -> tuple[BookedExecution, ...]:
        """Take executions in, each once; return those that are new."""
        if not executions:
            return ()
        self._require_disk()
        for execution in executions:
            if not (execution.qty.is_finite() and execution.price.is_finite()):
                raise BadInput(f"{execution.execution_id} carries no number")
        before = len(self._executions)
        for execution in executions:
            self._learn_owner(execution)
            known = self._executions.setdefault(execution.execution_id, execution)
            if known is execution:
                self.events.append(f"execution {execution.execution_id}")
            elif _trade(known) != _trade(execution):
                body = {"known": known, "reported": execution}
                self._note("execution_conflict", execution.at, body)
        return self._booked()[before:]

    async def note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        """Append a fact."""
        self._require_disk()
        self._note(kind, at, body)

    async def entry(self, client_order_id: str) -> JournalEntry | None:
        """Return what is known of an intent."""
        return self._entries.get(client_order_id)

    async def entries(self, states: frozenset[JournalState]) -> tuple[JournalEntry, ...]:
        """Return the intents in these states, oldest first."""
        return tuple(entry for entry in self._entries.values() if entry.state in states)

    async def owner_of(self, venue_id: str) -> str | None:
        """Return our name for a broker's order."""
        return self._links.get(venue_id)

    async def booked(self, after_seq: int = 0) -> tuple[BookedExecution, ...]:
        """Return the executions taken in after one, in the order they were."""
        return self._booked()[after_seq:]

    async def notes(self, kind: str | None = None) -> tuple[Note, ...]:
        """Return the notes of a kind, or all of them."""
        return tuple(note for note in self._notes.values() if kind in (None, note.kind))

    # What a thread asks while the loop is wedged; nothing here can make it wait.

    def entry_now(self, client_order_id: str, *, timeout_s: float) -> JournalEntry | None:
        """Return what is known of an intent."""
        return self._entries.get(client_order_id)

    def owner_of_now(self, venue_id: str, *, timeout_s: float) -> str | None:
        """Return our name for a broker's order."""
        return self._links.get(venue_id)

    def entries_now(
        self, states: frozenset[JournalState], *, timeout_s: float
    ) -> tuple[JournalEntry, ...]:
        """Return the intents in these states, oldest first."""
        return tuple(entry for entry in self._entries.values() if entry.state in states)

    def booked_now(self, after_seq: int = 0, *, timeout_s: float) -> tuple[BookedExecution, ...]:
        """Return the executions taken in after one, in the order they were."""
        return self._booked()[after_seq:]

    def note_now(
        self, kind: str, at: datetime, body: Mapping[str, object], *, timeout_s: float
    ) -> None:
        """Append a fact."""
        self._require_disk()
        self._note(kind, at, body)

    def record_now(
        self, intent: OrderIntent, limits: str, at: datetime, *, timeout_s: float
    ) -> JournalEntry:
        """Write an intent down, or return what is known of it."""
        self._require_disk()
        figures = (intent.qty, intent.mark, intent.limit_price, intent.stop_price)
        for figure in (*figures, intent.stop_loss, intent.take_profit):
            if figure is not None and not figure.is_finite():
                raise BadInput(f"{intent.client_order_id} carries {figure}")
        known = self._entries.get(intent.client_order_id)
        if known is not None:
            if known.intent != intent:
                raise Refused(f"{intent.client_order_id} is the name of another intent")
            return known
        for other in self._entries.values():
            if _place(other.intent) == _place(intent):
                raise Refused(f"{_place(intent)} has the intent {other.intent.client_order_id}")
        entry = JournalEntry(
            intent=intent,
            limits=limits,
            state=JournalState.INTENT,
            venue_id=None,
            sends=0,
            clean_lookups=0,
            reason="",
            created_at=_utc(at),
            sent_at=None,
            updated_at=_utc(at),
        )
        self._entries[intent.client_order_id] = entry
        self.events.append(f"intent {intent.client_order_id}")
        return entry

    def move_now(
        self,
        client_order_id: str,
        state: JournalState,
        at: datetime,
        *,
        timeout_s: float,
        reason: str = "",
        venue_id: str | None = None,
        clean_lookups: int | None = None,
    ) -> JournalEntry:
        """Move an intent along the table."""
        self._require_disk()
        entry = self._entries.get(client_order_id)
        if entry is None:
            raise BadInput(f"{client_order_id} is not in the order journal")
        if state not in NEXT_JOURNAL_STATES[entry.state]:
            raise ValueError(f"{client_order_id}: no move from {entry.state} to {state}")
        if venue_id:
            self._require_free_link(venue_id, client_order_id)
            self._links[venue_id] = client_order_id
        sends = state is JournalState.SENDING
        moved = replace(
            entry,
            state=state,
            venue_id=venue_id or entry.venue_id,
            sends=entry.sends + sends,
            clean_lookups=entry.clean_lookups if clean_lookups is None else clean_lookups,
            reason=reason,
            sent_at=_utc(at) if sends else entry.sent_at,
            updated_at=_utc(at),
        )
        self._entries[client_order_id] = moved
        self.events.append(f"move {client_order_id} {state}")
        return moved

    def _booked(self) -> tuple[BookedExecution, ...]:
        return tuple(
            BookedExecution(seq=seq, execution=execution, owner=self._owner(execution))
            for seq, execution in enumerate(self._executions.values(), 1)
        )

    def _owner(self, execution: Execution) -> str | None:
        name = execution.client_order_id
        return self._links.get(execution.venue_id) or (name if name in self._entries else None)

    def _learn_owner(self, execution: Execution) -> None:
        name, venue_id = execution.client_order_id, execution.venue_id
        if venue_id and venue_id not in self._links and name in self._entries:
            self._link(venue_id, name)

    def _link(self, venue_id: str, client_order_id: str) -> None:
        self._require_free_link(venue_id, client_order_id)
        if venue_id not in self._links:
            self._links[venue_id] = client_order_id
            self.events.append(f"link {venue_id}")

    def _require_free_link(self, venue_id: str, client_order_id: str) -> None:
        owner = self._links.get(venue_id, client_order_id)
        if owner != client_order_id:
            raise Refused(f"the broker's order {venue_id} belongs to {owner}")

    def _note(self, kind: str, at: datetime, body: Mapping[str, object]) -> None:
        fact = note_fact(kind, at, body)
        if fact not in self._notes:
            self._notes[fact] = note_of(fact)
            self.events.append(f"note {kind} {canonical_json(dict(body))}")

    def _require_disk(self) -> None:
        if not self.takes_writes:
            raise TryLater("the order journal cannot write: the disk is full")


def _place(intent: OrderIntent) -> tuple[str, ...]:
    return (intent.tick_id, intent.agent_id, intent.symbol, intent.leg)


def _trade(execution: Execution) -> tuple[object, ...]:
    return (execution.symbol, execution.side, execution.qty, execution.price)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise BadInput(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC)
