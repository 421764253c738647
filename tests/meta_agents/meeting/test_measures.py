"""What decisions are held against: books of the house, and None where nobody measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from meta_agents.meeting.measures import HouseMeasures, TradingRecord
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.scoring import HOUSE_METRICS, Sample, score
from roboinvest.runtime.configuration.policies import spend_caps
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import AskFacts
from roboinvest.runtime.oversight.analyst_tables import SCHEMA, HourlyFigures
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from tests.fakes.clocks import START, ManualClock
from tests.fakes.virtual_time import run_virtual

NOON = START.replace(hour=12, minute=0)
HOUR = timedelta(hours=1)


class Record:
    """An account of three hours: up to 110, down to 99, and half-way back."""

    async def ticks(self, since: datetime, until: datetime) -> Any:
        """Return ticks."""
        path = [(0, 100), (30, 110), (70, 105), (110, 99), (130, 104)]
        found = [SimpleNamespace(at=NOON + timedelta(minutes=m), equity=Decimal(e))
                 for m, e in path]  # fmt: skip
        return tuple(each for each in found if since <= each.at < until)

    async def trades(self, since: datetime, until: datetime) -> Any:
        """Return round trips."""
        rows = [("house", 1.0), ("house", -0.5), ("pullback", 2.0), ("house", None)]
        return tuple(SimpleNamespace(agent_id=name, r_multiple=r) for name, r in rows)

    async def peak(self, before: datetime) -> float | None:
        """Return nothing: it is a new account."""
        return None


def run(
    folder: Path,
    work: Callable[[HouseMeasures, HourlyFigures], Awaitable[Any]],
    record: Any = None,
) -> Any:
    in_flight = InFlight()

    async def main() -> Any:
        with (
            ThreadPoolExecutor(1) as pool,
            OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file,
        ):
            figures = HourlyFigures(file)
            measures = HouseMeasures(
                figures=figures,
                record=cast("TradingRecord | None", record),
                spend=folder / "llm.db",
                payers={"SimpleOrganicStrategyAgent": "strategy"},
                threads=Threads(pool, in_flight),
            )
            return await work(measures, figures)

    return run_virtual(main, in_flight)


def fill(figures: HourlyFigures, metric: str, *values: float) -> None:
    for number, value in enumerate(values):
        figures.put(NOON + number * HOUR, {metric: (value, 5)})


def test_what_nobody_measured_is_none_and_the_score_says_so(tmp_path: Path) -> None:
    async def work(measures: HouseMeasures, figures: HourlyFigures) -> None:
        for metric in (*HOUSE_METRICS, SimpleNamespace(name="happiness")):
            assert await measures.sample(metric.name, "feed", NOON, NOON + 9 * HOUR) is None
        assert await measures.metrics() == HOUSE_METRICS

    run(tmp_path, work)
    assert "0 and 0 observations" in score(0.1, None, None).reason


def test_an_hour_counts_where_all_of_it_lies_in_the_span(tmp_path: Path) -> None:
    async def work(measures: HouseMeasures, figures: HourlyFigures) -> Sample | None:
        fill(figures, hourly.SUCCESS, 0.0, 0.9, 0.7, 0.0)
        late, early = NOON + timedelta(minutes=20), NOON + timedelta(hours=3, minutes=50)
        return await measures.sample("error_share", "feed", late, early)

    found = run(tmp_path, work)
    assert (found.n, found.mean) == (2, pytest.approx(0.2))


def test_an_agents_own_figure_goes_before_that_of_the_house(tmp_path: Path) -> None:
    async def work(measures: HouseMeasures, figures: HourlyFigures) -> list[float]:
        fill(figures, hourly.LATENCY, 1.0, 1.0)
        fill(figures, hourly.of(hourly.AGENT_LATENCY, "feed"), 3.0, 5.0)
        spans = [await measures.sample("latency_s", name, NOON, NOON + 2 * HOUR)
                 for name in ("feed", "healing")]  # fmt: skip
        return [each.mean for each in spans if each is not None]

    assert run(tmp_path, work) == [4.0, 1.0]


def test_insights_are_counted_over_all_hours_that_the_house_was_up(tmp_path: Path) -> None:
    async def work(measures: HouseMeasures, figures: HourlyFigures) -> list[Any]:
        fill(figures, hourly.INSIGHTS, 2.0)
        fill(figures, hourly.UP_S, 3600.0, 3600.0, 3600.0, 0.0)
        fill(figures, hourly.LLM_USD, 0.5, 0.0, 0.3)
        span = (NOON, NOON + 9 * HOUR)
        return [await measures.sample(f"insights_per_{x}", "x", *span) for x in ("day", "usd")]

    a_day, a_usd = run(tmp_path, work)
    assert (a_day.n, a_day.mean) == (3, pytest.approx(16.0))
    assert (a_usd.n, a_usd.mean) == (1, pytest.approx(2.5))


def test_drawdown_and_expectancy_come_from_the_store(tmp_path: Path) -> None:
    async def work(measures: HouseMeasures, figures: HourlyFigures) -> list[Any]:
        span = (NOON, NOON + 3 * HOUR)
        return [
            await measures.sample("drawdown_frac", "max_trades_per_day", *span),
            await measures.sample("expectancy_r", "range-calm", *span),
            await measures.sample("expectancy_r", "pullback", *span),
        ]

    drawdown, of_all, own = run(tmp_path, work, Record())
    assert drawdown.n == 3
    assert drawdown.mean == pytest.approx((0.0 + 11 / 110 + 6 / 110) / 3)
    assert (of_all.n, of_all.mean) == (3, pytest.approx(2.5 / 3))
    assert (own.n, own.mean) == (1, 2.0)


def test_answers_and_the_cap_come_from_the_ledger(tmp_path: Path) -> None:
    asyncio.run(fill_ledger(tmp_path / "llm.db"))

    async def work(measures: HouseMeasures, figures: HourlyFigures) -> list[Any]:
        span = (NOON, NOON + 4 * HOUR)
        return [
            await measures.sample("bad_reply_share", "SimpleOrganicStrategyAgent", *span),
            await measures.sample("bad_reply_share", "healing", *span),
            await measures.sample("llm_cap_usd", "llm_day", *span),
        ]

    own, of_all, cap = run(tmp_path, work)
    assert [own.n, own.mean] == [3, pytest.approx(1 / 3)]
    assert [of_all.n, of_all.mean] == [3, pytest.approx(1 / 3)]
    assert (cap.n, cap.mean) == (4, pytest.approx((0.1 + 0.1 + 0.3 + 0.3) / 4))


async def fill_ledger(path: Path) -> None:
    """Write an unreadable answer among good ones, one of the rules, and a move of the cap."""
    caps = spend_caps(load_settings(None, {}, {}))
    ledger = await SpendLedger.open(
        path, caps, in_flight=InFlight(), clock=ManualClock(NOON), recover=True
    )
    for number in range(4):
        source = "safe" if number == 3 else "openai:mini"
        at = NOON + timedelta(minutes=50 * number)
        agent = "strategy" if number else "reader"
        await ledger.note_ask(an_ask(f"a{number}", at, agent, source))
    await ledger.note_ask(an_ask("rules", NOON, "strategy", "rules", attempts=0))
    await ledger.set_day_cap(Decimal("0.30"), "m1.2", NOON + 2 * HOUR + timedelta(minutes=1))
    await ledger.close()


def an_ask(name: str, at: datetime, agent: str, source: str, attempts: int = 1) -> AskFacts:
    return AskFacts(
        ask_id=name,
        at=at,
        agent=agent,
        task="decide",
        about="t",
        prompt_name="p",
        prompt_version="1",
        inputs_digest="d",
        inputs="",
        source=source,
        reason="",
        output="{}",
        latency_ms=1.0,
        attempts=attempts,
        cost_usd=Decimal(0),
    )
