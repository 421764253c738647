"""A page as a test reads it: its tags, figures, texts and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass
class Cell:
    """A table's cell: its words, and the value of the `<data>` in it, where there is one."""

    text: str = ""
    value: str | None = None


@dataclass
class Row:
    """A table's row: the figure it names, where it does, and its cells."""

    figure: str | None
    cells: list[Cell] = field(default_factory=list)


class Page(HTMLParser):
    """Reads a page and complains about tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[Row]] = {}
        self.texts: dict[str, list[str]] = {}  # by the tag directly around
        self.faults: list[str] = []
        self._open: list[str] = []
        self._rows: list[Row] | None = None
        self._cell: Cell | None = None
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]

    @property
    def text(self) -> str:
        """Return all words of the page."""
        return " ".join(text for texts in self.texts.values() for text in texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(found.get("id") or "", [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append(Row(figure=found.get("data-figure")))
        elif tag in ("td", "th") and self._rows:
            self._cell = Cell()
            self._rows[-1].cells.append(self._cell)
        elif tag == "data" and self._cell is not None:
            self._cell.value = found["value"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes something else")
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)
        if self._cell is not None:
            self._cell.text += data


def pictures(html: str) -> list[ElementTree.Element]:
    """Return the outermost pictures, read as strict XML."""
    found, depth, start = [], 0, 0
    for tag in re.finditer(r"<svg\b|</svg>", html):
        if tag.group() == "<svg":
            start = tag.start() if depth == 0 else start
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                found.append(ElementTree.fromstring(html[start : tag.end()]))  # noqa: S314 ours
    return found


def path_points(data: str) -> list[tuple[float, float]]:
    """Return the absolute points of path data made of M, l, h, v, H, V and z."""
    points: list[tuple[float, float]] = []
    x = y = 0.0
    for command, rest in re.findall(r"([MlhvHVz])([^MlhvHVz]*)", data):
        numbers = [float(number) for number in NUMBER.findall(rest)]
        if command in "Ml":
            for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
                x, y = (dx, dy) if command == "M" else (x + dx, y + dy)
                points.append((x, y))
        for number in numbers if command in "hvHV" else ():
            x = number if command == "H" else x + number if command == "h" else x
            y = number if command == "V" else y + number if command == "v" else y
            points.append((x, y))
    return points


def plain_minus(text: str) -> str:
    """Return a text with a hyphen for the minus sign and spaces that may break."""
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ")
