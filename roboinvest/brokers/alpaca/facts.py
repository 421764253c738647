"""What the broker said lately about symbols, hours and the account, kept for as long as it holds.

An order must not wait for three reads. What may be done with a symbol holds for a day, the hours
for a minute and never across an open or a close, the account for some seconds, less what was sent
since.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from roboinvest.brokers.alpaca.checks import Facts, is_entry, value_of
from roboinvest.brokers.alpaca.client import in_path
from roboinvest.brokers.alpaca.errors import ReadFailed
from roboinvest.brokers.alpaca.transport import AlpacaTransport
from roboinvest.brokers.alpaca.wire import Asset, VenueClock, account_of, asset_of, clock_of
from roboinvest.core.errors import OrderRejected
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Clock
from roboinvest.core.venue import VenueAccount
from roboinvest.runtime.vendors.rate_limiter import Lane

_ASSET_HOLDS: Final = timedelta(days=1)
_CLOCK_HOLDS: Final = timedelta(minutes=1)
_ACCOUNT_HOLDS: Final = timedelta(seconds=15)


class VenueFacts:
    """The broker's facts, read when they are missing or too old."""

    def __init__(self, transport: AlpacaTransport, clock: Clock, *, is_paper: bool) -> None:
        self._transport = transport
        self._clock = clock
        self._is_paper = is_paper
        self._assets: dict[str, tuple[datetime, Asset]] = {}
        self._hours: tuple[datetime, VenueClock] | None = None
        self._account: tuple[datetime, VenueAccount] | None = None
        self._entries: list[tuple[datetime, OrderIntent]] = []  # when they were sent, and what

    async def asset(self, symbol: str) -> Asset:
        """Return what may be done with a symbol.

        Raises:
            OrderRejected: the broker does not know it.
            TryLater: the broker is away.
        """
        kept = self._assets.get(symbol)
        now = self._clock.now()
        if kept is not None and now - kept[0] < _ASSET_HOLDS:
            return kept[1]
        try:
            asset = await self._transport.read(
                f"asset {symbol}", f"/assets/{in_path(symbol)}", asset_of, lane=Lane.ORDERS
            )
        except ReadFailed as error:
            if not error.failure.is_missing:
                raise
            raise OrderRejected(
                f"{symbol}: unknown at Alpaca; take it out of the universe"
            ) from None
        self._assets[symbol] = (now, asset)
        return asset

    async def hours(self, *, fresh: bool = False) -> VenueClock:
        """Return the broker's clock; one that is not `fresh` may be a minute old.

        It is always from this side of the next open and the next close.

        Raises:
            TryLater: the broker is away.
        """
        now = self._clock.now()
        if self._hours is not None and not fresh:
            read_at, hours = self._hours
            if now - read_at < _CLOCK_HOLDS and now < min(hours.next_open, hours.next_close):
                return hours
        hours = await self._transport.read("clock", "/clock", clock_of, lane=Lane.ORDERS)
        self._hours = (now, hours)
        return hours

    async def account(self, *, fresh: bool = True) -> VenueAccount:
        """Return the account; one that is not `fresh` may be some seconds old.

        Raises:
            TryLater: the broker is away.
        """
        now = self._clock.now()
        if not fresh and self._account is not None and now - self._account[0] < _ACCOUNT_HOLDS:
            return self._account[1]
        account = await self._transport.read(
            "account",
            "/account",
            lambda raw: account_of(raw, is_paper=self._is_paper),
            lane=Lane.ACCOUNT if fresh else Lane.ORDERS,
        )
        if self._account is None or now >= self._account[0]:
            self._account = (now, account)
            # What was sent while the account was being read may not be in it.
            self._entries = [entry for entry in self._entries if entry[0] >= now]
        return account

    async def about(self, intent: OrderIntent) -> Facts:
        """Return what an entry is judged by.

        Raises:
            OrderRejected: the broker does not know the symbol.
            TryLater: the broker is away.
        """
        asset = await self.asset(intent.symbol)
        hours = await self.hours()
        account = await self.account(fresh=False)
        committed = sum((value_of(entry) for _, entry in self._entries), Decimal(0))
        return Facts(asset=asset, clock=hours, account=account, committed_usd=committed)

    def known_asset(self, symbol: str) -> Asset | None:
        """Return what is remembered about a symbol, whatever its age; nothing is read."""
        kept = self._assets.get(symbol)
        return None if kept is None else kept[1]

    def sent(self, intent: OrderIntent) -> None:
        """Count an entry that may have been booked since the account was read."""
        if is_entry(intent):
            self._entries.append((self._clock.now(), intent))

    def not_sent(self, intent: OrderIntent) -> None:
        """Take an entry back that was refused, or never left."""
        self._entries = [entry for entry in self._entries if entry[1] is not intent]
