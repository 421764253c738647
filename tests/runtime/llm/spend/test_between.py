"""What models cost within a span of time, by agent and task, without touching the ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from roboinvest.runtime.llm.spend.reads import SpendPart, between
from tests.fakes.spending import NOON, a_call, paid
from tests.runtime.llm.spend.conftest import Desk

HOUR = timedelta(hours=1)


async def test_calls_count_for_the_span_in_which_they_began(desk: Desk) -> None:
    async with desk.ledger() as ledger:
        for number, at in enumerate((NOON, NOON + HOUR - timedelta(microseconds=1), NOON + HOUR)):
            await ledger.reserve(a_call(number, at=at))
            await ledger.settle(f"c{number}", paid("0.02"))
        await ledger.reserve(a_call(3, at=NOON, task="judge"))
        await ledger.settle("c3", paid("0", counted=False, failure="HTTP 400"))
        found = between(desk.path, NOON, NOON + HOUR)
        assert found is not None
        decide, judge = found
        assert decide == SpendPart(
            agent="strategist",
            task="decide",
            calls=2,
            cost_usd=Decimal("0.04"),
            mean_latency_ms=12.5,
            failed=0,
        )
        assert (judge.task, judge.calls, judge.failed) == ("judge", 1, 1)
        assert judge.cost_usd == 0
        assert between(desk.path, NOON - HOUR, NOON) == ()


def test_where_no_ledger_was_made_there_is_none(tmp_path: Path) -> None:
    assert between(tmp_path / "llm.db", NOON, NOON + HOUR) is None
    assert not (tmp_path / "llm.db").exists()
