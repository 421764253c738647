"""Texts of any origin, made safe to show: for reports that people and pages read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.redaction import Redactor

MAX_TEXT: Final = 300  # characters


def harmless_text(text: str, redactor: Redactor) -> str:
    """Return a text without secrets, markup, control characters and turns of direction.

    Secrets are cut out before the text is cut to its length, because half a secret is not
    recognised, and again afterwards, because cleaning can join what stood apart.
    """
    return redactor.whole(clean(redactor.whole(text), MAX_TEXT))


def harmless_tree(tree: object, redactor: Redactor) -> object:
    """Return a tree of plain values with every text made safe, those of keys as well."""
    safe: dict[str, str] = {}  # a tree of records says the same names again and again

    def text(each: str) -> str:
        found = safe.get(each)
        if found is None:
            found = safe[each] = harmless_text(each, redactor)
        return found

    def walk(part: object) -> object:
        if isinstance(part, str):
            return text(str(part))
        if isinstance(part, Mapping):
            return {text(str(key)): walk(each) for key, each in part.items()}
        if isinstance(part, (list, tuple)):
            return [walk(each) for each in part]
        return part

    return walk(tree)
