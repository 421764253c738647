"""One picture: an `<svg>` whose lines stretch with the page and whose letters do not.

The curves lie in an inner picture of 1000 by 1000 that is stretched to the room there is; lines
keep their width. Letters and markers stand in the outer one, at places in percent, and keep their
size, so that a page is as readable on a phone as on paper. Everything that is written goes through
`escape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from markupsafe import Markup

from tools.backtester.report.charts.scale import FULL, Scale, Tick, number_text, tick_step

MINUS: Final = "\N{MINUS SIGN}"
_NEAR_EDGE: Final = 4.0  # percent from which a label stands beside its mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A finished chart, with what it says in words."""

    title: str
    text: str
    svg: Markup


@dataclass(slots=True, kw_only=True)
class Picture:
    """A chart in the making."""

    name: str  # letters and digits, once a page
    title: str
    text: str  # what a person who cannot see it has to know
    height: int = 240  # CSS pixels
    scale: Scale
    under: list[str] = field(default_factory=list)  # outer picture, below the curves
    curves: list[str] = field(default_factory=list)  # inner picture
    over: list[str] = field(default_factory=list)  # outer picture, above the curves

    def levels(self, *, suffix: str = "", factor: float = 1.0, wanted: int = 6) -> None:
        """Draw level lines with their values times `factor` at the left."""
        ticks = self.scale.ticks(wanted)
        step = tick_step(ticks) * factor
        for value in ticks:
            at = round(self.scale.place(value), 1)
            kind = "zero" if value == 0.0 else "grid"
            self.under.append(f'<line class="{kind}" x2="100%" y1="{at:g}%" y2="{at:g}%"/>')
            text = number_text(value * factor, step).replace("-", MINUS) + suffix
            self.under.append(
                f'<text class="y" x="-6" y="{at:g}%" dy=".35em">{escape(text)}</text>'
            )

    def marks(self, ticks: Sequence[Tick]) -> None:
        """Write what stands along the bottom, and draw lines up from there."""
        for tick in ticks:
            at = f"{tick.at:.4g}%"
            kind = " minor" if tick.is_minor else ""
            end = " start" if tick.at < _NEAR_EDGE else " end" if tick.at > 100 - _NEAR_EDGE else ""
            self.under.append(f'<line class="grid{kind}" x1="{at}" x2="{at}" y2="100%"/>')
            self.under.append(
                f'<text class="x{kind}{end}" x="{at}" y="100%" dy="16">{escape(tick.text)}</text>'
            )

    def curve(self, data: str, kind: str) -> None:
        """Draw path data as a line, an area or bars, as `kind` is styled."""
        if data:
            self.curves.append(f'<path class="{kind}" d="{data}"/>')

    def chart(self) -> Chart:
        """Return the finished chart."""
        inner = (
            f'<svg viewBox="0 0 {FULL} {FULL}" preserveAspectRatio="none" '
            f'width="100%" height="100%">{"".join(self.curves)}</svg>'
        )
        name = escape(self.name)
        svg = (
            f'<svg class="plot" role="img" aria-labelledby="{name}-t {name}-d" width="100%" '
            f'height="{self.height}"><title id="{name}-t">{escape(self.title)}</title>'
            f'<desc id="{name}-d">{escape(self.text)}</desc>'
            f"{''.join(self.under)}{inner}{''.join(self.over)}</svg>"
        )
        return Chart(title=self.title, text=self.text, svg=Markup(svg))  # noqa: S704 all escaped
