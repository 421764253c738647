"""Whether the broker answers: people are told once that it is away, and once that it is back.

One report that fails is the weather of a network, and was asked for three times by then. The same
one failing twice in a row is no weather, nor is one that nobody has answered for longer than a
request may take; and without the account a tick cannot go on, so that its first failure counts.
Only a whole comparison with the broker says that it is back: one report that came is no proof.
"""

from __future__ import annotations

from typing import Final

from roboinvest.brokers.desk.standing import Alarms

KEY: Final = "broker.away"
ACCOUNT: Final = "account"  # the one answer that no comparison asks for
_MISSES: Final = 2  # of the same report, in a row


class Reach:
    """What was asked lately, and not answered."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._missed: dict[str, int] = {}  # in a row, by what was asked
        self._is_away: bool | None = None  # None: not known, and an earlier run may have told it

    def away(self) -> str | None:
        """Return the key of the alert that says that the broker is away; None: it is not."""
        return KEY if self._is_away else None

    def lacks_account(self) -> bool:
        """Return whether all is answered again but the account, which was asked for by a tick."""
        return self._missed.keys() == {ACCOUNT}

    def heard(self, what: str) -> None:
        """Take note of an answer."""
        self._missed.pop(what, None)

    def missed(self, what: str, why: str) -> None:
        """Take note of a question that was not answered, or not so that it can be believed."""
        self._missed[what] = self._missed.get(what, 0) + 1
        if what == ACCOUNT or self._missed[what] >= _MISSES:
            self._tell(why)

    def waits(self, what: str, for_s: float) -> None:
        """Take note of a question that is open for longer than an answer may take."""
        self._missed.setdefault(what, 0)
        self._tell(f"no {what} within {for_s:g} s, and none yet")

    def compared(self) -> None:
        """Take note of a comparison for which everything was answered."""
        self._missed = {what: times for what, times in self._missed.items() if what == ACCOUNT}
        if self._is_away is not False and not self._missed:
            self._is_away = False
            self._alarms.resolved(KEY, "orders, executions and positions are read again")

    def _tell(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            self._alarms.raised(
                KEY,
                f"the broker is away: {why}; orders there stay as they are, and it is asked again "
                "every few seconds",
            )
