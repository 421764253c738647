"""Where the profit came from: by hour, weekday, month, regime, symbol, side and exit.

Every table holds every round trip once, so that each adds up to the profit of the run, to the last
unit. A trade belongs to the hour and the day of its entry, on the exchange's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from roboinvest.core.market.values import Timeframe
from roboinvest.core.performance import Proportion, wilson_interval
from tools.backtester.contract import BacktestResult, Cause, RoundTrip
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.words import MONTHS, WEEKDAYS, exchange_time

CAUSES: Final = {
    Cause.STOP: "Stop",
    Cause.TARGET: "Target",
    Cause.TRAIL: "Trailing stop",
    Cause.SIGNAL: "Exit signal",
    Cause.TIME: "Time was up",
    Cause.CLOSE: "Before the close",
    Cause.END: "Open at the end",
    Cause.SCAN: "Entry",
}
UNKNOWN_REGIME: Final = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The round trips that share something."""

    label: str
    trades: int
    wins: int
    pnl: Decimal  # USD after fees
    fees: Decimal  # USD

    @property
    def win_rate(self) -> Proportion | None:
        """Return the share of trades that earned more than their costs, with its interval."""
        return wilson_interval(self.wins, self.trades)

    @property
    def mean(self) -> Decimal | None:
        """Return the mean profit of a trade, USD."""
        return self.pnl / self.trades if self.trades else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """One table: its groups, and all of them together."""

    name: str  # "hour"
    title: str
    groups: tuple[Group, ...]
    total: Group


def attributions(result: BacktestResult, evidence: Evidence) -> tuple[Attribution, ...]:
    """Return every table that says something about this run, none without a trade."""
    trips = result.round_trips
    if not trips:
        return ()

    def day(trip: RoundTrip) -> date:
        return entry_day(result, trip)

    found = []
    if result.request.timeframe is not Timeframe.DAY:
        found.append(_table("hour", "By hour of entry, New York time", trips, _hour))
    found += [
        _table("weekday", "By weekday of entry", trips, lambda t: WEEKDAYS[day(t).weekday()]),
    ]
    if evidence.regimes:
        found.append(
            _table(
                "regime",
                "By regime on the day of entry",
                trips,
                lambda t: evidence.regimes.get(day(t), UNKNOWN_REGIME),
            )
        )
    if len(result.stage.parts) > 1:
        found.append(_table("symbol", "By symbol", trips, lambda t: t.symbol))
    found += [
        _table("side", "By side", trips, lambda t: "Long" if t.qty > 0 else "Short"),
        _table("exit", "By exit", trips, lambda t: CAUSES[t.cause]),
        _table("month", "By month of entry, all years", trips, lambda t: MONTHS[day(t).month - 1]),
    ]
    return tuple(found)


def entry_day(result: BacktestResult, trip: RoundTrip) -> date:
    """Return the exchange day of an entry."""
    return date.fromordinal(int(result.stage.parts[trip.symbol].bars.day[trip.entry_row]))


def group_of(label: str, trips: Sequence[RoundTrip]) -> Group:
    """Return what some round trips came to."""
    return Group(
        label=label,
        trades=len(trips),
        wins=sum(trip.pnl > 0 for trip in trips),
        pnl=sum((trip.pnl for trip in trips), Decimal(0)),
        fees=sum((trip.fees for trip in trips), Decimal(0)),
    )


def _table(
    name: str, title: str, trips: Sequence[RoundTrip], label: Callable[[RoundTrip], str]
) -> Attribution:
    by = dict[str, list[RoundTrip]]()
    for trip in trips:
        by.setdefault(label(trip), []).append(trip)
    known = (*WEEKDAYS, *MONTHS, "Long", "Short", *CAUSES.values())
    ordered = sorted(by, key=lambda each: (known.index(each) if each in known else -1, each))
    return Attribution(
        name=name,
        title=title,
        groups=tuple(group_of(each, by[each]) for each in ordered),
        total=group_of("All", trips),
    )


def _hour(trip: RoundTrip) -> str:
    return f"{exchange_time(trip.entry_at):%H}:00"
