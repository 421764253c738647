"""How far a vendor's clock and ours are apart, and how sure that is.

A vendor's time was true at some instant between our question and its answer, and is cut to a
grain, often a second. That gives a span and not a figure; only a span that lies wholly beyond the
limit is a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tools.live_doctor.findings import LiveFinding, Words

MAX_SKEW_S: Final = 2.0  # beyond it bars look stale or early, and orders outlive their validity
CLOCK: Final = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSample:
    """One look at a vendor's clock."""

    vendor_at: datetime  # UTC, by the vendor
    asked_at: datetime  # UTC, by us
    answered_at: datetime  # UTC, by us
    grain: timedelta = timedelta(0)  # to which the vendor cuts its time


def clock_finding(words: Words, sample: ClockSample, offset_s: float) -> LiveFinding:
    """Return what a look at the clocks says.

    Args:
        words: of the vendor.
        sample: the look.
        offset_s: seconds that `clock.offset_s` adds to our time.
    """
    low = (sample.vendor_at - sample.answered_at).total_seconds()
    high = (sample.vendor_at + sample.grain - sample.asked_at).total_seconds()
    ahead, unsure = (low + high) / 2, (high - low) / 2  # by how much the vendor is before us
    if low > MAX_SKEW_S or high < -MAX_SKEW_S:
        side = "behind" if ahead > 0 else "ahead of"
        fact = (
            f"ours is {abs(ahead):.1f} s {side} the vendor's (give or take {unsure:.1f} s), "
            f"and {MAX_SKEW_S:g} s are tolerated"
        )
        mend = "set the machine's clock, such as with: timedatectl set-ntp true"
        if offset_s:
            mend = f"correct clock.offset_s, which is {offset_s:g}; {offset_s + ahead:.0f} fits"
        return words.wrong(CLOCK, fact, mend)
    if low >= -MAX_SKEW_S and high <= MAX_SKEW_S:
        fact = (
            f"within {max(abs(low), abs(high)):.1f} s of the vendor's, "
            f"and {MAX_SKEW_S:g} s are tolerated"
        )
        return words.fine(CLOCK, fact)
    fact = f"the difference is known to {unsure:.1f} s only, because the answer took that long"
    return words.doubt(CLOCK, fact, "ask again when the connection is quicker")
