"""The tear sheet: what it says is the result, on every kind of run, and it asks nobody for help."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from xml.etree.ElementTree import Element

import pytest

from tests.conftest import REPOSITORY
from tests.tools.backtester.report.builders import run, sessions, strategy, total, walked
from tests.tools.backtester.report.cases import (
    CASES,
    a_year_of_minutes,
    ambiguous_bars,
    full_evidence,
    many_years,
    open_position,
    two_months,
    two_symbols,
)
from tests.tools.backtester.report.pages import (
    NUMBER,
    Page,
    path_points,
    pictures,
    plain_minus,
)
from tools.backtester.contract import BacktestResult
from tools.backtester.report.charts.candles import trade_chart
from tools.backtester.report.definitions import FIGURES, RULES, value_of
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.html_page import MOST_TRIPS, html_report
from tools.backtester.report.measures.chosen import chosen_trades
from tools.backtester.report.words import shown

HOSTILE = """"><script>alert(1)</script><img src=x onerror=alert(2)>'</title></style>{{ 7*7 }}&"""
NONE = Evidence()
NO_FIGURE = re.compile(r"\b(nan|NaN|inf|Infinity|None)\b")


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    return two_months()


@pytest.fixture(scope="module")
def html(result: BacktestResult) -> str:
    return html_report(result, full_evidence(result))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("knows", [False, True], ids=["bare", "with evidence"])
def test_every_kind_of_run_gives_a_whole_page_with_finite_pictures(case: str, knows: bool) -> None:
    result = CASES[case]()
    html = html_report(result, full_evidence(result) if knows else NONE)
    assert Page(html).faults == []
    assert not NO_FIGURE.search(Page(html).text)
    drawn = pictures(html)
    assert drawn
    for picture in drawn:
        for each in picture.iter():
            for name, value in each.attrib.items():
                if name in ("class", "id", "aria-labelledby"):
                    continue
                assert not NO_FIGURE.search(value), (each.tag, name, value)
            for x, y in path_points(each.attrib.get("d", "")):
                assert -10 <= x <= 1000, each.attrib["d"]
                assert -11 <= y <= 1000, each.attrib["d"]


def test_the_figures_of_the_page_are_those_of_the_result(result: BacktestResult, html: str) -> None:
    rows = {row.figure: row.cells for row in Page(html).tables["all-figures"] if row.figure}
    assert list(rows) == [each.name for each in FIGURES]
    for each in FIGURES:
        value = value_of(result.figures, each.name)
        label, of_strategy, _, of_benchmark, meaning = rows[each.name]
        assert label.text == each.label
        assert meaning.text == each.text
        assert of_strategy.value == ("" if value is None else str(value))
        assert plain_minus(of_strategy.text) == shown(value, each.unit)
        assert of_benchmark.value in ("", str(value_of(result.benchmark_figures, each.name)))


def test_every_table_of_attribution_adds_up_to_the_profit_of_the_run(
    result: BacktestResult, html: str
) -> None:
    tables = {name: rows for name, rows in Page(html).tables.items() if name.startswith("by-")}
    assert set(tables) == {
        f"by-{n}" for n in ("hour", "weekday", "month", "regime", "side", "exit")
    }
    for rows in tables.values():
        *groups, whole = [row.cells for row in rows[1:]]
        money = [Decimal(cells[3].value or "") for cells in groups]
        assert sum(money) == Decimal(whole[3].value or "") == total(result)
        assert sum(int(cells[1].text) for cells in groups) == len(result.round_trips)


def test_the_round_trips_of_the_page_are_the_last_ones(result: BacktestResult, html: str) -> None:
    assert len(result.round_trips) > MOST_TRIPS
    rows = Page(html).tables["trips"][1:]
    assert [Decimal(row.cells[9].value or "") for row in rows] == [
        trip.pnl for trip in result.round_trips[-MOST_TRIPS:]
    ]
    assert f"The last {MOST_TRIPS} of {len(result.round_trips)}" in Page(html).text


