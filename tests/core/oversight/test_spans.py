"""Where time goes: no second is counted twice, the book stays small, and it forgets."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.spans import ELSEWHERE, MAX_PLACES, SpanBook, SpanKind
from roboinvest.core.oversight.windows import RELATIVE_ERROR, SHORT_S
from tests.fakes.clocks import ManualClock

SEED = 20261121
A_LITTLE = 0.02  # a span fades by this much within ten seconds at most
KEY = ("trading", "strategy", SpanKind.TIME)


def near(seconds: float) -> Any:
    return pytest.approx(seconds, rel=A_LITTLE)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book(clock: ManualClock) -> SpanBook:
    return SpanBook(clock.monotonic)


def test_time_inside_another_span_is_taken_from_the_outer_one(
    book: SpanBook, clock: ManualClock
) -> None:
    with book.span("trading", "strategy", SpanKind.TIME) as outer:
        clock.advance(1.0)
        with book.span("trading", "strategy", SpanKind.MODEL, outer):
            clock.advance(3.0)
        clock.advance(0.5)
    found = {each.kind: each for each in book.summaries()}
    assert found[SpanKind.TIME].seconds == near(1.5)
    assert found[SpanKind.MODEL].seconds == near(3.0)
    shares = {each.place.kind: each.share for each in book.bottlenecks()}
    assert shares == {SpanKind.MODEL: near(2 / 3), SpanKind.TIME: near(1 / 3)}
    assert book.bottlenecks(1)[0].place.kind is SpanKind.MODEL


def test_a_span_that_ends_with_an_error_is_noted_and_the_error_goes_on(
    book: SpanBook, clock: ManualClock
) -> None:
    def fail() -> None:
        with book.span("a", "b", SpanKind.IO):
            clock.advance(2.0)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert book.summaries()[0].seconds == near(2.0)


def test_half_of_it_is_gone_after_a_half_life_and_all_of_it_after_a_day(
    book: SpanBook, clock: ManualClock
) -> None:
    with book.span("a", "b", SpanKind.IO):
        clock.advance(4.0)
    clock.advance(SHORT_S)
    assert book.summaries()[0].seconds == near(2.0)
    assert book.summaries()[0].mean_s == near(4.0)
    clock.advance(86_400.0 * 400)
    assert book.bottlenecks() == ()
    book.note(("a", "b", SpanKind.IO), clock.monotonic() - 1.0, clock.monotonic())
    assert book.summaries()[0].seconds == near(1.0)


def test_percentiles_are_those_of_the_spans(book: SpanBook) -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    lengths = sorted(rng.lognormvariate(-3.0, 1.0) for _ in range(1000))
    for length in rng.sample(lengths, len(lengths)):
        book.note(KEY, 0.0, length)
    found = book.summaries()[0]
    assert found.p50_s == pytest.approx(lengths[499], rel=1.5 * RELATIVE_ERROR)
    assert found.p95_s == pytest.approx(lengths[949], rel=1.5 * RELATIVE_ERROR)


@pytest.mark.parametrize("ended", [-5.0, float("nan"), 0.0])
def test_a_clock_that_ran_backwards_breaks_nothing(book: SpanBook, ended: float) -> None:
    book.note(KEY, 0.0, 1.0)
    book.note(("x", "y", SpanKind.LOCK), 0.0, ended if ended == ended else 0.0, inside_s=3.0)
    assert [each.seconds for each in book.summaries()] == [near(1.0), 0.0]


def test_children_side_by_side_do_not_make_the_outer_span_negative(book: SpanBook) -> None:
    book.note(KEY, 0.0, 1.0, inside_s=5.0)
    assert book.summaries()[0].seconds == 0.0


def test_whoever_invents_names_does_not_make_the_book_grow(book: SpanBook) -> None:
    tracemalloc.start()
    try:
        for number in range(20 * MAX_PLACES):
            book.note(("service", f"name {number}", SpanKind.TIME), 0.0, 1.0)
        book.note(("service", "x" * 10_000, SpanKind.TIME), 0.0, 1.0)
        weight = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    places = book.summaries()
    assert len(places) <= MAX_PLACES + len(SpanKind)
    assert weight < 1_000_000
    assert places[0].service == ELSEWHERE
    assert sum(each.seconds for each in places) == near(20 * MAX_PLACES + 1)


def test_totals_are_of_the_time_since_they_were_taken(book: SpanBook) -> None:
    book.note(KEY, 0.0, 1.0)
    book.note(("trading", "executor", SpanKind.TIME), 0.0, 2.0)
    book.note(("feed", "poll", SpanKind.IO), 0.0, 4.0)
    found = {(t.service, t.kind): (t.count, t.seconds) for t in book.take_totals()}
    assert found == {("trading", SpanKind.TIME): (2, 3.0), ("feed", SpanKind.IO): (1, 4.0)}
    assert book.take_totals() == ()
    assert book.by_service()[0].seconds == near(4.0)
    assert book.by_service()[1].name == ""


def test_a_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="above 0"):
        SpanBook(lambda: 0.0, half_life_s=0.0)
