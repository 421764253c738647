"""How many rows a feed read, used and set aside, as of any instant.

A row counts when its bar has closed and a hole when the bar that is not there would have closed,
so that the counts of a resumed run are those of one that was never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.findings import (
    QUARANTINE,
    Reason,
    Verdicts,
    add_counts,
    count_reasons,
)
from roboinvest.core.market.updates import DataCounts

EXTENDED: Final = 1 << 15  # a row outside regular hours, beside the bits of `Reason`


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTally:
    """What the gate said of some rows, and when each of them counts."""

    known_at: Ints  # (n,) ns since the epoch
    verdicts: Verdicts  # (n,)
    missing_at: Ints  # (m,) when each missing bar would have closed


class RunningCounts:
    """What the gate did, up to any instant that is not before the last session asked about."""

    def __init__(self) -> None:
        self._rows = self._used = self._quarantined = 0
        self._by_reason: dict[str, int] = {}
        self._recent: list[SessionTally] = []

    def add(self, tally: SessionTally) -> None:
        """Add one symbol's session."""
        self._recent.append(tally)

    def settle(self, at_ns: int) -> None:
        """Fold what is wholly known at `at_ns` into the totals, so that memory stays small."""
        recent, self._recent = self._recent, []
        for tally in recent:
            whole = max(tally.known_at.max(initial=0), tally.missing_at.max(initial=0)) <= at_ns
            if whole:
                self._fold(tally)
            else:
                self._recent.append(tally)

    def until(self, at_ns: int) -> DataCounts:
        """Return the counts at `at_ns`."""
        total = RunningCounts()
        total._rows, total._used, total._quarantined = self._rows, self._used, self._quarantined
        total._by_reason = dict(self._by_reason)
        for tally in self._recent:
            known = tally.known_at <= at_ns
            total._fold(
                SessionTally(
                    known_at=tally.known_at[known],
                    verdicts=tally.verdicts[known],
                    missing_at=tally.missing_at[tally.missing_at <= at_ns],
                )
            )
        return DataCounts(
            rows=total._rows,
            used=total._used,
            quarantined=total._quarantined,
            by_reason=dict(sorted(total._by_reason.items())),
        )

    def _fold(self, tally: SessionTally) -> None:
        quarantined = int(np.count_nonzero(tally.verdicts & QUARANTINE))
        extended = int(np.count_nonzero(tally.verdicts & EXTENDED))
        self._rows += len(tally.verdicts)
        self._used += len(tally.verdicts) - quarantined - extended
        self._quarantined += quarantined
        add_counts(self._by_reason, count_reasons(tally.verdicts & np.uint16(EXTENDED - 1)))
        if len(tally.missing_at):
            add_counts(self._by_reason, {Reason.MISSING_MINUTE.value: len(tally.missing_at)})
