"""An agent's own past over a restart: whole, small, faded by the time away, or begun anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.core.oversight.history import OLDEST_S, VERSION, AgentHistory
from roboinvest.core.oversight.vitals import MAX_COUNTERS, MAX_GAUGES, Vitals
from roboinvest.core.oversight.windows import DAY_S, RELATIVE_ERROR
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.histories import SCHEMA, AgentHistories
from tests.fakes.clocks import START

MINUTE = 60.0


def a_day(until: float = DAY_S) -> Vitals:
    """Return the pulse of an agent that worked for a day: 1 of 20 calls fails, each takes 0.2 s."""
    vitals = Vitals(0.0)
    at = 0.0
    while at < until:
        at += MINUTE
        vitals.progressed(at)
        vitals.gauge("queue", 5.0 + at % 7, at)
        vitals.counter("trades", 2.0, at)
        if int(at // MINUTE) % 20 == 0:
            vitals.failed(at, "Slow", 0.2)
        else:
            vitals.succeeded(at, 0.2)
    return vitals


@pytest.fixture(scope="module")
def past() -> AgentHistory:
    return a_day().history(DAY_S)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OverseerFile]:
    with OverseerFile.open(tmp_path / FILE_NAME, schemas=(SCHEMA,)) as file:
        yield file


@pytest.mark.parametrize("away_s", [0.0, 3600.0, DAY_S])
def test_what_is_usual_is_known_at_once_and_the_day_has_faded_by_the_time_away(
    past: AgentHistory, away_s: float
) -> None:
    before = a_day().snapshot(DAY_S)
    vitals = Vitals(100.0)  # the clock of another process
    vitals.recall(past, 100.0, away_s)
    vitals.succeeded(110.0, 0.2)
    vitals.gauge("queue", 6.0, 110.0)
    found = vitals.snapshot(120.0)
    assert found.calls == 1  # the last ten minutes are those of this process
    assert found.usual_error_frac == pytest.approx(before.usual_error_frac, rel=0.02)
    assert found.latency is not None
    assert found.latency.usual_p50_s == pytest.approx(0.2, rel=RELATIVE_ERROR)
    assert found.age_s == pytest.approx(DAY_S + away_s + 20.0)
    assert found.longest_gap_s == before.longest_gap_s
    counter, gauge = found.counters[0], found.gauges[0]
    assert (counter.lately, gauge.value) == (0.0, 6.0)
    assert counter.usual_per_hour == pytest.approx(
        before.counters[0].usual_per_hour * 0.5 ** (away_s / DAY_S), rel=0.45
    )
    assert gauge.usual == pytest.approx(before.gauges[0].usual, rel=0.05)
    later = vitals.history(120.0)
    assert later.calls == pytest.approx(past.calls * 0.5 ** (away_s / DAY_S) + 1, rel=0.01)


def test_who_was_only_remembered_says_nothing_of_the_present(past: AgentHistory) -> None:
    vitals = Vitals(0.0)
    vitals.recall(past, 0.0, 60.0)
    found = vitals.snapshot(10.0)
    assert (found.latency, found.gauges, found.calls) == (None, (), 0)
    assert found.silent_s == 10.0  # nobody counts as silent because the house was away


def test_a_past_that_is_handed_on_twice_is_the_same_past(past: AgentHistory) -> None:
    vitals = Vitals(5.0)
    vitals.recall(past, 5.0, 0.0)
    again = vitals.history(5.0)
    assert again.paces == past.paces
    assert again.gap == pytest.approx(past.gap)
    assert again.gauges["queue"] == pytest.approx(past.gauges["queue"])


def test_the_busiest_agent_takes_less_than_ten_kilobytes(file: OverseerFile) -> None:
    vitals = Vitals(0.0)
    for number in range(4000):
        at = number * 37.0
        vitals.progressed(at)
        vitals.succeeded(at, 1e-4 * 1.01 ** (number % 1700))
        for each in range(MAX_GAUGES):
            vitals.gauge(f"a gauge with a long name {each}", number / 3.0, at)
        for each in range(MAX_COUNTERS):
            vitals.counter(f"a counter with a long name {each}", number / 7.0, at)
    AgentHistories(file).write({"a": vitals.history(4000 * 37.0)}, START)
    with closing(sqlite3.connect(file.path)) as db:
        (size,) = db.execute("SELECT length(history) FROM agent_histories").fetchone()
    assert size < 6_000


def test_what_is_written_is_read_and_a_later_row_stands(
    file: OverseerFile, past: AgentHistory
) -> None:
    rows = AgentHistories(file)
    rows.write({f"a{number}": past for number in range(1200)}, START)
    rows.write({"a7": past}, START + timedelta(hours=1))
    found = rows.read(START + timedelta(hours=2))
    assert (len(found.histories), found.damaged) == (1200, 0)
    assert found.histories["a7"] == (START + timedelta(hours=1), past)


@pytest.mark.parametrize(
    "damage",
    [
        "history = 'no JSON'",
        "history = '{}'",
        "history = json_set(history, '$.calls', -1)",
        "history = json_set(history, '$.gap[2]', 'x')",
        "history = json_set(history, '$.paces', json('[[96, 1.0]]'))",
        "history = json_set(history, '$.age_s', 1e300)",
        f"version = {VERSION + 1}",
        "at = 'yesterday'",
    ],
)
def test_a_damaged_row_is_passed_over_and_counted(
    file: OverseerFile, past: AgentHistory, damage: str
) -> None:
    rows = AgentHistories(file)
    rows.write({"good": past, "bad": past}, START)
    file.write(lambda db: db.execute(f"UPDATE agent_histories SET {damage} WHERE agent = 'bad'"))  # noqa: S608 ours
    found = rows.read(START)
    assert (set(found.histories), found.damaged) == ({"good"}, 1)


def test_a_past_of_long_ago_says_nothing_and_goes(file: OverseerFile, past: AgentHistory) -> None:
    rows = AgentHistories(file)
    rows.write({"old": past}, START)
    later = START + timedelta(seconds=OLDEST_S + 60)
    assert rows.read(later).histories == {}
    rows.write({"new": past}, later)
    rows.forget(later)
    assert set(rows.read(START).histories) == {"new"}
