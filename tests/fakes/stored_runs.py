"""What a run has left in its database, read as any outsider could: by SQL, read only."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.fakes.outsiders import Outsider


class StoredRun(Outsider):
    """The database of one data folder; it may be in use, and it may not be there yet."""

    def __init__(self, data: Path) -> None:
        super().__init__(data / "roboinvest.db")

    def ticks(self) -> list[str]:
        """Return the times of the ticks in the order they were committed."""
        return [at for (at,) in self.rows("SELECT at FROM ticks ORDER BY rowid")]

    def tick_count(self) -> int:
        """Return how many ticks are committed."""
        return next((count for (count,) in self.rows("SELECT count(*) FROM ticks")), 0)

    def bodies(self) -> list[dict[str, Any]]:
        """Return what each tick knew, decided and did, in the order they were committed."""
        packed = self.rows("SELECT body FROM ticks WHERE body IS NOT NULL ORDER BY rowid")
        return [json.loads(zlib.decompress(body)) for (body,) in packed]

    def equity(self) -> list[Decimal]:
        """Return the equity after each tick, in the order of the ticks."""
        return [Decimal(text) for (text,) in self.rows("SELECT equity FROM ticks ORDER BY rowid")]

    def order_ids(self) -> list[str]:
        """Return the client order ids, in the order they were sent."""
        return [name for (name,) in self.rows("SELECT client_order_id FROM orders ORDER BY seq")]

    def open_orders(self) -> list[str]:
        """Return the client order ids that can still fill."""
        ended = {"filled", "cancelled", "expired", "rejected"}
        found = self.rows("SELECT client_order_id, state FROM orders ORDER BY seq")
        return [name for name, state in found if state not in ended]

    def sent(self) -> int:
        """Return how many orders the ticks say that they have sent."""
        return next((count for (count,) in self.rows("SELECT sum(orders) FROM ticks")), 0) or 0

    def holdings(self) -> Sequence[tuple[str, str, str, str]]:
        """Return symbol, shares, price and lot of everything that is held."""
        return self.rows("SELECT symbol, qty, price, lot_id FROM lots ORDER BY symbol, place")
