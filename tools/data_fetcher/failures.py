"""What a data vendor's refusal means, in the house's own tree of errors.

    BadSettings
        BadKey          the key is unknown to the vendor
    Refused
        NotEntitled     the key is good, and the plan does not hold this data
    TryLater
        RateLimited     more calls than the plan allows
        Incomplete      an answer came, and it is not all that was asked for

Everything else that goes wrong on the way is a plain `TryLater`.
"""

from __future__ import annotations

from roboinvest.core.errors import BadSettings, Refused, TryLater


class BadKey(BadSettings):
    """The vendor does not know our key."""


class NotEntitled(Refused):
    """The vendor knows us, and our plan does not include what was asked."""


class RateLimited(TryLater):
    """The vendor refused a call because there were too many."""

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        """Keep what the vendor said about when to come back; None: it said nothing."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Incomplete(TryLater):
    """An answer cannot be believed: cut off, out of range, of another symbol, or without end."""
