"""What became of asking an installed strategy: counted for each tick, for whoever watches it.

A failure is a HOLD with its reason and stops nothing, so nobody would ever hear of it otherwise.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from roboinvest.core.errors import StrategyFailed
from roboinvest.core.events import Asks
from roboinvest.core.oversight.evidence import TOO_SLOW, Origin
from roboinvest.core.oversight.fingerprints import fingerprint_of, line_of

MOST_LINES: Final = 6  # different ones of a tick; further ones count as the last


class Tally:
    """The questions of one tick."""

    def __init__(self) -> None:
        """Begin with none."""
        self._answered, self._seconds = 0, 0.0
        self._failures: Counter[str] = Counter()

    def answered(self, seconds: float) -> None:
        """Count a question that was answered, and how long that took."""
        self._answered += 1
        self._seconds += max(seconds, 0.0)

    def failed(self, line: str) -> None:
        """Count a question that failed."""
        if line not in self._failures and len(self._failures) >= MOST_LINES:
            line = next(reversed(self._failures))
        self._failures[line] += 1

    def asks(self) -> Asks:
        """Return the counts."""
        failures = tuple(self._failures.items())
        return Asks(answered=self._answered, seconds=self._seconds, failures=failures)


def line_of_failure(error: BaseException, *, late: bool) -> str:
    """Return the line by which a failure is counted.

    Args:
        error: what asking raised.
        late: whether the time for an answer was over, so that nobody knows what it would have been.
    """
    if late:
        return line_of(TOO_SLOW, origin=Origin.OWN, text=str(error))
    if isinstance(error, StrategyFailed) and error.line:
        return error.line
    return fingerprint_of(error, past_libraries=True)  # a library that raises was called wrongly
