"""Protections: times in which nothing is entered, after losses that have something in common.

The names are those that users of trading bots know: stop-loss guard, max-drawdown lock, cooldown,
low-profit lock. Each is a pure function of closed trades. They are judged when a trade closes, and
not at every tick, so that a lock which ran out, or which a person cleared, does not come back
before another trade gives cause.

Beside them stand two latches on the account's equity. A single reading past a limit stops entries
at once (`core.risk`); readings in a row, so that one bad price cannot do it, stop them for the day
(daily loss) or until a person looks (drawdown).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from roboinvest.core.ledger import Trade
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import Leg

ZERO: Final = Decimal(0)
NONE: Final = timedelta(0)
EVERYTHING: Final = "all"  # the scope of a lock on every symbol; no ticker is in small letters
CONFIRMING_READINGS: Final = 3


class LockRule(StrEnum):
    """Why nothing is entered."""

    STOP_LOSS_GUARD = "stop_loss_guard"  # too many stop-outs
    MAX_DRAWDOWN = "max_drawdown"  # of closed trades
    COOLDOWN = "cooldown"  # after an exit in the symbol
    LOW_PROFIT = "low_profit"  # the symbol earns too little
    DAILY_LOSS = "daily_loss"  # of equity
    DRAWDOWN = "drawdown"  # of equity
    GOVERNANCE = "governance"  # a meeting asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Entries are stopped, in one symbol or in all."""

    scope: str  # a ticker, or EVERYTHING
    rule: LockRule
    since: datetime  # UTC, market time
    until: datetime | None  # UTC, not included; None: until a person clears it
    text: str  # the fact, the value, the limit

    @property
    def name(self) -> str:
        """Return what a person calls it by: "cooldown:SPY"; one of a name is in force at a time."""
        return f"{self.rule}:{self.scope}"

    @property
    def is_for_the_day(self) -> bool:
        """Return whether not even a person lifts it before its time."""
        return self.rule is LockRule.DAILY_LOSS

    def binds(self, symbol: str, at: datetime) -> bool:
        """Return whether it stops an entry in `symbol` at `at`."""
        return self.scope in (symbol, EVERYTHING) and self.holds(at)

    def holds(self, at: datetime) -> bool:
        """Return whether it is in force at `at`."""
        return self.until is None or at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRules:
    """How patient we are with losses; a protection whose count or fraction is 0 is off."""

    stop_guard_stops: int = 0  # losing stop-outs
    stop_guard_window: timedelta = timedelta(days=1)
    stop_guard_lock: timedelta = timedelta(hours=1)
    stop_guard_per_symbol: bool = False
    drawdown_frac: Decimal = ZERO  # fall of closed profit from its peak, of equity
    drawdown_trades: int = 5  # fewer prove nothing
    drawdown_window: timedelta = timedelta(days=2)
    drawdown_lock: timedelta = timedelta(hours=12)
    low_profit_trades: int = 0
    low_profit_usd: Decimal = ZERO  # less than that is too little
    low_profit_window: timedelta = timedelta(days=2)
    low_profit_lock: timedelta = timedelta(hours=12)
    cooldown: timedelta = NONE  # after an exit, in its symbol and session

    @property
    def memory(self) -> timedelta:
        """Return how far back closed trades matter; 0: they do not."""
        windows = (
            self.stop_guard_window if self.stop_guard_stops else NONE,
            self.drawdown_window if self.drawdown_frac else NONE,
            self.low_profit_window if self.low_profit_trades else NONE,
        )
        return max(windows)


def locks_after(
    trades: Sequence[Trade], at: datetime, rules: ProtectionRules, equity: Decimal
) -> tuple[Lock, ...]:
    """Return the locks that begin at `at`, when the last of `trades` closed.

    `trades` are all round trips of `rules.memory`, oldest first; `equity` (USD) is what a drawdown
    is a fraction of.
    """
    found = (
        *stop_loss_guard(trades, at, rules),
        *drawdown_lock(trades, at, rules, equity),
        *low_profit(trades, at, rules),
    )
    return tuple(sorted(found, key=lambda lock: lock.name))


