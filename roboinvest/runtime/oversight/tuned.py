"""Numbers that a meeting, or a person, has set, and that whoever they concern reads.

Blocking, for threads. Whoever reads one keeps it inside bounds of his own: a number here is a wish
of the house, and no limit is widened by it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from roboinvest.core.oversight.decisions import json_value, number_in
from roboinvest.runtime.oversight.file import OverseerFile


class TunedValues:
    """The table `tuned`; its schema comes with that of the meetings."""

    def __init__(self, file: OverseerFile) -> None:
        self._file = file

    def get(self, name: str, default: Decimal) -> Decimal:
        """Return a number; the default where nobody has set it."""
        row = self._file.read(
            lambda db: db.execute("SELECT value FROM tuned WHERE name = ?", (name,)).fetchone()
        )
        return default if row is None else number_in(str(row[0]))

    def put(self, name: str, value: Decimal, *, by: str, at: datetime) -> None:
        """Set a number."""
        values = (name, json_value(value), by, at.astimezone(UTC).isoformat())
        self._file.write(
            lambda db: db.execute(
                "INSERT INTO tuned (name, value, by, at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value, by = excluded.by, "
                "at = excluded.at",
                values,
            )
        )
