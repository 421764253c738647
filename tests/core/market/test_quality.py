"""The gate: what it refuses, what it remarks on, and that it never looks ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.market.bars import FIELDS, to_ns
from roboinvest.core.market.continuity import Continuity, split_like
from roboinvest.core.market.findings import BIT, Finding, Reason, count_reasons
from roboinvest.core.market.quality import (
    Judgement,
    LiveGate,
    expected_opens,
    explain,
    judge,
    missing_opens,
    out_of_order,
)
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction, Timeframe
from tests.fakes.markets import DAY, minute, session

Row = tuple[datetime, float, float, float, float, float]
MINUTE = timedelta(minutes=1)


def plain(at: datetime, price: float = 100.0, volume: float = 1000.0) -> Row:
    return (at, price, price * 1.001, price * 0.999, price, volume)


def raw(rows: Sequence[Row]) -> RawRows:
    ts = np.array([to_ns(row[0]) for row in rows], np.int64)
    values = np.array([row[1:] for row in rows], np.float64).reshape(len(rows), len(FIELDS)).T
    return RawRows.of(ts, values)


def verdicts(judged: Judgement) -> list[str]:
    """Return one word a row: `good`, or its reasons."""
    words = []
    for verdict in judged.verdicts.tolist():
        found = [reason.value for reason in Reason if verdict & BIT[reason]]
        words.append("+".join(found) or "good")
    return words


def split(ratio: int, on: date) -> CorporateAction:
    return CorporateAction(symbol="SPY", kind=ActionKind.SPLIT, ex_date=on, ratio=Decimal(ratio))


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ((100, 99, 101, 100, 10), "high_below_low"),
        ((-1, -1, -1, -1, 10), "non_positive_price"),
        ((0, 0, 0, 0, 0), "non_positive_price"),
        ((100, 101, -1, 100, 10), "non_positive_price"),
        ((100, 101, 99, 0, 10), "non_positive_price"),
        ((100, 101, 99, float("nan"), 10), "not_a_number"),
        ((100, float("inf"), 99, 100, 10), "not_a_number"),
        ((100, 101, 99, 100, float("inf")), "not_a_number"),
        ((100, 101, 99, 100, -5), "negative_volume"),
        ((10000, 10100, 9900, 10000, 10), "price_spike"),
        ((100, 1000, 99, 100, 10), "price_spike"),
        ((10, 10, 9.9, 10, 10), "price_spike"),
        ((100, 101, 99, 102, 10), "outside_range"),
        ((100, 101, 99, 100, 0), "zero_volume"),
        ((100, 101, 99, 100, float("nan")), "zero_volume"),
        ((1e308, 1e308, 1e308, 1e308, 10), "price_spike"),
        ((100.0000001, 100, 100, 100, 10), "good"),
        ((180, 190, 170, 180, 10), "good"),
    ],
)
def test_a_row_gets_the_one_reason_that_applies(row: Sequence[float], word: str) -> None:
    before, after = plain(minute(0)), plain(minute(2))
    opened, high, low, close, volume = row
    judged = judge(raw([before, (minute(1), opened, high, low, close, volume), after]))
    assert verdicts(judged)[:2] == ["good", word]
    assert verdicts(judged)[2] == "good", "one bad row must not cost the next one"


def test_one_of_equal_rows_is_used_and_rows_that_differ_are_not() -> None:
    twice, other = plain(minute(1)), plain(minute(2), 100.1)
    judged = judge(raw([plain(minute(0)), twice, twice, twice, plain(minute(2)), other]))
    expected = ["good", "good", "duplicate", "duplicate"]
    assert verdicts(judged) == [*expected, "conflicting_duplicate", "conflicting_duplicate"]


def test_a_copy_that_is_bad_in_itself_does_not_cost_the_good_one() -> None:
    broken = (minute(1), 100.0, 101.0, 99.0, float("nan"), 10.0)
    judged = judge(raw([plain(minute(0)), plain(minute(1)), broken]))
    assert sorted(verdicts(judged)) == ["good", "good", "not_a_number"]


def test_every_row_of_a_run_of_spikes_is_refused() -> None:
    rows = [plain(minute(0)), plain(minute(1)), *(plain(minute(n), 1e4) for n in (2, 3, 4))]
    judged = judge(raw([*rows, plain(minute(5))]))
    assert verdicts(judged) == ["good", "good", "price_spike", "price_spike", "price_spike", "good"]


def test_two_rows_that_agree_overrule_a_bad_first_row() -> None:
    rows = [plain(minute(0), 1e4), *(plain(minute(n)) for n in range(1, 6))]
    assert verdicts(judge(raw(rows))) == ["good", "price_spike", *["good"] * 4]


@pytest.mark.parametrize(
    ("before", "after", "like"),
    [
        (645.57, 92.69, "7:1"),
        (100, 50, "2:1"),
        (100, 1000, "1:10"),
        (90, 60, "3:2"),
        (1, 20, "1:20"),
    ],
)
def test_a_change_the_size_of_a_split_is_named(before: float, after: float, like: str) -> None:
    assert split_like(after, before) == like


@pytest.mark.parametrize("after", [100.0, 75.0, 71.0, 60.0, 58.0, 130.0, 140.0, 170.0])
def test_a_large_move_that_is_no_usual_split_is_a_move(after: float) -> None:
    assert split_like(after, 100.0) is None


def two_days(second: float, third: float | None = None) -> list[Row]:
    """Return three minutes of each of two or three days, at 100 and then at other prices."""
    days = [(DAY, 100.0), (DAY + timedelta(days=1), second)]
    if third is not None:
        days.append((DAY + timedelta(days=7), third))
    return [plain(minute(n, day), price) for day, price in days for n in range(3)]


def test_a_jump_like_a_split_suspends_the_symbol_from_its_first_bar_on() -> None:
    judged = judge(raw(two_days(50.0, 51.0)))
    assert verdicts(judged) == [*["good"] * 3, *["unexplained_jump"] * 6]
    assert judged.state.suspension is not None
    sentence = judged.state.suspension.sentence("SPY")
    assert "SPY opened at 50 after a last good close of 100, like a 2:1 split" in sentence
    assert [change.index for change in judged.changes] == [3]


def test_the_level_of_an_index_jumps_without_a_split() -> None:
    rows = [(*row[:5], float("nan")) for row in two_days(50.0)]
    assert verdicts(judge(raw(rows), is_index=True)) == ["good"] * 6


def test_a_known_split_explains_the_jump() -> None:
    judged = judge(raw(two_days(50.0)), actions=[split(2, DAY + timedelta(days=1))])
    assert verdicts(judged) == ["good"] * 6


def test_a_split_moves_the_price_to_compare_with_once() -> None:
    rows = two_days(10.0)
    later = DAY + timedelta(days=2)
    rows += [plain(minute(n, later), price) for n, price in enumerate((10.0, 1e4, 10.0))]
    judged = judge(raw(rows), actions=[split(10, DAY + timedelta(days=1))])
    assert verdicts(judged) == [*["good"] * 7, "price_spike", "good"]


def test_a_split_that_the_prices_do_not_show_suspends_too() -> None:
    judged = judge(raw(two_days(100.0)), actions=[split(7, DAY + timedelta(days=1))])
    assert verdicts(judged)[3:] == ["unexplained_jump"] * 3


def test_a_split_that_comes_days_after_the_jump_ends_the_suspension() -> None:
    judged = judge(raw(two_days(50.0, 51.0)), actions=[split(2, DAY + timedelta(days=7))])
    assert verdicts(judged) == [*["good"] * 3, *["unexplained_jump"] * 3, *["good"] * 3]
    assert judged.state.suspension is None


def test_a_special_dividend_explains_a_jump_of_its_size() -> None:
    dividend = CorporateAction(
        symbol="SPY",
        kind=ActionKind.DIVIDEND,
        ex_date=DAY + timedelta(days=1),
        cash=Decimal(49),
    )
    assert verdicts(judge(raw(two_days(50.0)), actions=[dividend])) == ["good"] * 6


def test_a_price_that_comes_back_at_once_was_a_bad_print() -> None:
    rows = two_days(100.0)
    rows[3] = plain(minute(0, DAY + timedelta(days=1)), 50.0)
    judged = judge(raw(rows))
    assert verdicts(judged) == [*["good"] * 3, "unexplained_jump", "good", "good"]
    assert [change.suspension is None for change in judged.changes] == [False, True]


def test_a_price_that_comes_back_after_a_week_does_not_end_a_suspension() -> None:
    assert verdicts(judge(raw(two_days(50.0, 100.0))))[6:] == ["unexplained_jump"] * 3


def test_a_jump_inside_a_session_is_a_move() -> None:
    rows = [plain(minute(0)), plain(minute(1), 50.0), plain(minute(2), 49.0)]
    assert verdicts(judge(raw(rows))) == ["good"] * 3


def test_the_first_good_bar_of_a_session_is_the_one_that_jumps() -> None:
    rows = two_days(50.0)
    rows[3] = (rows[3][0], 50.0, 49.0, 51.0, 50.0, 10.0)
    assert verdicts(judge(raw(rows)))[3:] == ["high_below_low", *["unexplained_jump"] * 2]


def test_a_suspension_is_one_finding_that_says_what_it_costs() -> None:
    found = explain("SPY", judge(raw(two_days(50.0))))
    assert [finding.reason for finding in found] == [Reason.UNEXPLAINED_JUMP]
    assert found[0].ts == minute(0, DAY + timedelta(days=1))
    assert found[0].detail.endswith("Rows set aside: 3.")


def test_a_finding_names_the_line_and_the_figures() -> None:
    rows = raw([plain(minute(0)), plain(minute(1), 1e4)])
    found = explain("SPY", judge(replace(rows, line=np.array([2, 3]))))
    assert found == [
        Finding(
            symbol="SPY",
            ts=minute(1),
            reason=Reason.PRICE_SPIKE,
            detail=(
                "line 3: open 10000, high 10010, low 9990, close 10000, "
                "against a last good close of 100"
            ),
            quarantined=True,
        )
    ]


def test_both_rows_of_a_pair_in_the_wrong_order_are_named() -> None:
    rows = [plain(minute(n)) for n in (0, 2, 1, 3)]
    assert [finding.ts for finding in out_of_order("SPY", raw(rows))] == [minute(1), minute(2)]
    assert out_of_order("SPY", raw(sorted(rows, reverse=True))) == []


def test_what_is_missing_follows_from_the_session_and_not_from_the_rows() -> None:
    half = session(half_day=True)
    assert len(expected_opens(half, Timeframe.MINUTE)) == 210
    assert len(expected_opens(session(), Timeframe.HOUR)) == 7
    expected = expected_opens(session(), Timeframe.MINUTE)
    present = np.delete(expected, [0, 17])
    missing = missing_opens(session(), Timeframe.MINUTE, present)
    assert missing.tolist() == [to_ns(minute(0)), to_ns(minute(17))]


def test_hour_bars_at_half_past_fill_the_hours_they_begin_in() -> None:
    half_past = expected_opens(session(), Timeframe.HOUR) + 1_800_000_000_000
    assert missing_opens(session(), Timeframe.HOUR, half_past).tolist() == []
    assert missing_opens(session(), Timeframe.HOUR, half_past[1:]).tolist() == [to_ns(minute(-30))]


# --- properties -------------------------------------------------------------------------------

PRICES = st.sampled_from([100.0, 100.5, 101.0, 50.0, 49.5, 14.3, 1000.0, 1e4, 10.0, -1.0, 0.0])
CELLS = st.one_of(PRICES, PRICES, st.just(float("nan")))


@st.composite
def bad_rows(draw: st.DrawFn) -> list[Row]:
    """Draw rows over a week: mostly plain, some broken in every way we know."""
    rows = []
    for _ in range(draw(st.integers(1, 25))):
        day = DAY + timedelta(days=draw(st.integers(0, 6)))
        at = minute(draw(st.integers(0, 4)), day)
        if draw(st.booleans()):
            rows.append(plain(at, draw(PRICES), draw(st.sampled_from([0.0, 10.0]))))
        else:
            cells = [draw(CELLS) for _ in range(4)]
            rows.append((at, cells[0], cells[1], cells[2], cells[3], draw(CELLS)))
    return rows


ACTIONS = st.lists(
    st.builds(split, st.sampled_from([2, 7]), st.integers(0, 6).map(lambda n: DAY + timedelta(n))),
    max_size=2,
    unique_by=lambda action: action.ex_date,
)


def same(one: Judgement, other: Judgement) -> bool:
    return (
        verdicts(one) == verdicts(other)
        and np.array_equal(one.rows.ts, other.rows.ts)
        and np.array_equal(one.rows.values, other.rows.values, equal_nan=True)
        and one.state == other.state
        and one.changes == other.changes
    )


@given(bad_rows(), ACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_a_file_decides_nothing(
    rows: list[Row], actions: list[CorporateAction], chance: object
) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert same(judge(raw(rows), actions=actions), judge(raw(shuffled), actions=actions))


@settings(max_examples=120)
@given(bad_rows(), bad_rows(), ACTIONS, st.integers(0, 6), st.integers(0, 5))
def test_what_comes_later_never_changes_a_verdict(
    rows: list[Row], others: list[Row], actions: list[CorporateAction], days: int, number: int
) -> None:
    cut = minute(number, DAY + timedelta(days=days))
    past = [row for row in rows if row[0] < cut]
    judged = judge(raw([*past, *(row for row in rows if row[0] >= cut)]), actions=actions)
    other = judge(raw([*past, *(row for row in others if row[0] >= cut)]), actions=actions)
    assert verdicts(judged)[: len(past)] == verdicts(other)[: len(past)]
    assert verdicts(judge(raw(past), actions=actions)) == verdicts(judged)[: len(past)]


@settings(max_examples=120)
@given(bad_rows(), ACTIONS, st.integers(0, 6), st.integers(0, 5))
def test_judging_in_parts_comes_to_the_same_as_judging_at_once(
    rows: list[Row], actions: list[CorporateAction], days: int, number: int
) -> None:
    cut = minute(number, DAY + timedelta(days=days))
    whole = judge(raw(rows), actions=actions)
    first = judge(raw([row for row in rows if row[0] < cut]), actions=actions)
    rest = [row for row in rows if row[0] >= cut]
    second = judge(raw(rest), start=first.state, actions=actions)
    assert verdicts(whole) == [*verdicts(first), *verdicts(second)]
    assert whole.state == second.state


def to_bar(row: Row) -> Bar:
    at, opened, high, low, close, volume = row
    return Bar(
        symbol="SPY",
        ts=at,
        closes_at=at + MINUTE,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
    )


@settings(max_examples=80)
@given(bad_rows(), ACTIONS)
def test_the_live_gate_says_of_bars_one_by_one_what_the_gate_says_of_a_file(
    rows: list[Row], actions: list[CorporateAction]
) -> None:
    ordered = list({row[0]: row for row in sorted(rows, key=lambda row: row[0])}.values())
    gate = LiveGate(actions)
    live = [gate.judge(to_bar(row)) for row in ordered]
    whole = judge(raw(ordered), actions=actions)
    assert [verdict.good for verdict in live] == whole.good.tolist()
    suspension = whole.state.suspension
    assert live[-1].suspended == (suspension.sentence("SPY") if suspension else None)


def test_the_live_gate_refuses_a_late_bar_and_a_second_one_of_the_same_time() -> None:
    gate = LiveGate()
    assert gate.judge(to_bar(plain(minute(1)))).good
    said = [gate.judge(to_bar(row)) for row in (plain(minute(0)), plain(minute(1)))]
    said.append(gate.judge(to_bar(plain(minute(1), 100.2))))
    reasons = [verdict.findings[0].reason for verdict in said]
    assert reasons == [Reason.LATE, Reason.DUPLICATE, Reason.CONFLICTING_DUPLICATE]
    assert not any(verdict.good for verdict in said)
    assert gate.judge(to_bar(plain(minute(2)))).good


def test_the_live_gate_takes_the_mend_of_a_bad_bar() -> None:
    gate = LiveGate()
    gate.judge(to_bar(plain(minute(0))))
    assert not gate.judge(to_bar(plain(minute(1), -1.0))).good
    assert gate.judge(to_bar(plain(minute(1)))).good


def test_every_spike_among_two_million_rows_is_found() -> None:
    n = 2_000_000
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, n)))
    values = np.stack([close, close, close, close, np.ones(n)])
    values[:4, rng.choice(np.arange(2, n), 2000, replace=False)] *= 100
    start = to_ns(datetime(2000, 1, 3, tzinfo=UTC))
    rows = RawRows.of(start + np.arange(n, dtype=np.int64) * 60_000_000_000, values)
    judged = judge(rows, start=Continuity())
    assert count_reasons(judged.verdicts) == {"price_spike": 2000}
