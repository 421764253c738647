from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roboinvest.core.errors import BadSettings, FolderInUse, OtherRun
from roboinvest.runtime.folder import DataFolder, replace_file
from roboinvest.runtime.halt import HaltFile, HaltLevel

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
ARGUMENTS = {"mode": "paper", "source": "replay", "symbols": ["SPY"], "replay.first": "2011-01-03"}

HOLDER = """
import sys, time
from pathlib import Path
from roboinvest.runtime.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
folder.hold()
print("held", flush=True)
sys.stdin.read()
"""


def held_by_another(root: Path) -> subprocess.Popen[str]:
    """Start a process that holds the folder until it is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    return holder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.create()
    return made


def test_what_is_created_belongs_to_our_user_only(folder: DataFolder) -> None:
    for path in (folder.root, folder.bars, folder.reports, folder.logs, folder.memory):
        assert path.stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in folder.root.iterdir()) == ["bars", "logs", "memory", "reports"]


def test_creating_twice_changes_nothing(folder: DataFolder) -> None:
    (folder.reports / "a.json").write_text("{}", encoding="utf-8")
    folder.create()
    assert (folder.reports / "a.json").read_text(encoding="utf-8") == "{}"


def test_a_folder_that_cannot_be_written_is_told_with_its_path_and_the_next_step(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadSettings, match=r"data_dir .*/file/data cannot be written .*--data-dir"):
        DataFolder(tmp_path / "file" / "data").create()
    with pytest.raises(BadSettings, match="cannot be written"):
        DataFolder(Path("/proc/roboinvest")).hold()


def test_a_second_daemon_is_refused_with_the_pid_of_the_first_until_that_is_killed(
    tmp_path: Path,
) -> None:
    folder = DataFolder(tmp_path / "data")
    holder = held_by_another(folder.root)
    try:
        with pytest.raises(FolderInUse, match=rf"pid {holder.pid}\); stop that one, or give"):
            folder.hold()
        assert folder.holder() == holder.pid
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    folder.hold()
    assert folder.holder() == os.getpid()
    folder.release()
    assert folder.holder() is None


def test_looking_for_the_holder_does_not_take_the_lock_from_anyone(folder: DataFolder) -> None:
    assert folder.holder() is None
    folder.hold()
    folder.release()
    assert folder.holder() is None
    folder.hold()
    folder.release()


def test_who_only_looks_for_the_holder_keeps_no_daemon_from_starting(folder: DataFolder) -> None:
    folder.hold()
    folder.release()
    looking = os.open(folder.lock_file, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # as `holder` does, cut off by a busy machine
    timer = threading.Timer(0.02, os.close, (looking,))
    timer.start()
    folder.hold()
    timer.join()
    assert folder.holder() == os.getpid()
    folder.release()


def test_a_stamp_is_missing_then_ours_then_somebody_elses(folder: DataFolder) -> None:
    assert folder.check_stamp(ARGUMENTS) is False
    folder.write_stamp(ARGUMENTS)
    assert folder.check_stamp(ARGUMENTS) is True
    other = {**ARGUMENTS, "replay.first": "2011-01-04"}
    with pytest.raises(OtherRun) as raised:
        folder.check_stamp(other)
    assert str(raised.value) == (
        f'{folder.root} was made by a run with replay.first "2011-01-03", '
        'and this run has "2011-01-04"; start with --fresh to set its content aside, '
        "or give another --data-dir"
    )


def test_an_argument_that_only_one_of_the_runs_has_is_a_difference(folder: DataFolder) -> None:
    folder.write_stamp(ARGUMENTS)
    with pytest.raises(OtherRun, match="with seed nothing, and this run has 7"):
        folder.check_stamp({**ARGUMENTS, "seed": 7})
    with pytest.raises(OtherRun, match='with source "replay", and this run has nothing'):
        folder.check_stamp({k: v for k, v in ARGUMENTS.items() if k != "source"})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"x"'])
def test_an_unreadable_stamp_is_somebody_elses(folder: DataFolder, content: bytes) -> None:
    folder.stamp_file.write_bytes(content)
    with pytest.raises(OtherRun, match=r"unreadable stamp\.json"):
        folder.check_stamp(ARGUMENTS)


def fill(folder: DataFolder) -> None:
    folder.write_stamp(ARGUMENTS)
    folder.database.write_bytes(b"books")
    (folder.bars / "SPY").mkdir()
    (folder.bars / "SPY" / "2011.parquet").write_bytes(b"bars")


def test_setting_aside_moves_the_content_to_a_sibling_and_leaves_the_halt_in_force(
    folder: DataFolder,
) -> None:
    folder.hold()
    fill(folder)
    HaltFile(folder.halt).set(HaltLevel.FLATTEN, reason="storm", by="ann", at=NOW)
    old = folder.set_aside(NOW)
    assert old == folder.root.with_name("data.old-20260105T143000Z")
    assert (old / "roboinvest.db").read_bytes() == b"books"
    assert (old / "bars" / "SPY" / "2011.parquet").read_bytes() == b"bars"
    assert not (old / "HALT").exists()
    halt = HaltFile(folder.halt).read()
    assert halt is not None
    assert halt.level is HaltLevel.FLATTEN
    assert folder.check_stamp(ARGUMENTS) is False
    assert folder.bars.is_dir()
    assert folder.holder() == os.getpid()
    folder.release()


def test_there_is_nothing_to_set_aside_in_an_empty_folder(folder: DataFolder) -> None:
    folder.hold()
    assert folder.set_aside(NOW) is None
    folder.release()
    assert [p.name for p in folder.root.parent.iterdir()] == ["data"]


def test_a_move_that_was_cut_off_is_finished_by_the_next_holder(folder: DataFolder) -> None:
    fill(folder)
    target = folder.root.with_name("data.old-x")
    target.mkdir()
    replace_file(folder.root / "moving.json", f'{{"to": "{target}"}}'.encode())
    folder.database.rename(target / "roboinvest.db")  # and then the power went
    folder.hold()
    assert sorted(p.name for p in target.iterdir()) == ["bars", "roboinvest.db", "stamp.json"]
    assert folder.check_stamp(ARGUMENTS) is False
    assert not (folder.root / "moving.json").exists()
    folder.release()


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    versions = [bytes([65 + n]) * 20_000 for n in range(4)]
    replace_file(path, versions[0])
    torn: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            content = path.read_bytes()
            if content not in versions:
                torn.append(len(content))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(200):
        replace_file(path, versions[n % 4])
    done.set()
    reader.join()
    assert torn == []
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_a_write_that_fails_leaves_the_old_content_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "folder-in-the-way"
    path.mkdir()
    with pytest.raises(OSError, match="folder-in-the-way"):
        replace_file(path, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder-in-the-way"]
