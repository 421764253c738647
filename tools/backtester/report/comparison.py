"""Several runs side by side: the same figures in one table, their curves on one axis.

Runs keep the order in which they are given: whoever ranks them has looked for the best, and the
page says what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from roboinvest.core.errors import BadInput
from roboinvest.core.text.counting import counted
from tools.backtester.contract import BacktestResult
from tools.backtester.report.charts.lines import LINES, returns_chart, spark
from tools.backtester.report.definitions import FIGURES, Definition
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.curves import days_of
from tools.backtester.report.notices import Notice, Weight, notices_of
from tools.backtester.report.tables import FigureRow, figure_rows
from tools.backtester.report.templating import rendered
from tools.backtester.report.words import day_text, listed

SHOWN: Final = (
    *("total_return", "annual_return", "sharpe", "max_drawdown", "trades"),
    *("win_rate", "profit_factor", "expectancy_usd"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRow:
    """One run in a comparison."""

    number: int  # from 1 on, as given
    strategy: str  # name and version
    values: str  # parameters in words
    symbols: str
    days: str
    figures: tuple[FigureRow, ...]  # those of `SHOWN`, in that order
    serious: tuple[Notice, ...]  # what is not valid, and warnings
    digest: str

    @property
    def label(self) -> str:
        """Return what tells it apart in a legend."""
        return f"{self.number}. {self.strategy}, {self.symbols}"


def compare_rows(
    results: Sequence[BacktestResult], evidence: Sequence[Evidence] = ()
) -> tuple[CompareRow, ...]:
    """Return a row for each run; `evidence` is empty or has one for each.

    Raises:
        BadInput: there is not one evidence for each result.
    """
    if evidence and len(evidence) != len(results):
        raise BadInput(
            f"{len(results)} runs and {len(evidence)} pieces of evidence; give one for each"
        )
    known = evidence or [Evidence()] * len(results)
    return tuple(
        _row(number, result, each)
        for number, (result, each) in enumerate(zip(results, known, strict=True), 1)
    )


def html_comparison(
    results: Sequence[BacktestResult],
    evidence: Sequence[Evidence] = (),
    *,
    files: Sequence[str] = (),
) -> str:
    """Return a page that compares some runs.

    `files` is empty, or has the name of the file beside this page that holds the report of each.

    Raises:
        BadInput: no result, or not one evidence or file for each.
    """
    if not results:
        raise BadInput("there is no run to compare; give one at least")
    if files and len(files) != len(results):
        raise BadInput(f"{len(results)} runs and {len(files)} files; give one for each")
    rows = compare_rows(results, evidence)
    hrefs = [f"./{quote(name, safe='')}" for name in files] or [""] * len(rows)
    drawn = list(zip(rows, results, strict=True))[: len(LINES)]
    curves = [(row.label, days_of(result), result.daily_equity) for row, result in drawn]
    labels = {each.name: each for each in FIGURES}
    columns: list[Definition] = [labels[name] for name in SHOWN]
    return rendered(
        "comparison.html",
        rows=[
            (row, spark(result.daily_equity), href)
            for row, result, href in zip(rows, results, hrefs, strict=True)
        ],
        columns=columns,
        chart=returns_chart("compared", "Return since the start", curves),
        legend=[
            (kind, f"{row.label}: {row.figures[0].text}")
            for kind, (row, _) in zip(LINES, drawn, strict=False)
        ],
        left_out=len(rows) - len(drawn),
        warnings=_warnings(results, rows),
    )


def _row(number: int, result: BacktestResult, evidence: Evidence) -> CompareRow:
    days, request = days_of(result), result.request
    rows = {row.definition.name: row for row in figure_rows(result, evidence)}
    notices = notices_of(result, evidence)
    return CompareRow(
        number=number,
        strategy=request.strategy.stamp,
        values=listed([f"{name} {value:g}" for name, value in request.values.items()]),
        symbols=listed(sorted(result.stage.parts)),
        days=f"{day_text(days[0])} to {day_text(days[-1])}" if days else "none",
        figures=tuple(rows[name] for name in SHOWN),
        serious=tuple(each for each in notices if each.weight is not Weight.NOTE),
        digest=result.digest,
    )


def _warnings(results: Sequence[BacktestResult], rows: Sequence[CompareRow]) -> list[str]:
    """Return why the runs may not be comparable."""
    found = [
        f"The best of {counted(len(rows), 'run')} looks better than it is, and the more runs the "
        "better: judge it by its deflated Sharpe ratio, on days that no run has seen."
    ]
    if len({row.days for row in rows}) > 1:
        found.append("The runs are not over the same days, so their returns are not comparable.")
    terms = [result.request.terms for result in results]
    if any(each != terms[0] for each in terms):
        found.append("The runs do not share their terms: cash, costs or limits differ.")
    invalid = [
        str(row.number) for row in rows if any(n.weight is Weight.INVALID for n in row.serious)
    ]
    if invalid:
        found.append(
            f"Run {listed(invalid)} is not valid: a leak is suspected."
            if len(invalid) == 1
            else f"Runs {listed(invalid)} are not valid: leaks are suspected."
        )
    return found if len(rows) > 1 else found[1:]
