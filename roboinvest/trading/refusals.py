"""Refusals as an operator reads them: each once, until it changes.

A rule that says no to a symbol says so at every tick at which it is asked. The log gets the first
of them; the next is written when the rule had let the symbol pass in between, or the day changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

import structlog

from roboinvest.core.risk import Clamp

BY_BROKER: Final = "broker"
NO_PRICE: Final = "incomplete"
_OTHERS: Final = frozenset({BY_BROKER, NO_PRICE})  # not risk's


class RefusalLog:
    """Writes `intent_refused` and `intent_cut`, without flooding."""

    def __init__(self) -> None:
        self._told: dict[str, frozenset[str]] = {}  # symbol -> rules that bit at its last intent
        self._day: date | None = None
        self._log = structlog.get_logger("roboinvest.risk")

    def begin(self, day: date) -> None:
        """Begin a tick of an exchange day."""
        if day != self._day:
            self._day = day
            self._told.clear()

    def note(self, symbol: str, clamps: Iterable[Clamp]) -> None:
        """Take over what risk said of an intent; nothing bit where `clamps` is empty."""
        bit = {clamp.rule: clamp for clamp in reversed(tuple(clamps))}
        before = self._told.get(symbol, frozenset())
        for clamp in bit.values():
            self._tell(clamp, before)
        self._told[symbol] = frozenset(bit) | (before & _OTHERS)

    def note_other(self, clamp: Clamp) -> None:
        """Take over a refusal that no limit made: the broker's, or for want of a price."""
        before = self._told.get(clamp.symbol, frozenset())
        self._tell(clamp, before)
        self._told[clamp.symbol] = before | {clamp.rule}

    def accepted(self, symbol: str) -> None:
        """Note that the broker took an order in a symbol."""
        self._told[symbol] = self._told.get(symbol, frozenset()) - _OTHERS

    def _tell(self, clamp: Clamp, before: frozenset[str]) -> None:
        if clamp.rule in before:
            return
        facts = {
            "symbol": clamp.symbol,
            "rule": clamp.rule,
            "requested": str(clamp.requested),
            "allowed": str(clamp.allowed),
            "text": clamp.text,
        }
        if clamp.allowed:
            self._log.info("intent_cut", **facts)
        else:
            self._log.warning("intent_refused", **facts)
