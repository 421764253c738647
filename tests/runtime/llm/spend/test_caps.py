"""Every cap is kept by calls beside each other; it moves with reasons, and people are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.llm.spend.caps import Cap, SpendCaps
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import (
    CallFacts,
    CapStanding,
    Denied,
    Notice,
    Reserved,
)
from tests.fakes.spending import DOLLAR, NOON, a_call, an_ask, audit, days, paid
from tests.runtime.llm.spend.conftest import Desk, reserved


async def stands(ledger: SpendLedger, cap: Cap, about: str = "") -> CapStanding:
    standing = await ledger.standing(NOON, about)
    return next(each for each in standing.caps if each.cap is cap)


NESTED = SpendCaps(
    call_usd=Decimal("0.30"),
    iteration_usd=Decimal("0.50"),
    agent_day_usd=Decimal("0.60"),
    day_usd=Decimal("0.80"),
    month_usd=Decimal("1.00"),
)


async def denied(ledger: SpendLedger, call: CallFacts) -> Denied:
    answer = await ledger.reserve(call)
    assert isinstance(answer, Denied), answer
    return answer


async def test_each_cap_refuses_what_would_pass_it_and_says_which(desk: Desk) -> None:
    async with desk.ledger(NESTED) as ledger:
        one = await denied(ledger, a_call(0, "0.31"))
        assert (one.cap, one.cap_usd, one.wanted_usd) == (
            Cap.CALL,
            Decimal("0.30"),
            Decimal("0.31"),
        )
        assert isinstance(await ledger.reserve(a_call(1, "0.30", about="t1")), Reserved)
        two = await denied(ledger, a_call(2, "0.21", about="t1"))
        assert (two.cap, two.name, two.reserved_usd) == (Cap.ITERATION, "t1", Decimal("0.30"))
        await ledger.settle("c1", paid("0.25"))
        await reserved(ledger, a_call(3, "0.30", about="t2"))
        three = await denied(ledger, a_call(4, "0.06", about="t3"))
        assert (three.cap, three.name, three.spent_usd) == (
            Cap.AGENT,
            "strategist",
            Decimal("0.25"),
        )
        four = await denied(ledger, a_call(5, "0.26", agent="reader"))
        assert (four.cap, four.name) == (Cap.DAY, "")
        await ledger.settle("c3", paid("0.30"))
        tomorrow = NOON + days(1)
        await reserved(ledger, a_call(6, "0.30", at=tomorrow))
        five = await denied(ledger, a_call(7, "0.16", at=tomorrow))
        assert (five.cap, five.spent_usd, five.reserved_usd) == (
            Cap.MONTH,
            Decimal("0.55"),
            Decimal("0.30"),
        )
        assert isinstance(await ledger.reserve(a_call(8, "0.30", at=NOON + days(31))), Reserved)
    assert audit(desk.path).states == {"settled": 2, "reserved": 2}
    for each in (one, two, three, four, five):
        assert "\n" not in each.text
    assert three.text == (
        "the day's cap of an agent (strategist) is 0.60 USD, 0.25 are spent and 0.30 reserved, "
        "and a call of 0.06 has no room"
    )


async def test_what_fits_exactly_is_let_through(ledger: SpendLedger) -> None:
    assert isinstance(await ledger.reserve(a_call(0, "1.00")), Reserved)
    assert isinstance(await ledger.reserve(a_call(1, "0.000000001")), Denied)
    assert isinstance(await ledger.reserve(a_call(2, "0")), Reserved)  # a model of one's own


async def test_an_ask_about_nothing_is_an_iteration_by_itself(desk: Desk) -> None:
    async with desk.ledger(replace(DOLLAR, iteration_usd=Decimal("0.15"))) as ledger:
        assert isinstance(await ledger.reserve(a_call(0, ask_id="a")), Reserved)
        assert isinstance(await ledger.reserve(a_call(1, ask_id="a")), Denied)
        assert isinstance(await ledger.reserve(a_call(2, ask_id="b")), Reserved)


async def test_fifty_at_once_never_pass_a_cap(ledger: SpendLedger, desk: Desk) -> None:
    answers = await asyncio.gather(
        *(ledger.reserve(a_call(number, "0.03")) for number in range(50))
    )
    let_through = [each for each in answers if isinstance(each, Reserved)]
    assert len(let_through) == 33
    assert audit(desk.path).reserved == Decimal("0.99")


async def test_two_processes_never_pass_a_cap_together(ledger: SpendLedger, desk: Desk) -> None:
    async with desk.ledger(recover=False) as other:
        answers = await asyncio.gather(
            *((other if n % 2 else ledger).reserve(a_call(n, "0.03")) for n in range(50))
        )
    assert sum(isinstance(each, Reserved) for each in answers) == 33
    assert audit(desk.path).reserved == Decimal("0.99")


# The day's cap


async def test_the_days_cap_moves_up_to_its_ceiling_with_reasons(desk: Desk) -> None:
    caps = SpendCaps(day_usd=Decimal("0.10"), day_ceiling_usd=Decimal("0.50"))
    async with desk.ledger(caps) as ledger:
        assert isinstance(await ledger.reserve(a_call(0, "0.11")), Denied)
        move = await ledger.set_day_cap(Decimal("0.30"), "the last session gained 9 USD", NOON)
        assert move is not None
        assert (move.before_usd, move.after_usd, move.by) == (
            Decimal("0.10"),
            Decimal("0.30"),
            "budget",
        )
        assert await ledger.set_day_cap(Decimal("0.30"), "again", NOON) is None
        assert isinstance(await ledger.reserve(a_call(1, "0.11")), Reserved)
        with pytest.raises(Refused, match=r"its ceiling is 0\.50 USD; only a person raises"):
            await ledger.set_day_cap(Decimal("0.51"), "more", NOON)
        for usd in ("-1", "NaN"):
            with pytest.raises(BadInput, match="it stays as it is"):
                await ledger.set_day_cap(Decimal(usd), "less", NOON)
        standing = await ledger.standing(NOON)
        assert [each.reason for each in standing.moves] == [
            "the last session gained 9 USD",
            "as the settings say",
        ]


async def test_a_moved_cap_outlives_a_restart_and_bows_to_the_owner(desk: Desk) -> None:
    caps = SpendCaps(day_usd=Decimal("0.10"), day_ceiling_usd=Decimal("0.50"))
    async with desk.ledger(caps) as ledger:
        await ledger.set_day_cap(Decimal("0.40"), "a good month", NOON)
    async with desk.ledger(caps) as ledger:
        assert (await stands(ledger, Cap.DAY)).cap_usd == Decimal("0.40")
    lower = replace(caps, day_ceiling_usd=Decimal("0.20"))
    async with desk.ledger(lower) as ledger:
        assert (await stands(ledger, Cap.DAY)).cap_usd == Decimal("0.20")
    other = replace(caps, day_usd=Decimal("0.05"))
    async with desk.ledger(other, recover=False) as beside:
        assert (await stands(beside, Cap.DAY)).cap_usd == Decimal("0.40")
    async with desk.ledger(other) as ledger:
        standing = await ledger.standing(NOON)
        assert (await stands(ledger, Cap.DAY)).cap_usd == Decimal("0.05")
        assert [each.by for each in standing.moves] == ["owner", "budget", "owner"]
        assert standing.moves[0].before_usd == Decimal("0.20")


async def test_a_cap_that_is_moved_to_nothing_stops_every_call(desk: Desk) -> None:
    async with desk.ledger() as ledger:
        await ledger.set_day_cap(Decimal(0), "a bad day", NOON)
        assert isinstance(await ledger.reserve(a_call(0, "0.000000001")), Denied)
        assert desk.kinds() == [("stop", "day", "")]


# What people are told


async def test_a_cap_that_is_nearly_gone_and_one_that_is_are_told_once_a_day(desk: Desk) -> None:
    async with desk.ledger(replace(DOLLAR, agent_day_usd=Decimal("0.50"))) as ledger:
        for number, cost in enumerate(["0.39", "0.01", "0.01", "0.09"]):
            await reserved(ledger, a_call(number, cost))
            await ledger.settle(f"c{number}", paid(cost))
        assert desk.kinds() == [("soft", "agent", "strategist"), ("stop", "agent", "strategist")]
        await denied(ledger, a_call(5, "0.01"))
        await reserved(ledger, a_call(6, "0.50", agent="reader"))
        await ledger.settle("c6", paid("0.50"))
        assert desk.kinds()[2:] == [("stop", "agent", "reader"), ("stop", "day", "")]
    async with desk.ledger(replace(DOLLAR, agent_day_usd=Decimal("0.50"))) as ledger:
        await denied(ledger, a_call(7, "0.01"))
        assert len(desk.told) == 4  # also after a restart
        await reserved(ledger, a_call(8, "0.45", at=NOON + days(1)))
        await ledger.settle("c8", paid("0.45"))
        assert desk.kinds()[4:] == [("soft", "agent", "strategist")]
        assert desk.told[4].day == (NOON + days(1)).date()
    assert "0.40 USD of 0.50 are spent" in desk.told[0].text


async def test_people_are_told_also_when_nobody_waits_for_the_write(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call(0, "0.90"))
    async with asyncio.TaskGroup() as group:
        with desk.held():
            waits = group.create_task(ledger.settle("c0", paid("0.90")))
            await asyncio.sleep(0)
            waits.cancel()
            await asyncio.wait([waits])
            assert desk.told == []
    await ledger.note_ask(an_ask())  # what was queued before it is done
    assert desk.kinds() == [("soft", "day", "")]
    assert audit(desk.path).spent == Decimal("0.90")


async def test_iterations_share_one_warning_a_day(desk: Desk) -> None:
    async with desk.ledger(replace(DOLLAR, iteration_usd=Decimal("0.10"))) as ledger:
        for number in range(3):
            await reserved(ledger, a_call(number, "0.09", about=f"t{number}"))
            await ledger.settle(f"c{number}", paid("0.09"))
        assert desk.kinds() == [("soft", "iteration", "")]
        assert "(t0)" in desk.told[0].text


async def test_a_mistake_in_telling_is_nobodys_but_its_own(desk: Desk) -> None:
    mistakes: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(context))

    def fails(_: Notice) -> None:
        raise ZeroDivisionError

    async with desk.ledger(tell=fails) as ledger:
        await ledger.reserve(a_call(0, "0.90"))
        cost_usd, answer = await asyncio.gather(
            ledger.settle("c0", paid("0.85")), ledger.reserve(a_call(1, "0.01"))
        )
    assert cost_usd == Decimal("0.85")
    assert isinstance(answer, Reserved)
    assert len(mistakes) == 1


async def test_standing_says_what_is_left_and_what_is_refused(desk: Desk) -> None:
    async with desk.ledger(NESTED) as ledger:
        await reserved(ledger, a_call(0, "0.30", about="t1"), a_call(1, "0.15", about="t1"))
        await ledger.settle("c0", paid("0.20"))
        day = await stands(ledger, Cap.DAY)
        assert (day.spent_usd, day.reserved_usd, day.left_usd) == (
            Decimal("0.20"),
            Decimal("0.15"),
            Decimal("0.45"),
        )
        assert (day.is_warned, day.is_stopped) == (False, False)
        iteration = await stands(ledger, Cap.ITERATION, "t1")
        assert iteration.left_usd == Decimal("0.15")
        await denied(ledger, a_call(2, "0.26"))
        agent = await stands(ledger, Cap.AGENT)
        assert (agent.denied, agent.is_stopped) == (1, True)
        assert "calls of 0.26 USD are refused, and the rules answer" in agent.text
        await reserved(ledger, a_call(3, "0.10"))  # a smaller one fits
        assert not (await stands(ledger, Cap.AGENT)).is_stopped
        standing = await ledger.standing(NOON)
        assert [each.cap for each in standing.caps] == [Cap.CALL, Cap.AGENT, Cap.DAY, Cap.MONTH]
        assert standing.stopped == ()
        assert all("\n" not in each.text for each in standing.caps)
