"""What a run has on record, read beside it or after it: one reader for the daemon and the command.

Nothing is written and nothing is made that was not there. A book that cannot be read costs its
figures and not the report: its place says why. Alerts, proposals and health are read as they stand,
whatever day is asked for; the builder takes from them what belongs to the day.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from meta_agents.daily_report.days import APART, Span, day_of, span_of
from meta_agents.daily_report.facts import DayFacts, HourRow, Marks, SinceStart, Waiting
from roboinvest.core.approvals import InboxRules, ProposalState
from roboinvest.core.audit import AuditRow
from roboinvest.core.change_outcomes import ChangeOutcome
from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Level
from roboinvest.core.records import TickRecord
from roboinvest.runtime.alerting.board import DOCUMENT as ALERTS
from roboinvest.runtime.alerting.document import read_board
from roboinvest.runtime.alerting.values import Alert
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.outcomes import outcome_of
from roboinvest.runtime.halt import HaltFile
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.reads import SpendPart, between
from roboinvest.runtime.oversight.analyst_tables import SCHEMA, AdviceBook, HourlyFigures
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.reports.files import read_report
from roboinvest.runtime.reports.health import Health, read_health
from roboinvest.runtime.reports.models import SystemStatus
from roboinvest.runtime.storage.reads import StoreReader

GOVERNANCE: Final = "governance.db"
MOST_AUDIT_ROWS: Final = 5_000  # that are looked through, the newest
MOST_OUTCOMES: Final = 500
BEFORE: Final = timedelta(days=7)  # in which attempts on what lasts are looked for
PARTS: Final = timedelta(days=7)  # in which the parts of a round trip are looked for
_CANNOT_BE_READ: Final = (RoboInvestError, OSError, ValueError, KeyError, TypeError)
ValueT = TypeVar("ValueT")


class HouseBooks:
    """The books of one data folder."""

    def __init__(
        self, folder: DataFolder, *, clock: Clock, in_flight: InFlight, threads: Threads
    ) -> None:
        """Take the folder; the pool behind `threads` stays the caller's."""
        self._folder = folder
        self._clock = clock
        self._in_flight = in_flight
        self._threads = threads

    async def run_now(self) -> datetime:
        """Return the time on the run's own clock: of its last tick where the market has its own.

        Raises:
            TryLater: nothing has run in this folder yet.
        """
        running, mode = await self._threads.do("to look at the folder", self._standing)
        last = await self._last_tick()
        if mode not in APART and running:
            return self._clock.now()
        if last is None:
            if mode is None:
                raise TryLater(
                    f"nothing has run in {self._folder.root} yet; start with: roboinvest run"
                )
            return self._clock.now()
        return last.at if mode in APART else max(last.at, self._clock.now())

    async def first_day(self) -> date | None:
        """Return the day of the first tick; None before it."""
        try:
            reader = await StoreReader.open_read_only(
                self._folder.database, in_flight=self._in_flight
            )
        except TryLater:
            return None
        try:
            found = await reader.tick_after(datetime.min.replace(tzinfo=UTC))
        finally:
            await reader.close()
        return None if found is None else day_of(found.at)

    async def facts(self, day: date, *, house: Span | None = None) -> DayFacts:
        """Return all that is on record of a day.

        Args:
            day: of the exchange.
            house: the machine's time in which a day of a replay was played; None: all of it.

        Raises:
            TryLater: nothing has run in this folder yet.
        """
        run_now, made_at = await self.run_now(), self._clock.now()
        running, mode = await self._threads.do("to look at the folder", self._standing)
        span, apart = span_of(day), mode in APART
        if house is None or not apart:
            all_of_it = Span(start=datetime.min.replace(tzinfo=UTC), end=made_at)
            house = all_of_it if apart else span
        bare = DayFacts(
            day=day,
            span=span,
            house=house,
            run_now=run_now,
            made_at=made_at,
            apart=apart,
            running=running,
            mode=mode,
        )
        found, missing = _Found(), dict[str, str]()
        await self._from_store(found, bare, missing)
        for name, read in self._blocking(house).items():
            what = f"reading {name} for the daily report"
            await found.take(name, missing, partial(self._threads.do, what, read))
        return replace(bare, **found.values, missing=missing)

    def _blocking(self, house: Span) -> Mapping[str, Callable[[], Any]]:
        folder, overseer = self._folder, self._overseer
        return {
            "symbols": lambda: tuple(map(str, folder.stamped().get("symbols") or ())),
            "attempts": lambda: overseer(partial(_attempts, house)),
            "advice": lambda: overseer(lambda f: AdviceBook(f).touched(house.start, house.end)),
            "open_advice": lambda: overseer(lambda f: AdviceBook(f).pending()),
            "figures": lambda: overseer(partial(_figures, house)),
            "audit": lambda: self._governance(partial(_audit_rows, house)),
            "outcomes": lambda: self._governance(partial(_outcomes, house)),
            "waiting": lambda: self._governance(partial(_waiting, self._clock)),
            "spend": lambda: self._spend(house),
            "health": lambda: _health(folder),
            "status": lambda: _status(folder),
            "halt": lambda: HaltFile(folder.halt).read(),
        }

    async def _from_store(self, found: _Found, bare: DayFacts, missing: dict[str, str]) -> None:
        try:
            reader = await StoreReader.open_read_only(
                self._folder.database, in_flight=self._in_flight
            )
        except RoboInvestError as error:
            for name in ("ticks", "trades", "marks", "alerts"):
                missing[name] = str(error)
            return
        span = bare.span
        try:
            await found.take("ticks", missing, lambda: reader.ticks_between(span.start, span.end))
            await found.take("tick_before", {}, lambda: _before(reader, span.start))
            await found.take(
                "trades", missing, lambda: reader.trades_between(span.start - PARTS, span.end)
            )
            ticks = found.values.get("ticks") or ()
            await found.take("marks", missing, lambda: _marks(reader, span, ticks))
            await found.take("alerts", missing, lambda: _alerts(reader))
            await found.take("start_equity", missing, lambda: _start_equity(reader))
            await found.take("since_start", missing, lambda: _since_start(reader, span))
        finally:
            await reader.close()

    async def _last_tick(self) -> TickRecord | None:
        try:
            reader = await StoreReader.open_read_only(
                self._folder.database, in_flight=self._in_flight
            )
        except TryLater:
            return None
        try:
            return next(iter(await reader.recent_ticks(1)), None)
        finally:
            await reader.close()

    def _standing(self) -> tuple[bool, str | None]:
        mode = self._folder.stamped().get("mode")
        return self._folder.holder() is not None, None if mode is None else str(mode)

    def _overseer(self, read: Callable[[OverseerFile], ValueT]) -> ValueT:
        path = self._folder.root / FILE_NAME
        if not path.exists():
            raise TryLater("the Overseer has not run in this folder")
        with OverseerFile.open(path, schemas=(SCHEMA,)) as file:
            return read(file)

    def _governance(self, read: Callable[[GovernanceFile], ValueT]) -> ValueT:
        path = self._folder.root / GOVERNANCE
        if not path.exists():
            raise TryLater("no governance file was made in this folder")
        with GovernanceFile.open(path, self._clock) as file:
            return read(file)

    def _spend(self, house: Span) -> tuple[SpendPart, ...]:
        # No ledger is made where no model is set up: then nothing was spent, and that is known.
        return between(self._folder.llm, house.start, house.end) or ()


