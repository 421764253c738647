"""The store of bars: what it keeps, what it sets aside, and that it can be imported into twice."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import lines_of, quiet_rows, write_csv, write_parquet
from tools.bars.store import BarStore, Imported, StoredSeries, load_store
from tools.bars.table import BarTable, read_table
from tools.calendar import ExchangeCalendar
from tools.feeds.file_source import FileSource

CALENDAR = ExchangeCalendar()
NEW_YEAR = CALENDAR.sessions(date(2023, 12, 28), date(2024, 1, 4))
ROWS = quiet_rows(NEW_YEAR, Timeframe.MINUTES_5)


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "bars")


def table_of(tmp_path: Path, rows: RawRows = ROWS, symbol: str = "SPY") -> BarTable:
    return read_table(write_csv(tmp_path / "in.csv", lines_of(symbol, rows)))


def files(store: BarStore) -> dict[str, int]:
    """Return every file of the store and when it was written."""
    return {
        str(path.relative_to(store.folder)): path.stat().st_mtime_ns
        for path in sorted(store.folder.rglob("*"))
        if path.is_file()
    }


def test_what_was_imported_is_read_back_by_exchange_day(store: BarStore, tmp_path: Path) -> None:
    (imported,) = store.add(table_of(tmp_path))
    assert imported == Imported(
        symbol="SPY",
        timeframe=Timeframe.MINUTES_5,
        rows=390,
        added=390,
        replaced=0,
        quarantined=0,
        by_reason={},
    )
    assert list(files(store)) == ["SPY/5m/2023.parquet", "SPY/5m/2024.parquet"]
    whole = store.read("SPY", Timeframe.MINUTES_5)
    assert np.array_equal(whole.ts, ROWS.ts)
    assert np.array_equal(whole.values, ROWS.values)
    part = store.read("SPY", Timeframe.MINUTES_5, date(2023, 12, 29), date(2024, 1, 2))
    assert np.array_equal(part.ts, ROWS.ts[78 : 3 * 78])
    assert len(store.read("QQQ", Timeframe.MINUTES_5)) == 0


def test_importing_twice_writes_nothing_the_second_time(store: BarStore, tmp_path: Path) -> None:
    broken = RawRows.of(ROWS.ts, ROWS.values.copy())
    broken.values[3, 7] = np.nan
    broken.values[:4, 9] *= 100
    table = table_of(tmp_path, broken)
    first = store.add(table)
    before = files(store)
    (again,) = store.add(table)
    assert files(store) == before
    assert (first[0].added, again.added, again.replaced, again.quarantined) == (388, 0, 0, 2)


def test_bad_rows_stand_beside_the_bars_with_their_reason(store: BarStore, tmp_path: Path) -> None:
    broken = RawRows.of(ROWS.ts, ROWS.values.copy())
    broken.values[3, 7] = np.nan
    broken.values[:4, 9] *= 100
    (imported,) = store.add(table_of(tmp_path, broken))
    assert imported.by_reason == {"not_a_number": 1, "price_spike": 1}
    aside = pq.read_table(store.folder / "SPY" / "5m" / "quarantined" / "rows.parquet")
    assert aside.column("reason").to_pylist() == ["not_a_number", "price_spike"]
    assert aside.column("ts").cast("int64").to_pylist() == ROWS.ts[[7, 9]].tolist()
    assert len(store.read("SPY", Timeframe.MINUTES_5)) == 388
    assert store.ls() == [
        StoredSeries(
            symbol="SPY",
            timeframe=Timeframe.MINUTES_5,
            source="",
            adjusted=False,
            rows=388,
            quarantined=2,
            first=NEW_YEAR[0].opens_at,
            last=NEW_YEAR[-1].closes_at.replace(hour=20, minute=55),
        )
    ]


def test_rows_after_an_unexplained_split_are_kept(store: BarStore, tmp_path: Path) -> None:
    halved = RawRows.of(ROWS.ts, ROWS.values.copy())
    halved.values[:4, 78:] /= 2
    (imported,) = store.add(table_of(tmp_path, halved))
    assert (imported.added, imported.quarantined) == (390, 0)
    assert imported.by_reason == {"unexplained_jump": 312}


def test_a_mended_bar_replaces_the_one_before_and_the_rest_stays(
    store: BarStore, tmp_path: Path
) -> None:
    store.add(table_of(tmp_path))
    mended = RawRows.of(ROWS.ts[5:7], ROWS.values[:, 5:7] * np.array([[1], [1], [1], [1], [2]]))
    (imported,) = store.add(table_of(tmp_path, mended), timeframe=Timeframe.MINUTES_5)
    assert (imported.added, imported.replaced) == (0, 2)
    assert store.read("SPY", Timeframe.MINUTES_5).values[4, 4:8].tolist() == [
        1000,
        2000,
        2000,
        1000,
    ]


def test_a_symbol_that_is_no_file_name_is_kept_under_a_safe_one(
    store: BarStore, tmp_path: Path
) -> None:
    store.add(table_of(tmp_path, symbol="BTC/USD"))
    assert [each.symbol for each in store.ls()] == ["BTC/USD"]
    assert len(store.read("BTC/USD", Timeframe.MINUTES_5)) == 390
    assert sorted(path.name for path in store.folder.iterdir()) == ["BTC%2FUSD"]
    with pytest.raises(BadInput, match="is no symbol"):
        store.read("..", Timeframe.MINUTES_5)


def test_a_second_source_is_refused_before_anything_is_written(
    store: BarStore, tmp_path: Path
) -> None:
    keys = {("AAA", "lean", False): ROWS, ("SPY", "lean", False): ROWS}
    store.add(read_table(write_parquet(tmp_path / "a.parquet", {("SPY", "yahoo", False): ROWS})))
    before = files(store)
    with pytest.raises(BadInput, match="raw from yahoo and the file's is raw from lean"):
        store.add(read_table(write_parquet(tmp_path / "b.parquet", keys)))
    twice = {("AAA", "lean", False): ROWS, ("AAA", "lean", True): ROWS}
    with pytest.raises(BadInput, match="AAA twice: raw from lean and adjusted from lean"):
        store.add(read_table(write_parquet(tmp_path / "c.parquet", twice)))
    assert files(store) == before


def test_a_damaged_file_and_a_folder_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    store = BarStore(tmp_path / "bars")
    store.add(table_of(tmp_path))
    (store.folder / "SPY" / "5m" / "2024.parquet").write_bytes(b"half a file")
    with pytest.raises(BadInput, match=r"2024.parquet is damaged"):
        store.read("SPY", Timeframe.MINUTES_5)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="cannot be written"):
        BarStore(tmp_path / "file").add(table_of(tmp_path))


async def test_a_run_can_take_its_rows_from_the_store(store: BarStore, tmp_path: Path) -> None:
    store.add(table_of(tmp_path))
    loaded = load_store(store.folder, symbols=["SPY"], last=NEW_YEAR[2].day)
    assert (loaded.timeframe, loaded.last) == (Timeframe.MINUTES_5, NEW_YEAR[2].day)
    source = FileSource(loaded, ExchangeCalendar())
    assert len((await source.session_rows(NEW_YEAR[0]))["SPY"]) == 78
    assert len((await source.session_rows(NEW_YEAR[3]))["SPY"]) == 0


def test_a_store_without_the_rows_says_what_it_has(store: BarStore, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no bars of any symbol; it has nothing"):
        load_store(store.folder)
    store.add(table_of(tmp_path))
    with pytest.raises(BadInput, match=r"no bars of QQQ; it has SPY 5m"):
        load_store(store.folder, symbols=["QQQ"])
    late = NEW_YEAR[-1].day + timedelta(days=400)
    with pytest.raises(BadInput, match="no bars of SPY from"):
        load_store(store.folder, symbols=["SPY"], first=late)
