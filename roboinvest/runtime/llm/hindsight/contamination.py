"""Whether a model may remember the days it was asked about.

A model read about its training years after the fact. Asked about one of those days, it may answer
from memory, and the figures of such a run say nothing about the next one. The only clean days are
those after its knowledge cut-off; where the cut-off is not known, no day is. Disguised inputs make
remembering hard, not impossible, so that a disguised run is marked all the same, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from roboinvest.core.tasks import RULES, SAFE


class Extent(StrEnum):
    """How many of the days a model may remember."""

    NONE = "none"
    PART = "part"
    WHOLE = "whole"
    UNKNOWN = "unknown"  # the cut-off is not known: treated as the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """What a model may remember of a run."""

    model: str
    cutoff: date | None  # last day that its training data may speak of
    extent: Extent
    days_before: int  # calendar days of the run up to the cut-off; all where it is not known
    days_after: int
    text: str  # the sentence that figures are shown with

    @property
    def marked(self) -> bool:
        """Return whether figures must carry the sentence."""
        return self.extent is not Extent.NONE

    def to_json(self) -> dict[str, Any]:
        """Return what reports and summaries hold."""
        return {
            "model": self.model,
            "cutoff": None if self.cutoff is None else self.cutoff.isoformat(),
            "marked": self.marked,
            "text": self.text,
        }


def contamination(model: str, cutoff: date | None, first: date, last: date) -> Contamination:
    """Return what a model may remember of the exchange days `first` to `last`, both included."""
    days = (last - first).days + 1
    span = f"{first}" if first == last else f"{first} to {last}"
    if cutoff is None:
        return Contamination(
            model=model,
            cutoff=None,
            extent=Extent.UNKNOWN,
            days_before=days,
            days_after=0,
            text=(
                f"The knowledge cut-off of {model} is not known, so it may remember every day of "
                f"this run ({span}): these figures promise nothing for days to come."
            ),
        )
    before = max(0, min(days, (cutoff - first).days + 1))
    extent = Extent.NONE if not before else Extent.WHOLE if before == days else Extent.PART
    return Contamination(
        model=model,
        cutoff=cutoff,
        extent=extent,
        days_before=before,
        days_after=days - before,
        text=_sentence(model, cutoff, span, before, days),
    )


def worst_of(found: Iterable[Contamination]) -> Contamination | None:
    """Return the one that spoils most of a run; None where there is none."""
    ranks = list(Extent)
    return max(found, key=lambda one: (ranks.index(one.extent), one.days_before), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """What the models of a run can know of its market; built once, from the settings."""

    days: Mapping[str, date | None]  # by model; one that is missing has no known cut-off
    invented: bool = False  # the market is a simulation, which nobody can have read about
    disguised: bool = False  # models saw other names, dates and prices

    def judge(self, sources: Iterable[str], first: date, last: date) -> Contamination | None:
        """Return what the models behind answers may remember of a run; None without a model.

        `sources` are those of `Answer.source`; rules and safe outputs remember nothing.
        """
        models = sorted({name for source in sources if (name := model_of(source)) is not None})
        found = worst_of(contamination(m, self.days.get(m), first, last) for m in models)
        if found is None or not found.marked:
            return found
        if self.invented:
            text = f"The market is invented: {found.model} can have read nothing about it."
            return _with(found, Extent.NONE, text)
        if self.disguised:
            text = f"{found.text} Its inputs were disguised, which makes remembering harder."
            return _with(found, found.extent, text)
        return found


def model_of(source: str) -> str | None:
    """Return the model behind an answer's source; None where no model spoke."""
    return None if source in (RULES, SAFE) else source.partition(":")[2] or source


def _sentence(model: str, cutoff: date, span: str, before: int, days: int) -> str:
    if not before:
        return (
            f"Every day of this run ({span}) is after the knowledge cut-off of {model}, {cutoff}."
        )
    share = "no day" if before == days else f"only {days - before} of the {days} days"
    return (
        f"{model} may know what happened up to {cutoff}, and {share} of this run ({span}) comes "
        "after that: these figures may be memory, and promise nothing for days to come."
    )


def _with(found: Contamination, extent: Extent, text: str) -> Contamination:
    none = extent is Extent.NONE
    days = found.days_before + found.days_after
    return Contamination(
        model=found.model,
        cutoff=found.cutoff,
        extent=extent,
        days_before=0 if none else found.days_before,
        days_after=days if none else found.days_after,
        text=text,
    )
