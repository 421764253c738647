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
    if isinstance(tree, str):
        return harmless_text(str(tree), redactor)
    if isinstance(tree, Mapping):
        return {
            harmless_text(str(key), redactor): harmless_tree(each, redactor)
            for key, each in tree.items()
        }
    if isinstance(tree, (list, tuple)):
        return [harmless_tree(each, redactor) for each in tree]
    return tree
