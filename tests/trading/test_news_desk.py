"""What is read, by whom, how often, and what a restart still knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import NewsItem
from roboinvest.core.news.reading import READ_NEWS
from roboinvest.core.news.records import NewsRecord
from roboinvest.core.news.sources import voices
from roboinvest.core.orders import Action
from roboinvest.core.risk import RiskLimits
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.trading.news_desk import MOST_ASKS, NEWS_WINDOW, NewsDesk, NewsShelf
from tests.fakes.feeds import HandMadeNews
from tests.fakes.house import flat_bars, house
from tests.fakes.markets import minute
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.news import NOON, item, record

MINUTE = timedelta(minutes=1)


class Reader:
    """A model that finds everything good; it counts, and can wait until all have come."""

    def __init__(self, gather: int = 1) -> None:
        self.asked: list[str] = []
        self.about: set[str] = set()
        self._gather = gather
        self._all_here = asyncio.Event()

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        assert task is READ_NEWS
        self.asked.append(inputs.item_id)
        self.about.add(about)
        if len(self.asked) >= self._gather:
            self._all_here.set()
        await self._all_here.wait()
        output = replace(task.safe(inputs), sentiment=1.0, confidence=1.0)
        return Answer(output=output, source="openai:reader", cost_usd=Decimal(0), latency_ms=0.0)


def desk(
    items: Sequence[NewsItem], model: Any, shelf: NewsShelf | None = None, **options: Any
) -> NewsDesk:
    return NewsDesk(HandMadeNews(items), model, shelf or NewsShelf(), ("ACME", "BETA"), **options)


async def test_an_item_is_read_once_and_remembered_over_a_restart() -> None:
    reader, shelf = Reader(), NewsShelf()
    one = desk([item(0), item(1)], reader, shelf)
    first = await one.look(NOON, about="tick-1")
    assert [r.item_id for r in first.read] == ["n0", "n1"]
    assert {r.reader for r in first.read} == {"openai:reader"}
    assert reader.about == {"tick-1"}
    again = await one.look(NOON + MINUTE)
    assert again.read == ()
    stored = shelf.document()
    assert stored is not None
    after = Reader()
    resumed = await desk([item(0), item(1)], after, NewsShelf.read(stored)).look(NOON + MINUTE)
    assert after.asked == []
    assert resumed.factors == again.factors


async def test_nothing_of_other_symbols_is_read_and_nothing_is_stored_without_news() -> None:
    reader, shelf = Reader(), NewsShelf()
    news = await desk([item(0, symbols=("OTHER",))], reader, shelf).look(NOON)
    assert (news.read, news.factors, reader.asked) == ((), {}, [])
    assert shelf.document() is None


async def test_a_flood_asks_a_few_at_once_the_newest_and_the_rules_read_the_rest() -> None:
    items = [item(n, at=NOON - n * MINUTE, item_id=f"n{n:03d}") for n in range(40)]
    reader = Reader(gather=MOST_ASKS)  # nobody is answered before all have asked
    news = await asyncio.wait_for(desk(items, reader).look(NOON), 5)
    assert sorted(reader.asked) == [f"n{n:03d}" for n in range(MOST_ASKS)]
    assert len(news.read) == 40
    assert sum(r.reader == "rules" for r in news.read) == 40 - MOST_ASKS


async def test_two_items_of_one_id_are_one() -> None:
    reader = Reader()
    await desk([item(0), item(0, headline="other words")], reader).look(NOON)
    assert reader.asked == ["n0"]


async def test_records_older_than_the_window_are_forgotten() -> None:
    shelf = NewsShelf()
    one = desk([item(0)], RulesModel(SystemClock()), shelf)
    assert (await one.look(NOON)).factors.keys() == {"ACME"}
    assert (await one.look(NOON + NEWS_WINDOW)).factors == {}
    assert shelf.document() == "[]"


async def test_the_future_is_not_read() -> None:
    one = desk([item(0, at=NOON + MINUTE)], RulesModel(SystemClock()))
    assert (await one.look(NOON)).read == ()
    assert len((await one.look(NOON + MINUTE)).read) == 1


async def test_a_model_that_raises_is_heard_as_it_spoke() -> None:
    class Broken:
        async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
            raise BadInput("the tape has no such answer")

    with pytest.raises(BadInput, match="no such answer"):
        await desk([item(0), item(1)], Broken()).look(NOON)


async def test_voices_are_told_apart_anew_only_when_there_are_new_records() -> None:
    calls = 0

    def counted(records: Sequence[NewsRecord]) -> Sequence[Sequence[NewsRecord]]:
        nonlocal calls
        calls += 1
        return voices(records)

    items = [item(0), item(1, at=NOON + 3 * MINUTE, source="Herald")]
    one = desk(items, RulesModel(SystemClock()), grouped=counted)
    for number in range(6):
        await one.look(NOON + number * MINUTE)
    assert calls == 2


def test_a_shelf_keeps_its_document_until_something_changes() -> None:
    shelf = NewsShelf()
    shelf.put([record(0)], NOON - NEWS_WINDOW)
    before = shelf.document()
    shelf.put([], NOON - NEWS_WINDOW)
    assert shelf.document() is before
    assert "n0" in shelf
    shelf.put([], NOON)
    assert "n0" not in shelf


def bought(number: int) -> ScriptedModel:
    def script(inputs: Any, brief: Any) -> Any:
        symbol = brief.observation.symbol
        is_time = inputs.at == minute(number)
        return view(symbol, Action.BUY, stop=90.0, target=120.0) if is_time else hold(symbol)

    return ScriptedModel(script)


@pytest.mark.parametrize(
    ("headlines", "qty"),
    [
        ((), "25"),
        (("SPY fund upgraded to buy from hold on record revenue",), "25"),
        (("SPY fund upgraded to buy", "Shares of the fund soar on record revenue"), "30"),
        (("SPY fund downgraded to sell", "Shares of the fund plunge in a selloff"), "21"),
    ],
)
async def test_two_sources_move_the_size_of_an_entry_and_the_record_says_so(
    tmp_path: Path, headlines: tuple[str, ...], qty: str
) -> None:
    news = [
        item(n, at=minute(1), symbols=("SPY",), headline=text, source=("Ledger", "Herald")[n])
        for n, text in enumerate(headlines)
    ]
    one = house(tmp_path, flat_bars(10), bought(3), news=news, limits=RiskLimits())
    await one.ticks(1, 4)
    (intent,) = one.states[2]["execution"].intents
    assert intent.qty == Decimal(qty)
    assert (intent.stop_loss, intent.take_profit) == (Decimal(90), Decimal(120))
    clamps = one.states[2]["execution"].clamps
    assert [clamp.rule for clamp in clamps] == ([] if qty == "25" else ["news"])
    body = one.commits[1].record.body
    assert body is not None
    assert ('"news"' in body) == bool(headlines)
