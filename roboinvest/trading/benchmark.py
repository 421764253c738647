"""Buy and hold: what the same money would be worth if it had been left alone.

Each symbol gets an equal share of the start equity at the open of its first bar of the run, in
fractional shares and without costs, so that the benchmark is never made easier to beat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import ActionKind
from roboinvest.core.records import canonical_json


@dataclass(slots=True)
class Benchmark:
    """Shares and last prices of an equal-weight buy and hold."""

    start_equity: Decimal
    symbols: Sequence[str]
    shares: dict[str, float] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)  # USD, last close
    cash: float = 0.0  # USD, dividends received

    def follow(self, update: MarketUpdate) -> None:
        """Take over a tick's corporate actions and bars."""
        for action in update.actions:
            held = self.shares.get(action.symbol, 0.0)
            if action.kind is ActionKind.SPLIT and held:
                self.shares[action.symbol] = held * float(action.ratio)
                self.prices[action.symbol] /= float(action.ratio)
            elif held:
                self.cash += held * float(action.cash)
        share = float(self.start_equity) / len(self.symbols)
        for bar in update.bars:
            self.shares.setdefault(bar.symbol, round(share / bar.open, 6))
            self.prices[bar.symbol] = bar.close

    def equity(self) -> Decimal:
        """Return the value in USD; symbols without a bar yet count as cash."""
        share = float(self.start_equity) / len(self.symbols)
        waiting = share * sum(1 for symbol in self.symbols if symbol not in self.shares)
        held = sum(shares * self.prices[symbol] for symbol, shares in sorted(self.shares.items()))
        return Decimal(repr(round(held + waiting + self.cash, 2)))

    def document(self) -> str:
        """Return the state as the JSON document that a restart reads."""
        state = {"shares": self.shares, "prices": self.prices, "cash": self.cash}
        return canonical_json(state)

    def restore(self, text: str) -> None:
        """Take the state that `document` returned."""
        raw: Mapping[str, Mapping[str, float]] = json.loads(text)
        self.shares, self.prices = dict(raw["shares"]), dict(raw["prices"])
        self.cash = float(json.loads(text)["cash"])
