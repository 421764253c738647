"""JSON, CSV and the lines of a terminal: strict, plain, and the same figures as the page's."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from tests.tools.backtester.report.builders import run, sessions, strategy, total, walked
from tests.tools.backtester.report.cases import CASES, full_evidence, no_trades, two_months
from tests.tools.backtester.report.pages import Page
from tools.backtester.report.csv_form import COLUMNS, csv_trades, harmless
from tools.backtester.report.definitions import FIGURES, RULES, value_of
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.html_page import html_report
from tools.backtester.report.json_form import SCHEMA_VERSION, json_report, json_text
from tools.backtester.report.summary import MOST_LINES, WIDTH, summary_lines

NONE = Evidence()
PLAIN: dict[str, Any] = {
    "type": "object",
    "required": ["schema_version", "digest", "figures", "money", "round_trips", "rules", "daily"],
    "properties": {
        "schema_version": {"const": 1},
        "money": {
            "additionalProperties": {"type": ["string", "integer"], "pattern": r"^-?\d+(\.\d+)?$"}
        },
        "figures": {
            "additionalProperties": {
                "type": "object",
                "required": ["value", "benchmark", "interval", "unit", "definition"],
                "properties": {"value": {"type": ["number", "null"]}},
            }
        },
    },
}


def same(text: str) -> dict[str, Any]:
    """Read strict JSON: NaN and infinities are refused."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("knows", [False, True], ids=["bare", "with evidence"])
def test_json_is_strict_and_comes_back_as_it_went(case: str, knows: bool) -> None:
    result = CASES[case]()
    report = json_report(result, full_evidence(result) if knows else NONE)
    assert same(json_text(report)) == report
    jsonschema.validate(report, PLAIN)
    assert report["schema_version"] == SCHEMA_VERSION
    assert report["rules"] == dict(RULES)


def test_json_has_every_figure_with_its_definition() -> None:
    result = two_months()
    figures = json_report(result, full_evidence(result))["figures"]
    assert list(figures) == [each.name for each in FIGURES]
    for each in FIGURES:
        assert figures[each.name]["value"] == value_of(result.figures, each.name)
        assert figures[each.name]["definition"] == each.text
    assert set(figures["sharpe"]["interval"]) == {"low", "high", "level"}
    assert figures["win_rate"]["interval"]["low"] == result.figures.win_rate.low  # type: ignore[union-attr]
    assert figures["omega"]["interval"] is None


def test_a_figure_without_a_value_is_null_and_not_zero() -> None:
    figures = json_report(no_trades(), NONE)["figures"]
    for name in ("win_rate", "profit_factor", "expectancy_usd", "sharpe"):
        assert figures[name]["value"] is None
    assert figures["trades"]["value"] == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_null(value: float) -> None:
    result = two_months()
    result = replace(result, figures=replace(result.figures, omega=value))
    report = json_report(result, Evidence(probabilistic_sharpe=value))
    assert report["figures"]["omega"]["value"] is None
    assert report["evidence"]["probabilistic_sharpe"] is None
    json_text(report)
    assert Page(html_report(result, NONE)).faults == []


def test_money_in_json_is_text_and_exact() -> None:
    result = two_months()
    report = json_report(result, full_evidence(result))
    assert sum(Decimal(trip["pnl_usd"]) for trip in report["round_trips"]) == total(result)
    assert Decimal(report["money"]["trades"]) == total(result)
    assert all(isinstance(day["equity_usd"], str) for day in report["daily"])
    assert len(report["daily"]) == len(result.days)
    for table in report["attribution"].values():
        assert sum(Decimal(group["pnl_usd"]) for group in table["groups"]) == total(result)


def test_csv_has_a_row_for_each_round_trip_and_reads_back() -> None:
    result = two_months()
    text = csv_trades(result)
    assert text.count("\r\n") == len(result.round_trips) + 1
    assert "\n" not in text.replace("\r\n", "")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == COLUMNS
    for row, trip in zip(rows, result.round_trips, strict=True):
        assert Decimal(row["pnl_usd"]) == trip.pnl
        assert Decimal(row["entry_price"]) == trip.entry_price
        assert row["entry_at"].endswith("Z")
        assert row["left_by"] == trip.cause
        assert row["open_at_end"] == ("yes" if trip.is_open else "no")


def test_csv_of_no_trades_is_a_header() -> None:
    assert csv_trades(no_trades()) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("symbol", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_symbol_is_never_a_formula(symbol: str) -> None:
    assert harmless(symbol) == f"'{symbol}"
    result = run(walked(sessions(), symbol=symbol))
    rows = list(csv.DictReader(io.StringIO(csv_trades(result), newline="")))
    assert rows
    assert {row["symbol"] for row in rows} == {f"'{symbol}"}


def test_a_symbol_with_a_comma_and_quotes_stays_one_cell() -> None:
    symbol = 'BRK,"A"\nB'
    result = run(walked(sessions(), symbol=symbol))
    rows = list(csv.DictReader(io.StringIO(csv_trades(result), newline="")))
    assert {row["symbol"] for row in rows} == {symbol}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("knows", [False, True], ids=["bare", "with evidence"])
def test_the_terminal_gets_at_most_twenty_lines_that_fit(case: str, knows: bool) -> None:
    result = CASES[case]()
    lines = summary_lines(result, full_evidence(result) if knows else NONE)
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= WIDTH for line in lines)
    assert any(line.startswith(("Warning: ", "Not valid: ", "Note: ")) for line in lines)


def test_the_terminal_says_first_what_makes_the_figures_worthless() -> None:
    result = two_months()
    lines = summary_lines(result, full_evidence(result))
    notices = [line for line in lines if line.startswith(("Not valid", "Warning", "Note"))]
    assert notices[0].startswith("Not valid: Leak suspected by the future check")
    assert lines[-1].endswith("more in the report.")


def test_a_name_cannot_steer_the_terminal() -> None:
    named = replace(strategy(), name="\x1b[2J\x1b]0;owned\x07" + "x" * 300)
    lines = summary_lines(run(walked(sessions()), named), NONE)
    assert all(line.isprintable() for line in lines)
    assert all(len(line) <= WIDTH for line in lines)
