"""What a reader of a page would see, out of its HTML; the rest is where orders are hidden.

Attributes never become text: no alternative text, no titles, no addresses. What is hidden by a
style sheet is not known here and stays; nothing that the house guarantees rests on this.

Why not the standard library's parser: it takes minutes for 60 kB of broken tags, raises on some,
and reads others differently from one patch release to the next, so that a replay would too. This
one looks at each character a bounded number of times and takes whatever it gets.
"""

from __future__ import annotations

import html
import re
from typing import Final

_RAW: Final = frozenset(  # what they hold is no markup, up to their own end
    {"iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp"}
)
_UNSEEN: Final = frozenset(
    {"applet", "audio", "canvas", "datalist", "dialog", "frameset", "head", "math", "object"}
    | {"select", "svg", "template", "video", "xml"}
)
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "frame", "hr", "img", "input", "link", "meta", "param"}
    | {"source", "track", "wbr"}
)
_INLINE: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "ins", "kbd"}
    | {"mark", "q", "s", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}
)
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/<>]{0,60})|<[!?/]")
_TAG_END: Final = re.compile(r">|=\s*([\"'])")
_ATTRIBUTE: Final = re.compile(
    r"([^\s=/\"'>]{1,60})(?:\s{0,20}=\s{0,20}(\"[^\"]*\"|'[^']*'|[^\s\"'>]*))?"
)
_SPACES_AND_COMMENTS: Final = re.compile(r"\s|/\*.*?\*/")
_HIDING_STYLE: Final = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|content-visibility:hidden"
    r"|opacity:(?:0(?:\.0*)?|\.0+)(?:[;%]|$)|font-size:(?:0?\.\d+|[01])(?:px|pt|em|rem|%|;|$)"
    r"|(?:^|;)(?:max-)?(?:height|width):0(?:px|%|;|$)"
    r"|(?:left|top|right|bottom|text-indent|margin-left|margin-top):-\d{3,}"
    r"|clip:rect\(0|clip-path:inset\((?:50|100)%|transform:scale\(0|color:transparent"
    r"|(?:^|;)color:(?:#fff(?:fff)?|white|rgba?\(255,255,255)"
)
_HIDING_CLASS: Final = re.compile(
    r"(?:^|\s)(?:hidden|hide|d-none|invisible|sr-only|visually-?hidden|screen-reader-text)(?:\s|$)"
)
_MOST_OPEN: Final = 200  # elements; a page nests less, an attack nests more
_LOOKED_AT: Final = 4_000  # characters of a tag's attributes


class _Page:
    """One pass over one page."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: list[str] = []
        self._open: list[tuple[str, bool]] = []  # (tag, it hides what it holds)
        self._hidden = 0  # open elements that hide

    def read(self) -> str:
        """Return the text that is seen."""
        at, end = 0, len(self._text)
        while at < end:
            found = _TAG.search(self._text, at)
            self._say(at, found.start() if found else end)
            if found is None:
                break
            after = self._markup(found)
            if after is None:  # a tag that never ends, so no other does: it is text
                self._say(found.start(), end)
                break
            at = after
        return "".join(self._parts)

    def _say(self, start: int, end: int) -> None:
        if not self._hidden:
            self._parts.append(html.unescape(self._text[start:end]))

    def _markup(self, found: re.Match[str]) -> int | None:
        """Take one piece of markup and return where it ends; None where it does not."""
        text, start = self._text, found.start()
        tag = (found[2] or "").lower()
        if not tag:
            is_comment = text.startswith("<!--", start)
            closed = text.find("-->" if is_comment else ">", found.end())
            return len(text) if closed < 0 else closed + (3 if is_comment else 1)
        after = self._tag_end(found.end())
        if after is None:
            return None
        if tag not in _INLINE:
            self._parts.append(" ")
        if found[1]:
            self._close(tag)
        elif tag in _RAW:
            closing = re.compile(f"</{tag}", re.IGNORECASE).search(text, after)
            return closing.start() if closing else len(text)
        elif tag not in _VOID and len(self._open) < _MOST_OPEN:
            hides = tag in _UNSEEN or _hides(text[found.end() : after - 1][:_LOOKED_AT])
            self._open.append((tag, hides))
            self._hidden += hides
        return after

    def _tag_end(self, at: int) -> int | None:
        """Return where a tag ends; a bracket in a quoted value is no end."""
        while found := _TAG_END.search(self._text, at):
            if found[1] is None:
                return found.end()
            closed = self._text.find(found[1], found.end())
            if closed < 0:
                return None
            at = closed + 1
        return None

    def _close(self, tag: str) -> None:
        if all(name != tag for name, _ in self._open):
            return
        while self._open:
            name, hides = self._open.pop()
            self._hidden -= hides
            if name == tag:
                return


def visible_text(page: str) -> str:
    """Return the text that a browser would show; plain text comes back as it is."""
    if "<" not in page and "&" not in page:
        return page
    return _Page(page).read()


def _hides(attributes: str) -> bool:
    """Return whether an element with these attributes is not shown."""
    for name, value in _ATTRIBUTE.findall(attributes):
        text = html.unescape(value.strip("\"'")).lower()
        match name.lower():
            case "hidden":
                return True
            case "aria-hidden" if text.strip() == "true":
                return True
            case "style" if _HIDING_STYLE.search(_SPACES_AND_COMMENTS.sub("", text)):
                return True
            case "class" if _HIDING_CLASS.search(text):
                return True
            case _:
                continue
    return False
