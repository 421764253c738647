"""What stands behind the ports of a meeting: dials, caps, quarantine, the log and the reports."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from meta_agents.meeting.facts import digest_of, report_facts
from meta_agents.meeting.hands import Dial, LlmCapHand, QuarantineHand, TunedHand
from meta_agents.meeting.ports import Order
from meta_agents.meeting.sources import JsonFolder, LogInThreads, ReportFiles
from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.oversight.decisions import Act
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.log_tail import LogTail
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.meeting_schema import SCHEMA
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.oversight.tuned import TunedValues
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus
from tests.fakes.clocks import START
from tests.fakes.virtual_time import run_virtual


def order(act: Act, subject: str, value: str) -> Order:
    return Order(
        decision_id="m1.1",
        act=act,
        subject=subject,
        value=value,
        why="governance m1.1",
        by="governance",
        at=START,
    )


@contextmanager
def threads_of(in_flight: InFlight) -> Iterator[Threads]:
    with ThreadPoolExecutor(1) as pool:
        yield Threads(pool, in_flight)


def run(work: Callable[[Threads], Awaitable[Any]]) -> Any:
    in_flight = InFlight()

    async def main() -> Any:
        with threads_of(in_flight) as threads:
            return await work(threads)

    return run_virtual(main, in_flight)


def test_a_dial_is_turned_inside_its_bounds_and_kept(tmp_path: Path) -> None:
    heard: list[tuple[str, Decimal]] = []

    async def tell(subject: str, value: Decimal) -> None:
        heard.append((subject, value))

    async def work(threads: Threads) -> None:
        with OverseerFile.open(tmp_path / FILE_NAME, schemas=[SCHEMA]) as file:
            dials = {"alpha": Dial(start=Decimal(900), least=Decimal(60), most=Decimal(7200))}
            hand = TunedHand(Act.SET_INTERVAL, TunedValues(file), dials, threads, tell)
            (knob,) = await hand.knobs()
            assert (knob.value, knob.text) == (900, '"900"')
            for value in ('"59"', '"7201"', '"NaN"'):
                with pytest.raises((Refused, BadInput)):
                    await hand.put(order(Act.SET_INTERVAL, "alpha", value))
            with pytest.raises(Refused):
                await hand.put(order(Act.SET_INTERVAL, "beta", '"900"'))
            await hand.put(order(Act.SET_INTERVAL, "alpha", '"1800"'))
            assert await hand.standing("alpha") == '"1800"'
            assert await hand.standing("beta") is None
            narrower = {"alpha": Dial(start=Decimal(9), least=Decimal(1), most=Decimal(100))}
            later = TunedHand(Act.SET_INTERVAL, TunedValues(file), narrower, threads)
            assert await later.standing("alpha") == '"100"'  # bounds of whoever goes by it win

    run(work)
    assert heard == [("alpha", Decimal(1800))]


def test_the_cap_moves_between_floor_and_ceiling_and_the_ceiling_by_hand() -> None:
    class Book:
        cap = Decimal("0.10")

        async def set_day_cap(self, usd: Decimal, reason: str, at: datetime) -> object:
            assert "m1.1" in reason
            self.cap = usd
            return None

    book = Book()

    async def read() -> Decimal:
        return book.cap

    async def work(threads: Threads) -> None:
        hand = LlmCapHand(book, read, floor_usd=Decimal("0.02"), ceiling_usd=Decimal(1))
        cap, ceiling = await hand.knobs()
        assert (cap.is_by_hand, ceiling.is_by_hand) == (False, True)
        for value in ('"0.01"', '"1.01"'):
            with pytest.raises(Refused):
                await hand.put(order(Act.SET_LLM_CAP, "llm_day", value))
        with pytest.raises(Refused):
            await hand.put(order(Act.SET_LLM_CEILING, "llm_day", '"0.5"'))
        await hand.put(order(Act.SET_LLM_CAP, "llm_day", '"0.5"'))
        assert await hand.standing("llm_day") == '"0.5"'

    run(work)


def test_an_essential_or_spared_service_is_never_offered() -> None:
    class House:
        held: set[str]

        def __init__(self) -> None:
            self.held = set()

        def quarantine(self, name: str) -> None:
            self.held.add(name)

        def release(self, name: str) -> None:
            self.held.discard(name)

        def statuses(self) -> tuple[ServiceStatus, ...]:
            return tuple(
                ServiceStatus(
                    name=name,
                    state=ServiceState.QUARANTINED if name in self.held else ServiceState.RUNNING,
                    essential=name == "trading",
                    restarts=0,
                    last_error=None,
                    beats=1,
                    last_beat_age_s=0.0,
                )
                for name in ("trading", "overseer", "news")
            )

    house = House()

    async def work(threads: Threads) -> None:
        hand = QuarantineHand(house, frozenset({"overseer"}))
        assert [each.subject for each in await hand.knobs()] == ["news"]
        with pytest.raises(Refused):
            await hand.put(order(Act.QUARANTINE, "overseer", "true"))
        await hand.put(order(Act.QUARANTINE, "news", "true"))
        assert await hand.standing("news") == "true"
        await hand.put(order(Act.QUARANTINE, "news", "false"))
        assert await hand.standing("news") == "false"
        assert await hand.standing("nobody") is None

    run(work)


def test_the_log_is_read_over_a_rotation_and_from_a_torn_mark(tmp_path: Path) -> None:
    log = tmp_path / "roboinvest.jsonl"

    def line(event: str) -> str:
        return json.dumps({"ts": "x", "level": "error", "event": event}) + "\n"

    log.write_text(line("one") + "no json\n")

    async def work(threads: Threads) -> None:
        source = LogInThreads(LogTail(log), threads)
        first = await source.since(None)
        assert ([each["event"] for each in first.records], first.skipped) == (["one"], 1)
        with log.open("a") as out:
            out.write(line("two"))
        log.rename(tmp_path / "roboinvest.jsonl.1")
        log.write_text(line("three"))
        second = await source.since(first.mark)
        assert [each["event"] for each in second.records] == ["two", "three"]
        torn = await source.since("{torn")
        assert len(torn.records) == 3

    run(work)


def test_the_newest_report_is_read_and_a_torn_one_is_told(tmp_path: Path) -> None:
    def report(day: str, **fields: Any) -> None:
        told = {"date": day, "system_health": {"total_agents": 3, "healthy_agents": None}, **fields}
        (tmp_path / f"daily_report_{day}.json").write_text(json.dumps(told))

    async def work(threads: Threads) -> None:
        reports = ReportFiles(tmp_path, threads)
        assert await reports.newest() is None
        report("2026-01-03")
        trading = {"start_equity": "1000", "result_usd": 5, "day": {"total_return": 0.01}}
        report("2026-01-04", trading_result=trading, recommendations=["<b>do</b>", {"a": 1}])
        found = await reports.newest()
        assert found is not None
        assert (found.date, found.total_agents, found.benchmark_usd) == ("2026-01-04", 3, 10.0)
        assert found.recommendations[0] == "do"
        (tmp_path / "daily_report_2026-01-05.json").write_text('{"date": ')
        with pytest.raises(BadInput):
            await reports.newest()

    run(work)


@pytest.mark.parametrize(
    "fields",
    [
        {"date": "today"},
        {"system_health": {"total_agents": -1}},
        {"trading_result": {"result_usd": "NaN"}},
        {"agents": [{"name": "x y", "status": "failing"}]},
        {"agents": [{"name": "x", "status": "asleep"}]},
        {"recommendations": "buy"},
    ],
)
def test_a_report_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        report_facts(json.dumps({"date": "2026-01-04", **fields}))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def work(threads: Threads) -> None:
        await JsonFolder(tmp_path / "shown", threads).show("a", "{}")
        with pytest.raises(TryLater):
            await JsonFolder(tmp_path / "file", threads).show("a", "{}")

    run(work)
    assert (tmp_path / "shown" / "a.json").read_text() == "{}\n"


def test_odd_records_are_counted_and_not_believed() -> None:
    odd: list[dict[str, Any]] = [
        {"level": "error", "event": "a_b", "agent": "alpha"},
        {"level": "error", "event": "a_b", "agent": "mallory"},
        {"level": ["error"], "event": {"x": 1}},
        {"level": "error", "event": 7, "agent": ["alpha"], "error": {"x": 1}},
        {},
    ]
    found = digest_of(odd, {"alpha"})
    assert found.events == {"alpha:a_b": 1, "a_b": 1, "other": 1}
    assert (found.lines, found.levels, found.quotes) == (5, {"error": 3, "other": 2}, ())
