"""What can be wrong with a row, and how it is told to a person.

A reason is either quarantining (the row reaches nobody) or a remark (the row is used, the fact is
counted). A row has at most one quarantining reason: the first that applies, in the order below,
so that counts by reason add up to the rows that were set aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Verdicts = NDArray[np.uint16]  # (n,), one bit a reason


class Reason(StrEnum):
    """Why a row was set aside or remarked on."""

    UNREADABLE = "unreadable"  # a cell holds something that is no number or no time
    NOT_A_NUMBER = "not_a_number"  # a price is empty, NaN or infinite
    NON_POSITIVE_PRICE = "non_positive_price"
    NEGATIVE_VOLUME = "negative_volume"
    HIGH_BELOW_LOW = "high_below_low"
    DUPLICATE = "duplicate"  # a further copy of a row; the first one is used
    CONFLICTING_DUPLICATE = "conflicting_duplicate"  # rows of one time differ: none is used
    LATE = "late"  # arrived after a later bar was already judged
    PRICE_SPIKE = "price_spike"  # about ten times, or a tenth of, the last good close
    UNEXPLAINED_JUMP = "unexplained_jump"  # the size of a split, and no split is known

    OUTSIDE_RANGE = "outside_range"  # open or close outside [low, high]
    ZERO_VOLUME = "zero_volume"
    OUT_OF_ORDER = "out_of_order"  # repaired by sorting
    MISSING_MINUTE = "missing_minute"  # no bar where the calendar expects one, of any length


REMARKS: Final = frozenset(
    {Reason.OUTSIDE_RANGE, Reason.ZERO_VOLUME, Reason.OUT_OF_ORDER, Reason.MISSING_MINUTE}
)
BIT: Final[Mapping[Reason, int]] = {reason: 1 << place for place, reason in enumerate(Reason)}
QUARANTINE: Final = sum(BIT[reason] for reason in Reason if reason not in REMARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact about one row, or about a row that is not there."""

    symbol: str
    ts: datetime | None  # UTC, the bar's open; None where the row has no readable time
    reason: Reason
    detail: str
    quarantined: bool


def is_good(verdicts: Verdicts) -> NDArray[np.bool_]:
    """Return which rows may be used."""
    good: NDArray[np.bool_] = (verdicts & QUARANTINE) == 0
    return good


def count_reasons(verdicts: Verdicts) -> dict[str, int]:
    """Return reason -> rows, without the reasons that did not occur."""
    if not verdicts.any():
        return {}
    return {
        reason.value: int(found)
        for reason, bit in BIT.items()
        if (found := np.count_nonzero(verdicts & bit))
    }


def add_counts(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add `more` to `total` in place."""
    for reason, count in more.items():
        total[reason] = total.get(reason, 0) + count


def reasons_of(verdict: int) -> Iterator[Reason]:
    """Yield the reasons in one row's verdict."""
    return (reason for reason, bit in BIT.items() if verdict & bit)