def stop_loss_guard(
    trades: Iterable[Trade], at: datetime, rules: ProtectionRules
) -> Iterator[Lock]:
    """Yield a lock where stops were hit too often within the window.

    A stop that was hit with a profit is none. An entry that left in parts counts once.
    """
    if not rules.stop_guard_stops:
        return
    stopped: dict[str, set[str]] = {}
    for trade in _within(trades, at, rules.stop_guard_window):
        if trade.exit_leg is Leg.STOP and trade.pnl < 0:
            scope = trade.symbol if rules.stop_guard_per_symbol else EVERYTHING
            stopped.setdefault(scope, set()).add(trade.entry_order_id)
    for scope, entries in sorted(stopped.items()):
        if len(entries) >= rules.stop_guard_stops:
            yield Lock(
                scope=scope,
                rule=LockRule.STOP_LOSS_GUARD,
                since=at,
                until=at + rules.stop_guard_lock,
                text=f"{len(entries)} stop-outs within {_span(rules.stop_guard_window)}, "
                f"limit {rules.stop_guard_stops}",
            )


def drawdown_lock(
    trades: Iterable[Trade], at: datetime, rules: ProtectionRules, equity: Decimal
) -> Iterator[Lock]:
    """Yield a lock on everything where closed profit fell too far from its peak in the window."""
    recent = list(_within(trades, at, rules.drawdown_window))
    entries = {trade.entry_order_id for trade in recent}
    if not rules.drawdown_frac or len(entries) < max(rules.drawdown_trades, 1) or equity <= 0:
        return
    total = peak = deepest = ZERO
    for trade in recent:
        total += trade.pnl
        peak = max(peak, total)
        deepest = max(deepest, peak - total)
    if deepest >= rules.drawdown_frac * equity:
        yield Lock(
            scope=EVERYTHING,
            rule=LockRule.MAX_DRAWDOWN,
            since=at,
            until=at + rules.drawdown_lock,
            text=f"closed trades fell {deepest:,.2f} USD ({deepest / equity:.2%}) within "
            f"{_span(rules.drawdown_window)}, limit {rules.drawdown_frac:.2%}",
        )


def low_profit(trades: Iterable[Trade], at: datetime, rules: ProtectionRules) -> Iterator[Lock]:
    """Yield a lock for the symbol of the last trade where it earned too little in the window."""
    recent = list(_within(trades, at, rules.low_profit_window))
    if not rules.low_profit_trades or not recent:
        return
    symbol = recent[-1].symbol  # the others were judged when they closed
    own = [trade for trade in recent if trade.symbol == symbol]
    earned = sum((trade.pnl for trade in own), ZERO)
    entries = len({trade.entry_order_id for trade in own})
    if entries >= rules.low_profit_trades and earned < rules.low_profit_usd:
        yield Lock(
            scope=symbol,
            rule=LockRule.LOW_PROFIT,
            since=at,
            until=at + rules.low_profit_lock,
            text=f"{entries} trades earned {earned:,.2f} USD within "
            f"{_span(rules.low_profit_window)}, wanted {rules.low_profit_usd:,.2f} USD",
        )


def cooldown_lock(
    symbol: str, left_at: datetime, session: Session, at: datetime, cooldown: timedelta
) -> Lock | None:
    """Return the lock after an exit at `left_at`; None once it is over.

    It does not outlive the session of the exit; `session` is the running one.
    """
    if left_at < session.opens_at or at - left_at >= cooldown:
        return None
    return Lock(
        scope=symbol,
        rule=LockRule.COOLDOWN,
        since=left_at,
        until=min(left_at + cooldown, session.closes_at),
        text=f"left at {left_at:%H:%M} UTC, cooldown {_span(cooldown)}",
    )


def confirmed(readings: Sequence[Decimal], floor: Decimal) -> bool:
    """Return whether the latest readings of equity (USD, oldest first) all lie at or below floor.

    One bad price makes one bad reading; `CONFIRMING_READINGS` in a row are believed.
    """
    latest = readings[-CONFIRMING_READINGS:]
    return len(latest) == CONFIRMING_READINGS and all(reading <= floor for reading in latest)


def confirmed_peak(peak: Decimal, readings: Sequence[Decimal]) -> Decimal:
    """Return the highest equity that `CONFIRMING_READINGS` in a row have reached, at least `peak`.

    A peak that one bad price invented would later look like a drawdown.
    """
    latest = readings[-CONFIRMING_READINGS:]
    return max(peak, min(latest)) if len(latest) == CONFIRMING_READINGS else peak


def _within(trades: Iterable[Trade], at: datetime, window: timedelta) -> Iterator[Trade]:
    return (trade for trade in trades if at - window < trade.closed_at <= at)


def _span(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.4g} h"
