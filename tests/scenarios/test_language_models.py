"""A house lives through whole days with a language model on loopback, whatever becomes of it.

Each decision says who made it; what the model does not answer in time, in form or for money, the
rules decide, or nothing is wanted; and a recorded day is the same day again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.app.house import House
from roboinvest.core.errors import NotRecorded
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.core.tasks import RULES
from roboinvest.runtime.llm.breaker import CircuitBreaker
from roboinvest.runtime.llm.provider import Trouble
from roboinvest.runtime.llm.seat import Seat
from roboinvest.runtime.llm.silent import SilentProvider
from roboinvest.runtime.llm.spend.prices import ModelPrice
from roboinvest.runtime.llm.watch import ModelWatch
from roboinvest.runtime.prompts.files import default_folder
from tests.fakes.clocks import ManualClock
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.language_models.traders import house_model
from tests.fakes.llm_days import (
    GARBLED,
    KEY,
    MODEL,
    RATES,
    SOURCE,
    TICKS,
    Garbled,
    LlmDay,
    Turning,
    assert_nowhere,
    decided_in,
    echoing_key,
    gossiping_key,
    lived,
    settings_of,
    sources_in,
    write_days,
    write_news,
)
from tests.fakes.stored_runs import StoredRun

GOOD: Final = 20  # ticks that the model decides before it turns
LATE_MS: Final = 1_500  # that a busy machine may add to a deadline
DEADLINE_S: Final = 0.8


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_days(tmp_path_factory.mktemp("bars"))


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}) as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A day that was answered by the model to its end."""

    day: LlmDay
    billed_usd: Decimal
    url: str


@pytest.fixture(scope="module")
def recorded(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded") / "data"
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}) as server:
        day = lived(settings_of(folder, bars, server.url))
        return Recorded(day=day, billed_usd=server.billed_usd, url=server.url)


