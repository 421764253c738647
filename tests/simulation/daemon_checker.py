"""Judges a simulated daemon by its files and by the broker's books, never by what it says.

Findings begin with the invariant that they break. The journal is read as the fake broker would: on
a connection of its own, at the instant at which an order leaves.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import BookedExecution, JournalEntry, JournalState, positions_of
from roboinvest.core.orders import TERMINAL_STATES, Leg, OrderIntent, Side
from roboinvest.core.records import EMPTY_DIGEST, TickRecord, chain_digest
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal import reads
from roboinvest.runtime.reports.files import read_report
from roboinvest.runtime.reports.models import REPORTS
from roboinvest.runtime.storage.reads import StoreReader
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.venue_books import BookedOrder
from tests.simulation.checker import Checker, Place, place_of
from tests.simulation.daemon_house import DaemonLife
from tests.simulation.daemon_venue import TradingVenue

ZERO: Final = Decimal(0)
UNCOVERED_S: Final = 150.0  # most that a position may stand without stop or exit: two ticks
_NEVER: Final = frozenset({JournalState.REJECTED, JournalState.EXPIRED})
_CLOSING: Final = frozenset({Leg.EXIT, Leg.FLATTEN, Leg.STOP})
_PRICE_MOVES: Final = Decimal("1.03")  # what a price may have moved since risk looked at it


class JournalOnDisk:
    """The order journal as its file has it."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    def look_at(self, path: Path | None) -> None:
        """Look at another file from now on."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        if path is not None and path.exists():
            self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def entry(self, name: str) -> JournalEntry | None:
        return None if self._connection is None else reads.entry(self._connection, name)

    def entries_now(
        self, states: frozenset[JournalState], *, timeout_s: float
    ) -> tuple[JournalEntry, ...]:
        return () if self._connection is None else reads.entries(self._connection, states)

    def booked_now(self, after_seq: int = 0, *, timeout_s: float) -> tuple[BookedExecution, ...]:
        return () if self._connection is None else reads.booked(self._connection, after_seq)

    def never_taken(self) -> list[tuple[Place, str]]:
        """Return the intents that count as never booked, and how."""
        if self._connection is None:
            return []
        rows = self._connection.execute(
            "SELECT tick_id, agent_id, symbol, leg, state FROM intents "
            "WHERE state IN ('rejected', 'expired')"
        )
        return [((tick, agent, symbol, leg), state) for tick, agent, symbol, leg, state in rows]

    def events(self) -> int:
        """Return how many facts were written."""
        if self._connection is None:
            return 0
        return int(self._connection.execute("SELECT count(*) FROM events").fetchone()[0])


@dataclass(slots=True)
class _Books:
    """What of the broker's books is ours, by symbol."""

    held: dict[str, Decimal]
    adding: dict[str, Decimal]  # shares that entries may still buy


