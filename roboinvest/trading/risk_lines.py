"""What binds, as lines of the status report: the mandate, the locks, the latest refusals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from roboinvest.core.lowered_limits import LoweredLimit
from roboinvest.core.mandate import standing
from roboinvest.core.protections import Lock
from roboinvest.core.risk import Clamp, RiskLimits
from roboinvest.runtime.reports.models import LimitLine, LockLine, MandateLine, RefusalLine

SHOWN_REFUSALS: Final = 20


class RecentRefusals:
    """The latest refusals of this process, one line for each symbol and rule."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], RefusalLine] = {}  # the latest last

    def saw(self, refused: Iterable[Clamp], at: datetime) -> None:
        """Take over what one tick was refused, at market time `at`."""
        for clamp in refused:
            key = (clamp.symbol, clamp.rule)
            before = self._lines.pop(key, None)
            self._lines[key] = RefusalLine(
                symbol=clamp.symbol,
                rule=clamp.rule,
                text=clamp.text,
                first_at=before.first_at if before else at,
                last_at=at,
                count=before.count + 1 if before else 1,
            )
        while len(self._lines) > SHOWN_REFUSALS:
            del self._lines[next(iter(self._lines))]

    def lines(self) -> tuple[RefusalLine, ...]:
        """Return the lines, newest first."""
        return tuple(reversed(self._lines.values()))


def lock_lines(locks: Iterable[Lock]) -> tuple[LockLine, ...]:
    """Return the locks as lines."""
    return tuple(
        LockLine(
            name=lock.name,
            scope=lock.scope,
            rule=lock.rule.value,
            since=lock.since,
            until=lock.until,
            text=lock.text,
        )
        for lock in locks
    )


def lowered_lines(lowered: Iterable[LoweredLimit]) -> tuple[LimitLine, ...]:
    """Return the limits that bind below the settings as lines."""
    return tuple(
        LimitLine(
            name=each.name,
            value=float(each.value),
            of_settings=float(each.own),
            since=each.at,
            by=each.by,
            text=each.why,
        )
        for each in lowered
    )


def mandate_line(limits: RiskLimits | None, at: datetime) -> MandateLine | None:
    """Return what the mandate is worth at `at`; None where the limits are not known."""
    if limits is None:
        return None
    mandate = limits.mandate
    under = standing(mandate, limits.live, at)
    signature = mandate.signature if mandate else None
    return MandateLine(
        state=under.state.value,
        reason=under.reason,
        entries_allowed=under.entries_allowed,
        signed_by=signature.signed_by if signature else None,
        expires_at=mandate.terms.expires_at if mandate else None,
        consent_hash=signature.consent_hash if signature else None,
    )
