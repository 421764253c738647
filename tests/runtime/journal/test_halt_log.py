"""The record of last resort: on the disk before it is acknowledged, and in the journal once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.journal.halt_log import RESERVED, HaltLog
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.journal.values import Note
from tests.fakes.journals import InMemoryOrderJournal, minute

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "halt.log"


@pytest.fixture
def halt_log(path: Path) -> HaltLog:
    return HaltLog(path)


def a_note(number: int) -> Note:
    return Note(kind="cancel", at=minute(number), body={"venue_id": f"v{number}"})


def appended(halt_log: HaltLog, *numbers: int) -> list[Note]:
    for number in numbers:
        halt_log.append("cancel", minute(number), {"venue_id": f"v{number}"})
    return [a_note(number) for number in numbers]


@pytest.mark.parametrize("reserved", [True, False])
def test_facts_are_read_in_the_order_they_were_written(
    halt_log: HaltLog, path: Path, reserved: bool
) -> None:
    if reserved:
        halt_log.reserve()
    assert halt_log.read() == ()
    written = appended(halt_log, 1, 2, 1, 3)
    assert list(HaltLog(path).read()) == written
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reserved_file_takes_facts_without_more_room(halt_log: HaltLog, path: Path) -> None:
    halt_log.reserve()
    blocks = (path.stat().st_size, path.stat().st_blocks)
    assert blocks[0] == RESERVED
    written = appended(halt_log, *range(300))
    halt_log.reserve()
    assert (path.stat().st_size, path.stat().st_blocks) == blocks
    written += appended(halt_log, *range(300, 1200))  # and more, where there is room
    assert path.stat().st_size > RESERVED
    assert list(halt_log.read()) == written


@pytest.mark.parametrize("reserved", [True, False])
def test_a_torn_last_line_is_dropped_and_the_next_stands_by_itself(
    halt_log: HaltLog, path: Path, reserved: bool
) -> None:
    if reserved:
        halt_log.reserve()
    (first, _) = appended(halt_log, 1, 2)
    content = path.read_bytes()
    whole = content.rstrip(b"\n")
    ends = len(whole)
    for cut in range(content.index(b"\n") + 1, ends):
        path.write_bytes(whole[:cut] + (b"\0" * (ends - cut) + b"\n" * 64 if reserved else b""))
        assert halt_log.read() == (first,), f"cut={cut}"
        (third,) = appended(halt_log, 3)
        assert halt_log.read() == (first, third), f"cut={cut}"


def test_text_that_is_no_fact_is_passed_over(halt_log: HaltLog, path: Path) -> None:
    (first,) = appended(halt_log, 1)
    with path.open("ab") as file:
        file.write(b'{"kind":"note"}\n[]\n\xff\xfe\n7\n')
    (second,) = appended(halt_log, 2)
    assert halt_log.read() == (first, second)


def test_a_place_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    lost = HaltLog(tmp_path / "away" / "halt.log")
    with pytest.raises(TryLater, match=r"cannot be written \(No such file.*make room"):
        lost.append("cancel", minute(0), {})
    with pytest.raises(TryLater, match="cannot be reserved"):
        lost.reserve()
    assert lost.read() == ()
    (tmp_path / "halt.log").mkdir()
    with pytest.raises(TryLater, match="cannot be read"):
        HaltLog(tmp_path / "halt.log").read()


FULL_DISK = """
import resource, sys
from pathlib import Path
from roboinvest.core.errors import TryLater
from roboinvest.runtime.journal.halt_log import RESERVED, HaltLog
from tests.fakes.journals import minute

log = HaltLog(Path(sys.argv[1]))
log.reserve()
resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVED, RESERVED))
number = 0
try:
    while True:
        log.append("cancel", minute(number), {"venue_id": f"v{number}"})
        number += 1
except TryLater as error:
    print(number, error)