@pytest.fixture(scope="module")
def ruled(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> LlmDay:
    return lived(settings_of(tmp_path_factory.mktemp("ruled") / "data", bars, None))


def adds_up(day: LlmDay) -> None:
    """See that every tick has its source, and that the summary counts them."""
    sources = day.sources
    told = day.summary["llm"]["by_source"]
    assert day.outcome.exit_code == 0
    assert len(sources) == day.summary["ticks"] == TICKS
    assert told == {source: sources.count(source) for source in set(sources)}
    assert day.book.held == 0


def test_a_day_is_decided_by_the_model_and_paid_to_the_cent(
    recorded: Recorded, ruled: LlmDay
) -> None:
    day = recorded.day
    adds_up(day)
    assert set(day.sources) == {SOURCE}
    assert day.summary["trades"] > 1, "a day without a trade proves little"
    assert day.book.charged_usd == day.book.counted_usd == recorded.billed_usd
    assert day.alerts == []
    adds_up_without_a_ledger(ruled)
    assert decided_in(ruled.folder) != decided_in(day.folder)


def adds_up_without_a_ledger(day: LlmDay) -> None:
    assert day.summary["llm"] == {"calls": TICKS, "cost_usd": 0.0, "by_source": {RULES: TICKS}}
    assert set(day.sources) == {RULES}
    assert not (day.folder / "llm.db").exists()


@pytest.mark.parametrize("bad", GARBLED, ids=lambda bad: bad.name)
def test_a_model_that_turns_in_mid_run_is_given_up_and_the_rules_go_on(
    bad: Garbled, server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    server.script = Turning(house_model(), bad.script, after=GOOD)
    day = lived(settings_of(tmp_path / "data", bars, server.url))
    adds_up(day)
    rest = TICKS - GOOD - len(bad.then)
    assert day.sources == [SOURCE] * GOOD + [*bad.then] + [RULES] * rest
    assert len(server.asked) == GOOD + bad.calls
    assert day.book.charged_usd >= server.billed_usd
    (alert,) = day.alerts
    assert (alert["key"], alert["count"], alert["resolved_at"]) == (f"llm.model.{SOURCE}", 1, None)


def test_the_days_cap_ends_the_models_part_and_not_the_run(
    server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    cap = Decimal("0.006")
    few: dict[str, Any] = {"replay__speed": 60, "reports__interval_s": 5}  # a tick in 5 s
    few |= {"llm__day_cap_usd": cap, "llm__floor_usd": cap, "llm__ceiling_usd": cap}
    price = ("0.15", "0.075", "0.01")  # of words so cheap that little is held for them
    server.set_rates(MODEL, *price)
    names = ("input_usd", "cached_input_usd", "output_usd")
    few["llm__models"] = {MODEL: dict(zip(names, price, strict=True))}
    day = lived(settings_of(tmp_path / "data", bars, server.url, **few))
    adds_up(day)
    asked = day.sources.count(SOURCE)
    assert 1 < asked < TICKS
    assert day.sources == [SOURCE] * asked + [RULES] * (TICKS - asked)
    assert day.book.charged_usd == server.billed_usd <= cap
    assert len(server.asked) == asked
    assert all("is 0.006 USD" in why for why in day.book.reasons(RULES))
    told = [(alert["key"], alert["count"], alert["resolved_at"]) for alert in day.alerts]
    assert told == [("llm.budget.day.soft", 1, None), ("llm.budget.day", 1, None)]


def test_a_server_that_is_killed_is_one_alert_which_ends_when_it_answers_again(
    server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    async def person(_: House) -> None:
        await asyncio.sleep(100.2)  # the day goes by in 390 s, a tick in five
        server.go_down()
        await asyncio.sleep(100.0)
        server.come_back()

    settings = settings_of(
        tmp_path / "data", bars, server.url, replay__speed=60, reports__interval_s=5
    )
    day = lived(settings, beside=person)
    adds_up(day)
    first, last = day.sources.index(RULES), TICKS - day.sources[::-1].index(RULES)
    assert day.sources == [SOURCE] * first + [RULES] * (last - first) + [SOURCE] * (TICKS - last)
    assert first == GOOD
    assert 40 <= last <= 60, "the rests between trials grow: 30, 60, 120 s"
    (alert,) = day.alerts
    assert (alert["key"], alert["count"]) == (f"llm.model.{SOURCE}", 1)
    assert alert["resolved_at"] is not None
    assert "it answers again" in alert["resolution"]


@pytest.mark.parametrize("kind", ["stall_after", "drip"])
def test_a_model_that_never_answers_holds_no_tick_beyond_its_deadline(
    kind: str, server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    server.add_fault(kind=kind, path="chat", count=None, skip=GOOD, drip_s=0.05)
    settings = settings_of(tmp_path / "data", bars, server.url, llm__deadline_s=DEADLINE_S)
    day = lived(settings, really=True)
    adds_up(day)
    assert day.sources == [SOURCE] * GOOD + [RULES] * (TICKS - GOOD)
    assert DEADLINE_S * 1000 <= day.book.slowest_ms < DEADLINE_S * 1000 + LATE_MS
    print(f"{kind}: the slowest ask took {day.book.slowest_ms:.0f} ms, lag {day.lag_p99_ms} ms")
    assert len(server.asked) == GOOD + 3, "three in a row, and it is left alone"
    ((cut,),) = day.book.rows("SELECT count(*) FROM calls WHERE state = 'cut'")
    assert cut == 3
    assert day.book.charged_usd > server.billed_usd, "what was cut is charged its reservation"


def test_a_reply_that_comes_late_for_four_symbols_changes_nothing(
    server: LanguageModelServer, tmp_path: Path
) -> None:
    names = ("AAA", "BBB", "CCC", "DDD")
    bars = write_days(tmp_path, *names)
    ruled = lived(settings_of(tmp_path / "ruled", bars, None))
    server.add_fault(kind="slow", path="chat", count=None, delay_s=0.8)
    settings = settings_of(
        tmp_path / "late", bars, server.url, llm__deadline_s=0.4, replay__speed=9000
    )
    late = lived(settings, really=True)
    adds_up(late)
    assert set(late.sources) == {RULES}
    assert server.billed_calls == 3, "it answered, and nobody was there"
    assert decided_in(late.folder) == decided_in(ruled.folder)
    assert len(decided_in(late.folder)[0]) == len(names)
    orders = "SELECT symbol, side, qty, tick_id FROM orders ORDER BY seq"
    assert StoredRun(late.folder).rows(orders) == StoredRun(ruled.folder).rows(orders)
    assert StoredRun(late.folder).rows(orders), "a day without an order proves little"


def test_a_recorded_day_is_the_same_day_again_without_server_or_key(
    recorded: Recorded, bars: Path, tmp_path: Path
) -> None:
    tape = recorded.day.folder / "llm.db"
    replay = lived(settings_of(tmp_path / "data", bars, recorded.url, llm__replay_from=tape))
    adds_up(replay)
    assert replay.summary["decision_digest"] == recorded.day.summary["decision_digest"]
    assert replay.sources == recorded.day.sources
    assert replay.book.charged_usd == 0
    assert replay.summary["llm"]["cost_usd"] == 0.0


def test_a_bad_day_is_the_same_day_again_too(
    server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    server.script = Turning(house_model(), GARBLED[2].script, after=GOOD)
    bad = lived(settings_of(tmp_path / "bad", bars, server.url))
    server.stop()
    tape = {"llm__replay_from": bad.folder / "llm.db"}
    replay = lived(settings_of(tmp_path / "replay", bars, server.url, **tape))
    assert replay.sources == bad.sources
    assert len(set(replay.sources)) == 3
    assert replay.summary["decision_digest"] == bad.summary["decision_digest"]


def other_prompt(folder: Path) -> Path:
    """Return the program's prompts, with one word more in that of the strategist."""
    for path in default_folder().glob("*/*.md"):
        copy = folder / path.relative_to(default_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        copy.write_text(text.replace("You are the strategist", "You are the careful strategist"))
    return folder


@pytest.mark.parametrize("differs", ["prompt", "symbol", "market", "cash", "model", "damage"])
def test_a_replay_with_an_answer_that_is_missing_ends_at_once_and_says_which(
    differs: str, recorded: Recorded, bars: Path, tmp_path: Path
) -> None:
    tape, prompts = tmp_path / "llm.db", None
    copied(recorded.day.folder / "llm.db", tape)
    typed: dict[str, Any] = {"llm__replay_from": tape}
    match differs:
        case "prompt":
            prompts = other_prompt(tmp_path / "prompts")
        case "symbol":
            bars = write_days(tmp_path, "ZZZ")
        case "market":
            typed["replay__first"] = "2015-12-22"
        case "cash":
            typed["broker__starting_cash_usd"] = 500  # for which it holds fewer shares
        case "model":
            typed["llm__model"] = "gpt-4o"
        case "damage":
            statement = "UPDATE replies SET body = '{}' WHERE rowid = (SELECT max(rowid)"
            changed(tape, f"{statement} FROM replies)")
    with pytest.raises(NotRecorded) as caught:
        lived(settings_of(tmp_path / "data", bars, recorded.url, **typed), prompts=prompts)
    (sentence,) = str(caught.value).splitlines()
    for part in (str(tape), "strategy about 201512", "leave llm.replay_from out"):
        assert part in sentence
    ticks = StoredRun(tmp_path / "data").tick_count()
    assert ticks == (TICKS - 1 if differs == "damage" else ticks) < TICKS
    assert set(sources_in(tmp_path / "data")) <= {SOURCE}, "the rules decided nothing silently"
    assert (ticks == 0) is (differs not in ("cash", "damage"))


def copied(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def test_no_file_of_a_day_holds_the_key_that_the_server_and_the_model_tell(
    server: LanguageModelServer, bars: Path, tmp_path: Path
) -> None:
    stranger = "sk-live-0123456789abcdefABCDEF"
    at = datetime(2015, 12, 23, 14, 40, tzinfo=UTC)
    headline = f"AAA beats estimates and loses its password={stranger}"
    news = write_news(tmp_path / "news.jsonl", "AAA", at, headline)
    server.script = Turning(gossiping_key(house_model()), echoing_key(), after=GOOD)
    day = lived(settings_of(tmp_path / "data", bars, server.url, replay__news_path=news))
    adds_up(day)
    assert day.sources[0] == SOURCE
    assert day.sources[-1] == RULES
    assert "because [redacted] is the key" in str(StoredRun(day.folder).bodies()[0])
    assert day.book.rows("SELECT 1 FROM asks WHERE task = 'read_news'")
    assert any(stranger in str(asked) for asked in server.asked), "it was in a prompt"
    ((told,),) = day.book.rows("SELECT count(*) FROM calls WHERE failure LIKE 'key: %'")
    assert told == 1
    assert assert_nowhere(day.folder, KEY) > 10
    assert stranger.encode() not in (day.folder / "llm.db").read_bytes()


class Heard:
    """Alerts as they are published."""

    def __init__(self) -> None:
        self.said: list[Event] = []

    def keys(self, kind: type[AlertRaised | AlertResolved]) -> list[str]:
        """Return the keys of one kind, and forget everything."""
        found = [event.key for event in self.said if isinstance(event, kind)]
        self.said.clear()
        return found


async def test_what_an_earlier_run_left_open_ends_with_an_answer_and_not_with_a_start() -> None:
    heard, breaker = Heard(), CircuitBreaker(lambda: 0.0)
    provider = SilentProvider(MODEL)
    price = ModelPrice(input_usd=Decimal(1), output_usd=Decimal(1))
    seat = Seat(provider=provider, breaker=breaker, price=price, method="json_schema")
    left_open = [f"model.{SOURCE}", "model.configuration", "budget.day"]
    watch = ModelWatch(
        None, [seat], None, publish=heard.said.append, clock=ManualClock(), left_open=left_open
    )
    await watch.look()
    assert heard.keys(AlertResolved) == ["llm.model.configuration", "llm.budget.day"]
    breaker.failed(Trouble.QUOTA)
    await watch.look()
    assert heard.said == [], "it stands since the run before"
    mended = CircuitBreaker(lambda: 0.0)
    mended.succeeded()
    again = ModelWatch(
        None,
        [replace(seat, breaker=mended)],
        None,
        publish=heard.said.append,
        clock=ManualClock(),
        left_open=left_open[:1],
    )
    await again.look()
    assert heard.keys(AlertResolved) == [f"llm.model.{SOURCE}"]


async def test_an_alert_of_a_model_that_is_not_configured_any_more_is_taken_back() -> None:
    heard = Heard()
    watch = ModelWatch(
        None, [], None, publish=heard.said.append, clock=ManualClock(), left_open=["model.a"]
    )
    await watch.look()
    assert heard.keys(AlertResolved) == ["llm.model.a"]
