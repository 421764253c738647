"""What a leak check found, in words that a person can act on.

A detector is `clean`, `suspected`, or could not be applied, and then it says why. `Clean` means
that this detector, at this effort, saw nothing; it is no proof of honesty.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Detector(StrEnum):
    """The questions that are put to a strategy."""

    PREFIX = "prefix"  # is what was known earlier the same when the tape ends there?
    FUTURE = "future"  # is it the same when other bars follow?
    SCALE = "scale"  # is it the same when much larger or smaller prices follow?
    PEERS = "peers"  # is it the same when only the other symbols go on differently?
    LAG = "lag"  # does an edge that is nearly certain vanish one bar later?
    BLIND = "blind"  # does it win without looking at the bars?
    WARM_UP = "warm-up"  # does it decide alike with more history than it asks for?
    REPEAT = "repeat"  # does the same run come to the same, in any order?
    MOMENT = "moment"  # does a call ask for more than its moment may tell?
    CARRIED = "carried"  # does it bring data along, or remember across runs?
    STATIC = "static"  # does its source ask for time, chance, files or later rows?
    ADJUSTED = "adjusted"  # does it hang on price levels that only later splits explain?
    FEED = "feed"  # does it use news and the like before they were known?
    DATA = "data"  # do the bars and the choice of symbols know later days?
    FILLS = "fills"  # are fills inside their bars, and in order?


class Verdict(StrEnum):
    """What a detector came to."""

    CLEAN = "clean"
    SUSPECTED = "suspected"
    NOT_APPLICABLE = "not applicable"


class What(StrEnum):
    """The kind of thing that differed."""

    COLUMN = "column"
    SIGNAL = "signal"
    LEVEL = "level"
    ORDER = "order"
    FILL = "fill"
    CASH = "cash"
    ERROR = "error"  # it failed on one of two tapes that should look alike by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One detector's answer."""

    detector: Detector
    verdict: Verdict
    text: str  # one sentence
    what: What | None = None  # of a suspicion, where two runs were compared
    name: str = ""  # of the column, signal or level
    symbol: str = ""
    row: int | None = None  # of the run's bars of `symbol`: the first that differs
    at: int | None = None  # ns since the epoch: that bar's close


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """All detectors' answers for one strategy on one run; one finding at least for each."""

    strategy: str  # name and version
    effort: str
    findings: tuple[Finding, ...]
    runs: int  # how often the strategy was asked anew
    rows: int  # how many bars it was asked about in all

    @property
    def suspected(self) -> tuple[Finding, ...]:
        """Return the accusations; empty for a strategy that nothing speaks against."""
        return tuple(each for each in self.findings if each.verdict is Verdict.SUSPECTED)

    @property
    def verdict(self) -> Verdict:
        """Return `suspected` when any detector says so, else `clean`."""
        return Verdict.SUSPECTED if self.suspected else Verdict.CLEAN

    @property
    def caught_by(self) -> tuple[Detector, ...]:
        """Return the detectors that suspect it, in the order of their list."""
        names = {each.detector for each in self.suspected}
        return tuple(each for each in Detector if each in names)

    def sentences(self) -> tuple[str, ...]:
        """Return one line for each finding, accusations first."""
        ordered = sorted(self.findings, key=lambda each: each.verdict is not Verdict.SUSPECTED)
        return tuple(f"{each.detector} ({each.verdict}): {each.text}" for each in ordered)


def clean(detector: Detector, text: str) -> Finding:
    """Return that a detector saw nothing."""
    return Finding(detector=detector, verdict=Verdict.CLEAN, text=text)


def suspected(detector: Detector, text: str) -> Finding:
    """Return an accusation that points at no bar."""
    return Finding(detector=detector, verdict=Verdict.SUSPECTED, text=text)


def not_applicable(detector: Detector, why: str) -> Finding:
    """Return that a detector has nothing to say here, and why."""
    return Finding(detector=detector, verdict=Verdict.NOT_APPLICABLE, text=why)