"""


def test_what_does_not_fit_any_more_is_refused_and_the_rest_stays(
    halt_log: HaltLog, path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    count, _, said = done.stdout.partition(" ")
    assert int(count) > 300
    assert "cannot be written (File too large)" in said
    assert halt_log.read() == tuple(a_note(number) for number in range(int(count)))


APPENDS_FOR_EVER = """
import sys
from pathlib import Path
from roboinvest.runtime.journal.halt_log import HaltLog
from tests.fakes.journals import minute

log, number = HaltLog(Path(sys.argv[1])), 0
while True:
    log.append("cancel", minute(number), {"venue_id": f"v{number}"})
    number += 1
    print(number, flush=True)
"""


def test_a_killed_process_leaves_every_fact_it_acknowledged(halt_log: HaltLog, path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed={seed}")
    kill_at = random.Random(seed).randint(20, 200)
    child = subprocess.Popen(
        [sys.executable, "-c", APPENDS_FOR_EVER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    told = 0
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            told = int(line) if line.endswith("\n") else told
            if told == kill_at:
                child.send_signal(signal.SIGKILL)
    found = halt_log.read()
    assert told <= len(found) <= told + 1, f"seed={seed}"
    assert found == tuple(a_note(number) for number in range(len(found)))


def test_many_may_write_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: appended(HaltLog(path), number), range(100)))
    found = HaltLog(path).read()
    assert sorted(note.at for note in found) == [minute(number) for number in range(100)]


# Back into the journal


async def test_facts_are_folded_into_the_journal_and_the_file_is_set_aside(
    halt_log: HaltLog, path: Path, journal: SqliteOrderJournal
) -> None:
    halt_log.reserve()
    written = appended(halt_log, 1, 2, 3)
    assert await halt_log.fold_into(journal) == 3
    assert list(await journal.notes("cancel")) == written
    assert halt_log.read() == ()
    assert HaltLog(path.with_name("halt.log.1")).read() == tuple(written)
    assert path.stat().st_size == RESERVED  # ready for the next time

    more = appended(halt_log, 4)
    assert await halt_log.fold_into(journal) == 1
    assert await halt_log.fold_into(journal) == 0
    assert list(await journal.notes("cancel")) == [*written, *more]
    assert HaltLog(path.with_name("halt.log.2")).read() == tuple(more)
    assert not path.with_name("halt.log.3").exists()


async def test_what_is_written_during_a_fold_is_not_lost(path: Path) -> None:
    journal = InMemoryOrderJournal()
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(appended, HaltLog(path), number) for number in range(200)]
        folds = 0
        while not all(writer.done() for writer in writers):
            folds += await HaltLog(path).fold_into(journal)
    folds += await HaltLog(path).fold_into(journal)
    found = sorted(note.at for note in await journal.notes())
    assert found == [minute(number) for number in range(200)]
    assert folds == 200


async def test_a_fold_that_was_cut_off_is_finished_and_notes_nothing_twice(
    halt_log: HaltLog, path: Path
) -> None:
    class FailsAt(InMemoryOrderJournal):
        """Takes so many notes, and then nothing."""

        room = 0

        async def note(self, kind: str, at: object, body: object) -> None:
            if not self.room:
                raise TryLater("the disk is full again")
            self.room -= 1
            await super().note(kind, at, body)  # type: ignore[arg-type]

    written = appended(halt_log, 1, 2, 3)
    journal = FailsAt()
    for room in (0, 1, 2):
        journal.room = room
        with pytest.raises(TryLater):
            await halt_log.fold_into(journal)
        assert halt_log.read() == tuple(written)  # nothing is lost, wherever it stands
    written += appended(halt_log, 4)  # and the kill switch goes on meanwhile
    journal.room = 100
    assert await halt_log.fold_into(journal) == 4
    assert list(await journal.notes()) == written
    assert halt_log.read() == ()


async def test_nothing_to_fold_touches_nothing(halt_log: HaltLog, path: Path) -> None:
    assert await halt_log.fold_into(InMemoryOrderJournal()) == 0
    halt_log.reserve()
    assert await halt_log.fold_into(InMemoryOrderJournal()) == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["halt.log"]
