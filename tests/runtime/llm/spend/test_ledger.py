"""Money is reserved before and settled after; asks, texts and replies are kept beside it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.llm.provider import Usage
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import (
    CallRecord,
    CallState,
    Reserved,
)
from tests.fakes.spending import NOON, a_call, an_ask, audit, days, paid
from tests.runtime.llm.spend.conftest import Desk, reserved

ZERO = Decimal(0)
ABSURD = Usage(input_tokens=10**40, cached_tokens=0, output_tokens=0)


async def the_call(ledger: SpendLedger, number: int = 0) -> CallRecord:
    """Return what the ledger knows of a call."""
    await ledger.note_ask(an_ask(number))
    ask = await ledger.ask(f"a{number}")
    assert ask is not None
    (call,) = ask.calls
    return call


# One call


async def test_a_call_is_reserved_before_and_costs_what_was_counted(
    ledger: SpendLedger, desk: Desk
) -> None:
    assert await ledger.reserve(a_call()) == Reserved(call_id="c0")
    assert audit(desk.path).reserved == Decimal("0.10")
    desk.clock.advance(3)
    assert await ledger.settle("c0", paid("0.0123", prompt="why", reply="so")) == Decimal("0.0123")
    books = audit(desk.path)
    assert (books.spent, books.reserved) == (Decimal("0.0123"), ZERO)
    call = await the_call(ledger)
    assert (call.state, call.is_estimated, call.charged_usd) == (
        CallState.SETTLED,
        False,
        Decimal("0.0123"),
    )
    assert call.usage == Usage(input_tokens=1000, cached_tokens=100, output_tokens=50)
    assert (call.prompt, call.reply, call.latency_ms) == ("why", "so", 12.5)
    assert call.ended_at == NOON + timedelta(seconds=3)
    assert call.facts == a_call()


@pytest.mark.parametrize(
    "spent",
    [
        paid(None, counted=False),
        paid("0.10", counted=False),
        paid("0.03", usage=ABSURD),
        paid("0.03", usage=replace(ABSURD, input_tokens=-1)),
        paid("1e30"),
    ],
    ids=["no cost", "no count", "absurd count", "negative count", "absurd cost"],
)
async def test_a_count_that_is_missing_or_absurd_costs_what_was_reserved(
    ledger: SpendLedger, spent: object
) -> None:
    await ledger.reserve(a_call())
    assert await ledger.settle("c0", spent) == Decimal("0.10")  # type: ignore[arg-type]
    call = await the_call(ledger)
    assert (call.state, call.is_estimated, call.usage) == (CallState.SETTLED, True, None)


async def test_what_was_certainly_not_billed_costs_nothing(ledger: SpendLedger, desk: Desk) -> None:
    await reserved(ledger, a_call(0), a_call(1))
    assert await ledger.release("c0", "connection refused")
    assert await ledger.settle("c1", paid("0", counted=False, failure="HTTP 400")) == 0
    assert audit(desk.path).states == {"released": 2}
    call = await the_call(ledger)
    assert (call.failure, call.is_estimated) == ("connection refused", False)


async def test_a_call_that_was_cut_costs_what_was_reserved_until_its_cost_is_known(
    ledger: SpendLedger, desk: Desk
) -> None:
    await reserved(ledger, a_call(0), a_call(1))
    assert await ledger.cut("c0", "cancelled at its deadline")
    assert await ledger.cut("c1", "cancelled at its deadline")
    assert audit(desk.path).spent == Decimal("0.20")
    await ledger.settle("c0", paid("0.04"))
    await ledger.release("c1", "it was not sent after all")
    books = audit(desk.path)
    assert (books.spent, books.states) == (Decimal("0.04"), {"settled": 1, "released": 1})


async def test_settling_twice_is_an_error_that_changes_nothing(
    ledger: SpendLedger, desk: Desk
) -> None:
    await reserved(ledger, a_call(0), a_call(1))
    await ledger.settle("c0", paid("0.04"))
    await ledger.release("c1", "connection refused")
    before = audit(desk.path)
    for name in ("c0", "c1"):
        with pytest.raises(Refused, match=r"already; nothing was changed"):
            await ledger.settle(name, paid("0.01"))
        assert not await ledger.cut(name, "late")
        assert not await ledger.release(name, "late")
    assert audit(desk.path) == before


async def test_nothing_is_charged_that_was_not_reserved(ledger: SpendLedger, desk: Desk) -> None:
    with pytest.raises(BadInput, match="no call c9 was reserved"):
        await ledger.settle("c9", paid("0.01"))
    assert not await ledger.cut("c9", "why")
    assert not await ledger.release("c9", "why")
    assert audit(desk.path).states == {}


async def test_reserving_again_is_a_read_and_another_call_of_that_name_is_refused(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call())
    before = audit(desk.path)
    assert await ledger.reserve(a_call()) == Reserved(call_id="c0")
    with pytest.raises(Refused, match="c0 was reserved before, and is reserved"):
        await ledger.reserve(a_call(reserved="0.20"))
    await ledger.settle("c0", paid("0.01"))
    with pytest.raises(Refused, match="is settled"):
        await ledger.reserve(a_call())
    assert before.reserved == Decimal("0.10")
    assert audit(desk.path).states == {"settled": 1}


async def test_a_cost_above_the_reservation_is_charged_in_full_and_told(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call())
    assert await ledger.settle("c0", paid("0.25")) == Decimal("0.25")
    assert audit(desk.path).spent == Decimal("0.25")
    assert desk.kinds() == [("overrun", "call", "some-model")]
    assert "cost 0.25 USD, and 0.10 were reserved" in desk.told[0].text


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "2000000"])
async def test_a_reservation_that_is_no_amount_is_refused(
    ledger: SpendLedger, desk: Desk, usd: str
) -> None:
    with pytest.raises(BadInput, match="no amount"):
        await ledger.reserve(a_call(reserved=usd))
    await ledger.reserve(a_call(1))
    assert audit(desk.path).states == {"reserved": 1}


# Asks


async def test_an_ask_is_kept_with_its_calls_and_what_became_of_it(ledger: SpendLedger) -> None:
    about = an_ask().about
    await reserved(ledger, a_call(0, ask_id="a0"), a_call(1, ask_id="a0", purpose="repair"))
    await ledger.settle("c0", paid("0.01", reply="nonsense"))
    asked = an_ask(attempts=2, looked_up=("quote", "refused: 'sell'"), cost_usd=Decimal("0.11"))
    await ledger.note_ask(asked)
    await ledger.note_ask(an_ask(1))
    await ledger.note_ask(an_ask(0, reason="the second record"))
    assert await ledger.link_outcome("sold at 3.20 USD a share more", about=about) == 2
    assert await ledger.link_outcome("stopped out", ask_id="a1") == 1
    first, second = await ledger.asks_about(about)
    assert (first.facts, first.outcome) == (asked, "sold at 3.20 USD a share more")
    assert [(each.facts.purpose, each.state) for each in first.calls] == [
        ("answer", CallState.SETTLED),
        ("repair", CallState.RESERVED),
    ]
    assert (second.facts, second.outcome, second.calls) == (an_ask(1), "stopped out", ())
    assert await ledger.ask("a9") is None
    for wrong in ({}, {"ask_id": "a0", "about": "t"}):
        with pytest.raises(BadInput, match="name one"):
            await ledger.link_outcome("x", **wrong)


async def test_a_text_that_no_file_can_hold_is_kept_as_far_as_it_can(ledger: SpendLedger) -> None:
    half = "half \ud83d of \x00 a sign"
    await ledger.reserve(a_call(model=half))
    await ledger.settle("c0", paid("0.01", prompt=half, reply=half, failure=half))
    await ledger.note_ask(an_ask(inputs=half, reason=half))
    found = await ledger.ask("a0")
    assert found is not None
    kept = "half ? of \x00 a sign"
    assert (found.facts.inputs, found.facts.reason) == (kept, kept)
    (call,) = found.calls
    assert (call.facts.model, call.prompt, call.reply, call.failure) == (kept,) * 4


async def test_old_texts_are_dropped_and_figures_stay(ledger: SpendLedger, desk: Desk) -> None:
    for number in range(3):
        await ledger.reserve(a_call(number, "0.01", at=desk.clock.now()))
        await ledger.settle(f"c{number}", paid("0.01", prompt="p", reply="r"))
        await ledger.note_ask(an_ask(number, at=desk.clock.now()))
        desk.clock.advance(86_400)
    before = audit(desk.path)
    assert await ledger.drop_texts(NOON + days(1.5)) == 6
    assert await ledger.drop_texts(NOON + days(1.5)) == 0
    assert audit(desk.path) == before
    old, kept = await ledger.ask("a1"), await ledger.ask("a2")
    assert old is not None
    assert kept is not None
    assert (old.facts.inputs, old.calls[0].prompt, old.calls[0].reply) == ("", None, None)
    assert (old.facts.output, old.calls[0].charged_usd) == (an_ask().output, Decimal("0.01"))
    assert (kept.facts.inputs, kept.calls[0].prompt) == (an_ask().inputs, "p")


async def test_more_texts_than_go_at_once_are_dropped_all_the_same(ledger: SpendLedger) -> None:
    await asyncio.gather(*(ledger.note_ask(an_ask(number)) for number in range(1100)))
    before = ledger.commits
    assert await ledger.drop_texts(NOON + days(1)) == 1100
    assert ledger.commits - before == 3


# Recorded replies


async def test_the_first_reply_of_a_key_stands(ledger: SpendLedger, desk: Desk) -> None:
    assert await ledger.get_reply("k") is None
    assert await ledger.put_reply("k", "one") == "one"
    assert await ledger.put_reply("k", "two") == "one"
    await ledger.close()
    async with desk.ledger() as again:
        assert await again.get_reply("k") == "one"


# Figures


async def test_figures_add_up_by_agent_task_model_and_day(ledger: SpendLedger) -> None:
    await reserved(
        ledger,
        a_call(0),
        a_call(1, agent="reader", model="other-model"),
        a_call(2, agent="reader", task="read"),
        a_call(3, at=NOON + days(1)),
        a_call(4, at=NOON + days(1)),
    )
    await ledger.settle("c0", paid("0.02"))
    await ledger.settle("c1", paid(None, counted=False))
    await ledger.cut("c2", "cancelled")
    await ledger.release("c3", "refused")
    reader, strategist = await ledger.figures("agent")
    assert (reader.name, reader.calls, reader.cost_usd) == ("reader", 2, Decimal("0.20"))
    assert (reader.settled_usd, reader.estimated_usd, reader.cut_usd) == (
        ZERO,
        Decimal("0.10"),
        Decimal("0.10"),
    )
    assert (strategist.input_tokens, strategist.cached_tokens, strategist.output_tokens) == (
        *(1000, 100, 50),
    )
    assert (strategist.reserved_usd, strategist.released) == (Decimal("0.10"), 1)
    assert [line.name for line in await ledger.figures("task")] == ["decide", "read"]
    assert [line.name for line in await ledger.figures("model")] == ["other-model", "some-model"]
    assert [line.name for line in await ledger.figures("day")] == ["2026-03-04", "2026-03-05"]
    (late,) = await ledger.figures("agent", (NOON + days(1)).date())
    assert (late.calls, late.cost_usd) == (2, ZERO)
