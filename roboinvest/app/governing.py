"""What a meeting can set in one house, and by what it is measured.

Each hand stands where its setting is in force: intervals in the services that go by them, limits,
locks and the cap in the books of the account. There are no research tracks in this house yet, so
nothing is offered for their priority, and a wish for it is refused as what nobody here can do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

import structlog

from meta_agents.meeting.hands import Dial, LlmCapHand, QuarantineHand, TunedHand, tuned_name
from meta_agents.meeting.measures import HouseMeasures
from meta_agents.meeting.ports import Hand, Order
from meta_agents.meeting.risk_hands import LimitHand, LockHand
from roboinvest.app.roster import PAYERS
from roboinvest.core.errors import BadInput
from roboinvest.core.events import Event, Severity
from roboinvest.core.ledger import Trade
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.ports import Clock
from roboinvest.core.records import TickRecord
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.today import TodaysSpend
from roboinvest.runtime.oversight.analyst_tables import HourlyFigures
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.oversight.tuned import TunedValues
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.storage.reads import StoreReader
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.trading.reins import Account

# Services that no meeting may put away: who holds the house, and who would have to say so.
SPARED: Final = frozenset(
    {"alert_keeper", "control", "gate_watch", "lag_probe", "liveness", "governance", "reports"}
    | {"health", "healing", "notifications", "heartbeat_ping", "metrics", "governance_meeting"}
    | {"daily_reports", "performance_analyst", "reconciler", "alpaca-trade-stream", "llm_cuts"}
    | {"market_stream", "market_care", "escalation"}
    # Who sees that an agent in quarantine trades no more, and who tells of models and of the box.
    | {"strategy_revision", "llm_watch", "sandbox"}
)
PREFIX: Final = "tuned."  # begins the key of the alert
UNREADABLE: Final = "intervals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval of this house, in seconds, and who goes by it."""

    start_s: float  # as the settings say
    least_s: float
    most_s: float
    tell: Callable[[float], None]

    @property
    def dial(self) -> Dial:
        """Return how far it may be turned."""
        start, least, most = (
            Decimal(str(each)) for each in (self.start_s, self.least_s, self.most_s)
        )
        return Dial(start=start, least=min(least, start), most=max(most, start))


def around(start_s: float, tell: Callable[[float], None], *, factor: float = 2.0) -> Interval:
    """Return an interval that may be set to between a part and a multiple of what it is."""
    return Interval(start_s=start_s, least_s=start_s / factor, most_s=start_s * factor, tell=tell)


class Governing:
    """The hands of one house."""

    def __init__(
        self, account: Account | None, *, clock: Clock, publish: Callable[[Event], None]
    ) -> None:
        """Take the account that may be taken in hand; None: there is none."""
        self._account, self._clock = account, clock
        self.intervals: dict[str, Interval] = {}
        self._alerts = StandingAlerts(
            PREFIX,
            kind="configuration",
            over="what was tuned is read again",
            publish=publish,
            severity=Severity.MEDIUM,
        )
        self._log = structlog.get_logger("roboinvest.governance")

    def resume(self, open_alerts: frozenset[str]) -> None:
        """Take over the alert, if an earlier run left it open."""
        self._alerts.resume(open_alerts)

    def hands(
        self, file: OverseerFile, threads: Threads, tree: Callable[[], Supervisor] | None
    ) -> dict[Act, Hand]:
        """Return the hands on an open file; without a supervisor there is none for services."""
        tuned = TunedHand(
            Act.SET_INTERVAL,
            TunedValues(file),
            {name: each.dial for name, each in self.intervals.items()},
            threads,
            self._tell,
        )
        found: dict[Act, Hand] = {Act.SET_INTERVAL: tuned}
        if tree is not None:
            found[Act.QUARANTINE] = KeptQuarantine(tree(), TunedValues(file), threads)
        if self._account is not None:
            found |= _hands_on(self._account, self._clock)
        return found

    async def begin(
        self, file: OverseerFile, threads: Threads, tree: Callable[[], Supervisor]
    ) -> None:
        """Put in force again what the file has: intervals, and services that were put away.

        What cannot be read stays as the settings say, and people are told.

        Raises:
            TryLater, BadSettings: the file cannot be used.
        """
        values, unread = TunedValues(file), []
        unread += await KeptQuarantine(tree(), values, threads).put_away_again()
        for name, each in self.intervals.items():
            dial, key = each.dial, tuned_name(Act.SET_INTERVAL, name)
            try:
                value = await threads.do(key, partial(values.get, key, dial.start))
            except BadInput as error:
                unread.append(f"{name} ({error})")
                value = dial.start
            await self._tell(name, min(max(value, dial.least), dial.most))
        text = f"these go by the settings, and not by what a meeting set: {', '.join(unread)}"
        self._alerts.tell({UNREADABLE: text} if unread else {}, self._clock.now())

    async def _tell(self, name: str, value: Decimal) -> None:
        each = self.intervals[name]
        each.tell(float(value))
        if value != each.dial.start:
            self._log.info("interval_tuned", service=name, interval_s=float(value))


