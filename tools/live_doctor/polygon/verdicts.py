"""What Polygon's answers mean, in one sentence each. No question is asked in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from roboinvest.core.errors import RoboInvestError, TryLater
from tools.data_fetcher.failures import BadKey, Incomplete, NotEntitled, RateLimited
from tools.live_doctor.clock_skew import CLOCK, ClockSample, clock_finding
from tools.live_doctor.findings import (
    ADDRESS,
    ALLOWANCE,
    KEYS,
    STREAM,
    LiveFinding,
    StreamSeen,
    Words,
    halves,
)
from tools.live_doctor.polygon.questions import BarsSeen, PolygonAnswers

BARS: Final = "bars"
WORDS: Final = Words(vendor="polygon")
ErrorT = TypeVar("ErrorT", bound=RoboInvestError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonTerms:
    """What the settings say, as far as it matters here."""

    where: str  # place of the interface
    stream_where: str
    stream_unasked: str  # why nobody looked at the stream; empty: somebody was to
    trades: bool  # whether the daemon trades by this vendor's bars
    symbol: str
    day: date  # exchange day of the bars that were asked for
    calls_per_minute: int
    offset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonCase:
    """All there is to judge by."""

    terms: PolygonTerms
    answers: PolygonAnswers
    stream: StreamSeen | None = None  # None: nobody looked

    def failure(self, kind: type[ErrorT]) -> ErrorT | None:
        """Return a question's failure of this kind."""
        return next((each for each in self.answers.failures if isinstance(each, kind)), None)

    @property
    def takes_key(self) -> bool:
        """Return whether the vendor answered as it does to those it knows."""
        answered = len(self.answers.failures) < self.answers.count
        return answered or self.failure(NotEntitled) is not None


def judge(case: PolygonCase) -> list[LiveFinding]:
    """Return the findings, in the order in which to mend them."""
    checks: dict[str, Callable[[PolygonCase], LiveFinding | None]] = {
        KEYS: _key,
        BARS: _bars,
        CLOCK: _clock,
        ALLOWANCE: _allowance,
        STREAM: _stream,
    }
    silence = _silence(case)
    if silence is not None:
        return [silence, *WORDS.unexamined(checks)]
    found = {name: check(case) for name, check in checks.items()}
    judged = [each for each in found.values() if each is not None]
    return [*judged, *WORDS.unexamined(name for name, each in found.items() if each is None)]


def _silence(case: PolygonCase) -> LiveFinding | None:
    """Return the finding that nobody is there, or somebody else."""
    if case.takes_key or case.failure(BadKey) or case.failure(RateLimited):
        return None
    failure = case.answers.failures[0]
    fact, mend = halves(failure)
    if isinstance(failure, TryLater) and not isinstance(failure, Incomplete):
        mend = "check polygon.base_url and the network, or try again when Polygon is back"
        return WORDS.wrong(ADDRESS, fact, mend, is_away=True)
    return WORDS.wrong(ADDRESS, fact, f"correct polygon.base_url, or {mend}")


def _key(case: PolygonCase) -> LiveFinding | None:
    unknown = case.failure(BadKey)
    if unknown is not None and not case.takes_key:
        return WORDS.wrong(KEYS, *halves(unknown))
    if not case.takes_key:
        return None
    return WORDS.fine(KEYS, f"accepted by {case.terms.where}")


def _bars(case: PolygonCase) -> LiveFinding | None:
    seen, terms = case.answers.bars, case.terms
    what = f"{terms.symbol} of {terms.day}"
    if isinstance(seen, NotEntitled):
        fact, mend = halves(seen)
        return WORDS.wrong(BARS, f"no entitlement to bars of {what}: {fact}", mend)
    if isinstance(seen, RateLimited | BadKey) or seen is None:
        return None
    if isinstance(seen, RoboInvestError):
        fact, mend = halves(seen)
        away = isinstance(seen, TryLater) and not isinstance(seen, Incomplete)
        return WORDS.wrong(BARS, f"bars of {what} did not come: {fact}", mend, is_away=away)
    return _bars_told(seen, what, terms)


def _bars_told(seen: BarsSeen, what: str, terms: PolygonTerms) -> LiveFinding:
    if not seen.count:
        fact = f"the plan includes bars of {what}, and there are none"
        return WORDS.doubt(BARS, fact, "ask again later, or name another symbol in market.symbols")
    if seen.is_delayed and terms.trades:
        fact = f"bars of {what} come late by the plan (DELAYED), and no entry is made on late bars"
        return WORDS.doubt(BARS, fact, "upgrade to a plan of the present, or trade by a replay")
    late = ", late by the plan" if seen.is_delayed else ""
    return WORDS.fine(BARS, f"the plan includes bars of {what}{late}")


def _clock(case: PolygonCase) -> LiveFinding | None:
    sample = case.answers.clock
    if isinstance(sample, ClockSample):
        return clock_finding(WORDS, sample, case.terms.offset_s)
    if sample is None or isinstance(sample, BadKey | NotEntitled | RateLimited):
        return None
    fact, mend = halves(sample)
    return WORDS.doubt(CLOCK, f"not told: {fact}", mend)


def _allowance(case: PolygonCase) -> LiveFinding | None:
    limited = case.failure(RateLimited)
    if limited is not None:
        fact, mend = halves(limited)
        return WORDS.wrong(ALLOWANCE, f"refused with 429: {fact}", mend)
    ours = case.terms.calls_per_minute
    return WORDS.fine(
        ALLOWANCE,
        f"{case.answers.count} calls were not too many; polygon.calls_per_minute is {ours}",
    )


def _stream(case: PolygonCase) -> LiveFinding | None:
    seen, terms = case.stream, case.terms
    if terms.stream_unasked:
        return WORDS.fine(STREAM, f"not asked, because {terms.stream_unasked}")
    if seen is None:
        return None
    if seen.is_up:
        return WORDS.fine(STREAM, f"{terms.stream_where} takes the key and the subscription")
    if seen.is_refused:
        fact = f"{terms.stream_where} refuses a key that {terms.where} accepts ({seen.reason})"
        return WORDS.wrong(STREAM, fact, "take a plan with websockets, or correct the address")
    fact = f"{terms.stream_where} sends no bars: {seen.reason}"
    mend = "check polygon.stream_url and the network"
    return WORDS.wrong(STREAM, fact, mend, is_away=True)