class _Found:
    """Fields of the facts, as they come in."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def take(
        self, name: str, missing: dict[str, str], read: Callable[[], Awaitable[object]]
    ) -> None:
        """Take what is read; where it cannot be, take the reason."""
        try:
            self.values[name] = await read()
        except _CANNOT_BE_READ as error:
            missing[name] = str(error) or type(error).__name__


def _health(folder: DataFolder) -> Health:
    try:
        return read_health(folder.reports)
    except TryLater as error:
        raise TryLater("the Overseer has not left a look at the agents") from error


def _status(folder: DataFolder) -> SystemStatus:
    try:
        return read_report(folder.reports / "system_status.json", SystemStatus)
    except TryLater as error:
        raise TryLater("the daemon has not left its status") from error


def _attempts(house: Span, file: OverseerFile) -> tuple[HealAttempt, ...]:
    """Return the attempts up to the day's end, and some before it: what lasts began earlier."""
    begin = datetime.min.replace(tzinfo=UTC)
    start = house.start - BEFORE if house.start - begin > BEFORE else begin
    found = HealAttempts(file).since(start)
    return tuple(each for each in found if each.at < house.end)


def _figures(house: Span, file: OverseerFile) -> dict[str, tuple[HourRow, ...]]:
    return HourlyFigures(file).read_all(house.start, house.end)