class KeptQuarantine(QuarantineHand):
    """A hand whose quarantines hold until somebody has them undone, whatever restarts."""

    def __init__(self, supervisor: Supervisor, values: TunedValues, threads: Threads) -> None:
        super().__init__(supervisor, SPARED)
        self._values, self._threads = values, threads

    async def put(self, order: Order) -> None:
        """Ask the supervisor, and keep that for the next start."""
        await super().put(order)
        name, value = tuned_name(Act.QUARANTINE, order.subject), Decimal(order.value == "true")
        put = partial(self._values.put, name, value, by=order.by, at=order.at)
        await self._threads.do(name, put)

    async def put_away_again(self) -> list[str]:
        """Put away who was when the house stopped; return what could not be read."""
        unread: list[str] = []
        for knob in await self.knobs():
            name = tuned_name(Act.QUARANTINE, knob.subject)
            get = partial(self._values.get, name, Decimal(0))
            try:
                is_away = bool(await self._threads.do(name, get))
            except BadInput as error:
                unread.append(f"{knob.subject} ({error})")
                continue
            if is_away and knob.value is False:
                self._supervisor.quarantine(knob.subject)
        return unread


def _hands_on(account: Account, clock: Clock) -> dict[Act, Hand]:
    reins, store = account.reins, account.store
    found: dict[Act, Hand] = {
        Act.SET_LIMIT: LimitHand(reins.limit_desk(store)),
        Act.LOCK_ENTRIES: LockHand(reins.lock_desk(store), account.symbols),
    }
    ledger, policy = account.ledger, account.policy
    if ledger is not None:
        today = TodaysSpend(ledger, clock)

        async def cap() -> Decimal:
            return (await today.look()).cap_usd

        hand = LlmCapHand(
            reins.cap_desk(store, ledger),
            cap,
            floor_usd=policy.floor_usd,
            ceiling_usd=min(policy.ceiling_usd, ledger.caps.ceiling_usd),
        )
        found |= {Act.SET_LLM_CAP: hand, Act.SET_LLM_CEILING: hand}
    return found


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """Equity and round trips as the store of a folder has them."""

    folder: DataFolder
    in_flight: InFlight

    async def ticks(self, since: datetime, until: datetime) -> tuple[TickRecord, ...]:
        """Return the ticks of a span, oldest first."""
        async with self._reader() as reader:
            return await reader.ticks_between(since, until)

    async def trades(self, since: datetime, until: datetime) -> tuple[Trade, ...]:
        """Return the round trips that ended in a span, as they were booked."""
        async with self._reader() as reader:
            return await reader.trades_between(since, until)

    async def peak(self, before: datetime) -> float | None:
        """Return the highest equity at a session's begin or end before an instant."""
        async with self._reader() as reader:
            days = await reader.session_equity()
        known = [day for day in days if day.session_day < before.date()]
        return max((float(max(d.open_equity, d.close_equity)) for d in known), default=None)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[StoreReader]:
        reader = await StoreReader.open_read_only(self.folder.database, in_flight=self.in_flight)
        try:
            yield reader
        finally:
            await reader.close()


def measures_of(
    file: OverseerFile,
    folder: DataFolder,
    *,
    in_flight: InFlight,
    threads: Threads,
    has_own_time: bool,
) -> HouseMeasures:
    """Return what decisions are held against; a market with a time of its own measures nothing."""
    return HouseMeasures(
        figures=HourlyFigures(file),
        record=None if has_own_time else StoredRecord(folder, in_flight),
        spend=folder.llm,
        payers={agent: payer for payer, agent in PAYERS.items()},
        threads=threads,
    )
