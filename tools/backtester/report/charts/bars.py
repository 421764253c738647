"""Bars: histograms, and the small bars that stand in the cells of tables."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
from markupsafe import Markup

from roboinvest.core.market.bars import Floats
from roboinvest.core.text.counting import counted
from tools.backtester.report.charts.picture import MINUS, Chart, Picture
from tools.backtester.report.charts.scale import FULL, Scale, Tick, number_text, round_step
from tools.backtester.report.measures.curves import Bin, bins
from tools.backtester.report.words import UNKNOWN

FEWEST: Final = 5  # values below which a histogram shows nothing
_GAP: Final = 3  # thousandths between bars


def histogram(
    name: str, title: str, values: Floats, *, noun: str, suffix: str = "", factor: float = 1.0
) -> Chart | None:
    """Return how often values came, losses and gains apart; None for a few values.

    `factor` and `suffix` say how a value is written along the bottom.
    """
    classes = bins(values)
    if sum(each.count for each in classes) < FEWEST:
        return None
    most = max(each.count for each in classes)
    below = sum(each.count for each in classes if each.low < 0.0)
    picture = Picture(
        name=name,
        title=title,
        text=f"{counted(below, noun)} below 0 and {sum(b.count for b in classes) - below:,} at 0 "
        f"or above, in {counted(len(classes), 'class', 'classes')}; the fullest holds {most:,}.",
        height=180,
        scale=Scale(low=0.0, high=most * 1.06),
    )
    picture.levels(wanted=min(4, most + 1))
    picture.marks(_ticks(classes, suffix, factor))
    for kind, chosen in (
        ("loss", [b for b in classes if b.low < 0.0]),
        ("gain", [b for b in classes if b.low >= 0.0]),
    ):
        picture.curve(
            "".join(_bar(each, classes, picture.scale) for each in chosen), f"fill {kind}"
        )
    return picture.chart()


def balance(amount: Decimal, largest: Decimal) -> Markup:
    """Return a bar from the middle of a cell: to the right what was earned, to the left a loss."""
    share = float(abs(amount) / largest) * 50 if largest else 0.0
    left = 50.0 - share if amount < 0 else 50.0
    kind = "loss" if amount < 0 else "gain"
    return Markup(  # noqa: S704 figures alone
        '<svg class="balance" aria-hidden="true"><line class="zero" x1="50%" x2="50%" y2="100%"/>'
        f'<rect class="fill {kind}" x="{left:.1f}%" width="{share:.1f}%" y="15%" height="70%"/>'
        "</svg>"
    )


def _bar(each: Bin, classes: Sequence[Bin], scale: Scale) -> str:
    if not each.count:
        return ""
    wide = FULL / len(classes)
    left = round(classes.index(each) * wide) + _GAP // 2
    top = int(scale.places(np.array([float(each.count)]))[0])
    return f"M{left} {FULL}V{top}h{max(round(wide) - _GAP, 1)}V{FULL}z"


def _ticks(classes: Sequence[Bin], suffix: str, factor: float) -> list[Tick]:
    low, high = classes[0].low, classes[-1].high
    step = round_step((high - low) / 6)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    ticks = []
    for number in range(first, last + 1):
        text = number_text(number * step * factor, step * factor).replace("-", MINUS)
        at = 100 * (number * step - low) / (high - low)
        ticks.append(Tick(at=at, text=f"{text}{suffix}" or UNKNOWN, is_minor=number % 2 == 1))
    return ticks
