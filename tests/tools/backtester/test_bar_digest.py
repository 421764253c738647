"""The digest of bars: equal for equal bars, and other for any other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from tests.tools.backtester.report.builders import sessions, walked
from tools.backtester.bars import COLUMNS, digest_of

DAYS = sessions(date(2024, 6, 24), date(2024, 7, 5))
FIVE = Timeframe.MINUTES_5


def test_the_digest_tells_any_byte_of_any_column() -> None:
    bars = walked(DAYS[:2], Timeframe.HOUR)
    seen = {digest_of({"SPY": bars})}
    for number, name in enumerate(COLUMNS):
        for row in (0, len(bars) // 2, len(bars) - 1):
            other = getattr(bars, name).copy()
            other.view(np.uint8)[8 * row + number % 8] ^= 1  # a single bit
            changed: dict[str, Any] = {name: other}
            seen.add(digest_of({"SPY": replace(bars, **changed)}))
    assert len(seen) == 1 + 3 * len(COLUMNS)
    assert set(COLUMNS) | {"symbol", "others"} == set(SessionBars.__dataclass_fields__)


def test_the_digest_tells_symbols_and_lengths_and_not_their_order() -> None:
    one, two = walked(DAYS, FIVE, symbol="AAA", seed=1), walked(DAYS, FIVE, symbol="BBB", seed=2)
    digest = digest_of({"AAA": one, "BBB": two})
    assert digest == digest_of({"BBB": two, "AAA": one})
    others = [
        digest_of({"AAA": two, "BBB": one}),
        digest_of({"AAA": one}),
        digest_of({"AAA": one, "CCC": two}),
        digest_of({"AAA": one.until(len(one) - 2), "BBB": two}),
        digest_of({}),
    ]
    assert len({digest, *others}) == 6
