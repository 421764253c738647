"""One alert for one kind of trouble: raised when it begins, resolved when the work succeeds."""

from __future__ import annotations

from collections.abc import Callable

from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.ports import Clock
from roboinvest.runtime.folder import disk_words


class OneTrouble:
    """Whether something fails at present, and why."""

    def __init__(
        self,
        key: str,
        severity: Severity,
        *,
        clock: Clock,
        publish: Callable[[Event], None],
        recovered: str,
        follows_from: str | None = None,
        left_open: bool = False,
    ) -> None:
        """Take the alert's key and weight, and the sentence that says what recovered.

        Where the alert with the key `follows_from` is open, this one is folded under it. One that
        an earlier process has `left_open` is resolved by the first success.
        """
        self._key, self._severity = key, severity
        self._clock, self._publish = clock, publish
        self._recovered, self._follows_from = recovered, follows_from
        self._text: str | None = "" if left_open else None

    @property
    def stands(self) -> bool:
        """Return whether the alert is open."""
        return self._text is not None

    def failed(self, text: str) -> bool:
        """Raise the alert; return whether that is news."""
        if text == self._text:
            return False
        self._text = text
        at = self._clock.now()
        self._publish(
            AlertRaised(
                at=at,
                key=self._key,
                severity=self._severity,
                kind="system",
                message=text,
                caused_by=self._follows_from,
            )
        )
        return True

    def succeeded(self) -> None:
        """Resolve the alert, if there is one."""
        if self._text is None:
            return
        self._text = None
        at = self._clock.now()
        self._publish(AlertResolved(at=at, key=self._key, message=self._recovered))


def in_words(error: Exception) -> str:
    """Return what went wrong, with the file where the disk names one."""
    if isinstance(error, OSError) and error.strerror:
        return disk_words(error)
    return str(error) or type(error).__name__
