"""Headlines out of files: nothing before its time, and no bad row stops a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.values import NewsItem
from tools.news import NewsFile, NoNews

NOON = datetime(2024, 3, 5, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def item(number: int, minutes: int = 0) -> NewsItem:
    return NewsItem(
        item_id=str(number),
        published_at=NOON + minutes * MINUTE,
        symbols=("SPY",),
        headline=f"headline {number}",
        summary="",
        source="wire",
    )


async def test_items_are_published_after_and_until_by_time_then_id() -> None:
    news = NewsFile([item(3, 2), item(2, 1), item(1, 1), item(4, 3)])
    found = await news.published(NOON, NOON + 2 * MINUTE)
    assert [each.item_id for each in found] == ["1", "2", "3"]
    assert await news.published(NOON + 2 * MINUTE, NOON + 2 * MINUTE) == []
    later = await news.published(NOON + 2 * MINUTE, NOON + 9 * MINUTE)
    assert [each.item_id for each in later] == ["4"]


async def test_an_item_seen_twice_is_kept_at_its_first_time() -> None:
    news = NewsFile([item(1, 5), item(1, 2)])
    assert (len(news), news.skipped) == (1, 1)
    assert len(await news.published(NOON, NOON + 2 * MINUTE)) == 1


async def test_no_news_is_no_news() -> None:
    assert await NoNews().published(NOON, NOON + MINUTE) == []


ROW = {"id": "7", "ts": "2024-03-05T17:00:00Z", "symbols": ["spy", "QQQ"], "headline": "Up"}


async def test_json_lines_are_read_and_bad_ones_counted(tmp_path: Path) -> None:
    bad = [
        "not json",
        "[1, 2]",
        "",
        json.dumps({**ROW, "ts": "never"}),
        json.dumps({**ROW, "ts": 1e300}),
        json.dumps({**ROW, "ts": None}),
        json.dumps({**ROW, "headline": ""}),
        json.dumps({**ROW, "headline": 3.5}),
        json.dumps({"headline": "no id", "ts": ROW["ts"]}),
        "[" * 100_000,
    ]
    good = json.dumps({**ROW, "summary": "and up", "source": "wire"})
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join([*bad, good]))
    news = NewsFile.open(path)
    assert (len(news), news.skipped) == (1, 9)
    assert await news.published(NOON - MINUTE, NOON) == [
        NewsItem(
            item_id="7",
            published_at=NOON,
            symbols=("SPY", "QQQ"),
            headline="Up",
            summary="and up",
            source="wire",
        )
    ]


@pytest.mark.parametrize(
    "written",
    ["2024-03-05T17:00:00Z", "2024-03-05 12:00:00-05:00", "2024-03-05 17:00", "1709658000"],
)
async def test_csv_is_read_with_times_and_symbols_in_any_usual_form(
    tmp_path: Path, written: str
) -> None:
    path = tmp_path / "news.csv"
    path.write_text(f'id,ts,symbols,headline\n7,{written},"SPY; qqq|SPY",Up\n8,,SPY,No time\n')
    news = NewsFile.open(path)
    (found,) = await news.published(NOON - MINUTE, NOON)
    assert (found.published_at, found.symbols, news.skipped) == (NOON, ("SPY", "QQQ"), 1)


async def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    path = tmp_path / "news.parquet"
    columns = {
        "id": pa.array([7, 8]),
        "published_at": pa.array([NOON, None], pa.timestamp("ns", "UTC")),
        "headline": ["Up", "No time"],
        "symbols": [["SPY"], None],
        "publisher": ["", "wire"],
        "provider": ["alpaca", "alpaca"],
    }
    pq.write_table(pa.table(columns), path)
    news = NewsFile.open(path)
    (found,) = await news.published(NOON - MINUTE, NOON)
    assert (found.item_id, found.source, news.skipped) == ("7", "alpaca", 1)
    assert found.published_at == NOON


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("news.xml", b"<news/>", "format we do not read"),
        ("news.parquet", b"junk", "cannot be read as .parquet"),
        ("news.csv", b"\xff\xfe\x00", "cannot be read as .csv"),
        ("news.csv", b"a,b\n1,2\n", "holds no headline"),
        ("news.jsonl", b"", "holds no headline"),
    ],
)
def test_files_that_hold_no_news_are_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        NewsFile.open(path)
    with pytest.raises(BadInput, match="is no file"):
        NewsFile.open(tmp_path)


async def test_recorded_news_are_read_whole(data_pack: Path) -> None:
    news = NewsFile.open(data_pack / "news" / "news_timestamped.parquet")
    assert (len(news), news.skipped) == (36, 0)
    found = await news.published(
        datetime(2021, 8, 11, 14, 49, 50, tzinfo=UTC), datetime(2021, 8, 11, 14, 49, 51, tzinfo=UTC)
    )
    assert [(each.symbols, each.source) for each in found] == [(("GOLD",), "alpaca")]
