"""What it costs to note where time goes, and to make a report of a day.

A span is on the way of everything that is timed, so its cost is the figure to keep small. The
report is of the fullest day that lists allow, built and rendered on one core.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from numpy.random import default_rng

from benchmarks.figures import median, one_core
from benchmarks.table import Goal, Row
from meta_agents.daily_report.builder import build
from meta_agents.daily_report.digest import digest_text
from meta_agents.daily_report.html import html_page
from roboinvest.core.oversight.spans import SpanBook, SpanKind
from roboinvest.core.oversight.trends import trend
from roboinvest.runtime.redaction import Redactor
from tests.fakes.day_facts import alert, audit_row, full, ticks

FAMILY: Final = "reports"
SPANS: Final = 100_000
ROUNDS: Final = 5
SPAN: Final = Goal(limit=5)  # us
_WEEK_H: Final = 168


def rows(folder: Path) -> list[Row]:
    """Return the figures of this family; nothing is written to `folder`."""
    del folder
    with one_core():
        spans_us = [measure_span_us() for _ in range(ROUNDS)]
        trend_ms = [measure_trend_ms() for _ in range(ROUNDS)]
        report_ms = [measure_report_ms() for _ in range(ROUNDS)]
    return [
        Row(family=FAMILY, what="a span", figure=median(spans_us), unit="us", n=ROUNDS, goal=SPAN,
            compared="CPU, context manager included"),
        Row(family=FAMILY, what="the trend of a week of hours", figure=median(trend_ms), unit="ms",
            n=ROUNDS, compared="CPU, 168 points"),
        Row(family=FAMILY, what="a daily report", figure=median(report_ms), unit="ms", n=ROUNDS,
            compared="CPU, built and as HTML and text; 390 ticks, 100 alerts, 100 changes"),
    ]  # fmt: skip


def measure_span_us() -> float:
    """Return the CPU time of one span among many."""
    book = SpanBook(time.perf_counter)
    began = time.process_time()
    for _ in range(SPANS):
        with book.span("trading", "strategy_agent", SpanKind.TIME):
            pass
    return (time.process_time() - began) / SPANS * 1e6


def measure_trend_ms() -> float:
    """Return the CPU time of one trend."""
    values = default_rng(1).standard_normal(_WEEK_H)
    began = time.process_time()
    trend([float(hour) for hour in range(_WEEK_H)], values)
    return (time.process_time() - began) * 1e3


def measure_report_ms() -> float:
    """Return the CPU time of one full report."""
    alerts = tuple(alert(f"a{number}") for number in range(200))
    changes = tuple(audit_row(number) for number in range(1, 200))
    facts = full(alerts=alerts, audit=changes, ticks=ticks(390))
    began = time.process_time()
    report = build(facts, redactor=Redactor(("not-to-be-shown",)), rng=default_rng(1))
    html_page(report)
    digest_text(report)
    return (time.process_time() - began) * 1e3