def test_the_curve_keeps_its_highest_and_lowest_point() -> None:
    result = a_year_of_minutes()
    equity = result.played.equity
    (drawn,) = (p for p in pictures(html_report(result, NONE)) if "equity-t" in str(p.attrib))
    curve = next(p for p in drawn.iter("path") if p.attrib["class"] == "line main")
    kept = next(p for p in drawn.iter("path") if p.attrib["class"] == "line bench")
    heights = [y for _, y in path_points(curve.attrib["d"])]
    both = heights + [y for _, y in path_points(kept.attrib["d"])]
    low = min(equity.min(), result.benchmark.min(), result.daily_equity[0])
    high = max(equity.max(), result.benchmark.max(), result.daily_equity[0])
    room = (high - low) * 0.05
    unit = 1000 / (high - low + 2 * room)
    assert max(heights) == pytest.approx((high + room - equity.min()) * unit, abs=0.6)
    assert max(both) == pytest.approx(1000 - room * unit, abs=0.6)
    assert min(both) == pytest.approx(room * unit, abs=0.6)


def test_a_year_of_minute_bars_stays_small_and_needs_nobody() -> None:
    result = a_year_of_minutes()
    html = html_report(result, full_evidence(result))
    print(f"{len(result.round_trips)} trades, {len(html.encode()):,} bytes")
    assert len(result.played.instants) > 97_000
    assert len(result.round_trips) > 500
    assert len(html.encode()) < 300_000


@pytest.mark.parametrize("case", [two_months, open_position, two_symbols, many_years])
def test_the_page_asks_nothing_of_the_outside(case: Callable[[], BacktestResult]) -> None:
    result = case()
    html = html_report(result, full_evidence(result))
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert not re.search(r"https?://|url\(|@import|@font-face|javascript:", html)
    asked = {value for _, found in page.tags for name, value in found.items() if name == "href"}
    assert asked
    assert all(value and value.startswith("#") for value in asked)
    assert not any(name.startswith("on") for _, found in page.tags for name in found)


@pytest.mark.parametrize("where", ["name", "idea", "symbol", "note", "source"])
def test_a_hostile_text_stays_a_text(where: str) -> None:
    told = {
        "name": replace(strategy(), name=HOSTILE),
        "idea": replace(strategy(), idea=HOSTILE),
        "source": replace(strategy(), source=HOSTILE),
    }
    symbol = HOSTILE if where == "symbol" else "SPY"
    bars = walked(sessions(), symbol=symbol)
    result = run(bars, told.get(where), notes=(HOSTILE,) if where == "note" else ())
    html = html_report(result, NONE)
    page = Page(html)
    assert page.faults == []
    assert {tag for tag, _ in page.tags} & {"script", "img"} == set()
    assert HOSTILE.split("{{", maxsplit=1)[0] in page.text
    assert "49" not in "".join(page.texts.get("h1", []))
    pictures(html)


def test_everything_that_is_known_or_not_is_told(result: BacktestResult, html: str) -> None:
    page, bare = Page(html), Page(html_report(result, NONE))
    for name, text in RULES:
        assert name in page.text
        assert text in page.text
    assert result.digest in page.text
    assert "leak suspected" in page.text.lower()
    assert {"leaks", "folds", "cost-rows"} <= set(page.tables)
    for missing in ("Leak checks were not run", "No walk-forward was run", "Other costs were not"):
        assert missing in bare.text
    assert "by-regime" not in bare.tables


def test_an_ambiguous_trade_is_shown_with_its_kindest_end() -> None:
    result = ambiguous_bars()
    assert result.played.ambiguous
    text = plain_minus(Page(html_report(result, NONE)).text)
    kindest = sum((trip.kindest_pnl for trip in result.round_trips), Decimal(0))
    assert f"it would be {kindest:+,.2f} USD" in text
    assert "Ambiguous; the kindest would be" in text


