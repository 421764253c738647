"""The broker put together tells people that a trouble of an earlier run is over."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.opening import STREAM_ALARM, DeskOffice, open_alpaca
from roboinvest.brokers.alpaca.stream import AlpacaTradeStream
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.halt_log import HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.desks import HeardAlarms
from tests.fakes.services import context

LONG_S = 10.0


class Closing(HeardAlarms):
    """Says when the last alert is over."""

    def __init__(self, keys: set[str]) -> None:
        super().__init__(open=keys)
        self.closed = asyncio.Event()

    def resolved(self, key: str, message: str) -> None:
        super().resolved(key, message)
        if not self.open:
            self.closed.set()


async def test_keys_that_the_stream_takes_end_the_alert_of_a_run_whose_keys_it_refused(
    access: AlpacaAccess, tmp_path: Path
) -> None:
    in_flight, clock, alarms = InFlight(), SystemClock(), Closing({STREAM_ALARM})
    journal = await SqliteOrderJournal.open(tmp_path / "journal.db", in_flight=in_flight)
    office = DeskOffice(
        instance="sim",
        limits=lambda: "{}",
        may_short=False,
        may_act=lambda _intent: None,
        on_state=lambda _state, _reason: None,
        alarms=alarms,
    )
    opened = open_alpaca(
        access,
        journal,
        HaltLog(tmp_path / "halt.log"),
        office,
        calls_per_minute=600,
        clock=clock,
        rng=random.Random(1),
        in_flight=in_flight,
    )
    services = [child.service for child in opened.children]
    (stream,) = [each for each in services if isinstance(each, AlpacaTradeStream)]
    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
        listening = group.create_task(stream.run(context()))
        await alarms.closed.wait()
        listening.cancel()
    assert alarms.heard == [("resolved", STREAM_ALARM)]
    assert opened.close is not None
    opened.close()
    await journal.close()
