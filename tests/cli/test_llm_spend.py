"""`llm spend` reads the ledger's file, whether anybody writes to it or not, and changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.caps import SpendCaps
from roboinvest.runtime.llm.spend.days import exchange_day
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from tests.fakes.processes import roboinvest
from tests.fakes.spending import a_call, paid

CAPS = SpendCaps(
    day_usd=Decimal("0.50"),
    day_ceiling_usd=Decimal("1.00"),
    call_usd=Decimal("0.20"),
    month_usd=Decimal("10.00"),
)
NOW = SystemClock().now()


def run(work: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(work)


async def opened(path: Path) -> SpendLedger:
    return await SpendLedger.open(
        path, CAPS, in_flight=InFlight(), clock=SystemClock(), recover=True
    )


async def spent(path: Path) -> SpendLedger:
    """Return a ledger with five calls of today and one of last week in it, two of them open."""
    ledger = await opened(path)
    calls = [
        a_call(0, at=NOW),
        a_call(1, at=NOW, agent="reader", task="read"),
        a_call(2, at=NOW, agent="reader", task="read", model="other-model"),
        a_call(3, at=NOW),
        a_call(4, at=NOW),
        a_call(5, at=NOW - timedelta(days=7)),
    ]
    for call in calls:
        await ledger.reserve(call)
    await ledger.settle("c0", paid("0.0123"))
    await ledger.settle("c1", paid(None, counted=False))
    await ledger.cut("c2", "cancelled at its deadline")
    await ledger.release("c3", "connection refused")
    await ledger.set_day_cap(Decimal("0.60"), "the last session gained 30.00 USD", NOW)
    return ledger


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a place whose data folder was left with calls in its ledger."""
    (tmp_path / "data").mkdir()

    async def leave() -> None:
        await (await spent(tmp_path / "data" / "llm.db")).close()

    run(leave())
    return tmp_path


def test_before_any_call_there_is_nothing_to_show(tmp_path: Path) -> None:
    answer = roboinvest("llm", "spend", cwd=tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert "does not exist yet: no language model was asked" in answer.refusal()
    assert not (tmp_path / "data").exists()


def test_figures_caps_and_moves_are_one_json_value(place: Path) -> None:
    found = roboinvest("llm", "spend", "--by", "agent", "--json", cwd=place).value()
    reader, strategist = found["lines"]
    assert (reader["name"], reader["calls"], reader["cost_usd"]) == ("reader", 2, "0.2")
    assert (reader["estimated_usd"], reader["cut_usd"], reader["settled_usd"]) == (
        "0.1",
        "0.1",
        "0",
    )
    assert (strategist["calls"], strategist["settled_usd"]) == (4, "0.0123")
    assert (strategist["reserved_usd"], strategist["released"]) == ("0.2", 1)
    assert (strategist["input_tokens"], strategist["cached_tokens"]) == (1000, 100)
    standing = found["standing"]
    assert standing["day"] == exchange_day(NOW).isoformat()
    caps = {(cap["cap"], cap["name"]): cap for cap in standing["caps"]}
    day = caps["day", ""]
    assert (day["cap_usd"], day["spent_usd"], day["reserved_usd"]) == ("0.6", "0.2123", "0.1")
    assert (day["left_usd"], day["is_stopped"]) == ("0.2877", False)
    assert set(caps) == {("call", ""), ("day", ""), ("month", "")}
    assert [move["reason"] for move in standing["moves"]] == [
        "the last session gained 30.00 USD",
        "as the settings say",
    ]


def test_a_person_reads_a_table_the_caps_and_the_reasons(place: Path) -> None:
    words = roboinvest("llm", "spend", "--by", "model", cwd=place)
    assert (words.code, words.err) == (0, "")
    assert "Spent by model" in words.out
    assert "other-model" in words.out
    (total,) = [line.split() for line in words.out.splitlines() if line.strip().startswith("all")]
    assert total == [
        *("all", "6", "1000", "100", "50"),
        *("0.2123", "0.0123", "0.1000", "0.1000", "0.2000", "1"),
    ]
    assert "the day's cap is 0.60 USD, 0.2123 are spent and 0.10 are reserved" in words.out
    assert "from 0.50 to 0.60 USD: the last session gained 30.00 USD" in words.out


def test_since_leaves_out_what_was_before(place: Path) -> None:
    day = exchange_day(NOW).isoformat()
    found = roboinvest("llm", "spend", "--since", day, "--json", cwd=place).value()
    assert [line["name"] for line in found["lines"]] == [day]
    assert len(roboinvest("llm", "spend", "--json", cwd=place).value()["lines"]) == 2
    assert "No call was made." in roboinvest("llm", "spend", "--since", "2999-01-01", cwd=place).out
    wrong = roboinvest("llm", "spend", "--since", "yesterday", cwd=place)
    assert wrong.code == 2
    assert "--since yesterday is no day; write it as 2026-01-02" in wrong.refusal()


async def test_it_looks_on_while_a_daemon_writes_and_leaves_its_calls_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "llm.db"
    ledger = await spent(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # in the middle of a commit
        found = roboinvest("llm", "spend", "--by", "task", "--json", cwd=tmp_path).value()
        other.execute("ROLLBACK")
    assert [line["name"] for line in found["lines"]] == ["decide", "read"]
    assert await ledger.settle("c4", paid("0.01")) == Decimal("0.01")
    await ledger.close()


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "llm.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE ticks (tick_id TEXT)")
    refused = roboinvest("llm", "spend", cwd=tmp_path)
    assert refused.code == 3
    assert "database of another program, and no spend ledger" in refused.refusal()
    path.write_text("this is a letter\n" * 500)
    assert "is damaged" in roboinvest("llm", "spend", cwd=tmp_path).refusal()
    path.write_bytes(b"")
    assert roboinvest("llm", "spend", cwd=tmp_path).code == 4


def test_a_cap_that_was_lowered_below_what_is_spent_says_that_calls_are_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()

    async def lowered() -> None:
        ledger = await spent(tmp_path / "data" / "llm.db")
        await ledger.set_day_cap(Decimal("0.10"), "down 1.20% today", NOW)
        await ledger.close()

    run(lowered())
    words = roboinvest("llm", "spend", cwd=tmp_path).out
    assert "the day's cap is 0.10 USD, 0.2123 are spent" in words
    assert "calls are refused, and the rules answer" in words
