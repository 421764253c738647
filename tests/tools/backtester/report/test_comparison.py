"""Several runs side by side: the same figures as each one's own page, in the order given."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from roboinvest.core.errors import BadInput
from tests.tools.backtester.report.builders import run, sessions, strategy, walked
from tests.tools.backtester.report.cases import (
    full_evidence,
    many_years,
    no_trades,
    one_day,
    two_months,
    two_symbols,
)
from tests.tools.backtester.report.pages import Page, pictures
from tools.backtester.contract import Terms
from tools.backtester.report.comparison import SHOWN, compare_rows, html_comparison
from tools.backtester.report.definitions import value_of
from tools.backtester.report.evidence import Evidence


def test_a_row_has_the_figures_of_its_run_in_the_order_given() -> None:
    results = [no_trades(), two_months(), two_symbols()]
    rows = compare_rows(results)
    assert [row.number for row in rows] == [1, 2, 3]
    for row, result in zip(rows, results, strict=True):
        assert [each.value for each in row.figures] == [
            value_of(result.figures, name) for name in SHOWN
        ]
    found = Page(html_comparison(results)).tables["compared-rows"][1:]
    for row, of_page in zip(rows, found, strict=True):
        values = [cell.value for cell in of_page.cells if cell.value is not None]
        assert values == ["" if f.value is None else str(f.value) for f in row.figures]


def test_the_page_is_whole_and_asks_nothing_of_the_outside() -> None:
    results = [two_months(), many_years(), one_day(), no_trades(), *[two_symbols()] * 5]
    html = html_comparison(results, [full_evidence(result) for result in results])
    page = Page(html)
    assert page.faults == []
    assert {tag for tag, _ in page.tags} & {"script", "img", "link"} == set()
    assert "http" not in html.replace("http-equiv", "")
    assert len([p for p in pictures(html) if p.attrib.get("role") == "img"]) == 1
    assert "The first 6 runs are drawn; the table has 3 more." in page.text
    names = [found["id"] for _, found in page.tags if found.get("id")]
    assert len(names) == len(set(names))
    assert len(html.encode()) < 300_000


def test_runs_that_cannot_be_compared_are_said_so() -> None:
    other = run(walked(sessions()), terms=Terms(cash=Decimal(5_000)))
    text = Page(html_comparison([two_months(), other, one_day()])).text
    assert "The best of 3 runs looks better than it is" in text
    assert "not over the same days" in text
    assert "do not share their terms" in text
    alike = Page(html_comparison([two_months(), two_months()])).text
    assert "not over the same days" not in alike
    assert "do not share" not in alike


def test_a_run_with_a_leak_is_not_valid_here_either() -> None:
    results = [two_months(), two_months()]
    text = Page(html_comparison(results, [Evidence(), full_evidence(results[1])])).text
    assert "Run 2 is not valid: a leak is suspected." in text
    assert ", not valid" in text


def test_a_hostile_name_stays_a_name() -> None:
    name = "</title></style><script>alert(1)</script>"
    hostile = run(walked(sessions()), replace(strategy(), name=name))
    page = Page(html_comparison([hostile]))
    assert page.faults == []
    assert "script" not in {tag for tag, _ in page.tags}
    assert name in page.text


def test_a_run_links_to_the_file_of_its_report_and_to_nothing_else() -> None:
    files = ["morning_rise.html", "javascript:alert(1)//.html"]
    page = Page(html_comparison([two_months(), no_trades()], files=files))
    links = [found["href"] for tag, found in page.tags if tag == "a"]
    assert {"./morning_rise.html", "./javascript%3Aalert%281%29%2F%2F.html"} <= set(links)
    assert all(link and link.startswith(("#", "./")) for link in links)
    with pytest.raises(BadInput, match="2 runs and 1 files"):
        html_comparison([two_months(), no_trades()], files=files[:1])


def test_nothing_and_a_wrong_number_of_evidence_are_refused() -> None:
    with pytest.raises(BadInput, match="no run to compare"):
        html_comparison([])
    with pytest.raises(BadInput, match="2 runs and 1 pieces of evidence"):
        compare_rows([two_months()] * 2, [Evidence()])
