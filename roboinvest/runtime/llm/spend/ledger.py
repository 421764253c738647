"""The spend ledger in an SQLite file of its own: durable before any call returns.

Whoever asks a model reserves the most that it can cost before anything is sent, and settles after.
The reservation is judged against every cap in the transaction that writes it, so that no number of
calls beside each other, in this process or another, passes a cap together. What a kill leaves
reserved is charged in full by the next start. One thread writes, with group commit; one reads
beside it and never waits for it. Deliberately absent: retries, and any judgement of a reply.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final, Generic, Self, TypeVar

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.values import writable
from roboinvest.runtime.lanes import file
from roboinvest.runtime.lanes.lane import Lane
from roboinvest.runtime.lanes.servers import Reader, Writer
from roboinvest.runtime.llm.spend import reads
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.days import exchange_day
from roboinvest.runtime.llm.spend.reads import By
from roboinvest.runtime.llm.spend.schema import KIND
from roboinvest.runtime.llm.spend.transaction import Transaction
from roboinvest.runtime.llm.spend.values import (
    AskFacts,
    AskRecord,
    CallFacts,
    DayCapMove,
    Denied,
    Notice,
    Reserved,
    SpendLine,
    Spent,
    Standing,
    cleaned,
)

ResultT = TypeVar("ResultT")
WHOSE: Final = "the spend ledger"
CALL_TIMEOUT_S: Final = 5.0
OPEN_TIMEOUT_S: Final = 120.0  # the check reads every page: about 1 s per GB from cache
CLOSE_TIMEOUT_S: Final = 5.0
_TEXTS_AT_ONCE: Final = 500  # dropped in one transaction, so that a reservation waits little


@dataclass(frozen=True, slots=True)
class _Done(Generic[ResultT]):
    """What a write came to, and what people are to be told of it."""

    result: ResultT
    notices: tuple[Notice, ...]


class SpendLedger:
    """One object per process and file; several processes may share the file."""

    def __init__(
        self,
        path: Path,
        caps: SpendCaps,
        *,
        in_flight: InFlight,
        clock: Clock,
        day_of: Callable[[datetime], date],
        tell: Callable[[Notice], None],
        connect: file.Connect,
        patience_s: float,
    ) -> None:
        self.path = path
        self.caps = caps
        self.recovered = 0  # calls that a killed process left, and that were charged at the start
        self._clock = clock
        self._day_of = day_of
        self._tell = tell
        self._connect = connect
        self._patience_s = patience_s
        self._writing: Writer[Transaction] | None = None
        self._writer = Lane("spend-ledger", WHOSE, self._open_writer, in_flight)
        self._reader = Lane("spend-ledger-reader", WHOSE, self._open_reader, in_flight)

    @classmethod
    async def open(
        cls,
        path: Path,
        caps: SpendCaps,
        *,
        in_flight: InFlight,
        clock: Clock,
        recover: bool,
        tell: Callable[[Notice], None] = lambda _: None,
        day_of: Callable[[datetime], date] = exchange_day,
        connect: file.Connect = file.connect,
        patience_s: float = CALL_TIMEOUT_S,
    ) -> Self:
        """Make the file, or check the one that is there, and open it.

        Args:
            path: of the file.
            caps: the owner's.
            in_flight: counts what tasks wait for.
            clock: tells when calls end; a call's own instant says which day pays.
            recover: charge what a killed process left under way, and take `caps` as the owner's
                word from now on. For the one daemon of a data folder; a command that runs beside
                it says False.
            tell: called in the loop with what people have to know, once that is durable.
            day_of: an instant's exchange day.
            connect: opens the file for writing.
            patience_s: how long a call waits for the disk.

        Raises:
            BadSettings: it is damaged, no ledger, of a newer program, or cannot be written.
            TryLater: another process holds it, or the disk is full.
        """
        ledger = cls(
            path,
            caps,
            in_flight=in_flight,
            clock=clock,
            day_of=day_of,
            tell=tell,
            connect=connect,
            patience_s=patience_s,
        )
        try:
            await ledger._writer.open(OPEN_TIMEOUT_S)
            await ledger._reader.open(OPEN_TIMEOUT_S)
            enter = partial(Transaction.enter, caps=caps, at=ledger._now(), recover=recover)
            ledger.recovered = await ledger._write("begin", enter)
        except BaseException:
            await ledger.close()
            raise
        return ledger

    @property
    def commits(self) -> int:
        """Return how many transactions changed something since it was opened."""
        return 0 if self._writing is None else self._writing.commits

    @property
    def waiting(self) -> int:
        """Return how many requests wait; with `commits` standing still, the disk hangs."""
        return self._writer.waiting + self._reader.waiting

    async def reserve(self, call: CallFacts) -> Reserved | Denied:
        """Hold the most that a call can cost, before it is sent; asked again it is a read.

        Whoever does not hear the answer, because of an error or of being cancelled, has reserved
        nothing, and must not send.

        Raises:
            TryLater: it could not be written; nothing may be sent.
            Refused: another call has this id.
        """
        call, day = cleaned(call), self._day_of(call.at)

        def work(transaction: Transaction) -> Reserved | Denied:
            return transaction.calls.reserve(call, day, self.caps)

        try:
            return await self._write("reserve the cost of a call", work)
        except (TryLater, asyncio.CancelledError):
            with contextlib.suppress(TryLater):  # it takes nothing: the next start lets go of it
                self._writer.post("let go of a call", self._releasing(call.call_id, "not sent"))
            raise

    async def settle(self, call_id: str, spent: Spent) -> Decimal:
        """Charge a call what it cost, and return that in USD.

        Where nobody counted, or the count cannot be believed, that is what was reserved. A call
        that was cut is put right. A failure at no cost lets go of the money.

        Raises:
            Refused: it was settled or let go of before; nothing is changed.
            BadInput: nothing was reserved.
            TryLater: it could not be written; it is charged later, or by the next start.
        """
        work = partial(
            Transaction.settle,
            call_id=call_id,
            spent=cleaned(spent),
            at=self._now(),
            caps=self.caps,
        )
        return await self._write("settle a call", work)

    async def cut(self, call_id: str, reason: str) -> bool:
        """Charge a call that nobody heard the end of all that was reserved for it.

        Returns False, and changes nothing, where its end is known, or nothing was reserved.
        """
        why, at = writable(reason), self._now()
        return await self._write(
            "charge a call",
            lambda transaction: transaction.calls.cut(call_id, why, at, self.caps),
        )

    async def release(self, call_id: str, reason: str) -> bool:
        """Let go of the money of a call that was certainly not billed.

        Returns False, and changes nothing, where it was settled, or nothing is held.
        """
        return await self._write("let go of a call", self._releasing(call_id, reason))

    async def set_day_cap(self, usd: Decimal, reason: str, at: datetime) -> DayCapMove | None:
        """Move the day's cap, for this day and those after it; None: it stands there already.

        Raises:
            Refused: it is above the ceiling; only a person raises that.
            BadInput: it is no amount.
        """
        if not usd.is_finite() or usd < 0:
            raise BadInput(f"the day's cap cannot be moved to {usd} USD; it stays as it is")
        work = partial(
            Transaction.move_day_cap,
            after_usd=usd,
            reason=writable(reason),
            at=at,
            day=self._day_of(at),
            caps=self.caps,
        )
        return await self._write("move the day's cap", work)

    async def note_ask(self, ask: AskFacts) -> None:
        """Write an ask down when it has ended; the first record of one stays."""
        day = self._day_of(ask.at)
        await self._write("note an ask", partial(Transaction.note_ask, ask=cleaned(ask), day=day))

    async def link_outcome(self, text: str, *, ask_id: str = "", about: str = "") -> int:
        """Say what became of an ask, or of all about one thing; return how many there are.

        Raises:
            BadInput: neither or both are named.
        """
        if bool(ask_id) is bool(about):
            raise BadInput("an outcome belongs to one ask or to what asks were about: name one")
        work = partial(Transaction.link_outcome, text=writable(text), ask_id=ask_id, about=about)
        return await self._write("link an outcome", work)

    async def put_reply(self, key: str, body: str, *, instead_of: str | None = None) -> str:
        """Keep a recorded reply; return the one that stands.

        That is the first of its key, or this one where `instead_of` is what stands there.
        """
        work = partial(
            Transaction.put_reply,
            key=key,
            body=writable(body),
            at=self._now(),
            instead_of=instead_of,
        )
        return await self._write("keep a reply", work)

    async def get_reply(self, key: str) -> str | None:
        """Return a recorded reply."""
        return await self._read("look a reply up", partial(reads.reply, key=key))

    async def drop_texts(self, before: datetime) -> int:
        """Drop what was asked and said before an instant, figures stay; return how many texts.

        It goes in small transactions, and calls wait for one of them at most.
        """
        dropped = 0
        work = partial(Transaction.drop_texts, before=before.astimezone(UTC), most=_TEXTS_AT_ONCE)
        while count := await self._write("drop old texts", work):
            dropped += count
        return dropped

    async def standing(self, now: datetime, about: str = "") -> Standing:
        """Return where every cap stands, with that of one iteration where it is named."""
        day = self._day_of(now)
        question = partial(reads.standing, caps=self.caps, day=day, about=about)
        return await self._read("look the caps up", question)

    async def ask(self, ask_id: str) -> AskRecord | None:
        """Return an ask and its calls."""
        found = await self._read("look an ask up", partial(reads.asks, ask_id=ask_id))
        return found[0] if found else None

    async def asks_about(self, about: str) -> tuple[AskRecord, ...]:
        """Return the asks about a tick or an iteration with their calls, oldest first."""
        return await self._read("look asks up", partial(reads.asks, about=about))

    async def figures(self, by: By, since: date | None = None) -> tuple[SpendLine, ...]:
        """Return what was spent from an exchange day on, in lines."""
        return await self._read("add up", partial(reads.figures, by=by, since=since))

    async def close(self) -> None:
        """Write what is queued and let go of the file, within `CLOSE_TIMEOUT_S`.

        A disk that hangs is left behind: its thread ends with the process. Closing twice is fine.
        """
        for lane in (self._writer, self._reader):
            with contextlib.suppress(TryLater):
                await lane.close(CLOSE_TIMEOUT_S)

    async def _write(self, what: str, work: Callable[[Transaction], ResultT]) -> ResultT:
        def done(transaction: Transaction) -> _Done[ResultT]:
            return _Done(work(transaction), transaction.take_notices())

        came = await self._writer.ask(what, done, self._patience_s, after=self._tell_all)
        return came.result

    async def _read(self, what: str, question: Callable[..., ResultT]) -> ResultT:
        return await self._reader.ask(what, question, self._patience_s)

    def _releasing(self, call_id: str, reason: str) -> Callable[[Transaction], bool]:
        why, at = writable(reason), self._now()
        return lambda transaction: transaction.calls.release(call_id, why, at, self.caps)

    def _tell_all(self, done: _Done[ResultT]) -> None:
        for notice in done.notices:
            self._tell(notice)

    def _now(self) -> datetime:
        return self._clock.now().astimezone(UTC)

    def _open_writer(self) -> Writer[Transaction]:
        connection = file.open_writer(self.path, KIND, self._connect)
        self._writing = Writer(connection, self.path, WHOSE, Transaction)
        return self._writing

    def _open_reader(self) -> Reader:
        return Reader(file.open_reader(self.path, KIND), self.path, WHOSE)
