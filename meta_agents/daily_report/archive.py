"""The files of daily reports: one of each kind a day, kept for good.

The JSON is written last, so a day that has one has all three. What was written of a day that was
over is never written again; what was made while it lasted gives way to the whole, and so does what
was made by a clock that ran ahead: its day was not over. Whoever writes holds a lock of the folder
meanwhile, because a command may make a report beside the daemon. Blocking, for threads.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final

from meta_agents.daily_report.days import Span
from meta_agents.daily_report.digest import digest_text
from meta_agents.daily_report.document import DailyReport
from meta_agents.daily_report.html import html_page
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.folder import replace_file
from roboinvest.runtime.reports.files import read_report, write_json_atomically

FOLDER: Final = "governance_reports"  # below the folder of reports
_NAME: Final = re.compile(r"daily_report_(\d{4}-\d{2}-\d{2})\.json")
_LOCK: Final = ".lock"


class ReportArchive:
    """The reports of one data folder."""

    def __init__(self, reports: Path) -> None:
        """Take the folder of reports; ours is below it, and made at the first write."""
        self.folder = reports / FOLDER

    def path(self, day: date, kind: str = "json") -> Path:
        """Return where a day's report lies; `kind` is json, html or txt."""
        return self.folder / f"daily_report_{day.isoformat()}.{kind}"

    def read(self, day: date) -> DailyReport:
        """Return the report of a day.

        Raises:
            TryLater: there is none.
            BadInput: it cannot be read.
        """
        try:
            return read_report(self.path(day), DailyReport)
        except TryLater as error:
            raise TryLater(f"there is no report of {day} yet") from error

    def days(self) -> tuple[date, ...]:
        """Return the days that have a report, whole or not, oldest first."""
        try:
            names = sorted(path.name for path in self.folder.iterdir())
        except OSError:
            return ()
        found = []
        for name in names:
            matched = _NAME.fullmatch(name)
            if matched is not None:
                with contextlib.suppress(ValueError):
                    found.append(date.fromisoformat(matched[1]))
        return tuple(found)

    def whole_days(self, latest: datetime | None = None) -> frozenset[date]:
        """Return the days whose report was made when they were over, at the `latest` then."""
        return frozenset(day for day in self.days() if self._is_whole(day, latest))

    def keep(
        self, report: DailyReport, latest: datetime | None = None, *, anew: bool = False
    ) -> bool:
        """Write a report unless a whole one is there; return whether it was written.

        One that says it was made after the `latest` instant is not believed, if that is given, and
        where it is to be made `anew` none is.

        Raises:
            OSError: the folder cannot be written; what was there is as it was.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        page, text = html_page(report).encode(), digest_text(report).encode()
        with self._alone():
            if not anew and self._is_whole(report.date, latest):
                return False
            for cut_off in self.folder.glob("daily_report_*.part-*"):  # whoever wrote it is gone
                cut_off.unlink(missing_ok=True)
            replace_file(self.path(report.date, "html"), page)
            replace_file(self.path(report.date, "txt"), text)
            write_json_atomically(self.path(report.date), report)
        return True

    def played(self, day: date, until: Span) -> Span:
        """Return the machine's time in which a day of a replay was played.

        It lies between the makings of the reports before and after it, those that the daemon made;
        `until` is used where there is none.
        """
        start, end = until.start, until.end
        for other in self.days():
            with contextlib.suppress(BadInput, TryLater):
                found = self.read(other)
                made_at = found.generated_at
                if not found.running:  # made afterwards, by a command
                    continue
                if other < day:
                    start = max(start, made_at)
                elif other > day:
                    end = min(end, made_at)
        return Span(start=start, end=max(start, end))

    def _is_whole(self, day: date, latest: datetime | None) -> bool:
        """Return whether a readable report of a whole day is there, made in time."""
        try:
            found = json.loads(self.path(day).read_bytes())
            made_at = None if latest is None else datetime.fromisoformat(found["generated_at"])
            is_in_time = latest is None or made_at is None or made_at <= latest
            return found["complete"] is True and is_in_time
        except (OSError, ValueError, TypeError, KeyError):
            return False

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
