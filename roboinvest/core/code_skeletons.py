"""Code without its names, by which a patch is known again whose variables are called otherwise."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"\"[^\"]*\"|'[^']*'|\w+|[^\w\s]")
_NO_CODE: Final = ("---", "+++", "@@")  # lines of a diff that only say where
_KEPT: Final = frozenset(
    {"and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif"}
    | {"else", "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is"}
    | {"lambda", "None", "nonlocal", "not", "or", "pass", "raise", "return", "True", "try"}
    | {"while", "with", "yield", "abs", "all", "any", "float", "int", "len", "max", "min", "range"}
    | {"round", "sorted", "str", "sum", "zip"}
)


def skeleton(text: str) -> str:
    """Return code, or a diff of it, with names numbered by appearance; no comments, no spaces."""
    names: dict[str, str] = {}
    tokens: list[str] = []
    for line in text.splitlines():
        if line.startswith(_NO_CODE):
            continue
        for token in _TOKEN.findall(line.partition("#")[0]):
            is_name = (token[0].isalpha() or token[0] == "_") and token not in _KEPT
            tokens.append(names.setdefault(token, f"n{len(names)}") if is_name else token)
    return " ".join(tokens)
