"""The estimate that a person agrees to: never below what a run can come to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from roboinvest.core.market.values import Level, LevelKind
from roboinvest.core.quant.expert import StrategyInputs
from roboinvest.core.records import canonical_json
from roboinvest.runtime.llm.hindsight.cost import RUNS, SYMBOL_BYTES, CostEstimate, cost_at_most
from roboinvest.runtime.llm.spend.prices import ModelPrice
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tests.fakes.windows import QUIET, brief, seen

DEAR = ModelPrice(input_usd=Decimal(1), output_usd=Decimal(4))
FREE = ModelPrice(input_usd=Decimal(0), output_usd=Decimal(0))


def estimate(*prices: ModelPrice, **more: Any) -> CostEstimate:
    terms = {"ticks": 100, "symbols": 3, "day_usd": Decimal(50), "ceiling_usd": Decimal(100)}
    return cost_at_most(STRATEGY_TASK, "A prompt.", prices, **{**terms, **more})


def test_two_runs_ask_at_every_tick_and_repair_every_answer() -> None:
    found = estimate(DEAR)
    assert found.asks == RUNS * 100
    written = 2 * STRATEGY_TASK.limits.reply_tokens * 4
    assert found.ask_usd > Decimal(written + 2 * 3 * SYMBOL_BYTES) / 1_000_000
    assert found.most_usd == found.asks * found.ask_usd
    assert f"{found.asks} questions" in found.text
    assert estimate(DEAR, DEAR).ask_usd == 2 * found.ask_usd


def test_the_caps_bind_the_estimate_too() -> None:
    found = estimate(DEAR, day_usd=Decimal("0.10"), ceiling_usd=Decimal("0.20"))
    assert found.most_usd == RUNS * (Decimal("0.20") + found.ask_usd)
    assert f"covers {int(Decimal('0.10') / found.ask_usd)} of 100 questions" in found.text


def test_a_model_of_ones_own_costs_nothing_and_needs_no_yes() -> None:
    found = estimate(FREE)
    assert found.most_usd == 0
    assert "cost nothing" in found.text


@pytest.mark.parametrize("figure", [-1234.5678, 0.0])
def test_no_symbol_takes_more_room_than_is_counted(figure: float) -> None:
    levels = tuple(
        Level(name="touched", kind=LevelKind.RESISTANCE, price=12345.6789 + n, touches=9)
        for n in range(40)
    )
    crowded = seen(dict.fromkeys(QUIET, figure), symbol="ABCDE", close=123456.7891, levels=levels)
    named = tuple(replace(level, name=f"R{n}") for n, level in enumerate(levels))
    crowded = replace(crowded, levels=named)
    one = brief(
        crowded,
        held="-12345.6789",
        entry_price="123456.7891",
        blocked="last bar closed 123456 s ago, " * 8,
        outcomes=[-1.23456] * 50,
    )
    inputs = StrategyInputs(at=crowded.at, agent_id="house", briefs=(one,))
    assert len(canonical_json(STRATEGY_TASK.show(inputs))) < SYMBOL_BYTES
