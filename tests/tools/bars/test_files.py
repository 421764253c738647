"""Files of bars: what is read out of them, and how they are refused."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import lines_of, quiet_rows, write_csv, write_parquet
from tests.fakes.markets import DAY, minute, session
from tools.bars.files import infer_timeframe, load_bars, read_vix
from tools.bars.table import read_table, symbol_in

ROWS = quiet_rows([session()])
LINES = lines_of("SPY", ROWS)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        load_bars(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    text = load_bars(write_csv(tmp_path / "bars.csv", LINES))
    table = load_bars(write_parquet(tmp_path / "bars.parquet", {("SPY", "lean", False): ROWS}))
    for loaded in (text, table):
        assert loaded.timeframe is Timeframe.MINUTE
        assert (loaded.first, loaded.last) == (DAY, DAY)
        assert np.array_equal(loaded.rows["SPY"].ts, ROWS.ts)
        assert np.array_equal(loaded.rows["SPY"].values, ROWS.values)
    assert table.keys["SPY"].source == "lean"


def test_a_compressed_csv_is_read(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "bars.csv", LINES).read_bytes()
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(plain))
    assert len(load_bars(path).rows["SPY"]) == 390


@pytest.mark.parametrize(
    "text",
    [
        "Date,Open,High,Low,Close,Adj Close,Volume\n31-Dec-10,1,2,1,2,9,5\n30-Dec-10,1,2,1,2,9,5\n",
        "\ufeffdate;o;h;l;c;v\r\n2010-12-31;1;2;1;2;5\r\n2010-12-30;1;2;1;2;5\r\n",
        "epoch ,open,high,low,close,vol\n1293771600,1,2,1,2,5\n1293685200,1,2,1,2,5\n",
        "close\tlow\thigh\topen\tvolume\ttime\n2\t1\t2\t1\t5\t12/31/2010\n2\t1\t2\t1\t5\t12/30/2010\n",
    ],
)
def test_other_headers_and_separators_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "orcl-2010.csv"
    path.write_text(text, encoding="utf-8")
    loaded = load_bars(path)
    assert (loaded.first, loaded.last) == (date(2010, 12, 30), date(2010, 12, 31))
    assert loaded.timeframe is Timeframe.DAY
    assert loaded.rows["ORCL"].values.T.tolist() == [[1, 2, 1, 2, 5]] * 2


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "spy.csv"
    path.write_text(
        "ts,open,high,low,close,Last,volume\n2010-12-31,1,3,1,2,3,5\n2010-12-30,1,3,1,2,3,5\n"
    )
    assert load_bars(path, mapping={"close": "Last"}).rows["SPY"].values[3].tolist() == [3, 3]
    assert "has no column Price" in refusal(path, mapping={"close": "Price"})
    assert "price is no column of a bar" in refusal(path, mapping={"price": "Last"})


def test_a_cell_that_is_no_number_marks_its_row_and_keeps_its_line(tmp_path: Path) -> None:
    lines = list(LINES)
    lines[1] = lines[1].rsplit(",", 1)[0] + ",lots"
    lines[3] = lines[3].rsplit(",", 2)[0] + ",,5"
    rows = read_table(write_csv(tmp_path / "bars.csv", lines)).series
    (found,) = rows.values()
    assert found.unreadable.nonzero()[0].tolist() == [1]
    assert found.line[:4].tolist() == [2, 3, 4, 5]
    assert np.isnan(found.values[3, 3])


def test_lines_without_a_time_or_with_other_columns_are_kept_apart(tmp_path: Path) -> None:
    lines = [LINES[0], "SPY,never,1,1,1,1,1", "", "SPY,1,2", *LINES[1:]]
    table = read_table(write_csv(tmp_path / "bars.csv", lines))
    assert [(each.line, each.text) for each in table.undated] == [
        (3, "no time in 'never'"),
        (5, "SPY,1,2"),
    ]
    (rows,) = table.series.values()
    assert (len(rows), rows.line[1]) == (390, 6)
    assert table.rows == 392


def test_a_stray_byte_or_quote_costs_its_line_and_not_the_file(tmp_path: Path) -> None:
    lines = list(LINES)
    lines[2] = lines[2].replace("SPY", '"SPY')
    lines[4] = '"SPY"' + lines[4].removeprefix("SPY")
    path = write_csv(tmp_path / "bars.csv", lines)
    text = path.read_bytes().replace(b"1000.0\n", b"1000.0\xff\n", 1)
    path.write_bytes(text)
    (rows,) = read_table(path).series.values()
    assert len(rows) == 390
    assert rows.unreadable.nonzero()[0].tolist() == [0]


def test_a_file_without_a_symbol_column_holds_the_symbol_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("ts,open,high,low,close,volume\n2010-12-31,1,2,1,2,5\n2010-12-30,1,2,1,2,5\n")
    assert tuple(load_bars(path).rows) == ("PRICES",)
    assert tuple(load_bars(path, symbols=["KO"]).rows) == ("KO",)
    assert "no symbol" in refusal(path, symbols=["KO", "PEP"])


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("spy.csv", "SPY"),
        ("BRK.B.csv", "BRK.B"),
        ("orcl-2010-clean.csv", "ORCL"),
        ("spy_2011.csv.gz", "SPY"),
        ("aapl 1m.parquet", "AAPL"),
        ("---.csv", "---"),
    ],
)
def test_the_file_name_begins_with_the_symbol(name: str, symbol: str) -> None:
    assert symbol_in(Path(name)) == symbol


def test_files_that_are_none_are_refused_in_one_sentence(tmp_path: Path) -> None:
    files = {
        "missing.csv": None,
        "empty.csv": b"",
        "blank.csv": b"\n\n\n",
        "header.csv": b"symbol,ts,open,high,low,close,volume\n",
        "junk.csv": bytes(range(256)) * 8,
        "zeros.csv": b"\x00" * 512,
        "junk.parquet": b"PAR1 is not enough",
        "junk.csv.gz": b"not gzip at all",
        "bars.json": b"[]",
        "quotes.csv": b"Epoch ,Bid, Ask\n2018-11-21T01:23:44,1,2\n",
        "letters.csv": b"symbol,ts,open,high,low,close,volume\nSPY,a,b,c,d,e,f\n",
        "latin.csv": "symbol,ts,open,high,low,close,volume\nSP\u00c9,1,1,1,1,1,1\n".encode(
            "latin-1"
        ),
    }
    said = {}
    for name, content in files.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        said[name] = refusal(path).removeprefix(str(path))
    said["folder"] = refusal(tmp_path).removeprefix(str(tmp_path))
    assert said["missing.csv"] == " does not exist; give the path of a file of bars."
    assert said["empty.csv"] == " is empty (0 bytes); give a file with a header and rows."
    assert said["header.csv"] == " has a header and no rows; give a file with rows."
    assert said["bars.json"].endswith("supported are .parquet, .csv, .csv.gz, .tsv and .txt files.")
    assert (
        "no column for open, high, low, close, volume (it has Epoch, Bid, Ask)"
        in said["quotes.csv"]
    )
    assert "no readable parquet" in said["junk.parquet"]
    assert "is a folder; name one of the files in it" in said["folder"]
    assert "no row with a readable time; the first says line 2" in said["letters.csv"]
    assert all("\n" not in text and text.endswith(".") for text in said.values()), said


def test_an_unknown_symbol_is_answered_with_the_nearest_ones(tmp_path: Path) -> None:
    lines = [*LINES, *lines_of("QQQ", ROWS), *lines_of("SPYG", ROWS)]
    path = write_csv(tmp_path / "bars.csv", lines)
    assert refusal(path, symbols=["SPX"]).endswith("no symbol SPX; the nearest it has: SPY, SPYG.")
    assert refusal(path, symbols=["ZZ"]).endswith("no symbol ZZ; it has: QQQ, SPY, SPYG.")


def test_a_symbol_with_two_sources_needs_one_named_unless_the_range_decides(tmp_path: Path) -> None:
    later = quiet_rows([session(date(2024, 3, 6))])
    path = write_parquet(
        tmp_path / "bars.parquet", {("SPY", "lean", False): ROWS, ("SPY", "yahoo", False): later}
    )
    assert "2 sources" in refusal(path)
    assert "(lean, yahoo); name one with --source NAME" in refusal(path)
    assert load_bars(path, source="yahoo").first == date(2024, 3, 6)
    only = load_bars(path, first=date(2024, 3, 6))
    assert only.keys["SPY"].source == "yahoo"
    assert "no source bats" in refusal(path, source="bats")


def test_raw_and_adjusted_rows_of_one_symbol_are_refused(tmp_path: Path) -> None:
    later = quiet_rows([session(date(2024, 3, 6))])
    path = write_parquet(
        tmp_path / "bars.parquet", {("SPY", "lean", False): ROWS, ("SPY", "lean", True): later}
    )
    assert "raw and adjusted rows of one source" in refusal(path)


def test_a_range_without_rows_is_answered_with_the_range_there_is(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "bars.csv", LINES)
    said = refusal(path, symbols=["SPY"], first=date(2020, 1, 1), last=date(2020, 2, 1))
    assert "no rows from 2020-01-01 to 2020-02-01" in said
    assert "it has rows from 2024-03-05 to 2024-03-05" in said


def test_rows_before_the_range_come_along_and_rows_after_it_do_not(tmp_path: Path) -> None:
    days = [session(date(2024, 3, day)) for day in (4, 5, 6)]
    path = write_csv(tmp_path / "bars.csv", lines_of("SPY", quiet_rows(days)))
    loaded = load_bars(path, first=DAY, last=DAY)
    assert len(loaded.rows["SPY"]) == 2 * 390
    assert loaded.rows["SPY"].ts[-1] == to_ns(minute(389))


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_the_bar_length_follows_from_the_gaps(timeframe: Timeframe) -> None:
    days = [session(date(2024, 3, day)) for day in (4, 5, 6, 7, 8, 11)]
    ts = quiet_rows(days, timeframe).ts
    assert infer_timeframe(ts) is timeframe
    holes = ts[np.random.default_rng(5).random(len(ts)) < 0.8]
    assert infer_timeframe(holes) is timeframe


def test_a_bar_length_that_we_do_not_run_on_is_refused(tmp_path: Path) -> None:
    lines = LINES[::3]
    assert "length we cannot tell" in refusal(write_csv(tmp_path / "bars.csv", lines))
    assert "length we cannot tell" in refusal(write_csv(tmp_path / "bars.csv", LINES[:1]))
    one = load_bars(write_csv(tmp_path / "one.csv", LINES[:1]), timeframe=Timeframe.MINUTE)
    assert len(one.rows["SPY"]) == 1
    hours = lines_of("QQQ", quiet_rows([session()], Timeframe.HOUR))
    assert "mixes bars of 1h, 1m" in refusal(write_csv(tmp_path / "bars.csv", [*LINES, *hours]))


def test_a_vix_file_gives_closes_by_day(data_pack: Path) -> None:
    closes = read_vix(data_pack / "bars" / "daily_index.parquet")
    assert closes[date(2018, 12, 31)] == 25.42
    assert len(closes) == 7304
