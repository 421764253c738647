"""Locks are listed from the store and cleared by name, with a daemon away."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from roboinvest.core.protections import EVERYTHING, Lock, LockRule
from roboinvest.trading.locks.book import DOCUMENT, LockBook
from tests.fakes.markets import minute
from tests.fakes.processes import Finished, roboinvest


def lock(rule: LockRule, scope: str = EVERYTHING) -> Lock:
    return Lock(scope=scope, rule=rule, since=minute(0), until=None, text="10.20% below the peak")


@pytest.fixture
def locked(finished: Finished, tmp_path: Path) -> Path:
    """Return a place whose data folder was left with three locks."""
    shutil.copytree(finished.data, tmp_path / "data")
    book = LockBook()
    for one in (
        lock(LockRule.DRAWDOWN),
        lock(LockRule.DAILY_LOSS),
        lock(LockRule.LOW_PROFIT, "AAA"),
    ):
        book.add(one)
    with sqlite3.connect(tmp_path / "data" / "roboinvest.db") as database:
        change = "UPDATE documents SET text = ? WHERE name = ?"
        assert database.execute(change, (book.document(), DOCUMENT)).rowcount == 1
    database.close()
    return tmp_path


def listed(place: Path) -> list[str]:
    found = roboinvest("locks", "ls", "--json", cwd=place).value()
    return [one["name"] for one in found["locks"]]


def test_a_run_without_losses_has_no_lock(finished: Finished) -> None:
    words = roboinvest("locks", "ls", "--data-dir", finished.data, cwd=finished.place)
    assert (words.code, words.out, words.err) == (0, "No lock is in force.\n", "")


def test_locks_are_listed_with_their_reason_and_their_end(locked: Path) -> None:
    assert listed(locked) == ["daily_loss:all", "drawdown:all", "low_profit:AAA"]
    words = roboinvest("locks", "ls", cwd=locked)
    assert "10.20% below the peak" in words.out
    assert "a person clears it" in words.out


def test_a_cleared_lock_is_gone_and_who_did_it_is_recorded(locked: Path) -> None:
    done = roboinvest("locks", "clear", "drawdown:all", cwd=locked)
    assert (done.code, done.err) == (0, "")
    assert "cleared drawdown:all" in done.out
    assert "no daemon runs" in done.out
    assert listed(locked) == ["daily_loss:all", "low_profit:AAA"]
    (record,) = roboinvest("locks", "ls", "--json", cwd=locked).value()["cleared"]
    assert record["name"] == "drawdown:all"
    assert record["by"]
    assert "cleared drawdown:all" in roboinvest("locks", "ls", cwd=locked).out


def test_all_leaves_what_stays_for_the_day(locked: Path) -> None:
    done = roboinvest("locks", "clear", "--all", "--json", cwd=locked).value()
    assert "drawdown:all, low_profit:AAA" in done["text"]
    assert listed(locked) == ["daily_loss:all"]
    refused = roboinvest("locks", "clear", "daily_loss:all", cwd=locked)
    assert refused.code == 5
    assert "stays until the session ends" in refused.err


def test_a_name_that_is_none_and_a_missing_one_are_wrong_arguments(locked: Path) -> None:
    wrong = roboinvest("locks", "clear", "cooldown:ZZZ", cwd=locked)
    assert wrong.code == 2
    assert "in force: daily_loss:all, drawdown:all, low_profit:AAA" in wrong.err
    assert roboinvest("locks", "clear", cwd=locked).code == 2
    assert roboinvest("locks", "clear", "drawdown:all", "--all", cwd=locked).code == 2


def test_before_any_run_there_is_nothing_to_list_or_clear(tmp_path: Path) -> None:
    for command in (("ls",), ("clear", "--all")):
        answer = roboinvest("locks", *command, cwd=tmp_path)
        assert (answer.code, answer.out) == (4, "")
        assert "roboinvest run" in answer.err
    assert not (tmp_path / "data").exists()
