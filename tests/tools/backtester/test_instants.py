from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roboinvest.core.market.session_bars import SessionBars
from tests.fakes.tapes import minute_tape
from tools.backtester.instants import instants_of

FULL = minute_tape(1, days=2)
HOLED = minute_tape(2, days=2, missing=0.2)
OTHER_HOLES = minute_tape(3, days=3, missing=0.3)
TWICE = replace(FULL, closes_at=np.maximum(FULL.closes_at, FULL.closes_at[5]))


@pytest.mark.parametrize(
    ("bars", "first_rows"),
    [
        ([FULL], [0]),
        ([HOLED], [100]),
        ([FULL, FULL], [30, 20]),
        ([FULL, HOLED], [0, 0]),
        ([HOLED, FULL, OTHER_HOLES], [390, 400, 10]),
        ([OTHER_HOLES, HOLED], [len(OTHER_HOLES), 7]),  # the first never decides
        ([TWICE, TWICE], [0, 0]),  # closes that stand twice count once
    ],
)
def test_instants_are_the_closes_of_all_from_the_first_decision_on(
    bars: list[SessionBars], first_rows: list[int]
) -> None:
    deciding = [
        int(close)
        for one, row in zip(bars, first_rows, strict=True)
        for close in one.closes_at[row:]
    ]
    closes = {int(close) for one in bars for close in one.closes_at}
    expected = sorted(close for close in closes if close >= min(deciding))
    assert instants_of(bars, first_rows).tolist() == expected


def test_where_nobody_decides_there_are_no_instants() -> None:
    assert len(instants_of([], [])) == 0
    assert len(instants_of([FULL], [len(FULL)])) == 0
    assert len(instants_of([FULL, HOLED], [len(FULL), len(HOLED)])) == 0
