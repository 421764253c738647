"""Where the result came from: figures by label, such as the regime, the hour or the weekday.

Labels come from outside, one for each value; a value is the profit of a round trip or the return of
a day. A group of few values proves nothing, so that every row carries its count and the interval of
its win rate, and rows are not ranked. Searching the rows for the best one is another trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints, from_ns
from roboinvest.core.performance import Proportion, wilson_interval
from roboinvest.core.statistics.samples import finite

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The values under one label."""

    label: str
    count: int
    total: float  # in the unit of the values
    mean: float | None
    win_rate: Proportion | None  # share above 0 with its 95 % interval (Wilson)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A table of groups, and all values together."""

    name: str  # what the labels are: "weekday"
    unit: str  # of the values: "USD", "return"
    groups: tuple[Group, ...]
    whole: Group


def breakdown(
    name: str,
    labels: Sequence[str],
    values: Sequence[float] | Floats,
    *,
    unit: str,
    order: Iterable[str] | None = None,
) -> Breakdown:
    """Return the values grouped by their labels.

    `order` are labels that come first in this order, those without a value included; others follow
    by name.

    Raises:
        BadInput: a value is not finite, or there is not one label for each.
    """
    x = finite(values)
    if len(labels) != len(x):
        raise BadInput(f"{name}: {len(labels)} labels and {len(x)} values; give one for each.")
    members: dict[str, list[float]] = {label: [] for label in order or ()}
    for label in sorted(set(labels) - set(members)):
        members[label] = []
    for label, value in zip(labels, x.tolist(), strict=True):
        members[label].append(value)
    return Breakdown(
        name=name,
        unit=unit,
        groups=tuple(_group(label, found) for label, found in members.items()),
        whole=_group("all", x.tolist()),
    )


def by_weekday(days: Ints, values: Sequence[float] | Floats, *, unit: str) -> Breakdown:
    """Return values by the weekday of their exchange day (proleptic ordinals)."""
    labels = [WEEKDAYS[date.fromordinal(day).weekday()] for day in days.tolist()]
    return breakdown("weekday", labels, values, unit=unit, order=WEEKDAYS[:5])


def by_month(days: Ints, values: Sequence[float] | Floats, *, unit: str) -> Breakdown:
    """Return values by the calendar month of their exchange day, years put together."""
    labels = [MONTHS[date.fromordinal(day).month - 1] for day in days.tolist()]
    return breakdown("month", labels, values, unit=unit, order=MONTHS)


def by_year(days: Ints, values: Sequence[float] | Floats, *, unit: str) -> Breakdown:
    """Return values by the year of their exchange day."""
    labels = [str(date.fromordinal(day).year) for day in days.tolist()]
    return breakdown("year", labels, values, unit=unit)


def by_hour(
    instants: Ints, values: Sequence[float] | Floats, *, unit: str, zone: tzinfo
) -> Breakdown:
    """Return values by the hour of their instant (ns since the epoch) on the exchange's clock.

    "09" is from 9:00 until 10:00. The clock is the exchange's: in UTC the open moves with daylight
    saving.
    """
    labels = [f"{from_ns(at).astimezone(zone).hour:02d}" for at in instants.tolist()]
    return breakdown("hour", labels, values, unit=unit)


def _group(label: str, values: Sequence[float]) -> Group:
    total = math.fsum(values)
    return Group(
        label=label,
        count=len(values),
        total=total,
        mean=total / len(values) if values else None,
        win_rate=wilson_interval(sum(value > 0.0 for value in values), len(values)),
    )
