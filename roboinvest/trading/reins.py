"""How a meeting reaches the running account: locks, limits and the cap, each of them a document.

Nothing is changed in the middle of a tick, and nothing here is asked for by a tick. A market that
is played follows none of it: what was decided on some other day would make two runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.events import Event
from roboinvest.core.ports import Clock, SpendBook
from roboinvest.core.records import canonical_json
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.reports.writer import ReportWriter
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.store import Store
from roboinvest.trading.books import Books
from roboinvest.trading.budget import ASKED_CAP, AskedCap
from roboinvest.trading.locks.book import LockBook
from roboinvest.trading.locks.desk import Documents, LockDesk
from roboinvest.trading.lowered_limits import (
    ALERT_NAME,
    ALERT_PREFIX,
    DOCUMENT,
    LimitBook,
    LimitDesk,
)


class TradingReins:
    """What of one account can be taken in hand."""

    def __init__(
        self,
        own: RiskLimits,
        books: Callable[[], Books | None],
        *,
        publish: Callable[[Event], None],
        clock: Clock,
        follows: bool,
    ) -> None:
        """Take the account.

        Args:
            own: the limits of the settings, under the mandate.
            books: of the running account, if there is one.
            publish: hears of limits that cannot be read.
            clock: of that alert.
            follows: whether the market is one in which meetings are held.
        """
        self.limits = LimitBook(own)
        self.follows = follows
        self._books, self._clock = books, clock
        self._alerts = StandingAlerts(
            ALERT_PREFIX, kind="risk", over="what was lowered is read again", publish=publish
        )

    def resume(self, open_alerts: frozenset[str]) -> None:
        """Take over the alert, if an earlier run left it open."""
        self._alerts.resume({ALERT_NAME} & open_alerts)

    def read(self, documents: Mapping[str, str]) -> None:
        """Let bind what was lowered, as it was stored."""
        why = self.limits.read(documents.get(DOCUMENT)) if self.follows else None
        self._alerts.tell({} if why is None else {ALERT_NAME: why}, self._clock.now())

    def limit_desk(self, store: Documents) -> LimitDesk:
        """Return who lowers limits."""
        return LimitDesk(store, self.limits)

    def lock_desk(self, store: Documents) -> LockDesk:
        """Return who asks for locks and clears them."""
        return LockDesk(store, self._clock, self._locks)

    def cap_desk(self, store: Documents, spend: SpendBook) -> CapDesk:
        """Return who moves the day's cap of language models."""
        return CapDesk(store, spend, self._books)

    def _locks(self) -> LockBook | None:
        books = self._books()
        return None if books is None else books.account.locks


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that a meeting may take in hand, with the store that it lives in."""

    reins: TradingReins
    store: Store
    symbols: Sequence[str]
    policy: BudgetPolicy
    ledger: SpendLedger | None  # None: no model is paid
    reports: ReportWriter | None = None  # of the house; None: nobody writes any now


class CapDesk:
    """Moves the cap where it is in force, and where the next session goes on from it."""

    def __init__(
        self, store: Documents, spend: SpendBook, books: Callable[[], Books | None]
    ) -> None:
        self._store, self._spend, self._books = store, spend, books

    async def set_day_cap(self, usd: Decimal, reason: str, at: datetime) -> object:
        """Move the cap; what trading goes on from is written first.

        Raises:
            Refused: it is above the ceiling.
            TryLater: it could not be written.
        """
        asked = AskedCap(cap_usd=usd, why=reason, at=at)
        await self._store.put_document(ASKED_CAP, canonical_json(asked))
        if (books := self._books()) is not None:
            books.budget.take_asked(asked)
        return await self._spend.set_day_cap(usd, reason, at)
