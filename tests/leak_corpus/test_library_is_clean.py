"""Nothing speaks against the strategies of the library."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.strategy import Strategy
from tests.leak_corpus.kit import daily, walk
from tools.backtester.contract import Request, Terms
from tools.backtester.engine import play_request
from tools.backtester.leaks.check import leak_check
from tools.strategies.shelf import strategies

SEED: Final = 5
NAMES: Final = ("AAA", "BBB")


def bars_for(strategy: Strategy, timeframe: Timeframe) -> dict[str, SessionBars]:
    chosen = NAMES[: strategy.symbols]
    if timeframe is Timeframe.DAY:
        return {name: daily(SEED + at, symbol=name, days=700) for at, name in enumerate(chosen)}
    return {name: walk(SEED + at, symbol=name, sessions=14) for at, name in enumerate(chosen)}


def runs() -> list[object]:
    return [
        pytest.param(each, timeframe, id=f"{each.name}-{timeframe}")
        for each in strategies()
        for timeframe in (Timeframe.DAY, Timeframe.MINUTES_5)
        if each.timeframe.suits(timeframe)
    ]


@pytest.mark.parametrize(("strategy", "timeframe"), runs())
def test_a_strategy_of_the_library_is_clean(strategy: Strategy, timeframe: Timeframe) -> None:
    bars = bars_for(strategy, timeframe)
    report = leak_check(
        Request(
            strategy=strategy,
            values=strategy.values({}),
            bars=bars,
            timeframe=timeframe,
            terms=Terms(allow_short=True),
            adjusted=frozenset(bars),
        ),
        play=play_request,
        rng=np.random.default_rng(SEED),
    )
    assert [each.text for each in report.suspected] == []
    assert report.runs > 50
