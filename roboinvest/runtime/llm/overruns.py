"""Calls that cost more than was reserved for them: the one way past a cap, so a person is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from roboinvest.runtime.llm.spend.values import Notice, NoticeKind


class Overruns:
    """Keeps the last one of each exchange day, for as long as that day lasts."""

    def __init__(self) -> None:
        self._last: tuple[date, str] | None = None

    def hear(self, notice: Notice) -> None:
        """Take what the ledger tells; where a cap stands is asked of it otherwise."""
        if notice.kind is NoticeKind.OVERRUN:
            self._last = (notice.day, notice.text)

    def today(self, day: date) -> Mapping[str, str]:
        """Return the cause of an alert, by name; none on another day."""
        if self._last is None or self._last[0] != day:
            return {}
        return {"overrun": self._last[1]}
