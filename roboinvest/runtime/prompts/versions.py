"""Versions of prompts: named by their content, and never changed.

A version is the words and everything else that makes two calls the same question: the model, its
parameters and the form of the answer. Its name is the digest of all of these, so a record that
names a version says exactly what was asked, whatever the files say today.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from roboinvest.core.records import canonical_json
from roboinvest.runtime.prompts.form import PromptText

SHORT: Final = 12  # digits of a version's name that people are shown


class Label(StrEnum):
    """What a version of a prompt may be."""

    CURRENT = "current"
    CANDIDATE = "candidate"


class MoveKind(StrEnum):
    """Why a label was moved."""

    FILE = "file"  # a person changed the file
    TERMS = "terms"  # the same words, asked of another model, in other parameters or another form
    PROPOSED = "proposed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"  # a candidate that no longer fits


class Outcome(StrEnum):
    """What is counted for a version."""

    ASKED = "asked"
    ANSWERED = "answered"
    REPAIRED = "repaired"
    SAFE = "safe"
    RULES = "rules"
    CUT = "cut"
    WINS = "wins"  # trades that its decisions led to
    LOSSES = "losses"
    COST_NANO_USD = "cost_nano_usd"  # summed
    LATENCY_MS = "latency_ms"  # summed


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTerms:
    """What a prompt is asked with, beside its words; JSON types."""

    model: str  # the model's name, or names in the order in which they are asked
    parameters: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)  # the JSON Schema of the answer

    def text(self) -> str:
        """Return them as one canonical JSON text."""
        return canonical_json(
            {"model": self.model, "parameters": dict(self.parameters), "form": dict(self.form)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """Words with what they are asked with."""

    version: str  # hex SHA-256 of all of it
    name: str  # "<agent>/<name>"
    prompt: PromptText
    terms: PromptTerms
    made_at: datetime  # UTC

    @property
    def short(self) -> str:
        """Return as much of its name as people are shown."""
        return self.version[:SHORT]

    @property
    def temperature(self) -> float:
        """Return what the prompt's head asks for."""
        return self.prompt.temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A label that was moved; what was before stands beside what came."""

    seq: int
    name: str  # of the prompt
    label: Label
    kind: MoveKind
    before: str | None  # version
    after: str | None  # version; None: the label was taken away
    reason: str
    evidence: Mapping[str, Any]  # JSON types
    by: str
    at: datetime  # UTC


def version_of(name: str, text: str, terms: PromptTerms) -> str:
    """Return the version's name: hex SHA-256 of the words and the terms, and whose they are."""
    whole = canonical_json({"name": name, "text": text, "terms": terms.text()})
    return hashlib.sha256(whole.encode()).hexdigest()


def trail_of(moves: Iterable[Move]) -> tuple[str, ...]:
    """Return the versions that `current` can go back along, oldest first; the last is in force.

    A rollback takes the last one off: rolling back twice goes two steps back, never forth.
    """
    trail: list[str] = []
    for move in moves:
        if move.label is not Label.CURRENT or move.after is None:
            continue
        if move.kind is MoveKind.ROLLED_BACK:
            del trail[-2:]
        elif move.kind is MoveKind.TERMS:
            del trail[-1:]
        trail.append(move.after)
    return tuple(trail)
