"""Trading under the supervisor: what fails starts again, and no tick is lost or doubled.

An expert raises once; a source of news hangs, and then a source of bars. Each time the tick at hand
comes to nothing, trading starts again from the store, and the day ends as the day without a fault.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.events import AlertRaised, AlertResolved, ServiceFailed, ServiceRecovered
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.market.values import NewsItem
from roboinvest.core.ports import LanguageModel, MarketFeed, NewsSource
from roboinvest.core.quant.expert import StrategyInputs
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.alerting.board import DOCUMENT, AlertBoard
from roboinvest.runtime.alerting.values import Alert
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.supervision.restarts import RestartLimits
from roboinvest.runtime.supervision.service import Child, Group, Restart
from roboinvest.runtime.supervision.supervisor import HouseEnd, Supervisor
from roboinvest.trading.graph import TICK_TIMEOUT_S
from tests.fakes.clocks import LoopClock
from tests.fakes.gambler import gambler
from tests.fakes.town import Town, books_in, run_life
from tests.fakes.virtual_time import run_virtual
from tests.fakes.worlds import invented
from tools.markets import Market

BAD_MINUTES = (17, 52)  # of the run; each is bad once
LATEST_S = TICK_TIMEOUT_S + 20.0


class BadAt:
    """Says when it is time to misbehave: at chosen ticks, once each."""

    def __init__(self, market: Market) -> None:
        days = market.calendar.sessions(
            market.starts_at.date(), market.last_day or market.starts_at.date()
        )
        ticks = [at for session in days for at in session.tick_times(market.timeframe)]
        self.left = {ticks[number - 1] for number in BAD_MINUTES}

    def is_now(self, at: datetime) -> bool:
        if at not in self.left:
            return False
        self.left.discard(at)
        return True


class Raising:
    """A model that has a bug."""

    def __init__(self, model: LanguageModel, bad: BadAt) -> None:
        self._model = model
        self._bad = bad

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        if isinstance(inputs, StrategyInputs) and self._bad.is_now(inputs.at):
            raise ZeroDivisionError("a range of nothing")
        return await self._model.ask(task, inputs)


class HangingNews:
    """A source of news that does not answer."""

    def __init__(self, source: NewsSource, bad: BadAt) -> None:
        self._source = source
        self._bad = bad

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        if self._bad.is_now(until):
            await asyncio.Event().wait()
        return await self._source.published(after, until)


class HangingBars:
    """A source of bars that does not answer."""

    def __init__(self, feed: MarketFeed, bad: BadAt) -> None:
        self._feed = feed
        self._bad = bad

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        if self._bad.is_now(at):
            await asyncio.Event().wait()
        return await self._feed.advance(at, session)


def market() -> Market:
    return replace(invented(3, sessions=2), speed=60.0)  # a tick a second


def faulty(fault: str, town: Town, bad: BadAt) -> None:
    """Put the fault where it belongs."""
    of, model = town.market, gambler()
    town.model = Raising(model, bad) if fault == "an expert raises" else model
    if fault == "news hang":
        town.market = replace(of, news=HangingNews(of.news, bad))
    elif fault == "bars hang":
        town.market = replace(of, new_feed=lambda: HangingBars(of.new_feed(), bad))


def supervised(town: Town, in_flight: InFlight) -> tuple[HouseEnd, tuple[Alert, ...], float]:
    """Let trading run under a supervisor to the end of its market."""

    async def main() -> tuple[HouseEnd, tuple[Alert, ...], float]:
        async with town.store() as store:
            board = AlertBoard(store.put_document)
            about: tuple[type[AlertRaised | AlertResolved], ...] = (AlertRaised, AlertResolved)
            town.bus.subscribe("board", about, board.receive)
            trading = Child(service=town.service(store), restart=Restart.TRANSIENT, essential=True)
            tree = [
                Group(children=(Child(service=town.bus, essential=True),)),
                Group(children=(trading,)),
            ]
            supervisor = Supervisor(
                tree,
                clock=town.clock,
                rng=random.Random(4),
                publish=town.bus.publish,
                limits=RestartLimits(),
            )
            town.on_finish = lambda: supervisor.request_stop("the market ended")
            asyncio.get_running_loop().call_later(3_000, supervisor.request_stop, "too late")
            end = await supervisor.run()
            await board.flush()  # counts are kept within a moment
            again = AlertBoard(store.put_document)
            again.restore(await store.document(DOCUMENT))
            assert again.alerts() == board.alerts()
            return end, board.alerts(), asyncio.get_running_loop().time()

    return run_virtual(main, in_flight)


@pytest.mark.parametrize("fault", ["an expert raises", "news hang", "bars hang"])
def test_trading_survives_a_fault_without_losing_or_doubling_a_tick(
    tmp_path: Path, fault: str
) -> None:
    undisturbed = Town(market=replace(market(), speed=None), folder=tmp_path / "a", model=gambler())
    run_life(undisturbed)
    in_flight = InFlight()
    town = Town(market=market(), folder=tmp_path / "b", clock=LoopClock(), in_flight=in_flight)
    bad = BadAt(town.market)
    faulty(fault, town, bad)

    end, alerts, took_s = supervised(town, in_flight)

    assert (end.exit_code, end.reason, end.abandoned) == (0, "the market ended", ())
    assert bad.left == set(), "the faults happened"
    assert books_in(town.database) == books_in(undisturbed.database)
    failed = town.bus.all_said(ServiceFailed)
    assert [event.service for event in failed] == ["trading"] * len(BAD_MINUTES)
    assert [event.service for event in town.bus.all_said(ServiceRecovered)] == ["trading"] * 2
    assert took_s < 80 + len(BAD_MINUTES) * LATEST_S
    (alert,) = alerts
    assert (alert.key, alert.severity.value) == ("service.trading", "high")
    assert alert.resolved_at is not None
    assert alert.resolved_at - alert.raised_at < timedelta(seconds=20)


def test_a_fault_that_stays_ends_the_house_with_a_critical_alert(tmp_path: Path) -> None:
    in_flight = InFlight()
    town = Town(market=market(), folder=tmp_path, clock=LoopClock(), in_flight=in_flight)
    bad = BadAt(town.market)
    bad.is_now = lambda at: at >= min(bad.left)  # type: ignore[method-assign]
    faulty("an expert raises", town, bad)

    end, alerts, _ = supervised(town, in_flight)

    assert end.exit_code == 70
    assert "ZeroDivisionError" in end.reason
    assert len(books_in(town.database)["ticks"]) == BAD_MINUTES[0] - 1
    assert [(a.key, a.severity.value, a.resolved_at) for a in alerts] == [
        ("service.trading", "critical", None)
    ]
