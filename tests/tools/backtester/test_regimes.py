"""A day is called what the days before it were, on whatever scale prices stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from tests.fakes.tapes import daily_tape, minute_tape
from tests.tools.backtester.report.builders import sessions, walked
from tools.backtester.regimes import WARM_UP, regimes_of

PRICES = ("open", "high", "low", "close")
SEEDS = (5, 6, 7)


def restless(seed: int, days: int = 320) -> SessionBars:
    """Return day bars that rise, fall, storm and lie still: regimes of every kind."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    drift = np.repeat(rng.choice([0.006, -0.006, 0.0], days // 20), 20)
    noise = np.repeat(rng.choice([0.003, 0.01, 0.06], days // 20, p=[0.6, 0.3, 0.1]), 20)
    scale = np.exp(np.cumsum(drift + noise * rng.standard_normal(days)))
    return priced(daily_tape(seed, days=days, deviation=0.002), lambda prices: prices * scale)


def priced(bars: SessionBars, change: Callable[[Floats], Floats]) -> SessionBars:
    """Return bars with other prices."""
    columns: dict[str, Any] = {name: change(getattr(bars, name)) for name in PRICES}
    return replace(bars, **columns)


def split(ratio: str, ex_date: date, symbol: str = "SPY") -> CorporateAction:
    return CorporateAction(
        symbol=symbol, kind=ActionKind.SPLIT, ex_date=ex_date, ratio=Decimal(ratio)
    )


def test_the_tapes_hold_many_regimes() -> None:
    """What follows would prove little where every day is called the same."""
    found = [set(regimes_of(restless(seed)).values()) for seed in SEEDS]
    assert len(set.union(*found)) >= 5
    assert all(len(each) >= 3 for each in found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_name_stays_whatever_days_follow(seed: int) -> None:
    bars = restless(seed)
    whole = regimes_of(bars)
    for end in range(WARM_UP + 1, len(bars), 7):
        part = regimes_of(bars.rows(slice(0, end)))
        assert len(part) == end - WARM_UP
        assert part == {day: whole[day] for day in part}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_on_a_day_names_the_next_and_not_itself(seed: int) -> None:
    bars = restless(seed)
    whole, renamed = regimes_of(bars), 0
    for row in range(WARM_UP, len(bars) - 1, 5):
        crash = np.where(np.arange(len(bars)) == row, 0.5, 1.0)
        other = regimes_of(priced(bars, lambda prices, crash=crash: prices * crash))  # type: ignore[misc]
        today, tomorrow = (date.fromordinal(int(bars.day[each])) for each in (row, row + 1))
        assert {day: whole[day] for day in whole if day <= today} == {
            day: other[day] for day in other if day <= today
        }
        renamed += whole[tomorrow] != other[tomorrow]
    assert renamed > 10


def test_bars_of_a_day_name_it_as_the_bars_within_it_do() -> None:
    minutes = minute_tape(3, days=90, minutes=30, deviation=0.003)
    begins = np.flatnonzero(np.append(True, minutes.day[1:] != minutes.day[:-1]))
    ends = np.append(begins[1:], len(minutes)) - 1
    daily = replace(
        minutes.rows(slice(0, len(begins))),
        day=minutes.day[ends],
        high=np.array([minutes.high[a : b + 1].max() for a, b in zip(begins, ends, strict=True)]),
        low=np.array([minutes.low[a : b + 1].min() for a, b in zip(begins, ends, strict=True)]),
        close=minutes.close[ends],
    )
    found = regimes_of(minutes)
    assert len(found) == 90 - WARM_UP
    assert len(set(found.values())) > 1
    assert found == regimes_of(daily)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ratio", ["2", "3", "7", "0.1", "1.5"])
def test_a_split_of_raw_prices_changes_no_name(ratio: str, seed: int) -> None:
    bars = restless(seed)
    ex_date = date.fromordinal(int(bars.day[150]))
    before = np.where(bars.day < ex_date.toordinal(), float(ratio), 1.0)
    raw = priced(bars, lambda prices: prices * before)
    assert regimes_of(raw, [split(ratio, ex_date)]) == regimes_of(bars)
    assert regimes_of(raw) != regimes_of(bars)  # untold, it is a crash or a leap


def test_two_splits_are_both_undone_in_any_order() -> None:
    bars = restless(9)
    days = [date.fromordinal(int(bars.day[row])) for row in (100, 200)]
    scale = np.ones(len(bars))
    for day in days:
        scale = np.where(bars.day < day.toordinal(), scale * 4.0, scale)
    raw = priced(bars, lambda prices: prices * scale)
    both = [split("4", day) for day in days]
    assert regimes_of(raw, both) == regimes_of(raw, both[::-1]) == regimes_of(bars)
    assert regimes_of(raw, both[:1]) != regimes_of(bars)


def test_what_is_no_split_of_the_symbol_changes_nothing() -> None:
    bars = restless(6)
    ex_date = date.fromordinal(int(bars.day[150]))
    paid = CorporateAction(
        symbol="SPY", kind=ActionKind.DIVIDEND, ex_date=ex_date, cash=Decimal(20)
    )
    assert regimes_of(bars, [split("4", ex_date, "QQQ"), paid]) == regimes_of(bars)
    assert regimes_of(bars, [split("4", ex_date)]) != regimes_of(bars)


def test_the_days_of_the_warm_up_have_no_name() -> None:
    bars = restless(5, days=100)
    days = [date.fromordinal(int(day)) for day in bars.day]
    assert sorted(regimes_of(bars)) == days[WARM_UP:]


@pytest.mark.parametrize("days", [0, 1, WARM_UP - 1, WARM_UP])
def test_fewer_days_than_the_warm_up_have_no_names(days: int) -> None:
    bars = restless(5).rows(slice(0, days))
    assert regimes_of(bars) == {}


def test_one_day_more_than_the_warm_up_has_one() -> None:
    bars = restless(5).rows(slice(0, WARM_UP + 1))
    assert list(regimes_of(bars)) == [date.fromordinal(int(bars.day[WARM_UP]))]


def test_many_bars_of_few_days_are_few_days() -> None:
    bars = walked(sessions(), Timeframe.MINUTE)
    assert len(bars) > 100 * WARM_UP
    assert regimes_of(bars) == {}


def test_prices_that_never_move_are_a_calm_range() -> None:
    still = priced(restless(5), lambda prices: np.full(len(prices), 42.0))
    assert set(regimes_of(still).values()) == {"range_calm"}
