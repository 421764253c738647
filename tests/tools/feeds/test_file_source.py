"""The source of a replay: its digest, its sessions and the rows to warm up on."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import lines_of, quiet_rows, write_csv, write_parquet
from tools.calendar import ExchangeCalendar
from tools.feeds.file_source import FileSource, MemorySource

CALENDAR = ExchangeCalendar()
WEEK = CALENDAR.sessions(date(2024, 3, 4), date(2024, 3, 8))
LINES = lines_of("SPY", quiet_rows(WEEK, Timeframe.MINUTES_15))


def opened(path: Path, first: int = 6, last: int = 7) -> FileSource:
    return FileSource.open(
        path, calendar=CALENDAR, first=date(2024, 3, first), last=date(2024, 3, last)
    )


def test_the_digest_is_that_of_the_rows_and_not_of_the_file(tmp_path: Path) -> None:
    plain = opened(write_csv(tmp_path / "a.csv", LINES)).content_digest
    shuffled = list(LINES)
    np.random.default_rng(3).shuffle(shuffled)
    assert opened(write_csv(tmp_path / "b.csv", shuffled)).content_digest == plain
    rows = quiet_rows(WEEK, Timeframe.MINUTES_15)
    table = write_parquet(tmp_path / "c.parquet", {("SPY", "lean", False): rows})
    assert opened(table).content_digest == plain


def test_the_digest_changes_with_any_row_a_run_can_see_and_no_other(tmp_path: Path) -> None:
    plain = opened(write_csv(tmp_path / "a.csv", LINES)).content_digest
    changed = {}
    for name, line in {"warm-up": 3, "range": 60, "after": -1}.items():
        lines = list(LINES)
        lines[line] = lines[line].replace("1000.0", "1001.0")
        changed[name] = opened(write_csv(tmp_path / "b.csv", lines)).content_digest != plain
    assert changed == {"warm-up": True, "range": True, "after": False}
    fewer = opened(write_csv(tmp_path / "b.csv", [*LINES[:60], *LINES[61:]]))
    assert fewer.content_digest != plain
    other = MemorySource({"SPX": quiet_rows(WEEK)}, Timeframe.MINUTE).content_digest
    assert other != MemorySource({"SPY": quiet_rows(WEEK)}, Timeframe.MINUTE).content_digest


def test_empty_cells_are_equal_in_a_digest_however_they_are_written(tmp_path: Path) -> None:
    ends = ("", "nan", "NaN", "null")
    digests = set()
    for end in ends:
        lines = [*LINES[:50], LINES[50].rsplit(",", 1)[0] + f",{end}", *LINES[51:]]
        digests.add(opened(write_csv(tmp_path / "a.csv", lines)).content_digest)
    assert len(digests) == 1


def test_the_sessions_before_a_run_are_counted(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", LINES)
    assert opened(path).warm_up_sessions == 2
    assert opened(path, first=4).warm_up_sessions == 0
    whole = FileSource.open(path, calendar=CALENDAR)
    assert (whole.first, whole.last, whole.warm_up_sessions) == (WEEK[0].day, WEEK[-1].day, 0)


def test_adjusted_symbols_are_named(tmp_path: Path) -> None:
    rows = quiet_rows(WEEK)
    path = write_parquet(
        tmp_path / "a.parquet", {("KO", "csvdir", True): rows, ("SPY", "lean", False): rows}
    )
    source = opened(path)
    assert (sorted(source.adjusted), source.symbols) == (["KO"], ("KO", "SPY"))


async def test_a_session_gets_the_rows_of_its_exchange_day_evening_included() -> None:
    quiet = quiet_rows(WEEK)
    evening = quiet.ts[389:390] + 9 * 3_600_000_000_000  # Monday 15:59 and nine hours, New York
    rows = RawRows.of(
        np.concatenate([evening, quiet.ts]),
        np.concatenate([quiet.values[:, :1], quiet.values], axis=1),
    )
    source = MemorySource({"SPY": rows}, Timeframe.MINUTE)
    found = [len((await source.session_rows(session))["SPY"]) for session in WEEK]
    assert found == [390, 391, 390, 390, 390]
    assert (await source.session_rows(WEEK[1]))["SPY"].ts[0] == evening[0]
