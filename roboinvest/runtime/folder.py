"""The data folder: where each thing lies, who holds it, and which run it belongs to.

One daemon holds the folder for as long as it lives by a lock of the kernel, which a kill -9 frees
as well. The stamp names the run whose books lie here; a run with other arguments is refused
instead of mixing its trades into them. Setting old content aside never moves HALT: a kill switch
is cleared by a person and by nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from roboinvest.core.errors import BadSettings, FolderInUse, OtherRun

STAMP_SCHEMA: Final = 1
_SPENT: Final = frozenset({"llm.db", "llm.db-wal", "llm.db-shm"})  # money is spent all the same
_COUNTED: Final = frozenset(  # what was tried is tried, whatever run comes next
    {"backtests.db", "backtests.db-wal", "backtests.db-shm", "backtests.db-lock", "backtests"}
)
_GOVERNED: Final = frozenset(  # who was let in, thrown out or changed, and who said so
    {"agents", "traces", "governance.db", "governance.db-wal", "governance.db-shm"}
    | {"audit_anchors.jsonl", "overseer.db", "overseer.db-wal", "overseer.db-shm"}
)
_STAYS: Final = (
    frozenset({"lock", "HALT", "README.md", "moving.json", "control.sock"})
    | _SPENT
    | _COUNTED
    | _GOVERNED
)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_NO_FOLDER: Final = (FileExistsError, NotADirectoryError)
_ABSENT: Final = "nothing"
_TRIES: Final = 25  # to lock the folder
_PAUSE_S: Final = 0.02  # between two of them


class DataFolder:
    """Paths under the data folder, its lock and its stamp."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.database = self.root / "roboinvest.db"
        self.bars = self.root / "bars"
        self.reports = self.root / "reports"
        self.logs = self.root / "logs"
        self.memory = self.root / "memory"
        self.halt = self.root / "HALT"
        self.journal = self.root / "journal.db"
        self.llm = self.root / "llm.db"
        self.halt_log = self.root / "halt.log"
        self.control_socket = self.root / "control.sock"
        self.halt_results = self.root / "halt.results"
        self.instance_file = self.root / "instance"
        self.stamp_file = self.root / "stamp.json"
        self.lock_file = self.root / "lock"
        self._move_note = self.root / "moving.json"
        self._lock_fd: int | None = None

    def create(self) -> None:
        """Create what is missing, for our user only (0700), and prove that it can be written.

        Raises:
            BadSettings: the folder cannot be written.
        """
        with self._writing():
            for folder in (self.root, self.bars, self.reports, self.logs, self.memory):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.root / ".probe", b"")
            (self.root / ".probe").unlink()

    def hold(self) -> None:
        """Create the folder and hold it until `release`, or until this process is gone.

        Raises:
            FolderInUse: another daemon holds it.
            BadSettings: the folder cannot be written.
        """
        self.create()
        with self._writing():
            lock_fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked(lock_fd):
            holder = os.pread(lock_fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock_fd)
            raise FolderInUse(
                f"{self.root} is held by another daemon (pid {holder}); "
                "stop that one, or give this one its own --data-dir"
            )
        with self._writing():
            os.ftruncate(lock_fd, 0)
            os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = lock_fd
        self._finish_move()

    def take(self, arguments: Mapping[str, Any], *, fresh_at: datetime | None) -> None:
        """Hold the folder for one run: stamp it, or see that it is stamped for this run.

        `fresh_at` sets what another run left aside first.

        Raises:
            FolderInUse, OtherRun: it belongs to somebody else.
            BadSettings: it cannot be written.
        """
        self.hold()
        if fresh_at is not None:
            self.set_aside(fresh_at)
        if not self.check_stamp(arguments):
            self.write_stamp(arguments)

    def release(self) -> None:
        """Let go of the folder."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def holder(self) -> int | None:
        """Return the pid of the daemon that holds the folder; None when nobody does."""
        try:
            lock_fd = os.open(self.lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(lock_fd, 32, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(lock_fd)
        return None

    def write_stamp(self, arguments: Mapping[str, Any]) -> None:
        """Note which run the content belongs to: mode, source, symbols and the like."""
        stamp = {"schema": STAMP_SCHEMA, **arguments}
        with self._writing():
            replace_file(self.stamp_file, (json.dumps(stamp, indent=2) + "\n").encode())

    def check_stamp(self, expected: Mapping[str, Any]) -> bool:
        """Return True if the content belongs to this run, False if nothing is stamped yet.

        Raises:
            OtherRun: it belongs to a run with other arguments.
        """
        try:
            text = self.stamp_file.read_bytes()
        except FileNotFoundError:
            return False
        found = self._parsed_stamp(text)
        wanted = json.loads(json.dumps({"schema": STAMP_SCHEMA, **expected}))
        for key in (*wanted, *(key for key in found if key not in wanted)):
            if found.get(key) != wanted.get(key):
                raise self._other_run(
                    f"was made by a run with {key} {_shown(found, key)}, "
                    f"and this run has {_shown(wanted, key)}"
                )
        return True

    def stamped(self) -> Mapping[str, Any]:
        """Return the arguments of the run that this folder belongs to; {} before its first one.

        Raises:
            BadSettings, OtherRun: the stamp cannot be read.
        """
        try:
            return self._parsed_stamp(self.stamp_file.read_bytes())
        except FileNotFoundError:
            return {}

    def instance(self, new: Callable[[], str]) -> str:
        """Return the short name of this folder, made by `new` at its first use and kept for good.

        Raises:
            BadSettings: the folder cannot be written.
        """
        with self._writing():
            if not self.instance_file.exists():
                replace_file(self.instance_file, f"{new()}\n".encode())
            return self.instance_file.read_text(encoding="ascii").strip()

    def set_aside(self, now: datetime) -> Path | None:
        """Move the content to a sibling folder and return it; None when there was no content.

        Hold the folder first. HALT stays in force where it is. A move that was cut off by a crash
        is finished by the next `hold`.
        """
        if not self._content():
            return None
        target = self._old_folder(now)
        with self._writing():
            target.mkdir(mode=0o700)
            replace_file(self._move_note, json.dumps({"to": str(target)}).encode())
        self._finish_move()
        return target

    def _old_folder(self, now: datetime) -> Path:
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        if os.path.ismount(self.root):  # its sibling lies on another disk
            return self.root / f"{self.root.name}.old-{stamp}"
        return self.root.with_name(f"{self.root.name}.old-{stamp}")

    def _content(self) -> list[Path]:
        """Return what a run has left: files, and folders that are not empty."""
        old = f"{self.root.name}.old-"
        return sorted(
            entry
            for entry in self.root.iterdir()
            if entry.name not in _STAYS
            and not entry.name.startswith(old)
            and (not entry.is_dir() or any(entry.iterdir()))
        )

    def _finish_move(self) -> None:
        if not self._move_note.exists():
            return
        with self._writing():
            target = Path(json.loads(self._move_note.read_bytes())["to"])
            for entry in self._content():
                entry.rename(target / entry.name)
            sync_folder(target)
            self._move_note.unlink()
            sync_folder(self.root)
        self.create()

    def _parsed_stamp(self, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._other_run("has an unreadable stamp.json, so its books cannot be matched")
        return found

    def _other_run(self, fact: str) -> OtherRun:
        return OtherRun(
            f"{self.root} {fact}; start with --fresh to set its content aside, "
            "or give another --data-dir"
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, _NO_FOLDER):
                raise BadSettings(
                    f"data_dir {self.root} cannot be written ({disk_words(error)}); move that file "
                    "away, or give --data-dir another folder"
                ) from error
            why = os.strerror(error.errno) if error.errno else str(error)
            raise BadSettings(
                f"data_dir {self.root} cannot be written ({error.filename or self.root}: {why}); "
                "give --data-dir a folder on a disk with room that this user owns"
            ) from error


def disk_words(error: OSError) -> str:
    """Return what the disk said, with the file that it names."""
    where = f"{error.filename}: " if error.filename else ""
    if isinstance(error, _NO_FOLDER):
        return f"{where}a file is where a folder belongs"
    return f"{where}{error.strerror or str(error) or type(error).__name__}"


def replace_file(path: Path, content: bytes, *, is_snapshot: bool = False) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the whole of the new.

    Of what is written again every minute (`is_snapshot`) a power cut may cost the newest.
    """
    part = path.with_name(f"{path.name}.part-{os.getpid()}-{threading.get_ident()}")
    try:
        with os.fdopen(os.open(part, _CREATE, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if not is_snapshot:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its disk can."""
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks cannot sync a folder
            raise
    finally:
        os.close(folder_fd)


def _locked(lock_fd: int) -> bool:
    """Lock a file for us alone; who only looks whether it is locked holds it for a moment."""
    for number in range(_TRIES):
        if number:
            threading.Event().wait(_PAUSE_S)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _shown(arguments: Mapping[str, Any], key: str) -> str:
    return json.dumps(arguments[key]) if key in arguments else _ABSENT
