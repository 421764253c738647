"""The run book: every run is counted, and the count only grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, BadSettings
from tests.fakes.clocks import START, ManualClock
from tests.fakes.run_notes import entered, run_note
from tools.backtester.run_book.book import FILE_NAME, RunBook
from tools.backtester.run_book.values import Kin, RunNote


@pytest.fixture
def book(tmp_path: Path) -> Iterator[RunBook]:
    with RunBook.open(tmp_path, ManualClock()) as opened:
        yield opened


def lineage(book: RunBook, note: RunNote) -> int:
    return book.run(book.note(note)).lineage


def test_a_run_comes_back_as_it_was_noted(book: RunBook) -> None:
    note = replace(
        run_note(values={"fast": 10, "width": 0.1}, symbols=("QQQ", "SPY"), sweep="s1"),
        entries=entered([1, 5, 9]),
        fold="2 train",
        report="reports/a.html",
    )
    run = book.run(book.note(note))
    assert (run.at, run.in_holdout, run.evaluation) == (START, False, note.evaluation)
    assert replace(run.note, entries=note.entries) == note
    assert run.note.entries.entries == 3
    assert run.note.entries.hashes.tolist() == note.entries.hashes.tolist()


def test_a_book_that_is_closed_and_opened_again_knows_its_runs(tmp_path: Path) -> None:
    with RunBook.open(tmp_path, ManualClock()) as book:
        first = book.note(run_note())
    with RunBook.open(tmp_path, ManualClock()) as book:
        assert book.run(first).note.strategy == "sma_cross"
        assert book.note(run_note()) == first + 1


def test_there_is_nothing_to_look_at_before_a_book_was_begun(tmp_path: Path) -> None:
    assert RunBook.look(tmp_path, ManualClock()) is None
    with RunBook.open(tmp_path, ManualClock()) as book:
        book.note(run_note())
        looking = RunBook.look(tmp_path, ManualClock())
        assert looking is not None
        with looking:
            assert [run.note.strategy for run in looking.runs()] == ["sma_cross"]


def test_a_run_that_is_not_there_is_named(book: RunBook) -> None:
    with pytest.raises(BadInput, match=r"run 17 is not in .*; see backtest ls"):
        book.run(17)


def test_runs_are_listed_newest_first_and_by_name(book: RunBook) -> None:
    for name in ("a", "b", "a", "c"):
        book.note(run_note(name))
    assert [run.note.strategy for run in book.runs(3)] == ["c", "a", "b"]
    assert [run.id for run in book.runs(10, "a")] == [3, 1]


def test_the_same_evaluation_again_is_no_new_trial(book: RunBook) -> None:
    root = lineage(book, run_note())
    book.note(run_note())
    book.note(run_note(sharpe=0.9))
    assert (len(book.runs()), book.trials(root)) == (3, 1)


@pytest.mark.parametrize(
    "other",
    [
        run_note(values={"fast": 11}),
        run_note(data="other data"),
        run_note(terms="other terms"),
        run_note(first=date(2024, 2, 1)),
        run_note(last=date(2024, 11, 1)),
        run_note(version="1.1"),
        run_note(symbols=("QQQ",)),
    ],
)
def test_whatever_changes_the_result_is_a_trial(book: RunBook, other: RunNote) -> None:
    root = lineage(book, run_note())
    book.note(other)
    assert book.trials(root) == 2


def test_a_new_name_on_the_same_code_does_not_begin_a_new_count(book: RunBook) -> None:
    root = lineage(book, run_note("mine", fingerprint="f"))
    renamed = run_note("yours", fingerprint="f", values={"fast": 11})
    assert lineage(book, renamed) == root
    assert book.trials(root) == 2
    assert book.trials(lineage(book, run_note("yours", fingerprint="f"))) == 2


def test_an_edit_keeps_the_count_by_its_name(book: RunBook) -> None:
    root = lineage(book, run_note("mine", fingerprint="f"))
    assert lineage(book, run_note("mine", fingerprint="g")) == root
    assert lineage(book, run_note("ours", fingerprint="g")) == root
    assert book.trials(root) == 2  # the third is the second, renamed


def test_a_declared_parent_keeps_the_count(book: RunBook) -> None:
    parent = book.note(run_note("mine"))
    child = run_note("other", parent=parent)
    assert lineage(book, child) == book.run(parent).lineage
    with pytest.raises(BadInput, match="run 99, the parent, is not in the run book"):
        book.note(run_note("third", parent=99))
    assert len(book.runs()) == 2


def test_who_renames_and_edits_at_once_is_known_by_behaviour(book: RunBook) -> None:
    days = list(range(0, 300, 3))
    root = lineage(book, run_note("mine", entries=entered(days)))
    same = run_note("other", entries=entered(days[:-20]))
    unlike = run_note("third", entries=entered([day + 1 for day in days]))
    assert lineage(book, same) == root
    assert lineage(book, unlike) != root


def test_a_run_that_starts_later_on_other_data_is_still_known_by_behaviour(book: RunBook) -> None:
    days = list(range(0, 340, 4))
    root = lineage(book, run_note("mine", entries=entered(days)))
    later = [day for day in days if day > 200]
    other = run_note("other", entries=entered(later), first=date(2024, 7, 25), data="from July on")
    assert lineage(book, other) == root


def test_other_symbols_and_hardly_any_entries_prove_nothing(book: RunBook) -> None:
    root = lineage(book, run_note("hold", entries=entered([0])))
    assert lineage(book, run_note("keep", entries=entered([0]))) != root
    days = list(range(50))
    mine = lineage(book, run_note("mine", entries=entered(days)))
    theirs = run_note("theirs", symbols=("QQQ",), entries=entered(days, "QQQ"))
    assert lineage(book, theirs) != mine


def test_lineages_that_turn_out_to_be_one_are_counted_together(book: RunBook) -> None:
    one = lineage(book, run_note("one"))
    two = lineage(book, run_note("two"))
    assert one != two
    bridge = run_note("one", fingerprint=run_note("two").fingerprint, values={"fast": 12})
    assert lineage(book, bridge) == min(one, two)
    assert book.trials(one) == book.trials(two) == 3
    assert lineage(book, run_note("two", values={"fast": 13})) == min(one, two)


def test_the_variance_is_that_of_the_first_sharpe_of_each_trial(book: RunBook) -> None:
    root = lineage(book, run_note(sharpe=0.01))
    assert book.sharpe_variance(root) is None
    book.note(run_note(sharpe=0.9))  # the same trial
    for fast, sharpe in ((11, 0.03), (12, -0.02), (13, None)):
        book.note(run_note(values={"fast": fast}, sharpe=sharpe))
    assert book.trials(root) == 4
    assert book.trial_sharpes(root) == [0.01, 0.03, -0.02]
    assert book.sharpe_variance(root) == pytest.approx(np.var([0.01, 0.03, -0.02], ddof=1))


def test_the_first_run_of_a_book_says_that_nothing_earlier_is_known(tmp_path: Path) -> None:
    words = "no earlier runs are known; the run book was begun on 2026-01-05"
    with RunBook.open(tmp_path, ManualClock()) as book:
        first = book.note(run_note())
        assert book.standing(first).words == (words,)
        book.note(run_note(values={"fast": 11}))
        assert book.standing(first).trials == 2
        assert book.standing(first).words[0].startswith("2 trials of this strategy are known")
    (tmp_path / FILE_NAME).unlink()
    with RunBook.open(tmp_path, ManualClock()) as book:
        assert book.standing(book.note(run_note())).words == (words,)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM runs",
        "DELETE FROM kin",
        "DELETE FROM lineages",
        "DELETE FROM marks",
        "UPDATE runs SET lineage = 2",
        "UPDATE runs SET evaluation = 'x'",
        "UPDATE kin SET lineage = 2",
        "UPDATE lineages SET root = 2 WHERE id = 1",
    ],
)
def test_whoever_opens_the_file_cannot_take_a_run_back(tmp_path: Path, change: str) -> None:
    with RunBook.open(tmp_path, ManualClock()) as book:
        book.note(run_note("a", entries=entered([1, 2, 3])))
        book.note(run_note("b"))
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.IntegrityError, match=r"never|towards"):
        connection.execute(change)
    connection.close()


def test_a_batch_is_noted_whole_or_not_at_all(book: RunBook) -> None:
    with pytest.raises(BadInput):
        book.note_all([run_note("a"), run_note("b"), run_note("c", parent=99)])
    assert book.runs() == ()
    assert book.known_lineage(Kin(strategy="a", fingerprint="")) is None


def test_a_file_that_is_no_run_book_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to look like one" * 9)
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(BadSettings, match="is damaged"):
        RunBook.open(tmp_path, ManualClock())
    assert (tmp_path / FILE_NAME).read_bytes() == before


NOTES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("fgh"), st.integers(1, 3), st.booleans()),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(NOTES)
def test_no_order_of_runs_ever_lowers_a_count(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str, int, bool]]
) -> None:
    """And it is the number of distinct evaluations among all that are joined by name or code."""
    with RunBook.open(tmp_path_factory.mktemp("book"), ManualClock()) as book:
        seen: dict[str, set[str]] = {}  # evaluations by name or code, joined sets shared
        counts: dict[int, int] = {}  # by run
        for name, code, fast, _ in drawn:
            note = run_note(name, fingerprint=code, values={"fast": fast})
            run_id = book.note(note)
            together = seen.get(name, set()) | seen.get(f"code {code}", set())
            together |= {note.evaluation}
            joined = [key for key, value in seen.items() if value & together]
            for key in {*joined, name, f"code {code}"}:
                seen[key] = together
            assert book.standing(run_id).trials == len(together)
            now = {each: book.standing(each).trials for each in (*counts, run_id)}
            assert all(now[each] >= count for each, count in counts.items())
            counts = now
