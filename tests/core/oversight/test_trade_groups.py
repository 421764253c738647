"""Round trips in groups: intervals from the first trade on, and no mean of an anecdote."""

from __future__ import annotations

from decimal import Decimal

import pytest
from numpy.random import default_rng

from roboinvest.core.oversight.trade_groups import grouped, outcomes_of, summary_of
from tests.fakes.records import trade

SEED = 11


def test_parts_of_one_entry_are_one_round_trip_and_open_ones_are_none() -> None:
    parts = [
        trade("a", 1, entry_order_id="in-1", pnl=Decimal("5.50"), closes_entry=False),
        trade("b", 2, entry_order_id="in-1", pnl=Decimal("-1.25")),
        trade("c", 3, entry_order_id="in-2", pnl=Decimal(9), closes_entry=False),
    ]
    (found,) = outcomes_of(parts)
    assert (found.entry_order_id, found.pnl_usd) == ("in-1", 4.25)
    assert found.closed_at == parts[1].closed_at


def test_few_trades_have_a_share_of_wins_and_no_mean() -> None:
    rng = default_rng(SEED)
    found = summary_of("x", outcomes_of([trade("a", 1), trade("b", 2)]), rng)
    assert found.win_rate is not None
    assert (found.win_rate.value, round(found.win_rate.low, 3)) == (1.0, 0.342)
    assert found.expectancy is None
    assert "too few: 2" in found.reason
    none = summary_of("y", (), rng)
    assert (none.win_rate, none.trades, none.pnl_usd) == (None, 0, 0)


def test_enough_trades_have_a_mean_with_its_interval_by_group() -> None:
    print(f"seed {SEED}")
    rng = default_rng(SEED)
    trades = [
        trade(f"t{n}", n, pnl=Decimal(str(round(rng.normal(5, 3), 2))), agent_id="ab"[n % 3 == 0])
        for n in range(45)
    ]
    groups = grouped(outcomes_of(trades), lambda each: each.agent_id, rng)
    assert [(group.name, group.trades) for group in groups] == [("a", 30), ("b", 15)]
    mean = groups[0].expectancy
    assert mean is not None
    assert mean.low < mean.value < mean.high
    profits = [float(each.pnl) for each in trades if each.agent_id == "a"]
    assert mean.value == pytest.approx(sum(profits) / 30)
    assert mean.low < 5 < mean.high


def test_trades_that_do_not_differ_say_so() -> None:
    found = summary_of("x", outcomes_of([trade(f"t{n}", n) for n in range(12)]), default_rng(1))
    assert found.expectancy is None
    assert found.reason == "the round trips do not differ"
