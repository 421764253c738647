"""The analyst notes what happened, invents nothing, and says whether its advice helped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from numpy.random import default_rng

from meta_agents.analyst_ports import HourOfTrading, StoredTrading
from meta_agents.performance_analyst import ALERT_KEY, FILE_NAME, PerformanceAnalystAgent
from meta_agents.report_schemas import PerformanceAnalysis
from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.oversight import hourly
from roboinvest.core.oversight.advice import AdviceState
from roboinvest.core.oversight.spans import SpanBook, SpanKind
from roboinvest.core.oversight.trade_groups import TradeOutcome
from roboinvest.core.records import canonical_json
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.reads import SpendPart
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.store import Store
from tests.fakes.advice import HOUR, NOON, advice
from tests.fakes.analysts import HandMadeSenses, HandMadeTrading, analyst
from tests.fakes.clocks import LoopClock, ManualClock
from tests.fakes.records import commit, order, record, tick_at, tick_id, trade
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

SEED = 5
DAY = timedelta(days=1)


def with_analyst(
    root: Path,
    clock: ManualClock,
    work: Callable[[PerformanceAnalystAgent], Awaitable[None]],
    **parts: Any,
) -> None:
    async def main() -> None:
        with analyst(root, clock, **parts) as agent:
            await work(agent)

    asyncio.run(main())


def figures_of(agent: PerformanceAnalystAgent, metric: str) -> list[tuple[float, int]]:
    rows = agent.figures.read(metric, NOON - 30 * DAY, NOON + 30 * DAY)
    return [(value, n) for _, value, n in rows]


def test_an_hour_is_noted_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    spans = SpanBook(clock.monotonic)
    senses = HandMadeSenses(
        calls={"feed": (30, 10, 0.5), "desk": (60, 0, 0.1)},
        counts={"insights": 7},
        levels={"rss_mb": 200.0, "loop_lag_s": float("nan")},
    )
    part = SpendPart(
        agent="house", task="strategy", calls=4, cost_usd=Decimal("0.5"), mean_latency_ms=900.0,
        failed=1,
    )  # fmt: skip
    trading = HandMadeTrading(
        HourOfTrading(decisions=10, fills=2, pnl_usd={"house": -5.0}, spend=(part,))
    )

    async def work(agent: PerformanceAnalystAgent) -> None:
        spans.note(("trading", "strategy", SpanKind.MODEL), 0.0, 2.0)
        found = await agent.review(NOON)
        assert figures_of(agent, hourly.SUCCESS) == [(0.9, 100)]
        assert figures_of(agent, hourly.INSIGHTS) == [(7.0, 7)]
        assert figures_of(agent, hourly.of(hourly.GAUGE, "rss_mb")) == [(200.0, 1)]
        assert figures_of(agent, hourly.of(hourly.GAUGE, "loop_lag_s")) == []
        assert figures_of(agent, hourly.of(hourly.SPAN_S, "trading", "model")) == [(2.0, 1)]
        assert len(figures_of(agent, hourly.DECISIONS)) == 24  # those before were caught up
        assert figures_of(agent, hourly.of(hourly.PNL, "house"))[-1] == (-5.0, 1)
        assert figures_of(agent, hourly.of(hourly.LLM_FAILED, "house", "strategy"))[0] == (0.25, 4)
        assert found.per_decision.usd == pytest.approx(0.05)
        assert found.per_insight.usd is None  # the hour is not over, so its costs are not noted
        assert found.bottlenecks[0].place.name == "strategy"

    with_analyst(tmp_path, clock, work, senses=senses, trading=trading, spans=spans)


def test_what_is_not_known_is_null_and_has_its_reason(tmp_path: Path) -> None:
    async def work(agent: PerformanceAnalystAgent) -> None:
        found = await agent.review(NOON)
        assert found.metrics == ()
        assert (found.bottlenecks, found.bottlenecks_reason) == (
            (),
            "nobody records where time goes",
        )
        assert found.by_agent is None
        assert found.trades_reason == "the market has a time of its own in this run"
        assert (found.per_decision.usd, found.per_insight.usd) == (None, None)
        assert figures_of(agent, hourly.INSIGHTS) == []  # nobody counts them: that is not 0
        written = json.loads((tmp_path / "reports" / FILE_NAME).read_text())
        assert written["analysis"]["per_decision"]["usd"] is None
        assert written["advice"] == []

    with_analyst(tmp_path, ManualClock(NOON), work)


def test_hours_that_were_noted_are_not_asked_for_again(tmp_path: Path) -> None:
    trading = HandMadeTrading()

    async def work(agent: PerformanceAnalystAgent) -> None:
        await agent.review(NOON)
        trading.asked.clear()
        await agent.review(NOON + timedelta(minutes=20))
        assert trading.asked == []
        await agent.review(NOON + 3 * HOUR + timedelta(minutes=20))
        assert trading.asked == [NOON, NOON + HOUR, NOON + 2 * HOUR]

    with_analyst(tmp_path, ManualClock(NOON), work, trading=trading)


def test_books_that_are_away_cost_their_figures_and_not_the_review(tmp_path: Path) -> None:
    trading = HandMadeTrading(error=TryLater("the store is away"))

    async def work(agent: PerformanceAnalystAgent) -> None:
        found = await agent.review(NOON)
        assert (found.by_agent, found.trades_reason) == (None, "the store is away")
        assert figures_of(agent, hourly.UP_S) == []
        trading.error = None
        found = await agent.review(NOON + HOUR)
        assert found.trades_reason == "no round trip ended in the last 30 days"

    with_analyst(tmp_path, ManualClock(NOON), work, trading=trading)


def ended(number: int, pnl_usd: float, agent: str = "house") -> TradeOutcome:
    at = NOON - timedelta(hours=2 * number + 1)
    return TradeOutcome(
        entry_order_id=f"e{number}",
        agent_id=agent,
        symbol="SPY",
        pnl_usd=pnl_usd,
        opened_at=at - timedelta(minutes=30),
        closed_at=at,
    )


def test_trades_are_grouped_by_agent_regime_and_hour(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = default_rng(SEED)
    trips = tuple(ended(n, float(rng.normal(-20, 10)), "ab"[n % 4 == 0]) for n in range(40))
    trading = HandMadeTrading(ended=trips, known_regimes={f"e{n}": "bull_calm" for n in range(25)})

    async def work(agent: PerformanceAnalystAgent) -> None:
        found = await agent.review(NOON)
        assert found.by_agent is not None
        assert found.by_regime is not None
        assert found.by_hour is not None
        assert [(g.name, g.trades) for g in found.by_agent] == [("a", 30), ("b", 10)]
        assert [(g.name, g.trades) for g in found.by_regime] == [
            ("bull_calm", 25),
            ("not on record", 15),
        ]
        assert sum(group.trades for group in found.by_hour) == 40
        assert all(group.name.endswith(":00") for group in found.by_hour)
        given = agent.advice.pending()
        assert [(each.rule, each.subject) for each in given] == [("losing agent", "a")]

    with_analyst(tmp_path, ManualClock(NOON), work, trading=trading)


def watched(
    tmp_path: Path, after: float, *, taken: bool = True
) -> tuple[AdviceState, str, list[str]]:
    """Give advice at noon, let the figure go on at `after`; return what became of it."""
    print(f"seed {SEED}")
    rng = default_rng(SEED)
    metric = advice().metric
    result: list[tuple[AdviceState, str, list[str]]] = []

    async def work(agent: PerformanceAnalystAgent) -> None:
        for hour in range(-60, 60):
            level = 1.0 if hour < 0 else after
            value = level + 0.05 * float(rng.standard_normal())
            agent.figures.put(NOON + hour * HOUR, {metric: (value, 1)})
        agent.advice.add(advice())
        if taken:
            agent.advice.take("r1", by="ann", at=NOON)
        await agent.review(NOON + 47 * HOUR)
        assert agent.advice.get("r1").settled_at is None
        await agent.review(NOON + (48 * HOUR if taken else 7 * DAY))
        found = agent.advice.get("r1")
        rules = [each.rule for each in agent.advice.pending()]
        result.append((found.state, found.verdict, rules))

    with_analyst(tmp_path, ManualClock(NOON), work)
    return result[0]


@pytest.mark.parametrize(
    ("after", "verdict"), [(0.6, "helped"), (1.0, "no_difference"), (1.4, "worse")]
)
def test_advice_that_was_taken_is_measured_before_and_after(
    tmp_path: Path, after: float, verdict: str
) -> None:
    assert watched(tmp_path, after)[:2] == (AdviceState.MEASURED, verdict)


def test_advice_that_nobody_took_lapses_and_gets_no_credit(tmp_path: Path) -> None:
    assert watched(tmp_path, 0.2, taken=False)[:2] == (AdviceState.LAPSED, "")


def test_advice_without_figures_is_measured_as_unknown(tmp_path: Path) -> None:
    async def work(agent: PerformanceAnalystAgent) -> None:
        agent.advice.add(advice())
        agent.advice.take("r1", by="ann", at=NOON)
        await agent.review(NOON + 3 * DAY)
        found = agent.advice.get("r1")
        assert found.verdict == "unknown"
        assert found.effect is not None
        assert found.effect.reason.startswith("too few: 0 points")

    with_analyst(tmp_path, ManualClock(NOON), work)


def test_what_did_not_help_is_not_advised_again_for_a_month(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    spans = SpanBook(clock.monotonic)
    metric = hourly.of(hourly.SPAN_MEAN, "trading", "model")

    async def work(agent: PerformanceAnalystAgent) -> None:
        async def review(days: float) -> list[str]:
            for _ in range(40):
                ended = clock.monotonic()
                spans.note(("trading", "strategy", SpanKind.MODEL), ended - 2.0, ended)
            await agent.review(NOON + days * DAY)
            return [each.rule for each in agent.advice.pending()]

        assert await review(0) == ["bottleneck"]
        assert await review(0.05) == ["bottleneck"]  # once while it is open
        (given,) = agent.advice.pending()
        for hour in range(-47, 48):
            agent.figures.put(NOON + hour * HOUR, {metric: (2.0 + 0.01 * (hour % 3), 1)})
        agent.advice.take(given.advice_id, by="ann", at=NOON)
        assert await review(2.5) == []
        assert agent.advice.get(given.advice_id).verdict == "no_difference"
        assert await review(20) == []
        assert await review(40) == ["bottleneck"]

    with_analyst(tmp_path, clock, work, spans=spans)


def test_a_folder_that_cannot_be_written_is_an_alert_and_the_figures_are_kept(
    tmp_path: Path,
) -> None:
    published: list[Event] = []
    blocked = tmp_path / "reports"
    blocked.write_text("a file where the folder should be")

    async def work(agent: PerformanceAnalystAgent) -> None:
        for hour in range(3):
            await agent.review(NOON + hour * HOUR)
        (raised,) = published
        assert isinstance(raised, AlertRaised)
        assert raised.key == ALERT_KEY
        blocked.unlink()
        await agent.review(NOON + 3 * HOUR)
        assert isinstance(published[-1], AlertResolved)

    with_analyst(tmp_path, ManualClock(NOON), work, published=published)


def test_the_file_says_when_it_was_written_and_counts_on_over_a_start_and_over_damage(
    tmp_path: Path,
) -> None:
    file = tmp_path / "reports" / FILE_NAME

    async def work(agent: PerformanceAnalystAgent) -> None:
        await agent.review(NOON)

    found = []
    for clock in (NOON, NOON + HOUR):
        with_analyst(tmp_path, ManualClock(clock), work)
        written = PerformanceAnalysis.model_validate_json(file.read_text())
        found.append((written.sequence, written.generated_at))
    assert found == [(1, NOON), (2, NOON + HOUR)]
    file.write_text('{"sequence": "many"}')
    with_analyst(tmp_path, ManualClock(NOON), work)
    assert PerformanceAnalysis.model_validate_json(file.read_text()).sequence == 1


def test_names_from_outside_are_harmless_in_the_file(tmp_path: Path) -> None:
    hostile = "<b>x</b>\u202e token=abcdef123456 hunter22"
    senses = HandMadeSenses(calls={hostile: (9, 1, 0.1)})

    async def work(agent: PerformanceAnalystAgent) -> None:
        await agent.review(NOON)
        text = (tmp_path / "reports" / FILE_NAME).read_text()
        for forbidden in ("<b>", "\u202e", "u202e", "abcdef123456", "hunter22"):
            assert forbidden not in text

    with_analyst(tmp_path, ManualClock(NOON), work, senses=senses, secrets=("hunter22",))


def test_a_process_that_lives_20_hours_at_a_time_still_has_a_review_for_every_hour(
    tmp_path: Path,
) -> None:
    lives, lasts = 4, 20 * HOUR
    for number in range(lives):
        in_flight = InFlight()

        async def main(number: int = number, in_flight: InFlight = in_flight) -> None:
            clock = LoopClock(NOON + number * lasts)
            with analyst(tmp_path, clock, in_flight) as agent, suppress(TimeoutError):
                async with asyncio.timeout(lasts.total_seconds()):
                    await agent.run(context())

        run_virtual(main, in_flight)
    with analyst(tmp_path, ManualClock()) as agent:
        rows = agent.figures.read(hourly.UP_S, NOON, NOON + lives * lasts)
    assert len(rows) == 80
    assert sum(value for _, value, _ in rows) >= 0.9 * 79 * 3600


def test_regimes_and_hours_are_read_from_what_was_committed(tmp_path: Path) -> None:
    regime = {"trend": "bull", "volatility": "calm", "vix": None}
    body = canonical_json({"observations": {"SPY": {"close": 1.0, "regime": regime}}})
    entry = order("e1", 3, tick_id=tick_id(3))
    lost = order("e2", 4, tick_id=tick_id(4))  # whose tick was shrunk to its figures

    async def main() -> None:
        in_flight = InFlight()
        folder = DataFolder(tmp_path)
        folder.create()
        clock = ManualClock(NOON)
        store = await Store.open(folder.database, in_flight=in_flight, clock=clock)
        await store.commit_tick(commit(3, record=record(3, body=body), orders=(entry,)))
        done = commit(
            4, record=record(4, body=None, fills=2), orders=(lost,), trades=(trade("t", 4),)
        )
        await store.commit_tick(done)
        await store.close()
        with ThreadPoolExecutor(1) as pool:
            books = StoredTrading(folder, in_flight, Threads(pool, in_flight))
            asked = {"e1": "SPY", "e2": "SPY", "nobody": "SPY"}
            assert await books.regimes(asked) == {"e1": "bull_calm"}
            assert await books.regimes({"e1": "SPY"}) == {"e1": "bull_calm"}
            hour = await books.hour(tick_at(0), tick_at(60))
            assert (hour.decisions, hour.fills, hour.pnl_usd) == (2, 2, {"house": 12.0})
            assert len(await books.round_trips(tick_at(4), tick_at(5))) == 1
            assert await books.round_trips(tick_at(5), tick_at(60)) == ()

    asyncio.run(main())


def test_before_anything_was_committed_the_books_are_away(tmp_path: Path) -> None:
    async def main() -> None:
        in_flight = InFlight()
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, in_flight)
            books = StoredTrading(DataFolder(tmp_path), in_flight, threads)
            assert await books.regimes({"e1": "SPY"}) == {}
            with pytest.raises(TryLater):
                await books.round_trips(NOON - DAY, NOON)

    asyncio.run(main())
