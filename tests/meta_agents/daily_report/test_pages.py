"""The page has no script and no address of the outside; the digest is read at 3 a.m."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from numpy.random import default_rng

from meta_agents.daily_report.builder import build
from meta_agents.daily_report.digest import MAX_LINES, WIDTH, digest_text
from meta_agents.daily_report.document import DailyReport
from meta_agents.daily_report.facts import DayFacts
from meta_agents.daily_report.html import html_page
from roboinvest.core.events import Severity
from roboinvest.runtime.redaction import Redactor
from tests.fakes.day_facts import SPAN, alert, at, audit_row, bare, full, ticks

ADDRESS = re.compile(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#)[a-z/]", re.IGNORECASE)


def report(facts: DayFacts) -> DailyReport:
    return build(facts, redactor=Redactor(), rng=default_rng(1))


class Tags(HTMLParser):
    """Counts what is opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in {"meta", "br", "path", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag


@pytest.mark.parametrize(
    "facts", [full(), bare(), bare(ticks=(), alerts=(), attempts=(), spend=())]
)
def test_the_page_is_whole_and_carries_no_script_and_no_address(facts: DayFacts) -> None:
    page = html_page(report(facts))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not {"script", "link", "iframe", "img", "object"} & set(tags.seen)
    assert "default-src 'none'" in page
    assert not ADDRESS.search(page)
    assert "http" not in page.replace("http-equiv", "")
    assert "@media print" in page


def test_the_largest_report_is_below_300_kilobytes() -> None:
    long = "why " * 400
    many = tuple(alert(f"a{n}", message=long, resolution=long) for n in range(500))
    rows = tuple(audit_row(n, why=long, undo=long) for n in range(1, 500))
    page = html_page(report(full(alerts=many, audit=rows, ticks=ticks(600))))
    assert len(page.encode()) < 300_000


def test_text_that_got_past_everything_else_is_escaped_by_the_page() -> None:
    found = report(full())
    hostile = '"><script>alert(1)</script>'
    entry = found.incidents[0].model_copy(update={"what": hostile})
    page = html_page(found.model_copy(update={"incidents": (entry,), "headline": hostile}))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3, "headline, what is wrong, what went wrong"


def test_equal_reports_are_equal_pages() -> None:
    assert html_page(report(full())) == html_page(report(full()))


def test_the_digest_says_what_is_wrong_since_when_what_was_tried_and_what_to_do() -> None:
    text = digest_text(report(full()))
    lines = text.splitlines()
    wrong, to_do = lines.index("WHAT IS WRONG"), lines.index("WHAT YOU MUST DO")
    assert wrong < to_do < lines.index("TRADING")
    assert lines[wrong + 1] == "  high: service.feed is away"
    assert "since 2026-01-05 15:00 UTC; tried: 15:08 reconnect of feed" in lines[wrong + 2]
    assert "roboinvest resume" in text
    assert "buy and hold +1.00%" in text
    assert "3 of 4 healthy, 1 failing" in text


def test_however_much_went_wrong_the_digest_has_40_lines_of_100_characters() -> None:
    long = "what " * 100
    grave = tuple(
        alert(f"a{n}", message=long, severity=Severity.CRITICAL, raised_at=at(n)) for n in range(90)
    )
    text = digest_text(report(full(alerts=grave)))
    lines = text.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= WIDTH
    assert "and 87 more" in text
    assert "THE HOUSE" in lines  # what is wrong does not push everything else out


def test_a_day_without_anything_says_that_it_does_not_know() -> None:
    missing = {"alerts": "the store is away", "health": "nobody looked"}
    text = digest_text(report(bare(missing=missing, running=False, run_now=SPAN.start)))
    assert "nothing grave is open (the store is away)" in text
    assert "no result: no tick was committed on this day" in text
    assert "agents: not known (nobody looked)" in text
    assert "No daemon was running" in text


def test_the_page_begins_with_what_is_wrong_and_what_to_do() -> None:
    lesser = alert("reports.unwritable", severity=Severity.MEDIUM)
    page = html_page(report(full(alerts=(alert(), lesser))))
    places = [page.index(f'id="{name}"') for name in ("wrong", "todo", "trading", "incidents")]
    assert places == sorted(places)
    assert "Tried: 15:08 reconnect of feed" in page
    assert "Less grave and open: 1" in page
    assert "less grave and open: 1" in digest_text(report(full(alerts=(alert(), lesser))))
