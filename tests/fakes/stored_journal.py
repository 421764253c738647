"""What a run has left in its order journal, read as any outsider could: by SQL, read only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fakes.outsiders import Outsider


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An execution as the journal took it in."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    owner: str | None  # our client order id; None: somebody else's order


class StoredJournal(Outsider):
    """The order journal of one data folder; it may be in use."""

    def __init__(self, data: Path) -> None:
        super().__init__(data / "journal.db")

    def states(self) -> dict[str, str]:
        """Return how far each intent came, by client order id, oldest first."""
        return dict(self.rows("SELECT client_order_id, state FROM intents ORDER BY id"))

    def places(self) -> dict[str, tuple[str, str, str]]:
        """Return tick, symbol and leg of each intent, by client order id."""
        found = self.rows("SELECT client_order_id, tick_id, symbol, leg FROM intents ORDER BY id")
        return {name: (tick, symbol, leg) for name, tick, symbol, leg in found}

    def notes(self, kind: str) -> int:
        """Return how many notes of a kind there are."""
        ((count,),) = self.rows("SELECT count(*) FROM notes WHERE kind = ?", kind) or [(0,)]
        return int(count)

    def executions(self) -> Mapping[str, Booked]:
        """Return every execution by its id, with whose it is."""
        found = self.rows(
            "SELECT e.execution_id, f.fact, l.client_order_id FROM executions AS e "
            "JOIN events AS f ON f.seq = e.event LEFT JOIN links AS l ON l.venue_id = e.venue_id "
            "ORDER BY e.seq"
        )
        return {name: _booked(json.loads(fact)["execution"], owner) for name, fact, owner in found}

    def held(self, *, ours: bool) -> dict[str, Decimal]:
        """Return the signed shares that the executions come to: ours, or everybody else's."""
        held: dict[str, Decimal] = {}
        for booked in self.executions().values():
            if (booked.owner is not None) == ours:
                signed = booked.qty if booked.side == "buy" else -booked.qty
                held[booked.symbol] = held.get(booked.symbol, Decimal(0)) + signed
        return {symbol: qty for symbol, qty in held.items() if qty}


def _booked(plain: Mapping[str, Any], owner: str | None) -> Booked:
    return Booked(
        symbol=plain["symbol"],
        side=plain["side"],
        qty=Decimal(plain["qty"]),
        price=Decimal(plain["price"]),
        owner=owner,
    )