def test_marks_stand_on_the_candles_and_at_the_prices_of_the_fills() -> None:
    result = two_months()
    bars = result.stage.parts["SPY"].bars
    for number, chosen in enumerate(chosen_trades(result)):
        trip, candles = chosen.trip, chosen.candles
        svg = trade_chart(number, chosen, bars, result.request.timeframe).svg
        (drawn,) = pictures(svg)
        places = [
            tuple(float(each.attrib[side].rstrip("%")) for side in "xy")
            for each in drawn.iter("svg")
            if each.attrib.get("class", "").startswith("mark")
        ]
        for place, row, price in zip(
            places,
            (trip.entry_row, trip.exit_row),
            (trip.entry_price, trip.exit_price),
            strict=True,
        ):
            at = (row - candles.first_row + 0.5) / len(candles) * 100
            assert place[0] == pytest.approx(at, abs=0.01)
            wicks = next(path_points(p.attrib["d"]) for p in drawn.iter("path") if is_wick(p))
            body = [y for x, y in wicks if abs(x - at * 10) <= 1]
            inside = bars.low[row] <= float(price) <= bars.high[row]
            assert not inside or min(body) - 1 <= place[1] * 10 <= max(body) + 1


def is_wick(path: Element) -> bool:
    """Return whether a path is the wicks of candles."""
    return path.attrib["class"] == "wick"


def test_pictures_have_a_title_and_a_text_and_tables_their_scopes(html: str) -> None:
    page = Page(html)
    names = [found["id"] for _, found in page.tags if found.get("id")]
    assert len(names) == len(set(names))
    for picture in pictures(html):
        if picture.attrib.get("role") == "img":
            title, text = picture.attrib["aria-labelledby"].split()
            assert picture.find("title") is not None
            assert {title, text} <= set(names)
        else:
            assert picture.attrib["aria-hidden"] == "true"
    assert all("scope" in found for tag, found in page.tags if tag == "th")
    assert [tag for tag, _ in page.tags].count("h1") == 1
    regions = [f for t, f in page.tags if t == "div" and "scroll" in (f.get("class") or "")]
    assert all(f["tabindex"] == "0" and f["aria-label"] for f in regions)


def test_equal_results_give_equal_bytes_in_any_process(html: str) -> None:
    code = (
        "from tests.tools.backtester.report.cases import *\n"
        "from tools.backtester.report.html_page import html_report\n"
        "import sys\nresult = two_months()\n"
        "sys.stdout.buffer.write(html_report(result, full_evidence(result)).encode())"
    )
    again = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert again.stdout.decode() == html


def test_the_colours_of_words_stand_out_in_both_schemes(html: str) -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    )
    assert light.keys() == dark.keys()
    pairs = [(ink, "bg") for ink in ("ink", "soft", "accent", "gain", "loss")]
    pairs += [("ink", "panel"), ("soft", "panel"), ("bad", "bad-bg"), ("warn", "warn-bg")]
    pairs += [("note", "note-bg"), ("ink", "bad-bg"), ("ink", "warn-bg"), ("ink", "note-bg")]
    pairs += [("ink", cell) for cell in ("g1", "g2", "g3", "l1", "l2", "l3")]
    for scheme in (light, dark):
        for ink, ground in pairs:
            assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
        for line in ("bench", "fill-gain", "fill-loss", "two", "three", "four", "five", "six"):
            assert contrast(scheme[line], scheme["bg"]) >= 3.0, line


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_numbers_are_read_as_the_pictures_write_them() -> None:
    assert NUMBER.findall("0 0-3 1.5-2e-3") == ["0", "0", "-3", "1.5", "-2e-3"]
    assert path_points("M0 5l1-3 2 0h4v-1z") == [(0, 5), (1, 2), (3, 2), (7, 2), (7, 1)]
