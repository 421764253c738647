"""What the Overseer says of itself in the status: how the agents are, what is under repair, what
comes next.

What lies in its file is read once in a while and told as it was read last; a file that is away
costs these figures, and the line says why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from meta_agents.governance_meeting import EVERY, NAME
from meta_agents.overseer import Overseer
from meta_agents.overseer_file import FileKeeper, Tried, newest_attempts
from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.core.oversight.decisions import UNDER_WAY, DecisionState
from roboinvest.core.oversight.healing_record import HealAttempt
from roboinvest.core.oversight.health import Status
from roboinvest.runtime.oversight.attempts import HealAttempts
from roboinvest.runtime.oversight.cadence import Cadence
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.reports.overseer_line import OverseerLine, UnderRepair

EVERY_READINGS: Final = 3  # of the machine; one look
MOST_SHOWN: Final = 20  # agents under repair
OBSERVES: Final = "in a replay, and at full speed, nothing is healed and no meeting is held"
_OPEN: Final = (*UNDER_WAY, DecisionState.DONE, DecisionState.REQUESTED)
_COUNT: Final = "SELECT state FROM decisions WHERE verdict IS NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnFile:
    """What was read last."""

    read_from: tuple[OverseerFile, int] | None = None  # and the version of what was read
    under_repair: tuple[HealAttempt, ...] = ()
    next_meeting: datetime | None = None
    open_decisions: int | None = None
    newest: Sequence[HealAttempt] = ()


class Standing:
    """Where the Overseer stands."""

    def __init__(
        self,
        overseer: Overseer,
        keeper: FileKeeper,
        tried: Tried,
        threads: Threads,
        *,
        observes_only: bool,
    ) -> None:
        """Take who is asked; where it observes only, nothing is healed and no meeting is held."""
        self._overseer, self._keeper, self._threads = overseer, keeper, threads
        self._tried = tried
        self._observes_only = observes_only
        self._known, self._trouble = _OnFile(), ""
        self._readings = 0

    async def read(self) -> None:
        """Read it all at every few readings: before a look."""
        due = self._readings % EVERY_READINGS == 0
        self._readings += 1
        if not due:
            return
        try:
            file = await self._keeper.file()
            # One job for both: each has a thread wake up, every minute of the year.
            read = partial(self._read, file, self._known)
            found = await self._threads.do("reading the standing", read)
            self._tried.take(found.newest)
            self._known = found
        except (TryLater, BadSettings) as error:
            self._trouble = str(error)
            await self._keeper.lost(error)
            return
        except BadInput as error:  # of a row: to open the file anew does not change it
            self._trouble = str(error)
            return
        self._trouble = ""

    def tried(self) -> Mapping[str, str]:
        """Return what healing did last, by agent, in words."""
        return self._tried.words()

    def line(self) -> OverseerLine:
        """Return the line; cheap, for the loop."""
        last, known = self._overseer.last, self._known
        healing = tuple(
            UnderRepair(
                agent=each.agent,
                cause=each.cause.words,
                rung=each.rung.words,
                since=each.at,
                measured_at=each.deadline,
            )
            for each in known.under_repair[:MOST_SHOWN]
        )
        reason = OBSERVES if self._observes_only else None
        if self._trouble:
            reason = f"its memory is away, so that nothing is healed: {self._trouble}"
        if last is None:
            return OverseerLine(state="starting", reason=reason)
        counts = last.statuses
        return OverseerLine(
            state="observing" if self._observes_only else "watching",
            reason=reason,
            looked_at=last.at,
            total_agents=len(last.healths),
            healthy_agents=counts[Status.HEALTHY],
            degraded_agents=counts[Status.DEGRADED],
            failing_agents=counts[Status.FAILING],
            offline_agents=counts[Status.OFFLINE],
            healing=healing,
            next_meeting=known.next_meeting,
            open_decisions=known.open_decisions,
        )

    @staticmethod
    def _read(file: OverseerFile, known: _OnFile) -> _OnFile:
        """Return what is in the file, from the disk and not from what memory has of it.

        What nobody wrote to since is not read again. Blocking.
        """
        file.require_ours()
        version = file.version()  # first: what is written meanwhile is read the next time
        if known.read_from == (file, version):
            return known
        newest = newest_attempts(file)
        return _OnFile(
            read_from=(file, version),
            under_repair=HealAttempts(file).open(),
            next_meeting=Cadence(file, NAME, EVERY).standing().next_at,
            open_decisions=file.read(_open_decisions),
            newest=newest,
        )


def _open_decisions(db: sqlite3.Connection) -> int:
    return sum(row[0] in _OPEN for row in db.execute(_COUNT))
