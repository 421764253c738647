"""The run book: every backtest that anybody looked at, and what it was one of.

A run is noted before its figures are shown, so that a figure nobody counted does not exist. Several
processes may write at once; each note is one transaction. Deliberately absent: any way to take a
run back. Who deletes the file begins a new count, and every result says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.core.ports import Clock
from roboinvest.runtime.lanes.file import connect, in_words, open_reader, open_writer
from tools.backtester.run_book import holdouts, lineages, rows
from tools.backtester.run_book.schema import KIND
from tools.backtester.run_book.values import Holdout, Kin, Opening, Run, RunNote, Standing

FILE_NAME: Final = "backtests.db"
BUSY_TIMEOUT_S: Final = 30.0  # s that a write waits for those of other processes
_LOOK_S: Final = 0.02  # s between two looks whether another process has finished opening
_TRIALS: Final = """
    SELECT sharpe, min(runs.id) FROM runs JOIN lineages ON lineages.id = runs.lineage
    WHERE root = ? GROUP BY evaluation ORDER BY 2
"""
ResultT = TypeVar("ResultT")


class RunBook:
    """Reads and writes of one run book; one object per process and folder, for one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Clock) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> Self:
        """Open the run book in a folder; both are made where they are absent.

        Raises:
            BadSettings: the file is damaged, of another or a newer program, or cannot be written.
            TryLater: other processes hold it for longer than the busy timeout.
        """
        path = folder / FILE_NAME
        with _turn_to_open(folder, clock):
            connection = open_writer(path, KIND, connect)
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        return cls(path, connection, clock)

    @classmethod
    def look(cls, folder: Path, clock: Clock) -> Self | None:
        """Open the run book in a folder to read it; None where there is none.

        Raises:
            BadSettings, TryLater: as `open` does.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        with _turn_to_open(folder, clock):
            return cls(path, open_reader(path, KIND), clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def note(self, run: RunNote) -> int:
        """Write a run down and return its number; only then may its figures be shown.

        Raises:
            Refused: it reaches into days that its lineage has locked.
            BadInput: its parent is not in the book.
            TryLater: the file cannot be written now; nothing was.
        """
        return self.note_all([run])[0]

    def note_all(self, runs: Iterable[RunNote]) -> list[int]:
        """Write runs down, all or none, and return their numbers; raises as `note` does."""
        at = self._clock.now().isoformat()
        return self._write(lambda: [self._note(run, at) for run in runs])

    def lineage_of(self, kin: Kin) -> int:
        """Return the lineage of a strategy, run or not; the first question begins it."""
        at = self._clock.now().isoformat()
        return self._write(lambda: lineages.settle(self._connection, kin, at))

    def known_lineage(self, kin: Kin) -> int | None:
        """Return the lineage of a strategy, or None where the book knows nothing of it."""
        return self._read(lambda: lineages.find(self._connection, kin))

    def trials(self, lineage: int) -> int:
        """Return how many distinct evaluations a lineage has seen."""
        return len(self._sharpes(lineage))

    def sharpe_variance(self, lineage: int) -> float | None:
        """Return the sample variance of daily Sharpe over the trials; None below two of them."""
        return lineages.variance_of(self.trial_sharpes(lineage))

    def trial_sharpes(self, lineage: int) -> list[float]:
        """Return the daily Sharpe of each trial that has one, in the order of the trials."""
        return [each for each in self._sharpes(lineage) if each is not None]

    def standing(self, run_id: int) -> Standing:
        """Return what has to be known of a run's past to judge its figures."""
        lineage = self.run(run_id).lineage
        trials = self.trials(lineage)
        return Standing(
            lineage=lineage,
            trials=trials,
            sharpe_variance=self.sharpe_variance(lineage),
            words=tuple(self._words(lineage, trials)),
        )

    def runs(self, limit: int = 20, strategy: str | None = None) -> tuple[Run, ...]:
        """Return the newest runs, newest first; of one strategy by its name, where it is given."""
        which = "" if strategy is None else "WHERE strategy = ? "
        values = () if strategy is None else (strategy,)
        rest = f"{which}ORDER BY runs.id DESC LIMIT ?"
        return tuple(self._read(lambda: rows.select(self._connection, rest, (*values, limit))))

    def run(self, run_id: int) -> Run:
        """Return one run.

        Raises:
            BadInput: there is none of that number.
        """
        found = self._read(lambda: rows.select(self._connection, "WHERE runs.id = ?", (run_id,)))
        if not found:
            raise BadInput(f"run {run_id} is not in {self.path}; see backtest ls")
        return found[0]

    def evaluated(self, evaluation: str) -> Run | None:
        """Return the first run that tried exactly this, or None."""
        rest = "WHERE evaluation = ? ORDER BY runs.id LIMIT 1"
        found = self._read(lambda: rows.select(self._connection, rest, (evaluation,)))
        return found[0] if found else None

    def lock_holdout(self, lineage: int, symbols: Sequence[str], from_day: date) -> None:
        """Keep the days from `from_day` on for a last judgement.

        Raises:
            Refused: a symbol is locked from an earlier day.
        """
        at = self._clock.now().isoformat()

        def lock() -> None:
            root = lineages.root_of(self._connection, lineage)
            holdouts.lock(self._connection, root, symbols, from_day, at)

        self._write(lock)

    def holdout(self, lineage: int) -> tuple[Holdout, ...]:
        """Return what is locked for a lineage, by symbol."""
        return self._read(
            lambda: holdouts.locked(self._connection, lineages.root_of(self._connection, lineage))
        )

    def last_allowed_day(self, lineage: int, symbols: Sequence[str]) -> date | None:
        """Return the last day that runs over these symbols may see; None: nothing is locked."""
        days = [each.from_day for each in self.holdout(lineage) if each.symbol in symbols]
        return min(days) - timedelta(days=1) if days else None

    def open_holdout(self, lineage: int, version: str, fingerprint: str = "") -> Opening:
        """Give a version leave to look once; of several processes that ask, one gets it.

        Raises:
            Refused: nothing is locked, or this version or this very code had leave before.
        """
        at = self._clock.now()

        def open_it() -> Opening:
            root = lineages.root_of(self._connection, lineage)
            return holdouts.open_once(self._connection, root, version, fingerprint, at)

        return self._write(open_it)

    def _note(self, run: RunNote, at: str) -> int:
        lineage = lineages.settle_run(self._connection, run, at)
        in_holdout = holdouts.admit(self._connection, lineage, run)
        known = self._connection.execute(
            "SELECT 1 FROM runs WHERE evaluation = ?", (run.evaluation,)
        ).fetchone()
        run_id = rows.insert(self._connection, run, at=at, lineage=lineage, in_holdout=in_holdout)
        if known is None:
            lineages.mark(self._connection, run_id, run)
        return run_id

    def _sharpes(self, lineage: int) -> list[float | None]:
        """Return the daily Sharpe of each distinct evaluation."""

        def read() -> list[float | None]:
            root = lineages.root_of(self._connection, lineage)
            return [row[0] for row in self._connection.execute(_TRIALS, (root,))]

        return self._read(read)

    def _words(self, lineage: int, trials: int) -> Iterator[str]:
        (since,) = self._connection.execute("SELECT min(since) FROM lineages").fetchone()
        begun = datetime.fromisoformat(since).date()
        if trials <= 1:
            yield f"no earlier runs are known; the run book was begun on {begun}"
        else:
            yield f"{trials} trials of this strategy are known; the run book was begun on {begun}"
        for holdout in self.holdout(lineage):
            if holdout.seen_by:
                runs = "1 run" if holdout.seen_by == 1 else f"{holdout.seen_by} runs"
                yield (
                    f"{runs} saw {holdout.symbol} from {holdout.from_day} on "
                    "without leave, so that holdout proves less"
                )
            if len(holdout.openings) > 1:
                yield (
                    f"the holdout of {holdout.symbol} was opened for {len(holdout.openings)} "
                    "versions; the best of several looks is no clean one"
                )

    def _read(self, work: Callable[[], ResultT]) -> ResultT:
        with self._in_words("read"):
            return work()

    def _write(self, work: Callable[[], ResultT]) -> ResultT:
        """Run the changes in one transaction: all of them, or none."""
        with self._in_words("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return result

    @contextlib.contextmanager
    def _in_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise TryLater(
                f"{self.path} cannot be {what} now ({in_words(error)}); nothing was changed: make "
                "room, or wait for the process that holds it, and try again"
            ) from error
        except sqlite3.Error as error:
            raise BadSettings(
                f"{self.path} cannot be {what} ({in_words(error)}); put a copy in its place"
            ) from error


@contextlib.contextmanager
def _turn_to_open(folder: Path, clock: Clock) -> Iterator[None]:
    """Let one process at a time open the file: SQLite does not wait while the log is set up."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BadSettings(
            f"{folder} cannot be used ({error.strerror}); give --data-dir a folder that this "
            "user owns"
        ) from error
    try:
        _wait_for(handle, folder, clock)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, folder: Path, clock: Clock) -> None:
    deadline, looks = clock.monotonic() + BUSY_TIMEOUT_S, threading.Event()
    for _ in range(int(BUSY_TIMEOUT_S / _LOOK_S)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= deadline:
                break
            looks.wait(_LOOK_S)
        else:
            return
    raise TryLater(
        f"the run book in {folder} was being opened by others for {BUSY_TIMEOUT_S:.0f} s; try again"
    )