class DaemonChecker(Checker):
    """Looks at every step, at every order that leaves, now and then, and at the end."""

    def __init__(self, venue: TradingVenue, limits: RiskLimits) -> None:
        self.disk = JournalOnDisk()
        super().__init__(venue, cast("InMemoryOrderJournal", self.disk))
        self.trading = venue
        self.life: DaemonLife | None = None
        self.journal_is_full = False
        self.posts = 0
        self._limits = limits
        self._seen = 0
        self._booked: Counter[Place] = Counter()
        self._bare_s: defaultdict[str, float] = defaultdict(float)

    def look(self) -> None:
        """Check what has to hold at every step."""
        bookings = self.trading.books.bookings
        for intent in bookings[self._seen :]:
            place = place_of(intent)
            self._booked[place] += 1
            if self._booked[place] > 1:
                self._find(f"I-ORD-1 {place} has {self._booked[place]} orders at the broker")
        self._seen = len(bookings)
        for place, state in self.disk.never_taken():
            if place in self._booked:
                rule = "I-ORD-6" if state == "rejected" else "I-ORD-2"
                self._find(f"{rule} {place} is {state}, and was booked")

    def sent(self, intent: OrderIntent, now: datetime) -> None:
        """Check an order at the instant that it leaves."""
        self.posts += 1
        entry, place = self.disk.entry(intent.client_order_id), place_of(intent)
        self._posts[place] += 1
        if entry is None or entry.state is not JournalState.SENDING:
            self._find(f"I-ORD-3 {place} left, and the journal does not say SENDING")
        elif entry.sends < self._posts[place]:
            self._find(f"I-ORD-3 {place}: {entry.sends} sends noted, {self._posts[place]} made")
        if now > intent.valid_until:
            self._find(f"I-ORD-4 {place} left after it was valid")
        allowed = {TradingState.READY}
        if intent.leg in _CLOSING:
            allowed.add(TradingState.DEGRADED)
        if self.is_halted or self.state not in allowed:
            self._find(f"I-ORD-4 {place} left while {self.state}, halted {self.is_halted}")
        if self.life is None or self.life.is_stopping:
            self._find(f"I-STOP-1 {place} left after the stop had begun")
        if self.journal_is_full:
            self._find(f"I-DUR-2 {place} left while the journal could not be written")
        if intent.leg is Leg.ENTRY and place not in self._booked:
            self._check_risk(intent, now)

    def told_of(self, key: str, message: str) -> None:
        """Nothing here changes positions behind everybody's back; a full disk may be told."""
        if key != "broker.journal":
            super().told_of(key, message)

    def pass_time(self, seconds: float, now: datetime) -> None:
        """Check that nothing of ours stands bare for long, as long as somebody could cover it."""
        session = self.trading.path.session_at(now)
        could = session is not None and session.time_left(now).total_seconds() > 60.0
        could = could and (now - session.opens_at).total_seconds() > 60.0 if session else False
        works = self.state in (TradingState.READY, TradingState.DEGRADED) and not self.is_halted
        lives = self.life is not None and self.life.lives and not self.life.is_stopping
        bare = self._bare()
        for symbol in [s for s in self._bare_s if s not in bare]:
            del self._bare_s[symbol]
        if not (could and works and lives) or self.journal_is_full:
            return
        for symbol, text in bare.items():
            self._bare_s[symbol] += seconds
            if self._bare_s[symbol] > UNCOVERED_S:
                self._find(f"I-PROT {symbol}: {text} for {UNCOVERED_S:.0f} s")
                self._bare_s[symbol] = 0.0

    def check_reports(self, folder: Path) -> None:
        """Check that every report that was written can be read."""
        for name, model in REPORTS.items():
            try:
                read_report(DataFolder(folder).reports / f"{name}.json", model)
            except TryLater:
                continue  # not written yet
            except BadInput as error:
                self._find(f"I-DUR-1 {error}")

    async def end_of(self, folder: Path, in_flight: InFlight) -> None:
        """Check what has to hold once faults have stopped for long enough and the house is down."""
        self.disk.look_at(DataFolder(folder).journal)
        store = await StoreReader.open_read_only(DataFolder(folder).database, in_flight=in_flight)
        try:
            newest = await store.recent_ticks(100_000)
            ticks = [await store.tick(tick.tick_id) for tick in reversed(newest)]
            lots = await store.lots()
            orders = await store.orders(100_000, open_only=True)
        finally:
            await store.close()
        records = [tick for tick in ticks if tick is not None]
        fills, ends = self._check_chain(records)
        self.end(fills, {order.client_order_id: order for order in orders}, ends)
        held: dict[str, Decimal] = {}
        for lot in lots:
            held[lot.symbol] = held.get(lot.symbol, ZERO) + lot.qty
        theirs = {s: q for s, q in self._ours().held.items() if q}
        journal = positions_of(self.disk.booked_now(timeout_s=1), ours=True)
        fold = {symbol: qty for symbol, qty in journal.items() if qty}
        if not held == fold == theirs:
            self._find(f"I-ORD-5 ledger {held}, journal {fold}, broker {theirs}")
        self.check_reports(folder)

    def _check_chain(self, ticks: list[TickRecord]) -> tuple[list[str], list[tuple[str, ...]]]:
        """Check that each tick follows on the one before; return the fills and ends they heard."""
        fills, ends = list[str](), list[tuple[str, ...]]()
        digest = EMPTY_DIGEST
        for before, tick in zip([None, *ticks], ticks, strict=False):
            if before is not None and tick.at <= before.at:
                self._find(f"I-TICK {tick.tick_id} was committed after {before.tick_id}")
            body = json.loads(tick.body or "{}")
            facts = {"tick": tick.tick_id, "fills": body["settlement"]["fills"]}
            facts |= {key: body[key] for key in ("decisions", "clamps", "intents")}
            digest = chain_digest(digest, facts)
            if digest != tick.digest:
                self._find(f"I-TICK {tick.tick_id} does not follow on the tick before it")
                digest = tick.digest
            fills += [fill["execution_id"] for fill in body["settlement"]["fills"]]
            ends += [
                (order["client_order_id"], order["state"], str(order["filled_qty"]))
                for order in body["settlement"]["orders"]
                if order["state"] in TERMINAL_STATES
            ]
        return fills, ends

    def _check_risk(self, intent: OrderIntent, now: datetime) -> None:
        """Check that the broker's books are within the limits once this entry is filled."""
        limits, equity, ours = self._limits, self.trading.equity(), self._ours()
        prices = {s: self.trading.path.price(s, now) for s in {*ours.held, intent.symbol}}
        wanted = ours.adding.get(intent.symbol, ZERO) + intent.qty
        shares = ours.held.get(intent.symbol, ZERO) + wanted
        worth = {s: abs(q) * prices[s] for s, q in ours.held.items()}
        gross = sum(worth.values(), ZERO) + intent.qty * prices[intent.symbol]
        gross += sum((q * self.trading.path.price(s, now) for s, q in ours.adding.items()), ZERO)
        found: Mapping[str, tuple[Decimal, Decimal]] = {
            "order": (intent.notional, limits.max_order_usd),
            "position": (shares * prices[intent.symbol], limits.max_position_frac * equity),
            "gross": (gross, limits.max_gross_frac * equity),
        }
        for what, (usd, limit) in found.items():
            if usd > limit * _PRICE_MOVES:
                self._find(f"I-RISK {what} of {usd:.0f} USD by {place_of(intent)}, limit {limit}")
        session = self.trading.path.session_at(now)
        entries = [
            order
            for order in self._heads_today(session.opens_at if session else now)
            if order.intent and order.intent.leg is Leg.ENTRY
        ]
        if len(entries) >= limits.max_trades_per_day:
            self._find(f"I-RISK entry {len(entries) + 1} of the day by {place_of(intent)}")

    def _heads_today(self, opened: datetime) -> list[BookedOrder]:
        return [
            o
            for _, o in self._heads()
            if o.now.created_at is not None and o.now.created_at >= opened
        ]

    def _ours(self) -> _Books:
        orders, held, adding = self.trading.books.orders, dict[str, Decimal](), dict[str, Decimal]()
        for execution in self.trading.books.executions:
            if orders[execution.venue_id].intent is not None:
                signed = execution.qty * execution.side.sign
                held[execution.symbol] = held.get(execution.symbol, ZERO) + signed
        for order in orders.values():
            if order.is_alive and order.intent and order.now.side is Side.BUY:
                left = order.now.qty - order.now.filled_qty
                adding[order.now.symbol] = adding.get(order.now.symbol, ZERO) + left
        return _Books(held=held, adding=adding)

    def _bare(self) -> dict[str, str]:
        """Return the symbols in which we hold shares that no stop and no exit covers."""
        found: dict[str, str] = {}
        for symbol, held in self._ours().held.items():
            if held <= 0:
                continue
            covering = self._covering(symbol)
            if covering < held:
                found[symbol] = f"{held} shares held, {covering} covered"
        return found

    def _covering(self, symbol: str) -> Decimal:
        covering = ZERO
        for order in self.trading.books.orders.values():
            if order.now.symbol != symbol or order.intent is None or not order.is_alive:
                continue
            if order.now.side is Side.BUY:
                return Decimal("Infinity")  # the entry is still being filled
            is_stop = order.now.order_type == "stop" or order.intent.leg in _CLOSING
            if is_stop and order.now.status.value != "held":
                covering += order.now.qty - order.now.filled_qty
        asked = frozenset({JournalState.SENDING, JournalState.UNKNOWN, JournalState.INTENT})
        for entry in self.disk.entries_now(asked, timeout_s=1):
            if entry.intent.symbol == symbol and entry.intent.leg in _CLOSING:
                return Decimal("Infinity")  # an exit is under way
        return covering
