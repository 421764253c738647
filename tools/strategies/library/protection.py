"""What the strategies share: their stops, and the levels that an order may stand on.

A level on the wrong side of the close ends a run, because a broker would refuse it. So whoever
declares one of another column than the close enters only where a cent is left between the two.
"""

from __future__ import annotations

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.arguments import declared
from roboinvest.core.strategy import Calculator, Number, Param, Percent, Values


def stop_frac(default: float) -> Param:
    """Return the parameter of a stop at a fraction of the close; 0 is none."""
    text = "distance of the stop, fraction of the close; 0 is none"
    return Param(name="stop_frac", default=default, low=0.0, high=0.5, step=0.005, text=text)


def protective(frac: Number) -> Percent | None:
    """Return the stop that `stop_frac` asks for."""
    return Percent(float(frac)) if frac > 0 else None


def stop_atr(default: float) -> Param:
    """Return the parameter of a stop at so many times the ATR."""
    text = "distance of the stop, multiple of the ATR"
    return Param(name="stop_atr", default=default, low=0.25, high=8.0, step=0.25, text=text)


def reward(default: float) -> Param:
    """Return the parameter of a target's distance; below 1 it could come to less than a tick."""
    text = "distance of the target, multiple of the stop's"
    return Param(name="reward", default=default, low=1.0, high=10.0, step=0.5, text=text)


def flat_before() -> Param:
    """Return the parameter of the time to be flat."""
    text = "minutes before the session's close when the position is sold"
    return Param(name="flat_before_close_min", default=5, low=1, high=60, step=1, text=text)


def no_entry_before(default: int) -> Param:
    """Return the parameter of the last time to enter."""
    text = "minutes before the session's close from which nothing is entered"
    return Param(
        name="no_entry_before_close_min", default=default, low=0, high=300, step=10, text=text
    )


def reach(times: Number) -> Calculator:
    """Return the largest ATR whose multiple below the close is still a price, USD."""

    def compute(bars: SessionBars) -> Floats:
        return (bars.close - 0.01) / float(times)

    return declared("reach", 0, compute, times)


def close_plus(usd: float) -> Calculator:
    """Return the close moved by some cents, which a level must not lie within."""

    def compute(bars: SessionBars) -> Floats:
        return bars.close + usd

    return declared("close_plus", 0, compute, usd)


def in_order(values: Values, first: str, second: str) -> None:
    """Refuse values of which the first is not below the second."""
    if not values[first] < values[second]:
        raise BadInput(
            f"{first}={values[first]} must be below {second}={values[second]}; change one of them"
        )
