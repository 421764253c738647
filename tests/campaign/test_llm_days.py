"""Ten recorded sessions of SPY with a language model, by the program itself, whatever happens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from roboinvest.core.tasks import RULES, SAFE
from tests.fakes.language_models.scripts import SCRIPTS
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.language_models.traders import house_model
from tests.fakes.llm_days import (
    KEY,
    MODEL,
    RATES,
    SOURCE,
    LlmBook,
    assert_nowhere,
    echoing_key,
    environment_of,
    gossiping_key,
    sources_in,
)
from tests.fakes.processes import Daemon, Ended, roboinvest, side_by_side
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

SEED: Final = 20110103
SESSION: Final = 390  # ticks
TICKS: Final = 10 * SESSION
KILLS: Final = 3
LONGEST_S: Final = 240.0  # of a run on a busy machine
DEADLINE_S: Final = 1.0
LATE_MS: Final = 1_500  # that a busy machine may add to a deadline
Spoil = Callable[[LanguageModelServer], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spy:
    """How the sessions are typed."""

    bars: Path

    def typed(self, last: str = "2011-01-14", speed: str = "max") -> tuple[object, ...]:
        """Return the arguments of a run from the first session to `last`."""
        which = ("--source", "pyalgotrade-ninjatrader", "--symbols", "SPY")
        days = ("--from", "2011-01-03", "--to", last, "--speed", speed)
        return ("run", "--replay", self.bars, *which, *days, "--exit-when-done", "--json")


@pytest.fixture(scope="module")
def spy(data_pack: Path) -> Spy:
    return Spy(bars=data_pack / "bars" / "minute_equity.parquet")


@pytest.fixture
def server() -> Iterator[LanguageModelServer]:
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}, key=KEY) as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Ten sessions that nothing happened to."""

    data: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def whole(spy: Spy, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    place = tmp_path_factory.mktemp("whole")
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}, key=KEY) as server:
        ended = a_run(spy, place / "data", environment_of(server.url))
        billed_usd, url = server.billed_usd, server.url
    assert ended.code == 0, ended.err
    print(f"{TICKS} ticks with a model on {url} took {ended.took_s:.1f} s")
    book = LlmBook(place / "data")
    assert (book.held, book.charged_usd, book.counted_usd) == (0, billed_usd, billed_usd)
    return Whole(data=place / "data", summary=ended.value())


