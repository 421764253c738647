"""Why risk lets an entry not in, as far as the clock and the mandate say it before the run.

Day bars are asked about at the next session's open, when their orders are due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from roboinvest.core.mandate import is_zone, standing, within_hours
from roboinvest.core.market.bars import Ints, from_ns
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.risk import RiskLimits
from tools.backtester.kernel.machine import layout

_MICROSECOND: Final = timedelta(microseconds=1)


def barred(
    bars: SessionBars, rows: Ints, limits: RiskLimits, days: Ints, *, daily: bool
) -> tuple[Ints, Ints]:
    """Return for each of some rows why nothing may be entered, and the day an entry counts for.

    The reasons are bits of `layout`, 0 lets it in; the day is an index of `days`.
    """
    asked = np.minimum(rows + daily, len(bars) - 1)
    opens, ends = bars.opens[asked], bars.ends[asked]
    at = opens if daily else bars.closes_at[rows]
    last = limits.no_entry_last // _MICROSECOND * 1000
    why = np.where(
        (ends - at <= last) | (at < opens) | (at >= ends), layout.BARRED_SESSION, 0
    ).astype(np.int64)
    if limits.live or limits.mandate is not None:
        why |= np.array([_by_mandate(limits, bars.symbol, int(ns)) for ns in at], np.int64)
    if daily:
        why[rows + 1 >= len(bars)] = layout.BARRED_END
    return why, np.searchsorted(days, bars.day[asked])


def _by_mandate(limits: RiskLimits, symbol: str, ns: int) -> int:
    at, mandate, why = from_ns(ns), limits.mandate, 0
    if not standing(mandate, limits.live, at).entries_allowed:
        why |= layout.BARRED_MANDATE
    if mandate is None or not is_zone(mandate.terms.timezone):
        return why
    universe = mandate.terms.universe
    if universe is not None and symbol not in universe:
        why |= layout.BARRED_UNIVERSE
    if not within_hours(mandate.terms, at):
        why |= layout.BARRED_HOURS
    return why