def _audit_rows(house: Span, file: GovernanceFile) -> tuple[AuditRow, ...]:
    return tuple(row for row in file.rows(limit=MOST_AUDIT_ROWS) if row.entry.at in house)


def _outcomes(house: Span, file: GovernanceFile) -> tuple[ChangeOutcome, ...]:
    rows = file.read(
        lambda db: db.execute(
            "SELECT content FROM change_outcomes WHERE revoked_at IS NULL ORDER BY id DESC LIMIT ?",
            (MOST_OUTCOMES,),
        ).fetchall()
    )
    told = (outcome_of(content) for (content,) in reversed(rows))
    return tuple(each for each in told if each.at in house)


def _waiting(clock: Clock, file: GovernanceFile) -> tuple[Waiting, ...]:
    found = Inbox(file, InboxRules(), clock).listed()
    now = clock.now()
    return tuple(
        Waiting(
            proposal_id=each.proposal.proposal_id,
            kind=each.proposal.kind.value,
            subject=each.proposal.subject,
            source=each.proposal.who,
            why=each.proposal.why,
            filed_at=each.filed_at,
            expires_at=each.proposal.expires_at,
        )
        for each in found
        if each.state is ProposalState.OPEN and each.level is Level.L3 and not each.is_snoozed(now)
    )


async def _before(reader: StoreReader, at: datetime) -> TickRecord | None:
    found = await reader.tick_before(at)
    return found if found is None or found.at < at else None


async def _alerts(reader: StoreReader) -> tuple[Alert, ...]:
    return read_board(await reader.document(ALERTS)).alerts


async def _marks(reader: StoreReader, span: Span, ticks: tuple[TickRecord, ...]) -> Marks | None:
    """Return what the universe did.

    Raises:
        TryLater: there was no tick, or its record was shrunk to its figures since.
    """
    if not ticks:
        raise TryLater("no tick was committed on this day")
    first, last = await _body(reader, ticks[0]), await _body(reader, ticks[-1])
    earlier = await _before(reader, span.start)
    before = _closes(first if earlier is None else await _body(reader, earlier))
    actions = first.get("actions") or []
    return Marks(
        before=before,
        after=_closes(last),
        splits={a["symbol"]: float(a["ratio"]) for a in actions if a["kind"] == "split"},
        dividends={a["symbol"]: float(a["cash"]) for a in actions if float(a["cash"])},
        base="the first close of the day" if earlier is None else "the close before",
    )


async def _body(reader: StoreReader, record: TickRecord) -> dict[str, Any]:
    found = await reader.tick(record.tick_id)
    if found is None or found.body is None:
        raise TryLater(f"the record of tick {record.tick_id} was shrunk to its figures")
    body: dict[str, Any] = json.loads(found.body)
    return body


def _closes(body: Mapping[str, Any]) -> dict[str, float]:
    seen = body.get("observations") or {}
    closes = {str(symbol): each.get("close") for symbol, each in seen.items()}
    return {symbol: float(close) for symbol, close in closes.items() if close and close > 0}


async def _start_equity(reader: StoreReader) -> float:
    text = await reader.document("account")
    if text is None:
        raise TryLater("no account was kept yet")
    return float(json.loads(text)["start_equity"])


async def _since_start(reader: StoreReader, span: Span) -> SinceStart:
    """Return where the account and the money left alone stand, if the day holds the newest tick."""
    newest = next(iter(await reader.recent_ticks(1)), None)
    text = await reader.document("benchmark")
    if newest is None or text is None:
        raise TryLater("no tick was committed yet")
    if newest.at not in span:
        raise TryLater("it is kept for the newest day only")
    state = json.loads(text)
    shares: Mapping[str, float] = state["shares"]
    held = sum(count * state["prices"][symbol] for symbol, count in shares.items())
    return SinceStart(
        equity=float(newest.equity), kept=held + float(state["cash"]), symbols=len(shares)
    )
