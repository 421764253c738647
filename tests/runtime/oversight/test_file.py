from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, BadSettings, Refused, RoboInvestError, TryLater
from roboinvest.core.oversight.healing_record import ActionEnd, Rung, Verdict
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from tests.fakes.clocks import START
from tests.fakes.heal_attempts import an_attempt

OTHERS = "CREATE TABLE IF NOT EXISTS meetings (at TEXT) STRICT;"


def one_sentence(error: RoboInvestError) -> bool:
    return "\n" not in str(error) and len(str(error)) > 40


def test_an_attempt_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)
        begun = an_attempt(1, Rung.DEGRADE)
        attempts.begin(begun)
        assert attempts.open() == (begun,)
        attempts.acted("h1", ActionEnd.RETURNED, "done")
        at = START + timedelta(minutes=9)
        attempts.settle("h1", Verdict.HEALED, "0.1", metric_after=0.1, at=at)
        ended = replace(
            begun,
            action="done",
            action_end=ActionEnd.RETURNED,
            verdict=Verdict.HEALED,
            reason="0.1",
            metric_after=0.1,
            settled_at=at,
        )
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)
        assert attempts.get("h1") == ended
        assert attempts.newest() == attempts.newest(agent="a") == (ended,)
        assert attempts.newest(agent="b") == attempts.open() == ()
        assert attempts.since(START + timedelta(minutes=2)) == ()


def test_nothing_is_called_healed_that_was_not_measured_or_did_not_return(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)
        attempts.begin(an_attempt(1))
        for end, after in ((ActionEnd.HUNG, 0.1), (ActionEnd.RETURNED, None)):
            attempts.acted("h1", end, "")
            with pytest.raises(Refused, match="was not written to"):
                attempts.settle("h1", Verdict.HEALED, "", metric_after=after, at=START)
        assert attempts.get("h1").verdict is None


def test_what_was_measured_stays_measured(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)
        attempts.begin(an_attempt(1))
        attempts.settle("h1", Verdict.NOT_HEALED, "0.9", metric_after=0.9, at=START)
        with pytest.raises(Refused, match="no open attempt h1"):
            attempts.settle("h1", Verdict.UNKNOWN, "", metric_after=None, at=START)
        with pytest.raises(Refused, match="what was measured stays measured"):
            file.write(lambda db: db.execute("UPDATE heal_attempts SET verdict = 'healed'"))
        with pytest.raises(Refused, match="attempts to heal stay"):
            file.write(lambda db: db.execute("DELETE FROM heal_attempts"))


def test_an_agent_has_one_open_attempt_and_an_id_is_used_once(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)
        attempts.begin(an_attempt(1))
        attempts.begin(an_attempt(2, agent="b"))
        for second in (an_attempt(3), an_attempt(1, agent="c")):
            with pytest.raises(Refused):
                attempts.begin(second)
        with pytest.raises(BadInput, match="begins before it acts"):
            attempts.begin(an_attempt(4, agent="d", verdict=Verdict.HEALED))


def test_others_bring_tables_that_only_create(tmp_path: Path) -> None:
    for _ in range(2):
        with OverseerFile.open(tmp_path / FILE_NAME, schemas=[OTHERS]) as file:
            file.write(lambda db: db.execute("INSERT INTO meetings VALUES ('now')"))
            assert file.read(lambda db: db.execute("SELECT count(*) FROM meetings").fetchone())
    with pytest.raises(BadInput, match="only creates"):
        OverseerFile.open(tmp_path / FILE_NAME, schemas=["DROP TABLE heal_attempts;"])


def test_an_error_undoes_the_whole_write_and_a_read_writes_nothing(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME, schemas=[OTHERS]) as file:

        def half(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO meetings VALUES ('now')")
            raise KeyError("half way")

        with pytest.raises(KeyError):
            file.write(half)
        assert file.read(lambda db: db.execute("SELECT * FROM meetings").fetchall()) == []
        with pytest.raises(TryLater, match="cannot be read now"):
            file.read(lambda db: db.execute("DELETE FROM meetings"))


@pytest.mark.parametrize("content", [b"not a database" * 500, b"SQLite format 3\0" + b"x" * 4080])
def test_a_damaged_file_is_refused_in_a_sentence_and_left_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(BadSettings, match="trading does not need it") as caught:
        OverseerFile.open(path)
    assert one_sentence(caught.value)
    assert path.read_bytes() == content


def test_damage_that_appears_while_it_is_open_is_told_as_damage(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with OverseerFile.open(path) as file:
        for number in range(200):
            HealAttempts(file).begin(an_attempt(number, agent=f"agent-{number}"))
        file.write(lambda db: db.execute("SELECT 1").fetchone())
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 9] = b"\xff" * 4096 * 6
    with OverseerFile.open(path) as file:
        path.write_bytes(bytes(content))
        with pytest.raises(BadSettings, match="is damaged"):
            HealAttempts(file).newest(1000)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE notes (x)")
    db.close()
    with pytest.raises(BadSettings, match="another program"):
        OverseerFile.open(path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(BadSettings):
        OverseerFile.open(tmp_path / "data" / FILE_NAME)


def test_a_locked_file_is_waited_for_and_then_told(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with OverseerFile.open(path, patience_s=0.1) as file:
        rival = sqlite3.connect(path, isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryLater, match="nothing was changed") as caught:
            HealAttempts(file).begin(an_attempt(1))
        assert one_sentence(caught.value)
        assert HealAttempts(file).open() == ()  # reads wait for nobody
        rival.execute("ROLLBACK")
        rival.close()
        HealAttempts(file).begin(an_attempt(1))


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        pages = file.write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
        file.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        attempts = HealAttempts(file)

        def fill() -> None:
            for number in range(1000):
                attempts.begin(an_attempt(number, agent=f"agent-{number}", reason="x" * 900))

        with pytest.raises(TryLater, match="full"):
            fill()
        written = len(attempts.newest(1000))
        file.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
        attempts.begin(an_attempt(2000, agent="later"))
        assert len(attempts.newest(1000)) == written + 1


def test_threads_take_turns(tmp_path: Path) -> None:
    with OverseerFile.open(tmp_path / FILE_NAME) as file:
        attempts = HealAttempts(file)

        def begin(number: int) -> None:
            attempts.begin(an_attempt(number, agent=f"agent-{number}"))

        threads = [threading.Thread(target=begin, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        assert len(attempts.open()) == 16
