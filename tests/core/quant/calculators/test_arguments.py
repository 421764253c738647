"""What a calculator cannot do is said before a bar is seen, and chance falls alike every time."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.quant.calculators import (
    averages,
    chance,
    channels,
    momentum,
    peers,
    returns,
    session,
    volatility,
)
from roboinvest.core.strategy import Calculator
from tests.fakes.tapes import daily_tape, minute_tape

BAD: dict[str, Callable[[], Calculator]] = {
    "sma: period is 0; give a whole number from 1 to 10000": lambda: averages.sma(0),
    "sma: period is -3; give a whole number from 1 to 10000": lambda: averages.sma(-3),
    "ema: period is 10001; give a whole number from 1 to 10000": lambda: averages.ema(10_001),
    "rsi: period is 14.5; give a whole number": lambda: momentum.rsi(14.5),
    "rsi: period is 1; give a whole number from 2 to 10000": lambda: momentum.rsi(1),
    "rsi: smoothing is 'soft'; give one of wilder, simple": lambda: momentum.rsi(smoothing="soft"),
    "atr: period is nan; give a whole number": lambda: volatility.atr(math.nan),
    "atr: smoothing is 'none'; give one of wilder, simple": lambda: volatility.atr(14, "none"),
    "cci: period is True; give a whole number": lambda: momentum.cci(True),
    "zscore: of is 'vwap'; give one of open, high, low, close, volume, typical": (
        lambda: averages.zscore(20, "vwap")
    ),
    "macd_line: fast is 26 and slow is 12; fast must be shorter": (
        lambda: momentum.macd_line(26, 12)
    ),
    "bollinger_upper: deviations is 0; give a number above 0 and at most 1000": (
        lambda: volatility.bollinger_upper(20, 0)
    ),
    "keltner_lower: times is inf; give a number above 0 and at most 1000": (
        lambda: volatility.keltner_lower(20, math.inf)
    ),
    "supertrend: times is -1; give a number above 0 and at most 1000": (
        lambda: volatility.supertrend(10, -1)
    ),
    "pivot: name is 'R5'; give one of P, R1, R2, R3, R4, S1, S2, S3, S4": (
        lambda: channels.pivot("R5")
    ),
    "rolling_pivot: offset is -1; give a whole number from 0 to 10000": (
        lambda: channels.rolling_pivot("P", 20, -1)
    ),
    "swing_high: after is 0; give a whole number from 1 to 10000": (
        lambda: channels.swing_high(4, 0)
    ),
    "opening_range_high: minutes is 0; give a number above 0 and at most 1440": (
        lambda: session.opening_range_high(0)
    ),
    "value_at_risk: confidence is 1; give a number above 0 and at most 0.9999": (
        lambda: returns.value_at_risk(20, 1)
    ),
    "correlation: period is 1; give a whole number from 2 to 10000": (lambda: peers.correlation(1)),
    "coin: seed is -1; give a whole number from 0 to 4611686018427387904": lambda: chance.coin(-1),
    "mine: warm_up is -1; give a whole number from 0 to 10000": (
        lambda: chance.custom("mine", lambda bars: bars.close, -1)
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_argument_is_named_with_its_value_and_what_would_do(message: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        BAD[message]()


def test_whole_numbers_may_come_as_floats() -> None:
    assert averages.sma(20.0) == averages.sma(20)


def test_a_strategy_brings_its_own_column() -> None:
    bars = daily_tape(1, days=5)
    mine = chance.custom("mine", lambda seen: seen.close * 2.0, 3)
    assert (mine.name, mine.warm_up) == ("mine", 3)
    np.testing.assert_array_equal(mine.compute(bars), bars.close * 2.0)


def test_coins_fall_evenly_and_not_alike_for_seeds_symbols_and_times() -> None:
    bars = minute_tape(1, days=20)
    one, two = chance.coin(1).compute(bars), chance.coin(2).compute(bars)
    other = chance.coin(1).compute(replace(bars, symbol="QQQ"))
    assert ((one >= 0.0) & (one < 1.0)).all()
    shares = np.histogram(one, bins=20, range=(0.0, 1.0))[0] / len(one)
    assert np.abs(shares - 0.05).max() < 0.01
    for left, right in ((one, two), (one, other), (one[1:], one[:-1])):
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.05


def test_coins_fall_alike_in_another_process() -> None:
    code = (
        "from tests.fakes.tapes import minute_tape\n"
        "from roboinvest.core.quant.calculators.chance import coin\n"
        "print(coin(7).compute(minute_tape(1, days=1)).tobytes().hex())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    here = chance.coin(7).compute(minute_tape(1, days=1))
    assert there.stdout.strip() == here.tobytes().hex()
