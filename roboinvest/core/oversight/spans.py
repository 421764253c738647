"""Where time goes: spans of work and of waiting, summed up as they end, and forgotten by the half.

A span is noted once, when it ends; nothing of it is kept but sums that fade, so that the book costs
the same after a year as after a minute. A span that runs inside another takes its seconds away from
that one: what is left is the outer one's own, and no second is counted twice.
Deliberately absent: a list of spans. Who wants to see one request from end to end reads the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.windows import SHORT_S, Latencies

MAX_PLACES: Final = 256  # (service, name, kind) that are told apart; the rest is one place
ELSEWHERE: Final = "other places"
_MAX_NAME: Final = 80  # characters
_NOTHING_S: Final = 1e-3  # of all places together: what is left of spans long ago
_RESCALE_AFTER: Final = 64.0  # half-lives


class SpanKind(StrEnum):
    """What the time went by with."""

    TIME = "time"  # work of our own
    QUEUE = "queue"  # waiting to be begun
    LOCK = "lock"  # waiting for somebody else
    IO = "io"  # disk and network
    MODEL = "model"  # a language model


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSummary:
    """What one place, or all of a service and kind, took lately; all of it fades."""

    service: str
    name: str  # of the node or step; "" for a whole service
    kind: SpanKind
    count: float  # spans, the older the less
    seconds: float  # of its own, those inside it left out; the older the less
    mean_s: float  # of its own, a span
    p50_s: float  # from begin to end, within 9.6 %
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """A place that takes much of the time."""

    place: PlaceSummary
    share: float  # of all seconds in the book, 0.25 is a quarter


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanTotals:
    """What one service and kind took since it was asked the last time."""

    service: str
    kind: SpanKind
    count: int
    seconds: float


class _Place:
    """Sums of one place."""

    __slots__ = ("count", "fading_count", "fading_s", "quantiles", "seconds")

    def __init__(self, at: float) -> None:
        self.quantiles = Latencies(SHORT_S, at)
        self.fading_count = self.fading_s = 0.0  # in units that grow, see SpanBook
        self.count, self.seconds = 0, 0.0  # since the totals were taken


class OpenSpan:
    """A span that has begun; a context manager, so that an error ends it too."""

    __slots__ = ("_book", "_key", "began", "inside_s", "parent")

    def __init__(
        self, book: SpanBook, key: tuple[str, str, SpanKind], parent: OpenSpan | None
    ) -> None:
        self._book, self._key, self.parent = book, key, parent
        self.began = self.inside_s = 0.0

    def __enter__(self) -> Self:
        self.began = self._book.now()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        book = self._book
        book.note(self._key, self.began, book.now(), inside_s=self.inside_s)
        if self.parent is not None:
            self.parent.inside_s += book.last_s


class SpanBook:
    """The spans of one process, on one clock that never runs backwards."""

    def __init__(self, now: Callable[[], float], *, half_life_s: float = SHORT_S) -> None:
        """Take the clock (seconds), and after how long half of a span is forgotten."""
        if not half_life_s > 0.0:
            raise BadInput(f"spans fade with a half-life of {half_life_s} s; give one above 0")
        self.now = now
        self.last_s = 0.0  # seconds of the span that ended last
        self._half_life_s = half_life_s
        self._origin = now()
        self._places: dict[tuple[str, str, SpanKind], _Place] = {}

    def span(
        self, service: str, name: str, kind: SpanKind, parent: OpenSpan | None = None
    ) -> OpenSpan:
        """Return a span to be entered; `parent` loses the seconds that it takes."""
        return OpenSpan(self, (service, name, kind), parent)

    def note(
        self,
        key: tuple[str, str, SpanKind],
        began: float,
        ended: float,
        *,
        inside_s: float = 0.0,
    ) -> None:
        """Take a span that has ended: (service, name, kind), and seconds on the book's clock.

        A clock that ran backwards makes a span of no length, and not an error: who measures must
        not break what is measured.
        """
        whole = ended - began
        if not whole > 0.0:  # not a number as well
            whole = 0.0
        self.last_s = whole
        place = self._places.get(key)
        if place is None:
            place = self._new_place(key, ended)
        own = whole - inside_s
        if own < 0.0:  # children ran side by side
            own = 0.0
        ages = (ended - self._origin) / self._half_life_s
        if ages > _RESCALE_AFTER:
            self._rescale(ended, ages)
            ages = 0.0
        weight = 2.0**ages
        place.fading_count += weight
        place.fading_s += weight * own
        place.count += 1
        place.seconds += own
        place.quantiles.add(whole, ended)

    def summaries(self) -> tuple[PlaceSummary, ...]:
        """Return every place, the one that took most first."""
        now = self.now()
        found = (_summary(key, place, self._fade(now)) for key, place in self._places.items())
        return tuple(sorted(found, key=lambda each: (-each.seconds, each.service, each.name)))

    def by_service(self) -> tuple[PlaceSummary, ...]:
        """Return what each service and kind took, the most first; percentiles are of its worst."""
        return tuple(
            sorted(
                (_together(group) for group in _grouped(self.summaries())),
                key=lambda each: (-each.seconds, each.service, each.kind),
            )
        )

    def bottlenecks(self, most: int = 5) -> tuple[Bottleneck, ...]:
        """Return the places that took most of the time, with their shares; () without any."""
        found = self.summaries()
        whole = sum(each.seconds for each in found)
        if whole < _NOTHING_S:
            return ()
        return tuple(
            Bottleneck(place=each, share=each.seconds / whole)
            for each in found[:most]
            if each.seconds > 0.0
        )

    def take_totals(self) -> tuple[SpanTotals, ...]:
        """Return what each service and kind took since the last time, and begin anew."""
        sums: dict[tuple[str, SpanKind], tuple[int, float]] = {}
        for (service, _, kind), place in self._places.items():
            count, seconds = sums.get((service, kind), (0, 0.0))
            sums[service, kind] = count + place.count, seconds + place.seconds
            place.count, place.seconds = 0, 0.0
        return tuple(
            SpanTotals(service=service, kind=kind, count=count, seconds=seconds)
            for (service, kind), (count, seconds) in sorted(sums.items())
            if count
        )

    def _new_place(self, key: tuple[str, str, SpanKind], at: float) -> _Place:
        service, name, kind = key
        if len(self._places) >= MAX_PLACES or max(len(service), len(name)) > _MAX_NAME:
            key = (ELSEWHERE, "", kind)
        return self._places.setdefault(key, _Place(at))

    def _fade(self, now: float) -> float:
        return math.exp2(-min((now - self._origin) / self._half_life_s, 1000.0))

    def _rescale(self, at: float, ages: float) -> None:
        factor = math.exp2(-min(ages, 1000.0))
        for place in self._places.values():
            place.fading_count *= factor
            place.fading_s *= factor
        self._origin = at


def _summary(key: tuple[str, str, SpanKind], place: _Place, fade: float) -> PlaceSummary:
    service, name, kind = key
    count = place.fading_count * fade
    p50_s, p95_s = place.quantiles.quantiles(0.5, 0.95)
    return PlaceSummary(
        service=service,
        name=name,
        kind=kind,
        count=count,
        seconds=place.fading_s * fade,
        mean_s=place.fading_s / place.fading_count if place.fading_count else 0.0,
        p50_s=p50_s,
        p95_s=p95_s,
    )


def _grouped(summaries: Iterable[PlaceSummary]) -> list[list[PlaceSummary]]:
    groups: dict[tuple[str, SpanKind], list[PlaceSummary]] = {}
    for each in summaries:
        groups.setdefault((each.service, each.kind), []).append(each)
    return list(groups.values())


def _together(group: list[PlaceSummary]) -> PlaceSummary:
    count, seconds = sum(each.count for each in group), sum(each.seconds for each in group)
    return PlaceSummary(
        service=group[0].service,
        name="",
        kind=group[0].kind,
        count=count,
        seconds=seconds,
        mean_s=seconds / count if count else 0.0,
        p50_s=max(each.p50_s for each in group),
        p95_s=max(each.p95_s for each in group),
    )
