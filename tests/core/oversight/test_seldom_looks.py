"""Who sets that the machine is looked at seldom is not blind to it."""

from __future__ import annotations

import pytest

from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import AgentHealth, Status, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from tests.fakes.clocks import START

CARD = AgentCard(name="data folder", kind=AgentKind.DEPENDENCY)


def seen(every_s: float, readings: list[float]) -> AgentHealth:
    """Return what is found of a disk that was read now and then."""
    vitals, at = Vitals(0.0), 0.0
    for value in readings:
        at += every_s
        vitals.progressed(at)
        vitals.gauge("disk_frac", value, at)
    return judge(CARD, vitals.snapshot(at), Thresholds(), START)


@pytest.mark.parametrize("every_s", [20.0, 60.0, 200.0, 600.0, 1200.0])
def test_a_full_disk_is_seen_at_the_second_reading_however_seldom_it_is_read(
    every_s: float,
) -> None:
    full = seen(every_s, [0.5] * 20 + [0.99] * 2 * max(1, round(60 / every_s)))
    assert (full.status, full.reasons[0][:30]) == (Status.FAILING, "disk_frac stands at 0.99, limi")
    assert seen(every_s, [0.5] * 20 + [0.99]).status is Status.HEALTHY, "one reading is no level"
