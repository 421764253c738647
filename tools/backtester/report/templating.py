"""The templates and their filters; everything that is not marked as finished is escaped."""

from __future__ import annotations

import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tools.backtester.report.charts.picture import MINUS
from tools.backtester.report.words import day_text, gain, number, percent, sentence, usd

_SIGN: Final = re.compile(r"(?<![^\s(])-(?=\d)")
_UNIT: Final = re.compile(r"(?<=\d) (?=(%|USD|R|bp)(?!\w))")
HEAT_STEPS: Final = (0.02, 0.05)  # returns of a month from which its cell is darker


def rendered(template: str, **parts: object) -> str:
    """Return a page from a template of this package."""
    pages = Environment(
        loader=PackageLoader("tools.backtester.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        typeset=typeset,
        usd=lambda amount, signed=False: usd(amount, signed=signed),
        plain_usd=gain,
        percent=percent,
        gain=lambda value, digits=2: percent(value, digits, signed=True),
        month_gain=lambda value: percent(value, 1, signed=True).removesuffix(" %"),
        number=number,
        day=day_text,
        heat=heat,
        sentence=sentence,
    )
    return pages.get_template(template).render(**parts).strip() + "\n"


def typeset(text: str) -> str:
    """Return a text with true minus signs, as wide as a plus, and figures kept to their units.

    Only a hyphen before a digit, at the start or after a space or bracket, is a sign.
    """
    return _UNIT.sub("\N{NO-BREAK SPACE}", _SIGN.sub(MINUS, text))


def heat(value: float) -> str:
    """Return the class of a month's cell, from l3 (a great loss) to g3 (a great gain)."""
    if value == 0.0:
        return ""
    step = 1 + sum(abs(value) >= limit for limit in HEAT_STEPS)
    return f"{'g' if value > 0.0 else 'l'}{step}"
