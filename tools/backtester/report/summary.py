"""A run in a few lines for a terminal: the notices that change everything, then the figures."""

from __future__ import annotations

from textwrap import wrap
from typing import Final

from roboinvest.core.text.counting import counted
from tools.backtester.contract import BacktestResult
from tools.backtester.report.evidence import Evidence
from tools.backtester.report.measures.costs import costs_of
from tools.backtester.report.notices import Notice, notices_of
from tools.backtester.report.tables import FigureRow, figure_rows, headline
from tools.backtester.report.words import UNKNOWN, usd

MOST_LINES: Final = 20
WIDTH: Final = 100
_SHOWN: Final = (
    *("total_return", "annual_return", "sharpe", "max_drawdown"),
    *("win_rate", "profit_factor", "expectancy_usd"),
)


def summary_lines(result: BacktestResult, evidence: Evidence) -> list[str]:
    """Return at most 20 lines of at most 100 columns, control characters taken out."""
    rows = {row.definition.name: row for row in figure_rows(result, evidence)}
    request, costs = result.request, costs_of(result)
    title = f"{request.strategy.stamp} on {', '.join(sorted(result.stage.parts))}"
    lines = [_cut(f"{title}, {request.timeframe} bars, {result.executor}")]
    lines += wrap(_clean(headline(result)), WIDTH)[:3]
    lines.append("")
    lines += [_figure(rows[name]) for name in _SHOWN]
    lines.append(f"{'Costs':<20} {usd(costs.fees)} fees, {usd(costs.slippage)} slippage")
    lines.append(_cut(f"{'Run':<20} {result.digest}"))
    lines.append("")
    notices = notices_of(result, evidence)
    room = MOST_LINES - len(lines)
    return lines + _notices(notices, room)


def _figure(row: FigureRow) -> str:
    beside = [] if row.interval == UNKNOWN else [row.interval]
    if row.benchmark is not None:
        beside.append(f"buy and hold {row.benchmark_text}")
    label = row.definition.label
    return _cut(f"{label:<20} {row.text:>14}   {', '.join(beside)}".rstrip())


def _notices(notices: tuple[Notice, ...], room: int) -> list[str]:
    """Return the most serious notices in full sentences, and how many are left."""
    lines = list[str]()
    for number, notice in enumerate(notices):
        name = notice.weight.value
        told = wrap(_clean(f"{name}: {notice.text}"), WIDTH, subsequent_indent="  ")
        left = len(notices) - number
        last = number == len(notices) - 1
        if len(lines) + len(told) + (0 if last else 1) > room:
            more = counted(left, "notice")
            if len(lines) < room:
                lines.append(f"{more} more in the report." if lines else _cut(told[0]))
            break
        lines += told
    return lines


def _clean(text: str) -> str:
    """Return a text that cannot steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _cut(text: str) -> str:
    text = _clean(text)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
