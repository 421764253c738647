"""Where the strategies put their stops and targets, and where they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.market.grid import from_units
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.orders import Side
from roboinvest.core.quant.calculators.chance import coin
from roboinvest.core.signals import ClosedBar
from roboinvest.core.strategy import EquityShare, Held, Number
from tests.fakes.price_paths import (
    BANDS,
    CALM,
    CHANNEL,
    DAY,
    HIGH,
    NIGHT,
    RANGE,
    RSI,
    SMA,
    VWAP,
    Row,
    entries,
    flat,
    path,
    rising,
    wishes,
)
from tests.fakes.tapes import minute_tape, tape
from tools.strategies.shelf import find


def levels(name: str, rows: Sequence[Row], minutes: int, **given: Number) -> tuple[Decimal, ...]:
    """Give close, stop and target of the only entry."""
    signals = wishes(name, tape(rows, minutes=minutes), **given)
    (row,) = entries(signals)
    return tuple(from_units(column[row]) for column in (signals.mark, signals.stop, signals.target))


def test_the_breakout_has_its_stop_at_the_low_of_the_range() -> None:
    rows = [*RANGE, *path(100.0, 100.1, 100.3)]
    close, stop, target = levels("opening_range_breakout", rows, 390, range_min=5, reward=2.0)
    assert (close, stop) == (Decimal("100.3"), Decimal("99.85"))
    assert target == close + 2 * (close - stop)


def test_the_fade_has_its_target_at_the_close_before() -> None:
    rows = [*CALM, *path(99.0, 98.9, 98.8, 98.9, 98.9, 99.1)]
    close, stop, target = levels("gap_fade", rows, DAY, stop_frac=0.01)
    assert (close, target) == (Decimal("99.1"), Decimal("100"))
    assert stop == Decimal("98.11")


def test_the_bounce_has_its_stop_at_a_multiple_of_the_atr() -> None:
    rows = [*HIGH, (101, 101.05, 100.5, 101.0)]
    near = levels("vwap_bounce", rows, 390, **{**VWAP, "stop_atr": 1.0, "reward": 2.0})
    far = levels("vwap_bounce", rows, 390, **{**VWAP, "stop_atr": 2.0, "reward": 2.0})
    close, stop, target = near
    assert target - close == pytest.approx(2 * (close - stop), abs=Decimal("0.02"))
    assert close - far[1] == pytest.approx(2 * (close - stop), abs=Decimal("0.02"))


@pytest.mark.parametrize(
    ("name", "rows", "given", "leaves"),
    [
        ("sma_crossover", path(10, 10, 10, 10, 12, 9, 8), SMA, [6]),
        ("bollinger_fade", path(10, 10.1, 10, 10.1, 10, 9.5, 10.1), BANDS, [6]),
        ("donchian_breakout", [*flat(15), *path(100.0, 100.5, 99.0)], CHANNEL, [17]),
        ("rsi_mean_reversion", path(*rising(40), 129, 140), RSI, [41]),
    ],
)
def test_a_strategy_leaves_where_its_reason_is_gone(
    name: str, rows: Sequence[Row], given: Mapping[str, Number], leaves: list[int]
) -> None:
    signals = wishes(name, tape(rows), **given)
    late = [int(row) for row in np.flatnonzero(signals.leave) if row >= leaves[0]]
    assert late == leaves


def test_what_is_held_over_night_is_sold_at_the_first_bar_of_the_next_session() -> None:
    rows = [*path(*np.linspace(100.0, 101.0, DAY).round(2).tolist()), *flat(5, 101.0)]
    signals = wishes("overnight_momentum", tape(rows, minutes=DAY), **NIGHT)
    assert not signals.leave[DAY - 16 : DAY].any()
    assert signals.leave[DAY]


def companions(*ratios: float) -> dict[str, SessionBars]:
    """Give two tapes of which the first is worth so many times the second."""
    own = tape(path(*[round(100.0 * ratio, 2) for ratio in ratios]), symbol="OWN")
    return among({"OWN": own, "TWIN": tape(flat(len(ratios)), symbol="TWIN")})


def test_of_a_pair_the_one_that_fell_behind_is_bought_and_the_other_sold() -> None:
    calm = [1.0, 1.01] * 10
    both = companions(*calm, 0.97, *calm[:4])
    behind = wishes("pairs", both["OWN"], period=10)
    ahead = wishes("pairs", both["TWIN"], period=10)
    assert entries(behind) == entries(ahead) == [20]
    assert (behind.entry[20], ahead.entry[20]) == (1, -1)
    assert behind.stop[20] < behind.mark[20]
    assert ahead.stop[20] > ahead.mark[20]


def test_each_leg_of_a_pair_takes_half_of_the_account_and_leaves_at_the_mean() -> None:
    strategy = find("pairs")
    how = strategy.plan(strategy.values({"exit_z": 0.5})).execution
    assert how.size == EquityShare(0.5)
    assert callable(how.exit)
    for side, zs in ((Side.BUY, (-2.0, -0.6, -0.5, 3.0)), (Side.SELL, (2.0, 0.6, 0.5, -3.0))):
        held = Held(side=side, entry_price=1.0, bars=1, best=1.0, worst=1.0, stop=None)
        bars = tape(flat(4))
        asked = [
            how.exit(ClosedBar(bars, {"z": np.array(zs)}, row), held) for row in range(len(zs))
        ]
        assert asked == [False, False, True, True]


def test_a_pair_that_stays_together_is_left_alone() -> None:
    both = companions(*[1.0, 1.01] * 12)
    assert entries(wishes("pairs", both["OWN"], period=10)) == []
    assert entries(wishes("pairs", both["TWIN"], period=10)) == []


def test_the_random_entry_is_the_coin_of_its_seed() -> None:
    bars = minute_tape(1, days=10)
    for seed in (1, 2):
        thrown = coin(seed).compute(bars)
        signals = wishes("random_entry", bars, seed=seed, chance=0.1)
        assert entries(signals) == [int(row) for row in np.flatnonzero(thrown < 0.1)]
        assert 0.07 < len(entries(signals)) / len(bars) < 0.13
