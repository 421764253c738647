"""The live doctor: visits the configured vendors, and says what is wrong there.

It uses the daemon's own addresses, keys and clock. A vendor without a key is not configured, which
is wrong only where the settings trade by it. Vendors are visited at the same time, each by its own
deadlines, so that one that stalls holds up nobody; a stream is looked at only after its vendor
took the keys. Every text passes a redactor that knows all keys, as the last thing before it leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from roboinvest.runtime.redaction import Redactor
from tools.live_doctor.alpaca.visit import AlpacaVisit
from tools.live_doctor.around import Around
from tools.live_doctor.findings import Cost, LiveFinding
from tools.live_doctor.polygon.visit import PolygonVisit


class LiveDoctor:
    """Examines the vendors of one installation; it changes nothing there."""

    def __init__(self, around: Around) -> None:
        """Look at the settings; nothing is asked."""
        self._visits = (AlpacaVisit(around), PolygonVisit(around))
        self._redact = Redactor(around.secrets.texts()).text

    def costs(self) -> Sequence[Cost]:
        """Return what `examine` will take of each vendor that it asks."""
        return [visit.cost for visit in self._visits if visit.cost is not None]

    async def examine(self) -> Sequence[LiveFinding]:
        """Ask all vendors and return every finding, by vendor, in the order in which to mend them.

        It never raises for what a vendor does.
        """
        async with asyncio.TaskGroup() as group:
            visits = [group.create_task(visit.examine()) for visit in self._visits]
        found = [finding for visit in visits for finding in visit.result()]
        return [
            replace(each, fact=self._redact(each.fact), mend=self._redact(each.mend))
            for each in found
        ]
