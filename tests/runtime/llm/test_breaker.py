"""A breaker opens after failures, lets one call through to see, and never shuts a model out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.runtime.llm.breaker import BreakerState, CircuitBreaker
from roboinvest.runtime.llm.provider import Trouble
from tests.fakes.clocks import ManualClock

REST_S = 30.0
LONGEST_S = 600.0


@dataclass
class Desk:
    """A breaker and its time."""

    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.breaker = CircuitBreaker(self.clock.monotonic)

    def fail(self, count: int = 1, trouble: Trouble = Trouble.SERVER) -> None:
        for _ in range(count):
            self.breaker.failed(trouble)

    def probe(self) -> None:
        """Wait until a call may go, and let it."""
        self.clock.advance(self.breaker.remaining_s)
        assert self.breaker.may_call() is None
        assert self.breaker.state is BreakerState.PROBING


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_opens_after_three_failures_in_a_row_and_says_why(desk: Desk) -> None:
    desk.fail(2)
    assert desk.breaker.may_call() is None
    desk.fail()
    desk.clock.advance(12.5)
    assert desk.breaker.may_call() == (
        "the server fails (3 failed in a row); the next trial is in 18 s"
    )


def test_an_answer_between_failures_starts_the_count_anew(desk: Desk) -> None:
    desk.fail(2)
    desk.breaker.succeeded()
    desk.fail(2)
    assert desk.breaker.may_call() is None


def test_after_the_rest_one_call_goes_and_no_other(desk: Desk) -> None:
    desk.fail(3)
    desk.probe()
    assert desk.breaker.may_call() == (
        "the server fails (3 failed in a row); one trial call is on its way"
    )
    desk.breaker.succeeded()
    assert [desk.breaker.may_call() for _ in range(5)] == [None] * 5


def test_each_failed_trial_doubles_the_rest_up_to_the_longest(desk: Desk) -> None:
    desk.fail(3)
    rests = [desk.breaker.remaining_s]
    for _ in range(6):
        desk.probe()
        desk.fail()
        rests.append(desk.breaker.remaining_s)
    assert rests == [30, 60, 120, 240, 480, 600, 600]
    desk.probe()
    desk.breaker.succeeded()
    desk.fail(3)
    assert desk.breaker.remaining_s == REST_S


@pytest.mark.parametrize("trouble", [Trouble.QUOTA, Trouble.KEY])
def test_what_only_a_person_mends_opens_it_at_once_and_for_long(
    desk: Desk, trouble: Trouble
) -> None:
    desk.fail(1, trouble)
    assert desk.breaker.remaining_s == LONGEST_S
    desk.probe()
    desk.fail(1, trouble)
    assert desk.breaker.remaining_s == LONGEST_S


@pytest.mark.parametrize("trouble", [Trouble.RATE, Trouble.SERVER])
@pytest.mark.parametrize(("asked_s", "rest_s"), [(7.0, 7.0), (3600.0, 3600.0), (0.1, 1.0)])
def test_a_wait_that_is_asked_for_is_kept_to_at_once(
    desk: Desk, trouble: Trouble, asked_s: float, rest_s: float
) -> None:
    desk.breaker.failed(trouble, retry_after_s=asked_s)
    assert desk.breaker.remaining_s == pytest.approx(rest_s)


@pytest.mark.parametrize("asked_s", [None, 0.0, -5.0, math.inf, math.nan])
def test_a_wait_that_makes_no_sense_is_none(desk: Desk, asked_s: float | None) -> None:
    desk.breaker.failed(Trouble.RATE, retry_after_s=asked_s)
    assert desk.breaker.may_call() is None


def test_a_trial_that_is_given_up_lets_the_next_one_try(desk: Desk) -> None:
    desk.fail(3)
    for _ in range(3):
        desk.probe()
        desk.breaker.gave_up()
    assert desk.breaker.may_call() is None
    desk.fail()
    assert desk.breaker.remaining_s == 2 * REST_S  # giving up did not count


def test_a_trial_that_nobody_reports_on_is_forgotten(desk: Desk) -> None:
    desk.fail(3)
    desk.probe()
    desk.clock.advance(LONGEST_S - 1)
    assert desk.breaker.may_call() is not None
    desk.clock.advance(1)
    assert desk.breaker.may_call() is None


def test_giving_up_changes_nothing_while_it_is_closed_or_open(desk: Desk) -> None:
    desk.breaker.gave_up()
    assert desk.breaker.may_call() is None
    desk.fail(3)
    desk.breaker.gave_up()
    assert desk.breaker.remaining_s == REST_S


def test_what_began_before_it_opened_neither_closes_it_nor_makes_the_rest_longer(
    desk: Desk,
) -> None:
    desk.fail(3)
    desk.clock.advance(10)
    desk.fail(40)
    desk.breaker.succeeded()
    assert desk.breaker.remaining_s == 20
    desk.breaker.failed(Trouble.RATE, retry_after_s=90)  # what is asked for counts
    assert desk.breaker.remaining_s == 90
    desk.breaker.failed(Trouble.RATE, retry_after_s=5)
    assert desk.breaker.remaining_s == 90


@pytest.mark.parametrize(
    "terms", [{"failures": 0}, {"rest_s": 0.0}, {"rest_s": -1.0}, {"longest_s": 29.0}]
)
def test_figures_that_make_no_sense_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        CircuitBreaker(ManualClock().monotonic, **terms)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- for any history

TROUBLES = st.sampled_from(list(Trouble))
WAITS = st.none() | st.floats(allow_nan=True, allow_infinity=True)
REPORTS = (
    st.tuples(st.just("failed"), TROUBLES, WAITS)
    | st.tuples(st.just("succeeded"))
    | st.tuples(st.just("gave_up"))
    | st.tuples(st.just("wait"), st.floats(0, 700))
    | st.tuples(st.just("call"))
)
HISTORIES = st.lists(REPORTS, max_size=60)


def play(desk: Desk, history: list[tuple[object, ...]]) -> None:
    for name, *rest in history:
        if name == "wait":
            desk.clock.advance(float(str(rest[0])))
        elif name == "call":
            desk.breaker.may_call()
        elif name == "failed":
            trouble, asked_s = rest
            assert isinstance(trouble, Trouble)
            assert asked_s is None or isinstance(asked_s, float)
            desk.breaker.failed(trouble, min(asked_s, 3600.0) if asked_s is not None else None)
        else:
            getattr(desk.breaker, str(name))()


@given(HISTORIES)
def test_whatever_happened_a_call_may_go_after_the_longest_wait(
    history: list[tuple[object, ...]],
) -> None:
    desk = Desk()
    play(desk, history)
    desk.clock.advance(3600.0 + LONGEST_S)
    assert desk.breaker.may_call() is None


@given(HISTORIES)
def test_whatever_happened_a_reason_is_given_exactly_while_no_call_may_go(
    history: list[tuple[object, ...]],
) -> None:
    desk = Desk()
    play(desk, history)
    if desk.breaker.state is BreakerState.CLOSED:
        assert desk.breaker.may_call() is None
        return
    left_s = desk.breaker.remaining_s
    was_open = desk.breaker.state is BreakerState.OPEN
    why = desk.breaker.may_call()
    if was_open:
        assert (why is not None) == (left_s > 0)
    second = desk.breaker.may_call()
    assert second is not None  # never two calls from one look


@given(HISTORIES)
def test_whatever_happened_an_answer_to_a_trial_closes_it(
    history: list[tuple[object, ...]],
) -> None:
    desk = Desk()
    play(desk, history)
    desk.clock.advance(3600.0 + LONGEST_S)
    assert desk.breaker.may_call() is None
    desk.breaker.succeeded()
    assert desk.breaker.state is BreakerState.CLOSED
    desk.fail(2)
    assert desk.breaker.may_call() is None
