"""What cost more than was reserved is told while its day lasts, and old texts are dropped."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path

from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.forgetting import ForgetTexts
from roboinvest.runtime.llm.overruns import Overruns
from roboinvest.runtime.llm.spend.caps import Cap
from roboinvest.runtime.llm.spend.values import Notice, NoticeKind
from roboinvest.runtime.llm.watch import ModelWatch
from tests.fakes.clocks import START, LoopClock
from tests.fakes.llm_gateways import NUMBER, Question, ScriptedProvider, gateway_desk
from tests.fakes.virtual_time import run_virtual


def notice(kind: NoticeKind, day: date) -> Notice:
    return Notice(kind=kind, cap=Cap.CALL, name="", day=day, text="a call cost 2 USD, 1 was held")


def test_an_overrun_is_told_once_and_is_over_with_its_day(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> list[Event]:
        heard, overruns = list[Event](), Overruns()
        async with gateway_desk(tmp_path, ScriptedProvider(), in_flight=in_flight) as desk:
            watch = ModelWatch(
                None, (), desk.ledger, publish=heard.append, clock=LoopClock(), overruns=overruns
            )
            overruns.hear(notice(NoticeKind.SOFT, START.date()))
            await watch.look()
            overruns.hear(notice(NoticeKind.OVERRUN, START.date()))
            await watch.look()
            await watch.look()
            await asyncio.sleep(timedelta(days=1).total_seconds())
            await watch.look()
        return heard

    raised, resolved = run_virtual(main, in_flight)
    assert isinstance(raised, AlertRaised)
    assert isinstance(resolved, AlertResolved)
    assert raised.key == resolved.key == "llm.budget.overrun"
    assert raised.kind == "budget"


def test_prompts_and_replies_are_dropped_with_age_and_their_cost_stays(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> None:
        async with gateway_desk(tmp_path, ScriptedProvider(), in_flight=in_flight) as desk:
            forget = ForgetTexts(desk.ledger, timedelta(days=90), LoopClock())
            await desk.gateway.ask(NUMBER, Question(text="old?"), about="old")
            await asyncio.sleep(timedelta(days=89).total_seconds())
            assert await forget.drop_once() == 0
            await desk.gateway.ask(NUMBER, Question(text="new?"), about="new")
            await asyncio.sleep(timedelta(days=2).total_seconds())
            assert await forget.drop_once() > 0
            (old,) = await desk.ledger.asks_about("old")
            (new,) = await desk.ledger.asks_about("new")
            assert (old.calls[0].prompt, old.calls[0].reply) == (None, None)
            assert old.calls[0].charged_usd > 0
            assert "new?" in (new.calls[0].prompt or "")

    run_virtual(main, in_flight)