def adds_up(ended: Ended, data: Path, ticks: int) -> list[str]:
    """See that a run ended well, and that each tick has its source; return them."""
    assert ended.code == 0, ended.err
    sources = sources_in(data)
    counted = {source: sources.count(source) for source in set(sources)}
    assert ended.value()["llm"]["by_source"] == counted
    assert len(sources) == ended.value()["ticks"] == ticks
    return sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """Ten sessions that were killed, and what the server says of them."""

    ended: Ended
    billed_calls: int
    billed_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The same ten sessions in other ways; each in a folder by its name."""

    place: Path
    ruled: Ended
    replayed: Ended
    killed: Killed


@pytest.fixture(scope="module")
def others(whole: Whole, spy: Spy, tmp_path_factory: pytest.TempPathFactory) -> Others:
    place = tmp_path_factory.mktemp("others")

    def ruled() -> Ended:
        env = {"ROBOINVEST_MEMORY__CHROMA": "off"}
        return a_run(spy, place / "ruled", env)

    def replayed() -> Ended:
        env = environment_of("http://127.0.0.1:9/v1", llm__replay_from=whole.data / "llm.db")
        env["OPENAI_API_KEY"] = ""
        return a_run(spy, place / "replayed", env)

    killed_day, ruled_day, replayed_day = side_by_side(
        (partial(killed, spy, place), ruled, replayed)
    )
    assert isinstance(killed_day, Killed)
    assert isinstance(ruled_day, Ended)
    assert isinstance(replayed_day, Ended)
    return Others(place=place, ruled=ruled_day, replayed=replayed_day, killed=killed_day)


def a_run(spy: Spy, data: Path, env: dict[str, str]) -> Ended:
    """Live the ten sessions in a folder, or what is left of them, to their end."""
    typed = (*spy.typed(), "--data-dir", data)
    return roboinvest(*typed, cwd=data.parent, env=env, timeout_s=LONGEST_S)


def killed(spy: Spy, place: Path) -> Killed:
    """Live the sessions with a model, and be killed some times."""
    data, chance = place / "killed", random.Random(SEED)
    ticks = sorted(chance.sample(range(50, TICKS - 200), KILLS))
    print(f"killed after ticks {ticks}, drawn with seed {SEED}")
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}, key=KEY) as server:
        env = environment_of(server.url)
        for tick in ticks:
            with Daemon(data, *spy.typed(), cwd=place, env=env) as daemon:
                daemon.until_tick(tick, LONGEST_S)
                assert daemon.lives_on_for(chance.uniform(0.0, 0.05))
                daemon.kill()
        ended = a_run(spy, data, env)
        return Killed(ended=ended, billed_calls=server.billed_calls, billed_usd=server.billed_usd)


def test_ten_sessions_are_decided_by_the_model_or_by_the_rules(
    whole: Whole, others: Others
) -> None:
    assert whole.summary["llm"]["by_source"] == {SOURCE: TICKS}
    assert (whole.summary["sessions"], whole.summary["ticks"]) == (10, TICKS)
    assert whole.summary["trades"] > 10
    data, ended = others.place / "ruled", others.ruled
    assert set(adds_up(ended, data, TICKS)) == {RULES}
    assert not (data / "llm.db").exists()
    assert ended.value()["decision_digest"] != whole.summary["decision_digest"]


def test_ten_recorded_sessions_replay_offline_to_the_same_digest(
    whole: Whole, others: Others
) -> None:
    data, ended = others.place / "replayed", others.replayed
    assert set(adds_up(ended, data, TICKS)) == {SOURCE}
    assert ended.value()["decision_digest"] == whole.summary["decision_digest"]
    assert LlmBook(data).charged_usd == 0


def test_a_killed_day_ends_as_the_uncut_one_and_pays_for_no_answer_twice(
    whole: Whole, others: Others
) -> None:
    data, day = others.place / "killed", others.killed
    book = LlmBook(data)
    assert set(adds_up(day.ended, data, TICKS)) == {SOURCE}
    assert day.ended.value()["decision_digest"] == whole.summary["decision_digest"]
    assert book.held == 0
    assert TICKS <= day.billed_calls <= TICKS + KILLS, "asked again is what was under way"
    twice = book.rows("SELECT about FROM calls GROUP BY about HAVING count(*) > 1")
    states = book.rows("SELECT state, count(*) FROM calls GROUP BY state")
    print(f"asked again: {twice}; calls: {states}")
    assert len(twice) <= KILLS
    answered = "SELECT about FROM calls WHERE state = 'settled' GROUP BY about HAVING count(*) > 1"
    assert book.rows(answered) == [], "what was settled was recorded with it"
    unheard_usd = day.billed_usd - book.counted_usd
    assert 0 <= unheard_usd <= book.charged_usd - book.counted_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """What happens to the server in the middle of a run, and who may decide afterwards."""

    name: str
    spoil: Spoil
    sources: frozenset[str] = frozenset({SOURCE, RULES})
    cap_usd: float = 50.0


def turned(name: str, **arguments: Any) -> Spoil:
    return lambda server: setattr(server, "script", SCRIPTS[name](**arguments))


def planted(kind: str) -> Spoil:
    return lambda server: server.add_fault(kind=kind, path="chat", count=None, drip_s=0.2)


SPOILT: Final = (
    Spoilt(name="killed", spoil=LanguageModelServer.go_down),
    Spoilt(name="stalled", spoil=planted("stall_after")),
    Spoilt(name="dripping", spoil=planted("drip")),
    Spoilt(name="resetting", spoil=planted("reset_after")),
    Spoilt(name="not JSON", spoil=turned("garbage")),
    Spoilt(name="prose", spoil=turned("prose"), sources=frozenset({SOURCE, SAFE, RULES})),
    Spoilt(name="500", spoil=turned("server_error")),
    Spoilt(name="429", spoil=turned("rate_limited", retry_after="3600")),
    Spoilt(name="no money", spoil=turned("insufficient_quota")),
    Spoilt(name="own cap", spoil=lambda server: None, cap_usd=0.03),
)


def spoilt_day(spoilt: Spoilt, spy: Spy, place: Path) -> None:
    """Live a session with a server that is spoilt in the middle."""
    data, last = place / spoilt.name.replace(" ", "-"), "2011-01-03"
    caps = {f"llm__{name}_usd": spoilt.cap_usd for name in ("day_cap", "ceiling")}
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}, key=KEY) as server:
        env = environment_of(server.url, llm__deadline_s=DEADLINE_S, **caps)
        with Daemon(data, *spy.typed(last), cwd=place, env=env) as daemon:
            daemon.until_tick(100)
            spoilt.spoil(server)
            ended = daemon.ended(LONGEST_S)
        billed_usd = server.billed_usd
    sources, book = adds_up(ended, data, SESSION), LlmBook(data)
    assert set(sources) == spoilt.sources, spoilt.name
    assert sources[:100] == [SOURCE] * 100
    assert sources[-1] == RULES
    assert book.held == 0
    assert book.charged_usd >= billed_usd
    assert book.slowest_ms < DEADLINE_S * 1000 + LATE_MS, spoilt.name
    mine = alerts_in(data)
    assert {each["count"] for each in mine} == {1}, spoilt.name
    assert len(mine) == 1 or spoilt.name == "own cap", "which is told when it is near, and when met"
    print(
        f"{spoilt.name}: {ended.took_s:.1f} s, {sources.count(SOURCE)} by the model, slowest ask "
        f"{book.slowest_ms:.0f} ms; {mine[0]['message']}"
    )


def outage(spy: Spy, place: Path) -> None:
    """Live a session at the pace of a daemon, with a server that hangs for a while."""
    data = place / "outage"
    with LanguageModelServer(script=house_model(), rates={MODEL: RATES}, key=KEY) as server:
        env = environment_of(server.url, llm__deadline_s=DEADLINE_S)
        with Daemon(data, *spy.typed("2011-01-03", "500"), cwd=place, env=env) as daemon:
            daemon.until_tick(10)
            server.add_fault(kind="stall", path="chat", count=None)
            daemon.until_event("alert_raised", 20.0, key=f"llm.model.{SOURCE}")
            server.clear_faults()
            daemon.until_event("alert_resolved", 60.0, key=f"llm.model.{SOURCE}")
            status = daemon.report("system_status")
            ended = daemon.ended(LONGEST_S)
    sources = adds_up(ended, data, SESSION)
    assert sources[0] == sources[-1] == SOURCE
    assert LlmBook(data).slowest_ms < DEADLINE_S * 1000 + LATE_MS
    assert status is not None
    lag_ms = status["process"]["loop_lag_p99_ms"]
    print(f"outage: {sources.count(RULES)} ticks by rules; the loop's lag p99 {lag_ms:.0f} ms")
    assert RULES in sources
    assert lag_ms < DEADLINE_S * 1000
    (alert,) = alerts_in(data)
    assert (alert["count"], alert["resolved_at"] is not None) == (1, True)


def alerts_in(data: Path) -> list[dict[str, Any]]:
    report = json.loads((data / "reports" / "alerts.json").read_text())
    return [each for each in report["alerts"] if each["key"].startswith("llm.")]


def test_whatever_becomes_of_the_server_the_run_goes_on_and_says_who_decided(
    spy: Spy, tmp_path: Path
) -> None:
    days = (partial(spoilt_day, each, spy, tmp_path) for each in SPOILT)
    lived = side_by_side((partial(outage, spy, tmp_path), *days))
    assert len(lived) == 1 + len(SPOILT)


def test_the_key_is_in_no_file_and_no_output_whoever_tells_it(
    spy: Spy, server: LanguageModelServer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server.script = gossiping_key(house_model())
    env = {**environment_of(server.url), "ROBOINVEST_LOGGING__LEVEL": "debug"}
    with Daemon(data, *spy.typed("2011-01-03"), cwd=tmp_path, env=env) as daemon:
        daemon.until_tick(100)
        server.script = echoing_key()
        ended = daemon.ended(60.0)
    sources = adds_up(ended, data, SESSION)
    assert set(sources) == {SOURCE, RULES}
    typed = (("status",), ("doctor",), ("explain", "last", "--full"), ("trades", "--json"))
    said = [roboinvest(*w, "--data-dir", data, cwd=tmp_path, env=env) for w in typed]
    assert KEY not in "".join(each.out + each.err for each in (*said, ended))
    assert "because [redacted] is the key" in str(StoredRun(data).bodies()[0])
    print(f"{assert_nowhere(tmp_path, KEY)} files without the key")
