"""Why it did not trade, in one plain sentence: for every way in which nothing can come of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Action, Leg, client_order_id
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.records import TickCommit
from roboinvest.core.risk import RiskLimits
from roboinvest.runtime.halt import HaltLevel
from tests.fakes.house import flat_bars, house
from tests.fakes.journals import an_intent
from tests.fakes.markets import minute
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.spending import an_ask
from tests.fakes.told import BUY_TICK, ToldFolder, buys_at, lived, page, with_body

NOW = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


def refused_by_broker(commit: TickCommit, *texts: str) -> TickCommit:
    """Return a tick in which everything was to be bought, and the broker took nothing."""

    def change(body: dict[str, Any]) -> None:
        for decision in body["decisions"]:
            decision["action"] = "BUY"
        body["rejected"] = list(texts)

    return with_body(commit, change)


async def test_a_hold_says_who_decided_and_why(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(99))
    await folder.keep(one.commits)
    told = await folder.told(f"{BUY_TICK}/SPY")
    assert told.answer == (
        "SPY was not traded at 2024-03-05 14:32 UTC: the decision was HOLD: "
        'scripted said "scripted".'
    )
    assert not told.traded


async def test_a_hold_of_the_rules_gives_its_figure_so_that_a_near_miss_can_be_seen(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99))

    def near(body: dict[str, Any]) -> None:
        body["decisions"][0] |= {
            "source": "rules",
            "conviction": 0.249999,
            "summary": "HOLD SPY: conviction +0.25 below 0.25; trend +0.62, vwap +0.15.",
        }

    await folder.keep([with_body(one.commits[0], near)])
    told = await folder.told("last")
    assert told.answer.endswith("the decision was HOLD: conviction +0.249999 below 0.25.")


async def test_an_answer_that_could_not_be_read_says_what_was_wrong_with_it(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 2)

    def unread(body: dict[str, Any]) -> None:
        summary = "HOLD SPY: the model's answer could not be used."
        body["decisions"][0] |= {"source": "safe", "summary": summary}

    await folder.keep([one.commits[0], with_body(one.commits[1], unread)])
    reason = "openai:m: unreadable twice: it is cut off"
    await folder.keep_ask(an_ask(1, about=BUY_TICK, task="strategy", source="safe", reason=reason))
    assert (await folder.told(BUY_TICK)).answer.endswith(
        f"the decision was HOLD: the model's answer could not be used ({reason})."
    )


async def test_a_buy_that_a_limit_cut_to_no_share_names_the_limit(
    tmp_path: Path, folder: ToldFolder
) -> None:
    limits = RiskLimits(max_order_usd=Decimal(50))
    one = await lived(tmp_path, buys_at(2), limits=limits)
    await folder.keep(one.commits)
    told = await folder.told(BUY_TICK)
    assert told.answer == (
        "The BUY of SPY at 2024-03-05 14:32 UTC came to nothing: risk cut it to no share, "
        "order of 12,500.00 USD, limit 50.00 USD (order_value)."
    )
    assert told.refusals == ()
    assert {cut.rule: (int(cut.requested), int(cut.allowed)) for cut in told.cuts} == {
        "order_value": (125, 0),
        "position": (125, 100),
    }


async def test_a_buy_that_a_rule_refused_names_the_rule_and_how_many_more(
    tmp_path: Path, folder: ToldFolder
) -> None:
    limits = RiskLimits(max_trades_per_day=0, max_open_orders=0)
    one = await lived(tmp_path, buys_at(2), limits=limits)
    await folder.keep(one.commits)
    told = await folder.told(BUY_TICK)
    assert told.answer == (
        "The BUY of SPY at 2024-03-05 14:32 UTC came to nothing: risk refused it, "
        "0 entries today, limit 0 (trades_per_day, and 1 more)."
    )
    assert "risk: open_orders: 125 -> 0 shares, 0 open orders and 3 more, limit 0" in page(
        await folder.story(BUY_TICK)
    )


async def test_a_buy_that_the_broker_refused_says_what_the_broker_said(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 2)
    await folder.keep([one.commits[0], refused_by_broker(one.commits[1], "no borrow today")])
    told = await folder.told(BUY_TICK)
    assert told.answer == (
        "The BUY of SPY at 2024-03-05 14:32 UTC came to nothing: the broker refused it, "
        "no borrow today."
    )
    assert told.refusals == ("no borrow today",)
    assert not told.orders


async def test_of_two_symbols_each_gets_the_refusal_of_its_own(
    tmp_path: Path, folder: ToldFolder
) -> None:
    bars = [*flat_bars(5), *flat_bars(5, symbol="QQQ")]
    one = await lived(tmp_path, buys_at(99), 1, bars=bars)
    said = ("SPY: not tradable", "QQQ: no borrow", "nobody knows whose this is")
    await folder.keep([refused_by_broker(one.commits[0], *said)])
    for symbol, why in (("SPY", "not tradable"), ("QQQ", "no borrow")):
        told = await folder.told(f"last/{symbol}")
        assert told.refusals == (f"{symbol}: {why}",)
        assert told.answer.endswith(f"the broker refused it, {why}.")


async def test_the_journal_knows_of_a_refusal_whose_sentence_names_no_symbol(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 2)
    intent = an_intent(
        client_order_id=client_order_id("test", BUY_TICK, "house", "SPY", Leg.ENTRY),
        tick_id=BUY_TICK,
        valid_until=minute(2),
    )
    await folder.keep([one.commits[0], refused_by_broker(one.commits[1], "refused: see journal")])
    await folder.keep_intent(an_intent(3), JournalState.REJECTED, reason="of another tick")
    await folder.keep_intent(intent, JournalState.REJECTED, reason="insufficient day trades")
    told = await folder.told(BUY_TICK)
    assert told.refusals == ("insufficient day trades",)
    assert "the broker refused it, insufficient day trades." in told.answer
    story = await folder.story(intent.client_order_id)
    assert story.answer == (
        "The entry that was to buy 10 SPY never was an order: rejected, insufficient day trades."
    )
    assert story.order_id == intent.client_order_id
    assert story.tick is not None
    assert story.tick.tick_id == BUY_TICK


async def test_a_buy_without_a_stop_was_never_asked_for(tmp_path: Path, folder: ToldFolder) -> None:
    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        return replace(view(brief.observation.symbol, Action.BUY, target=104.0), is_candidate=False)

    one = await lived(tmp_path, ScriptedModel(script), 2)
    await folder.keep(one.commits)
    told = await folder.told("last")
    assert told.answer.endswith(
        "came to nothing: a BUY needs a stop and a price, and it had not both."
    )


async def test_a_buy_that_expired_says_so(tmp_path: Path, folder: ToldFolder) -> None:
    bars = [*flat_bars(370), *flat_bars(2, day=date(2024, 3, 6))]  # the market falls silent
    one = await lived(tmp_path, buys_at(370), 390, bars=bars)
    await one.tick(minute(1, date(2024, 3, 6)))
    await folder.keep(one.commits)
    told = await folder.told("20240305T204000Z")
    assert told.answer.startswith(
        "The BUY of SPY at 2024-03-05 20:40 UTC bought nothing: it expired before a share was "
        "bought or sold"
    )
    assert told.answer.endswith('it was decided on scripted said "scripted".')
    entry = told.orders[0]
    assert (entry.leg, entry.state, entry.fills) == ("entry", "expired", ())


async def test_a_buy_that_still_works_says_so(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(2), 2)
    await folder.keep(one.commits)
    assert "bought nothing so far: it is working, not filled" in (await folder.told("last")).answer


async def test_a_buy_that_a_halt_took_back_says_who_did_it(
    tmp_path: Path, folder: ToldFolder
) -> None:
    bars = [*flat_bars(2), *flat_bars(20)[10:]]
    one = house(tmp_path, bars, buys_at(2))
    await one.ticks(1, 2)
    one.halt_file.set(HaltLevel.CANCEL, reason="lunch", by="owner", at=NOW)
    await one.ticks(3, 4)
    await folder.keep(one.commits)
    told = await folder.told(BUY_TICK)
    assert (
        "bought nothing: it was cancelled before a share was bought or sold, halted: lunch"
        in told.answer
    )


async def test_in_a_halted_house_the_halt_is_the_reason_for_a_buy_and_for_a_hold(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = house(tmp_path, flat_bars(5), buys_at(2))
    one.halt_file.set(HaltLevel.NEW, reason="lunch", by="owner", at=NOW)
    await one.ticks(1, 2)
    await folder.keep(one.commits)
    bought = await folder.told(BUY_TICK)
    assert bought.answer == (
        "The BUY of SPY at 2024-03-05 14:32 UTC came to nothing: trading was HALTED (lunch), so "
        "nothing could be sent."
    )
    held = await folder.told("20240305T143100Z")
    assert held.answer == (
        "SPY was not traded at 2024-03-05 14:31 UTC: trading was HALTED (lunch), so nothing could "
        'be sent; in any case the decision was HOLD: scripted said "scripted".'
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (TradingState.DEGRADED, "trading was DEGRADED (books differ), so nothing could be bought"),
        (TradingState.RECONCILING, "trading was RECONCILING (books differ), so nothing could be"),
    ],
)
async def test_a_house_that_may_not_buy_says_what_it_waited_for(
    tmp_path: Path, folder: ToldFolder, state: TradingState, words: str
) -> None:
    one = await lived(tmp_path, buys_at(99), 1)

    def change(body: dict[str, Any]) -> None:
        body |= {"trading_state": state.value, "state_reason": "books differ"}

    await folder.keep([with_body(one.commits[0], change)])
    assert words in (await folder.told("last")).answer


async def test_a_suspended_symbol_is_the_reason(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(99), 1)

    def change(body: dict[str, Any]) -> None:
        body["suspended"] = {"SPY": "an unexplained jump of 50 %"}

    await folder.keep([with_body(one.commits[0], change)])
    story = await folder.story("last")
    assert "its prices were not trusted (an unexplained jump of 50 %)" in story.answer
    assert "suspended: SPY: an unexplained jump of 50 %" in page(story)


async def test_a_sell_of_nothing_says_so(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(99, sells_at=2))
    await folder.keep(one.commits)
    assert (await folder.told(BUY_TICK)).answer.endswith(
        "came to nothing: nothing was held, or an exit was on its way already."
    )


async def test_an_old_hold_says_that_its_reason_is_no_longer_stored(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 2)
    await folder.keep([replace(c, record=replace(c.record, body=None)) for c in one.commits])
    for what in (BUY_TICK, f"{BUY_TICK}/SPY"):
        story = await folder.story(what)
        assert "1 symbol was held; why is no longer stored" in story.answer
        assert story.tick is not None
        assert not story.tick.has_record


async def test_a_whole_tick_tells_what_traded_first_and_then_what_was_held(
    tmp_path: Path, folder: ToldFolder
) -> None:
    bars = [*flat_bars(5), *flat_bars(5, symbol="QQQ"), *flat_bars(5, symbol="IWM")]

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        if symbol == "QQQ" and inputs.at == minute(2):
            return view(symbol, Action.BUY, stop=98.0, target=104.0)
        return hold(symbol)

    one = await lived(tmp_path, ScriptedModel(script), 4, bars=bars)
    await folder.keep(one.commits)
    story = await folder.story(BUY_TICK)
    assert story.answer.startswith("100 QQQ were bought at 100.00")
    assert story.answer.endswith("IWM and SPY were held.")
    assert [told.symbol for told in story.decisions] == ["IWM", "QQQ", "SPY"]
    quiet = await folder.story("last")
    assert quiet.answer == (
        "Nothing was traded at 2024-03-05 14:34 UTC: each of IWM, QQQ and SPY was held."
    )
    assert "more: roboinvest explain 20240305T143400Z/IWM" in page(quiet)
