"""What volume says. Shares."""

from __future__ import annotations

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.calculators.arguments import declared
from roboinvest.core.strategy import Calculator


def obv() -> Calculator:
    """Return on-balance volume; it counts from the first row, so only changes mean something."""

    def compute(bars: SessionBars) -> Floats:
        return ta.obv(bars.close, bars.volume)

    return declared("obv", 1, compute)
