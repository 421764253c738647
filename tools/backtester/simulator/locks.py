"""Times in which a simulated account enters nothing: the protections of `core.protections`.

They are judged when trades close, as the daemon's lock book does at its ticks. Nobody clears a lock
here: it runs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from roboinvest.core.ledger import Trade
from roboinvest.core.market.sessions import Session
from roboinvest.core.protections import Lock, ProtectionRules, cooldown_lock, locks_after
from tools.backtester.contract import SimFill, Stage
from tools.backtester.trades import LotBook


class SimLocks:
    """The locks of one run, and the trades that the next one is judged by."""

    def __init__(self, stage: Stage, rules: ProtectionRules | None) -> None:
        """Take the rules; None: there are no protections, and no trade is looked at."""
        self._rules = rules
        self._lots = LotBook(stage)
        self._locks: dict[str, Lock] = {}  # by name
        self._trades: list[Trade] = []
        self._left_at: dict[str, datetime] = {}  # by symbol

    def judge(self, fills: Sequence[SimFill], equity: Decimal) -> None:
        """Lock what these executions call for; `equity` is the day's at its start, in USD."""
        rules = self._rules
        if rules is None:
            return
        trades = self._lots.take(fills)
        self._left_at.update({trade.symbol: trade.closed_at for trade in trades})
        if not trades or not rules.memory:
            return
        at = max(trade.closed_at for trade in trades)
        self._trades = [t for t in self._trades if at - t.closed_at < rules.memory] + trades
        for lock in locks_after(self._trades, at, rules, equity):
            self._locks[lock.name] = lock

    def on(self, symbol: str, session: Session, at: datetime) -> tuple[Lock, ...]:
        """Return the locks that stop an entry in a symbol, by name, its cooldown last."""
        binding = [lock for _, lock in sorted(self._locks.items()) if lock.binds(symbol, at)]
        left = self._left_at.get(symbol)
        if self._rules is None or left is None:
            return tuple(binding)
        cooldown = cooldown_lock(symbol, left, session, at, self._rules.cooldown)
        return tuple(binding) if cooldown is None else (*binding, cooldown)
