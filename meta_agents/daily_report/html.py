"""The page: one HTML file without scripts and without any address of the outside.

Everything that is not marked as finished is escaped, and the page forbids scripts to itself
besides. Equal reports give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from meta_agents.daily_report.digest import lesser_alerts
from meta_agents.daily_report.document import DailyReport

_WIDTH: Final = 640.0
_HEIGHT: Final = 140.0
_MINUS: Final = "\N{MINUS SIGN}"


def html_page(report: DailyReport) -> str:
    """Return the page of one report."""
    pages = Environment(
        loader=PackageLoader("meta_agents.daily_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        minute=_minute, usd=_usd, share=_share, plain_share=_plain_share, number=_number
    )
    curve = report.trading_result.equity_curve
    page = pages.get_template("daily.html").render(
        r=report, curve=_curve(curve), lesser=lesser_alerts(report)
    )
    return page.strip() + "\n"


def _curve(points: Sequence[tuple[datetime, float]]) -> Markup | None:
    """Return the equity curve as a line; only numbers of ours go into it."""
    if len(points) < 2:
        return None
    begin, end = points[0][0], points[-1][0]
    values = [value for _, value in points]
    low, high = min(values), max(values)
    length = (end - begin).total_seconds() or 1.0
    height = (high - low) or 1.0
    places = [
        f"{(at - begin).total_seconds() / length * _WIDTH:.1f} "
        f"{_HEIGHT - (value - low) / height * _HEIGHT:.1f}"
        for at, value in points
    ]
    label = f"Equity from {values[0]:,.2f} to {values[-1]:,.2f} USD, lowest {low:,.2f}, "
    label += f"highest {high:,.2f}"
    return Markup(
        '<svg class="curve" role="img" aria-label="{}" viewBox="-2 -4 {} {}" '
        'preserveAspectRatio="none"><path d="M{}"/></svg>'
    ).format(label, f"{_WIDTH + 4:.0f}", f"{_HEIGHT + 8:.0f}", "L".join(places))


def _minute(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _signed(text: str) -> str:
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text


def _usd(value: float | None) -> str:
    return "-" if value is None else _signed(f"{value:+,.2f}")


def _share(value: float | None) -> str:
    return "-" if value is None else _signed(f"{value:+.2%}").replace("%", "\N{NO-BREAK SPACE}%")


def _plain_share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def _number(value: float | None) -> str:
    return "-" if value is None else _signed(f"{value:,.4g}")
