"""Why it did that: from what was seen to what was learnt, forwards and backwards."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from roboinvest.core.journal import JournalState
from roboinvest.core.market.values import NewsItem
from roboinvest.core.orders import Leg, Side
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.halt import HaltLevel
from roboinvest.trading.explain.story import OrderTold, Story
from tests.fakes.house import flat_bars, house
from tests.fakes.markets import bar, minute
from tests.fakes.models import ScriptedModel, hold
from tests.fakes.records import commit, order
from tests.fakes.spending import a_call, an_ask, paid
from tests.fakes.told import BUY_TICK, ToldFolder, buys_at, lived, page, with_body

SELL_TICK = "20240305T143500Z"  # minute 5
NOW = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


def by_leg(orders: tuple[OrderTold, ...]) -> dict[str, OrderTold]:
    return {order.leg: order for order in orders}


async def test_an_entry_is_told_from_the_decision_to_its_result(
    tmp_path: Path, folder: ToldFolder
) -> None:
    limits = RiskLimits(max_order_usd=Decimal(11_000))  # 110 shares, and a position may be 100
    one = await lived(tmp_path, buys_at(2, sells_at=5), 8, limits=limits)
    await folder.keep(one.commits)
    story = await folder.story(BUY_TICK)
    assert story.answer == (
        '100 SPY were bought at 100.00 (decided at 2024-03-05 14:32 UTC): scripted said "scripted"'
        "; risk cut 125 to 100 (position); closed by exit for +0.00 USD, +0.00 R."
    )
    (told,) = story.decisions
    assert told.traded
    assert told.decision is not None
    assert (told.decision.action, told.decision.stop) == ("BUY", Decimal(98))
    assert told.seen is not None
    assert (told.seen.close, told.seen.regime.trend) == (100.0, "range")
    legs = by_leg(told.orders)
    assert {leg: order.state for leg, order in legs.items()} == {
        "entry": "filled",
        "stop": "cancelled",
        "target": "cancelled",
    }
    (fill,) = legs["entry"].fills
    assert (fill.qty, fill.price) == (Decimal(100), Decimal(100))
    (trade,) = told.trades
    assert (trade.pnl, trade.r_multiple, trade.exit_leg) == (Decimal(0), 0.0, "exit")
    assert (trade.entry_tick, trade.exit_tick) == (BUY_TICK, SELL_TICK)
    assert told.lesson is not None
    assert told.lesson.memory_id == f"{BUY_TICK}/house/SPY"
    assert told.lesson.outcome is not None
    assert (told.lesson.outcome.kind, told.lesson.outcome.how) == ("trade", "exit")
    assert told.lesson.cell is not None
    assert (told.lesson.cell.low, told.lesson.cell.losses) == (0.5, 1)


async def test_the_exit_leads_back_to_the_entry_and_shares_its_lesson(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2, sells_at=5), 8)
    await folder.keep(one.commits)
    told = await folder.told("SPY")
    assert told.answer.startswith("100 SPY were sold at 100.00 (decided at 2024-03-05 14:35 UTC)")
    assert told.answer.endswith("the trade came to +0.00 USD, +0.00 R.")
    assert told.trades[0].entry_tick == BUY_TICK
    assert told.lesson is not None
    assert told.lesson.memory_id == f"{BUY_TICK}/house/SPY"


async def test_a_symbol_alone_is_its_last_decision_that_was_not_a_hold(
    tmp_path: Path, folder: ToldFolder
) -> None:
    bars = [*flat_bars(9), *flat_bars(9, symbol="QQQ")]

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        if brief.observation.symbol == "QQQ":
            return hold("QQQ")
        return buys_at(2, sells_at=5)._script(inputs, brief)

    one = await lived(tmp_path, ScriptedModel(script), 8, bars=bars)
    await folder.keep(one.commits)
    bought = await folder.story("spy")
    assert bought.tick is not None
    assert (bought.tick.tick_id, bought.notes) == (SELL_TICK, ())
    held = await folder.story("QQQ")
    assert held.tick is not None
    assert held.tick.tick_id == "20240305T143800Z"
    assert held.notes == ("QQQ was never bought or sold: this is the last decision on it",)


async def test_a_stop_that_was_hit_is_told_from_its_entry_to_the_loss(
    tmp_path: Path, folder: ToldFolder
) -> None:
    bars = [*flat_bars(5), bar(minute(5), [100.0, 100.0, 97.0, 97.5]), *flat_bars(9)[6:]]
    one = await lived(tmp_path, buys_at(2), 7, bars=bars)
    await folder.keep(one.commits)
    (entry,) = [o for o in one.orders().values() if o.leg == "entry"]
    story = await folder.story(f"{entry.client_order_id}-s")
    assert story.answer == (
        "The stop that was to sell 100 SPY at 98.00, sent with its entry at 2024-03-05 14:32 UTC: "
        "filled at 98.00; the trade came to -200.00 USD, -1.00 R."
    )
    assert story.order_id == f"{entry.client_order_id}-s"
    assert story.tick is not None
    assert story.tick.tick_id == BUY_TICK
    assert "closed by stop for -200.00 USD, -1.00 R" in (await folder.told(BUY_TICK)).answer


async def test_a_position_that_is_open_has_no_result_yet(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 4)
    await folder.keep(one.commits)
    told = await folder.told(BUY_TICK)
    assert told.answer.endswith("; the position is still open.")
    assert told.lesson is not None
    assert told.lesson.outcome is None


async def test_what_a_person_closed_says_that_a_person_did(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = house(tmp_path, flat_bars(12), buys_at(2))
    await one.ticks(1, 5)
    one.halt_file.set(HaltLevel.FLATTEN, reason="war", by="owner", at=NOW)
    await one.ticks(6, 8)
    await folder.keep(one.commits)
    (flatten,) = [o for o in one.orders().values() if o.leg == "flatten"]
    story = await folder.story(flatten.client_order_id)
    assert story.answer == (
        "The order that was to sell 100 SPY because a person asked to close all (war): filled at "
        "100.00; the trade came to +0.00 USD, +0.00 R."
    )
    assert "a flatten order to sell 100 was sent beside it" in story.decisions[0].answer


async def test_a_stop_that_was_given_back_says_that_there_was_none(folder: ToldFolder) -> None:
    stop = order("ri1-x", leg=Leg.STOP, side=Side.SELL, stop_price=Decimal("120.00"))
    await folder.keep([commit(0, orders=(stop,))])
    story = await folder.story("ri1-x")
    assert story.answer == (
        "The stop that was to sell 10 SPY at 120.00, sent at 2011-01-03 14:31 UTC because the "
        "position had no stop at the broker: it is working, not filled."
    )


async def test_an_order_whose_tick_was_cut_off_is_told_without_it(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 3)
    lost = one.commits[1]  # the tick that sent it was killed; the next one heard of its orders
    await folder.keep([one.commits[0], one.commits[2]])
    (entry, *_) = lost.orders
    story = await folder.story(entry.client_order_id)
    assert story.tick is None
    assert story.gaps == (f"its tick {BUY_TICK} is not stored: it was cut off before its end",)
    assert story.answer.startswith("The entry that was to buy 100 SPY, sent at 2024-03-05 14:32")


async def test_the_journal_adds_what_a_real_broker_made_of_it(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 4)
    (intent,) = one.states[1]["execution"].intents
    await folder.keep(one.commits)
    moves = (
        JournalState.SENDING,
        JournalState.UNKNOWN,
        JournalState.SENDING,
        JournalState.ACCEPTED,
    )
    await folder.keep_intent(intent, *moves, reason="timeout", looked=2)
    story = await folder.story(BUY_TICK)
    entry = by_leg(story.decisions[0].orders)["entry"].journal
    assert entry is not None
    assert (entry.state, entry.sends, entry.clean_lookups) == ("accepted", 2, 2)
    shown = page(story)
    assert "journal: entry accepted: 2 requests sent, 2 look-ups found nothing, timeout" in shown
    assert "max_order_usd" not in shown
    assert 'limits: {"max_order_usd":"25000"}' in page(story, full=True)


async def test_the_news_is_told_with_its_sources_and_what_they_said(
    tmp_path: Path, folder: ToldFolder
) -> None:
    said = ("Ledger", "SPY rises on record profit"), ("Herald", "Strong growth lifts all of SPY")
    news = [
        NewsItem(
            item_id=f"n{number}",
            published_at=minute(1),
            symbols=("SPY",),
            headline=headline,
            summary="",
            source=source,
        )
        for number, (source, headline) in enumerate(said)
    ]
    one = await lived(tmp_path, buys_at(2), 4, news=news)
    await folder.keep(one.commits)
    told = await folder.told(BUY_TICK)
    assert told.news is not None
    assert told.news.factor is not None
    assert [voice.source for voice in told.news.factor.voices] == ["herald", "ledger"]
    assert len(told.news.items) == 2
    shown = page(await folder.story(BUY_TICK))
    assert "news: tone +" in shown
    assert "2 agreeing sources (herald" in shown


async def test_news_that_is_no_longer_on_the_shelf_is_counted(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 1)

    def change(body: dict[str, Any]) -> None:
        body["news"] = {"SPY": {"tone": 0.5, "agreeing": 1, "records": ["gone", "here"]}}
        body["news_read"] = [{"item_id": "here", "event": "earnings", "sentiment": 0.5}]

    await folder.keep([with_body(one.commits[0], change)])
    assert "1 more, read at earlier ticks and no longer stored" in page(await folder.story("last"))


async def test_a_model_is_told_with_its_calls_and_on_demand_with_every_word(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 4)
    await folder.keep(one.commits)
    similar = [{"memory_id": "20240304T150000Z/house/SPY", "distance": 0.5, "r_multiple": 1.5}]
    inputs = {
        "briefs": [{"observation": {"symbol": "SPY"}, "position_qty": "7", "similar": similar}]
    }
    ask = an_ask(
        1,
        about=BUY_TICK,
        task="strategy",
        inputs=f"{inputs}".replace("'", '"'),
        source="openai:some-model",
        reason="repaired once",
        attempts=2,
        cost_usd=Decimal("0.0003"),
        latency_ms=850.0,
    )
    first = (a_call(1), paid("0.0001", prompt="[user]\nBuy?", reply="Yes, and"))
    repair = (
        a_call(2, purpose="repair"),
        paid("0.0002", counted=False, prompt="[user]\nAs JSON.", reply='{"views":[]}'),
    )
    await folder.keep_ask(ask, first, repair)
    await folder.keep_ask(an_ask(9, about="20240305T143300Z"))  # of another tick
    story = await folder.story(BUY_TICK)
    (asked,) = story.asks
    assert (asked.source, asked.prompt_name, asked.attempts) == (
        "openai:some-model",
        "strategist/decide",
        2,
    )
    assert [(call.purpose, call.input_tokens, call.cost_usd) for call in asked.calls] == [
        ("answer", 1000, Decimal("0.0001")),
        ("repair", None, Decimal("0.0002")),
    ]
    assert asked.calls[0].prompt == "[user]\nBuy?"
    (told,) = story.decisions
    assert told.held == 7
    assert [setup.r_multiple for setup in told.memories.setups] == [1.5]
    short, whole = page(story), page(story, full=True)
    assert "openai:some-model, because repaired once, 2 calls, 850 ms, 0.0003 USD" in short
    assert (
        "call: some-model, repair, settled: tokens not counted, 0.0002 USD (as reserved)" in short
    )
    assert "Buy?" not in short
    assert "prompt: [user]\nBuy?\nreply: Yes, and" in whole


async def test_a_file_that_cannot_be_read_is_a_gap_and_the_rest_is_told(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 4)
    await folder.keep(one.commits)
    folder.journal.write_bytes(b"no database at all" * 100)
    folder.ledger.write_bytes(b"")
    story = await folder.story(BUY_TICK)
    assert story.decisions[0].traded
    (gap,) = story.gaps
    assert gap.startswith("the order journal was not read:")
    assert f"not told: {gap}" in page(story)


async def test_a_record_of_another_shape_is_a_gap_and_never_a_guess(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 2)

    def newer(body: dict[str, Any]) -> None:
        body["decisions"] = {"SPY": "BUY"}

    await folder.keep([one.commits[0], with_body(one.commits[1], newer)])
    story = await folder.story("last")
    assert story.gaps[0].startswith("the record of this tick has a shape of its own (decisions: ")
    assert story.decisions[0].decision is None
    assert story.answer.startswith("Why SPY was traded is not stored; the entry: it is working")


async def test_a_record_with_more_and_less_than_we_know_is_read(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(2), 2)

    def other(body: dict[str, Any]) -> None:
        for key in ("budget", "clamps", "state_reason", "observations", "rejected"):
            del body[key]
        body["later"] = {"a": 1}
        body["decisions"][0]["mood"] = "fine"

    await folder.keep([one.commits[0], with_body(one.commits[1], other)])
    story = await folder.story("last")
    assert story.gaps == ()
    assert story.decisions[0].seen is None
    assert page(story)


async def test_the_story_keeps_its_keys(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(2), 3)
    await folder.keep(one.commits)
    tree = (await folder.story("last")).model_dump(mode="json")
    assert list(tree) == list(Story.model_fields)
    assert tree["schema_version"] == 1
    assert tree["tick"]["at"] == "2024-03-05T14:33:00Z"
    assert Story.model_validate(tree).model_dump(mode="json") == tree
