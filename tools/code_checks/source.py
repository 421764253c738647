"""A Python file from bytes of any kind: read, parsed and compiled, or the reason why not.

The code is decoded as UTF-8 whatever it says about itself, so that all who read it read the same.
Depth is bounded before anything else walks the tree: those who come later recurse.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tools.code_checks.findings import CodeFinding, error, shown

MAX_BYTES: Final = 200_000  # of a file that is parsed
MAX_DEPTH: Final = 100  # nodes above one another
_COOKIE: Final = re.compile(r"^[ \t\f]*#.{0,200}?coding[:=][ \t]*([-\w.]{1,40})")
_FENCE: Final = re.compile(r"^[ \t]{0,12}(```|~~~)", re.MULTILINE)
_CUT_OFF: Final = re.compile(
    r"was never closed|unexpected EOF|unterminated|expected an indented block|expected '\)'"
    r"|unexpected end|parsing finished"
)
_BREAK: Final = re.compile(r"\r\n|\r|\n")  # what ends a line for Python, and nothing else does
_UTF8: Final = frozenset({"utf8", "ascii", "usascii"})


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is Python."""

    path: str
    text: str
    tree: ast.Module

    def walk(self) -> Iterator[ast.AST]:
        """Yield every node."""
        return ast.walk(self.tree)

    @property
    def lines(self) -> list[str]:
        """Return the lines as Python counts them."""
        return lines_of(self.text)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without their ends."""
    return _BREAK.split(text)


def line_of(node: ast.AST) -> int:
    """Return the line of a node; 0 where it has none."""
    return int(getattr(node, "lineno", 0))


def read(path: str, content: bytes) -> Source | CodeFinding:
    """Return a file's source, or what is wrong with it."""
    text = text_of(path, content)
    if isinstance(text, CodeFinding):
        return text
    fault = _shape(path, text)
    if fault is not None:
        return fault
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about style, and ruff has them
            tree = ast.parse(text, "<candidate>")
            if not tree.body:
                return error("ROBO-empty", path, 1, "the file holds no statement; write the code")
            if is_deep(tree):
                return _too_deep(path)
            compile(tree, "<candidate>", "exec", dont_inherit=True)
    except SyntaxError as fault_found:
        return _syntax(path, text, fault_found)
    except (MemoryError, RecursionError):
        return _too_deep(path)
    except (ValueError, OverflowError, SystemError) as fault_found:
        return error("ROBO-syntax", path, 1, f"this is no Python: {shown(str(fault_found), 120)}")
    return Source(path, text, tree)


def text_of(path: str, content: bytes) -> str | CodeFinding:
    """Return bytes as text, or why they are none."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        text = "the file begins with a byte order mark; write plain UTF-8"
        return error("ROBO-encoding", path, 1, text)
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        return error("ROBO-nul", path, line, "the file holds a NUL byte; write plain UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = content[: fault.start].count(b"\n") + 1
        text = f"byte {fault.start} is not UTF-8 ({fault.reason}); write plain UTF-8"
        return error("ROBO-encoding", path, line, text)


def is_deep(tree: ast.AST) -> bool:
    """Return whether more nodes stand above one another than those after us can walk."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True


def _shape(path: str, text: str) -> CodeFinding | None:
    """Return what can be seen before parsing."""
    if not text.strip():
        return error("ROBO-empty", path, 1, "the file is empty; write the code")
    if len(text) > MAX_BYTES:
        said = f"the file has {len(text)} characters, and {MAX_BYTES} are read; split it"
        return error("ROBO-size", path, 1, said)
    for number, line in enumerate(text.split("\n", 2)[:2], 1):
        cookie = _COOKIE.match(line)
        if cookie and re.sub(r"[-_]", "", cookie[1].casefold()) not in _UTF8:
            said = f"the file calls itself {shown(cookie[1])}; write plain UTF-8"
            return error("ROBO-encoding", path, number, said)
    return None


def _syntax(path: str, text: str, fault: SyntaxError) -> CodeFinding:
    line, reason = fault.lineno or 1, shown(str(fault.msg), 120)
    fence = _FENCE.search(text)
    if fence is not None:
        at = len(lines_of(text[: fence.start()]))
        said = "markdown stands around the code; hand in only what is between the fences"
        return error("ROBO-fence", path, at, said)
    if "too many nested" in reason or "too complex" in reason:
        return _too_deep(path)
    last = len(lines_of(text.rstrip()))
    if _CUT_OFF.search(str(fault.msg)) and (line >= last - 1 or "never closed" in reason):
        said = f"the code ends in the middle ({reason}); hand in the whole file"
        return error("ROBO-truncated", path, line, said)
    return error("ROBO-syntax", path, line, f"this is no Python: {reason}; mend the line")


def _too_deep(path: str) -> CodeFinding:
    text = f"the code is nested deeper than {MAX_DEPTH} levels; write it in smaller steps"
    return error("ROBO-nesting", path, 1, text)
