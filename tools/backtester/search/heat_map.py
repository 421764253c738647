"""Two parameters of a sweep as a picture: inline SVG, no script, no outside file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Number
from tools.backtester.search.tried import Tried

_CELL: Final = (44, 24)  # px
_LEFT: Final = 72
_TOP: Final = 30
_BELOW: Final = 46
_LOSS: Final = (178, 24, 43)
_ZERO: Final = (247, 247, 247)
_GAIN: Final = (33, 102, 172)
_DARK: Final = 0.6  # of the way to a colour, from which on figures are written in white


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """The mean score of each pair of values, over all that the other parameters took."""

    x_name: str
    y_name: str
    objective: str
    xs: tuple[Number, ...]  # smallest first
    ys: tuple[Number, ...]
    cells: tuple[tuple[float | None, ...], ...]  # a row for each y; None: not tried, or no score


def heat_map_of(tried: Sequence[Tried], x_name: str, y_name: str, objective: str) -> HeatMap:
    """Return the map of two parameters.

    Raises:
        BadInput: nothing was tried, or one of them is no parameter of it.
    """
    known = sorted(tried[0].values) if tried else []
    missing = [name for name in (x_name, y_name) if name not in known]
    if missing or x_name == y_name:
        raise BadInput(
            f"a heat map needs two parameters, and {x_name} and {y_name} were asked for; there are "
            f"{', '.join(known) or 'none'}"
        )
    scores: dict[tuple[Number, Number], list[float]] = {}
    for each in tried:
        if each.score is not None:
            scores.setdefault((each.values[x_name], each.values[y_name]), []).append(each.score)
    xs = tuple(sorted({each.values[x_name] for each in tried}))
    ys = tuple(sorted({each.values[y_name] for each in tried}))
    cells = tuple(tuple(_mean(scores.get((x, y), [])) for x in xs) for y in ys)
    return HeatMap(x_name=x_name, y_name=y_name, objective=objective, xs=xs, ys=ys, cells=cells)


def heat_map_svg(heat: HeatMap) -> str:
    """Return the map as one <svg> element: blue above 0, red below, grey where nothing is."""
    wide, high = _CELL
    width, height = _LEFT + wide * len(heat.xs) + 8, _TOP + high * len(heat.ys) + _BELOW
    most = max((abs(cell) for row in heat.cells for cell in row if cell is not None), default=0.0)
    title = f"{heat.objective} by {heat.x_name} and {heat.y_name}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" font-family="sans-serif" font-size="10">',
        f"<title>{escape(title)}</title>",
        f'<text x="{_LEFT}" y="16" font-size="12">{escape(title)}</text>',
    ]
    for line, (y, row) in enumerate(zip(reversed(heat.ys), reversed(heat.cells), strict=True)):
        top = _TOP + line * high
        parts.append(_text(_LEFT - 6, top + 15, f"{y:g}", "end"))
        for column, cell in enumerate(row):
            parts.extend(_cell(_LEFT + column * wide, top, cell, most))
    below = _TOP + high * len(heat.ys)
    parts += [
        _text(_LEFT + n * wide + wide // 2, below + 14, f"{x:g}", "middle")
        for n, x in enumerate(heat.xs)
    ]
    parts.append(_text(_LEFT, below + 34, heat.x_name, "start"))
    parts.append(_text(4, _TOP + 15, heat.y_name, "start"))
    return "".join([*parts, "</svg>"])


def _cell(left: int, top: int, score: float | None, most: float) -> list[str]:
    wide, high = _CELL
    box = f'<rect x="{left}" y="{top}" width="{wide - 1}" height="{high - 1}" fill="'
    if score is None:
        return [f'{box}#dddddd"/>']
    share = score / most if most > 0.0 else 0.0
    towards = _GAIN if share > 0.0 else _LOSS
    mixed = [round(a + (b - a) * abs(share)) for a, b in zip(_ZERO, towards, strict=True)]
    colour = "#" + "".join(f"{part:02x}" for part in mixed)
    ink = "#ffffff" if abs(share) > _DARK else "#222222"
    figure = f"{score:.3g}"
    return [f'{box}{colour}"/>', _text(left + wide // 2, top + 15, figure, "middle", ink)]


def _text(x: int, y: int, text: str, anchor: str, ink: str = "#222222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{ink}">{escape(text)}</text>'


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
