"""The check of a file: every planted defect by minute and reason, and nothing false."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe
from tests.fakes.bar_files import lines_of, quiet_rows, write_csv, write_parquet
from tools.bars.actions import read_actions
from tools.bars.check import CheckReport, check_file
from tools.calendar import ExchangeCalendar

CALENDAR = ExchangeCalendar()
REASON_OF = {
    "price_x100": "price_spike",
    "missing_minute": "missing_minute",
    "high_low_swapped": "high_below_low",
    "duplicate_row": "duplicate",
    "negative_price": "non_positive_price",
    "nan_close": "not_a_number",
    "zero_volume": "zero_volume",
    "out_of_order_pair": "out_of_order",
}
DERIVED = ("aapl_20140606", "spy_20131008")


def check(path: Path, **options: object) -> CheckReport:
    return check_file(path, calendar=CALENDAR, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DERIVED)
def test_every_planted_defect_is_named_by_minute_and_reason(data_pack: Path, name: str) -> None:
    folder = data_pack / "edge_cases" / "derived"
    truth = json.loads((folder / f"{name}_truth.json").read_text())
    expected = sorted(
        (ts, REASON_OF[defect["type"]])
        for defect in truth["defects"]
        for ts in defect["ts"].split("|")
    )
    report = check(folder / f"{name}_corrupt.csv")
    found = sorted((each.ts.isoformat(), each.reason.value) for each in report.findings if each.ts)
    assert found == expected
    assert report.rows == truth["corrupt_rows"]
    assert report.quarantined == 9  # two spikes, two swaps, two copies, two NaN, one negative
    assert report.counts["price_spike"] == 2
    assert all(each.detail.startswith("line ") for each in report.findings if each.quarantined)


@pytest.mark.parametrize("name", DERIVED)
def test_a_clean_file_has_no_findings(data_pack: Path, name: str) -> None:
    report = check(data_pack / "edge_cases" / "derived" / f"{name}_clean.csv")
    assert report.findings == ()
    assert report.as_dict()["ok"] is True


def test_a_shuffled_file_has_the_same_findings_but_for_its_order(
    data_pack: Path, tmp_path: Path
) -> None:
    path = data_pack / "edge_cases" / "derived" / "aapl_20140606_corrupt.csv"
    header, *lines = path.read_text().splitlines()
    np.random.default_rng(7).shuffle(lines)
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *lines]))

    def facts(report: CheckReport) -> list[tuple[str, str]]:
        return sorted(
            (str(each.ts), each.reason.value)
            for each in report.findings
            if each.reason.value != "out_of_order"
        )

    assert facts(check(shuffled)) == facts(check(path))


def test_every_file_a_vendor_broke_gives_a_report_or_one_sentence(data_pack: Path) -> None:
    folder = data_pack / "edge_cases"
    refused: dict[str, str] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        try:
            report = check(path)
        except BadInput as error:
            refused[path.name] = str(error)
        else:
            text = json.dumps(report.as_dict())
            assert json.loads(text)["findings_total"] == len(report.findings)
    assert not any("\n" in text for text in refused.values())
    assert list(refused) == [
        "aapl_20140606_truth.json",
        "spy_20131008_truth.json",
        "not-sorted-by-time.csv",
        "TenMinutesInTenCandles.json",
        "TenMinutesMissingEnd.json",
        "TenMinutesMissingStart.json",
    ]


GOOD_LINE = b"SPY,2024-03-05 14:30:00+00:00,1,2,1,2,5"
SCRAPS = st.sampled_from(
    [
        *(b",", b"\n", b"\r", b'"', b"\x00", b"\xff", b"-", b"nan", b"1e999", b";", b"\t"),
        *(b"31-Dec-10", b"0001-01-01", b"9999-12-31T23:59:59Z", b"+99:99", b"1.5e18"),
        *(b"9" * 25, GOOD_LINE),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SCRAPS, max_size=14), st.lists(SCRAPS, max_size=3), st.booleans())
def test_any_bytes_give_a_report_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    scraps: list[bytes],
    in_header: list[bytes],
    begins_well: bool,
) -> None:
    path = tmp_path_factory.mktemp("scraps") / "spy.csv"
    header = b"symbol,ts,open,high,low,close,volume" + b"".join(in_header)
    path.write_bytes(header + b"\n" + GOOD_LINE * begins_well + b"".join(scraps))
    try:
        json.dumps(check(path).as_dict(), allow_nan=False)
    except BadInput as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("malformed/orcl-2010-clean.csv", {}),
        ("malformed/orcl-2010-malformed.csv", {"unreadable": 1}),
        ("malformed/zeros.csv", {"non_positive_price": 200}),
        ("vendor_errors/CALM-1d-no-bad-divs.csv", {}),
        ("vendor_errors/AET-L-1d-100x-error.csv", {"price_spike": 9}),
        ("vendor_errors/AET-L-1d-100x-error-fixed.csv", {}),
        ("vendor_errors/4063-T-1d-bad-stock-split.csv", {"unexplained_jump": 13}),
        ("vendor_errors/4063-T-1d-bad-stock-split-fixed.csv", {}),
        ("vendor_errors/ASAI-L-1h-bad-unit.csv", {"price_spike": 1}),
        ("vendor_errors/ASAI-L-1h-bad-unit-fixed.csv", {}),
    ],
)
def test_what_vendors_broke_is_found_and_their_repair_is_clean(
    data_pack: Path, name: str, counts: dict[str, int]
) -> None:
    report = check(data_pack / "edge_cases" / name)
    found = {k: n for k, n in report.counts.items() if k not in ("zero_volume", "missing_minute")}
    assert found == counts


def test_a_split_in_the_file_is_one_finding_and_none_with_its_action(data_pack: Path) -> None:
    path = data_pack / "bars" / "daily_equity.parquet"
    factors = data_pack / "corporate_actions" / "factors.csv"

    def jumps(report: CheckReport) -> list[str]:
        return [
            each.ts.date().isoformat()
            for each in report.findings
            if each.symbol == "AAPL" and each.reason.value == "unexplained_jump" and each.ts
        ]

    assert jumps(check(path)) == ["2000-06-21"]
    assert jumps(check(path, actions=read_actions(factors, CALENDAR, ["AAPL"]))) == []


def test_a_split_between_minutes_is_found_at_the_open_whatever_was_printed_before_it(
    data_pack: Path,
) -> None:
    path = data_pack / "bars" / "minute_equity.parquet"
    factors = data_pack / "corporate_actions" / "factors.csv"
    report = check(path)
    (jump,) = [each for each in report.findings if each.quarantined]
    assert (jump.symbol, jump.ts) == ("AAPL", datetime(2014, 6, 9, 13, 30, tzinfo=UTC))
    assert "like a 7:1 split" in jump.detail
    assert (report.rows, report.quarantined) == (38593, 390)
    explained = check(path, actions=read_actions(factors, CALENDAR, ["AAPL"]))
    assert (explained.quarantined, set(explained.counts)) == (0, {"missing_minute"})


def test_a_spike_outside_regular_hours_is_found_too(tmp_path: Path) -> None:
    (day,) = CALENDAR.sessions(date(2024, 3, 5), date(2024, 3, 5))
    rows = quiet_rows([day])
    early = RawRows.of(
        rows.ts[:3] - 3_600_000_000_000, rows.values[:, :3] * np.array([1.0, 100.0, 1.0])
    )
    lines = [*lines_of("SPY", early), *lines_of("SPY", rows)]
    (finding,) = check(write_csv(tmp_path / "spy.csv", lines)).findings
    assert finding.ts == day.opens_at - timedelta(minutes=59)
    assert finding.detail.endswith("against a last good close of 100.001")


def test_an_index_may_jump_and_its_closes_outside_the_range_are_told(data_pack: Path) -> None:
    report = check(data_pack / "bars" / "daily_index.parquet")
    assert (report.quarantined, report.counts["outside_range"]) == (0, 47)


def test_sources_of_one_symbol_are_checked_apart(tmp_path: Path) -> None:
    days = CALENDAR.sessions(date(2024, 3, 5), date(2024, 3, 5))
    rows, dearer = quiet_rows(days), quiet_rows(days, price=5000.0)
    path = write_parquet(
        tmp_path / "bars.parquet", {("SPY", "a", False): rows, ("SPY", "b", False): dearer}
    )
    report = check(path)
    assert [(each.source, each.rows, each.quarantined) for each in report.series] == [
        ("a", 390, 0),
        ("b", 390, 0),
    ]
    assert report.as_dict()["sources"] == ["a", "b"]


def test_sessions_without_a_row_are_one_finding_a_hole(tmp_path: Path) -> None:
    days = [*CALENDAR.sessions(date(2024, 3, 4), date(2024, 3, 15))]
    rows = quiet_rows([days[0], days[1], days[-1]])
    report = check(write_csv(tmp_path / "spy.csv", lines_of("SPY", rows)))
    (finding,) = report.findings
    assert finding.detail == "no rows in 7 sessions, 2024-03-06 to 2024-03-14"
    assert finding.ts == days[2].opens_at
    assert not finding.quarantined


def test_extended_hours_are_not_missed_and_half_days_end_early(tmp_path: Path) -> None:
    days = CALENDAR.sessions(date(2015, 12, 24), date(2015, 12, 24))
    rows = quiet_rows(days)
    before = quiet_rows(
        [
            type(days[0])(
                day=days[0].day,
                opens_at=days[0].opens_at - timedelta(hours=3),
                closes_at=days[0].opens_at - timedelta(hours=2, minutes=30),
                is_half_day=False,
            )
        ]
    )
    lines = [*lines_of("GOOG", before), *lines_of("GOOG", rows)]
    report = check(write_csv(tmp_path / "goog.csv", lines))
    assert (report.rows, report.findings) == (240, ())


def test_a_length_we_do_not_know_is_reported_as_such(data_pack: Path) -> None:
    report = check(data_pack / "edge_cases" / "malformed" / "_issue0859.adx.nan.csv")
    assert report.series[0].timeframe is None
    assert report.as_dict()["timeframes"] == []


def test_lines_that_are_no_rows_are_counted_as_quarantined(tmp_path: Path) -> None:
    days = CALENDAR.sessions(date(2024, 3, 5), date(2024, 3, 5))
    lines = lines_of("SPY", quiet_rows(days, Timeframe.MINUTE))
    report = check(write_csv(tmp_path / "spy.csv", [*lines, "SPY,never,1,1,1,1,1"]))
    assert (report.rows, report.quarantined, report.counts) == (391, 1, {"unreadable": 1})
    assert report.findings[0].detail == "line 392: no time in 'never'"


def test_a_report_can_be_cut_to_its_first_findings(data_pack: Path) -> None:
    report = check(data_pack / "edge_cases" / "malformed" / "zeros.csv")
    shown = report.as_dict(most=3)
    assert isinstance(shown["findings"], list)
    assert (len(shown["findings"]), shown["findings_total"]) == (3, 200)
