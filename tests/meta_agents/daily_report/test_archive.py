"""One file of each kind a day: whole or not at all, and the whole day stays as it was written."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from numpy.random import default_rng

from meta_agents.daily_report.archive import ReportArchive
from meta_agents.daily_report.builder import build
from meta_agents.daily_report.days import Span
from meta_agents.daily_report.document import DailyReport
from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.redaction import Redactor
from tests.fakes.day_facts import DAY, SPAN, at, bare, full


def made(*, over: bool = True, **fields: object) -> DailyReport:
    facts = bare(run_now=SPAN.end if over else at(60), **fields)
    return build(facts, redactor=Redactor(), rng=default_rng(1))


@pytest.fixture
def archive(tmp_path: Path) -> ReportArchive:
    return ReportArchive(tmp_path)


def test_a_day_has_one_file_of_each_kind(archive: ReportArchive, tmp_path: Path) -> None:
    report = build(full(), redactor=Redactor(), rng=default_rng(1))
    assert archive.keep(report)
    names = sorted(path.name for path in (tmp_path / "governance_reports").iterdir())
    begin = "daily_report_2026-01-05"
    assert names == [".lock", f"{begin}.html", f"{begin}.json", f"{begin}.txt"]
    assert archive.read(DAY) == report
    assert archive.days() == (DAY,)
    assert archive.whole_days() == {DAY}
    assert json.loads(archive.path(DAY).read_text())["schema_version"] == 1


def test_the_whole_day_is_never_written_again(archive: ReportArchive) -> None:
    assert archive.keep(made())
    before = {kind: archive.path(DAY, kind).read_bytes() for kind in ("json", "html", "txt")}
    assert not archive.keep(made(over=False, mode="replay"))
    assert not archive.keep(made(mode="replay"))
    assert before == {kind: archive.path(DAY, kind).read_bytes() for kind in before}


def test_a_part_of_a_day_gives_way_to_a_later_part_and_to_the_whole(archive: ReportArchive) -> None:
    assert archive.keep(made(over=False))
    assert archive.whole_days() == frozenset()
    assert archive.keep(made(over=False, mode="replay"))
    assert archive.read(DAY).mode == "replay"
    assert archive.keep(made())
    assert archive.read(DAY).complete


def test_a_file_that_is_damaged_is_made_anew(archive: ReportArchive) -> None:
    archive.keep(made())
    archive.path(DAY).write_text('{"complete": true')
    with pytest.raises(BadInput, match="not a DailyReport"):
        archive.read(DAY)
    assert archive.keep(made())
    assert archive.read(DAY).complete


def test_strange_files_are_left_alone(archive: ReportArchive) -> None:
    assert archive.days() == ()
    archive.folder.mkdir(parents=True)
    for name in ("daily_report_2026-13-99.json", "daily_report_x.json", "notes.txt"):
        (archive.folder / name).write_text("{}")
    assert archive.days() == ()
    with pytest.raises(TryLater, match="no report of 2026-01-05"):
        archive.read(DAY)


def test_two_writers_at_once_leave_one_whole_report(archive: ReportArchive) -> None:
    written: list[bool] = []
    reports = [made(mode=f"m{number}") for number in range(8)]
    threads = [
        threading.Thread(target=lambda one=one: written.append(archive.keep(one)))
        for one in reports
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(written) == 1
    assert not list(archive.folder.glob("*.part-*"))


def test_a_folder_that_cannot_be_written_is_an_error_of_the_disk(
    archive: ReportArchive, tmp_path: Path
) -> None:
    (tmp_path / "governance_reports").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="exists"):
        archive.keep(made())


def test_a_day_of_a_replay_was_played_between_the_reports_that_the_daemon_made(
    archive: ReportArchive,
) -> None:
    ever = Span(start=SPAN.start - timedelta(days=999), end=SPAN.end + timedelta(days=999))
    archive.keep(made())
    assert archive.played(DAY + timedelta(days=1), ever).start == made().generated_at
    assert archive.played(DAY - timedelta(days=1), ever).end == made().generated_at
    assert archive.played(DAY, ever) == ever


def test_a_report_that_a_command_made_afterwards_does_not_say_when_a_day_was_played(
    archive: ReportArchive,
) -> None:
    ever = Span(start=SPAN.start, end=SPAN.end + timedelta(days=999))
    archive.keep(made(running=False))
    assert archive.played(DAY + timedelta(days=1), ever) == ever
