"""What the live doctor says: one sentence for each check, and how patient it was before.

A finding is never a guess: what could not be asked is named as not examined. `is_away` tells a
vendor that does not answer, which mends itself, from what only a person can mend.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from roboinvest.core.errors import RoboInvestError
from tools.doctor import Finding, Grade

SETTINGS: Final = "settings"
ADDRESS: Final = "address"
KEYS: Final = "keys"
ALLOWANCE: Final = "rate limit"
STREAM: Final = "stream"
_THE_REST: Final = "the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFinding(Finding):
    """One check of a vendor."""

    is_away: bool = False  # it failed because nobody answered, not because of what was answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each part may take, in real seconds; all vendors are asked at the same time."""

    connect_s: float = 3.0  # to be connected, the handshake included
    reply_s: float = 4.5  # from a question to the end of its answer
    question_s: float = 5.0  # for all questions of a vendor together
    stream_step_s: float = 2.5  # for the connection, and for each answer on it
    stream_s: float = 4.5  # for a stream from its connection to its subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSeen:
    """How a look at a stream ended."""

    is_up: bool = False
    is_refused: bool = False  # our credentials, for good
    is_taken: bool = False  # another connection holds the place
    reason: str = ""  # why it is not up


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What examining one vendor takes."""

    vendor: str
    where: str  # scheme and host, which may be shown
    calls: int  # counted by the vendor, at most
    per_minute: int  # what the settings allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Makes the findings of one vendor, so that all their names begin alike."""

    vendor: str  # "alpaca"

    def fine(self, check: str, fact: str) -> LiveFinding:
        """Return a check that found nothing wrong."""
        return LiveFinding(name=f"{self.vendor} {check}", grade=Grade.OK, fact=fact)

    def doubt(self, check: str, fact: str, mend: str) -> LiveFinding:
        """Return what a person should know, and what stops nothing."""
        return LiveFinding(name=f"{self.vendor} {check}", grade=Grade.WARN, fact=fact, mend=mend)

    def wrong(self, check: str, fact: str, mend: str, *, is_away: bool = False) -> LiveFinding:
        """Return what has to be mended."""
        return LiveFinding(
            name=f"{self.vendor} {check}", grade=Grade.FAIL, fact=fact, mend=mend, is_away=is_away
        )

    def unexamined(self, checks: Iterable[str]) -> list[LiveFinding]:
        """Return the one line about all that could not be asked; nothing where there is none."""
        names = ", ".join(checks)
        mend = "mend the above and ask again"
        return [self.doubt(_THE_REST, f"not examined: {names}", mend)] if names else []


def place_of(url: str) -> str:
    """Return of a checked address what a person needs: scheme and host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def halves(error: RoboInvestError) -> tuple[str, str]:
    """Return the fact and the next step of one of our own sentences."""
    fact, _, mend = str(error).rpartition("; ")
    return (fact, mend) if fact else (mend, "ask again")
