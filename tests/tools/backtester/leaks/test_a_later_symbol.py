"""Symbols need not begin together: a cut before one of them has bars accuses nobody."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.values import Timeframe
from tests.fakes.tapes import daily_tape
from tools.backtester.contract import Request
from tools.backtester.engine import play_request
from tools.backtester.leaks.check import leak_check
from tools.strategies.shelf import find


def test_a_symbol_that_begins_later_is_no_leak() -> None:
    strategy = find("donchian_breakout")
    bars = {"AAA": daily_tape(3, symbol="AAA"), "BBB": daily_tape(4, symbol="BBB")}
    late = bars["BBB"].rows(slice(200, None))  # cuts fall before its first bar
    request = Request(
        strategy=strategy,
        values=strategy.values({}),
        bars={"AAA": bars["AAA"], "BBB": late},
        timeframe=Timeframe.DAY,
    )
    for number in range(5):
        report = leak_check(request, play=play_request, rng=np.random.default_rng(number))
        assert report.suspected == ()
