"""Whatever is lowered, in whatever order, no limit becomes wider than the settings."""

from __future__ import annotations

import random
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.lowered_limits import (
    LOWERABLE,
    LoweredLimit,
    in_force,
    least_of,
    lowered_in,
    lowered_json,
    value_of,
)
from roboinvest.core.proposals import LIMITS
from roboinvest.core.risk import RiskLimits
from tests.fakes.clocks import START

OWN = RiskLimits(max_position_usd=Decimal(5_000))
SEED = 20_260_105


def a_limit(name: str, value: str) -> LoweredLimit:
    return LoweredLimit(
        name=name, value=Decimal(value), own=Decimal(20), by="governance", why="m1.1", at=START
    )


def test_the_lower_of_two_binds_and_everything_else_stays() -> None:
    found = in_force(OWN, [a_limit("max_trades_per_day", "7"), a_limit("max_order_usd", "9e9")])
    assert (found.max_trades_per_day, found.max_order_usd) == (7, OWN.max_order_usd)
    assert in_force(OWN, []) is OWN


def test_no_sequence_of_values_widens_a_limit() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    names = [*LOWERABLE, "allow_short", "live", "stale_after", "price_collar_frac", "nothing"]
    odd = ["0", "-1", "1e9", "1e-9", "NaN", "Infinity", "-Infinity", "20", "0.0025"]
    for _ in range(2_000):
        values = [rng.choice(odd) if rng.random() < 0.5 else str(rng.random() * 50) for _ in names]
        wished = [a_limit(rng.choice(names), value) for value in values]
        found = in_force(OWN, wished)
        for field in fields(RiskLimits):
            before, after = getattr(OWN, field.name), getattr(found, field.name)
            if isinstance(before, Decimal | int) and field.name in LOWERABLE:
                assert 0 <= after <= before, field.name
            else:
                assert after == before, field.name


def test_only_limits_are_lowered_that_no_exit_depends_on() -> None:
    assert LIMITS - {"price_collar_frac"} == LOWERABLE
    assert value_of(OWN, "price_collar_frac") is None
    assert value_of(OWN, "max_daily_loss_usd") is None, "the settings have none"
    assert least_of(OWN, "max_trades_per_day") == 2
    assert least_of(RiskLimits(max_open_orders=4), "max_open_orders") == 3, "room for one bracket"
    assert least_of(OWN, "risk_per_trade_frac") == Decimal("0.00025")


def test_a_document_is_read_as_it_was_written_and_a_torn_one_is_refused() -> None:
    kept = (a_limit("max_order_usd", "100"), a_limit("max_trades_per_day", "7"))
    assert lowered_in(lowered_json(reversed(kept))) == kept
    assert lowered_in(None) == ()
    endless = LoweredLimit(
        name="max_order_usd", value=Decimal(1), own=Decimal("NaN"), by="", why="", at=START
    )
    for text in (
        "{",
        "[1]",
        lowered_json([endless]),
        lowered_json([a_limit("live", "1")]),
        '[{"name":"max_order_usd"}]',
    ):
        with pytest.raises(BadInput):
            lowered_in(text)
    assert in_force(OWN, kept).stale_after == timedelta(minutes=3)
