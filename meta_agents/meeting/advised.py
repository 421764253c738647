"""Which advice of the PerformanceAnalystAgent a decision has taken, so that it is measured after.

Advice counts as taken where something was done that it asks for, after it was given: by what was
set, or by a request that somebody has carried out. That it was only wished for, or waits, is not
enough. Looked for anew each time, so that no kill between doing and noting loses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from meta_agents.meeting.agreements import WHO, Agreements
from roboinvest.core.approvals import ProposalState
from roboinvest.core.errors import Refused
from roboinvest.core.oversight.advice import Advice, AdviceState
from roboinvest.core.oversight.decisions import Act, Decision, DecisionState
from roboinvest.core.protections import EVERYTHING
from roboinvest.runtime.oversight.analyst_tables import AdviceBook
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRows
from roboinvest.runtime.oversight.threads import Threads

LOOKED_AT: Final = 200  # of the newest decisions
_CALMS: Final = frozenset({Act.SET_INTERVAL, Act.REQUEST_CODE})
_ANSWERS: Final[Mapping[str, frozenset[Act]]] = {  # by the rule that gave the advice
    "bottleneck": _CALMS,
    "regression": _CALMS | {Act.REQUEST_PROMPT},
    "failing task": frozenset({Act.REQUEST_PROMPT, Act.REQUEST_CODE}),
    "losing agent": frozenset({Act.QUARANTINE, Act.SET_LIMIT, Act.LOCK_ENTRIES}),
}
_OF_ALL: Final = frozenset({Act.SET_LIMIT})  # whoever trades risks less by it


class AdviceTaken:
    """Marks advice that was taken."""

    def __init__(
        self,
        book: AdviceBook,
        rows: MeetingRows,
        agreements: Agreements,
        threads: Threads,
        *,
        names: Mapping[str, str],
    ) -> None:
        """Take the books.

        Args:
            book: of advice.
            rows: of decisions.
            agreements: where it is seen that a request was carried out.
            threads: for files.
            names: of agents, by the name that pays.
        """
        self._book, self._rows, self._agreements = book, rows, agreements
        self._threads, self._names = threads, dict(names)
        self._log = structlog.get_logger("roboinvest.governance")

    async def look(self) -> int:
        """Mark what was taken since the last look; return how many those are.

        Raises:
            TryLater, BadSettings: a file is away.
        """
        pending = await self._threads.do("advice", self._book.pending)
        waiting = [each for each in pending if each.state is AdviceState.OPEN]
        if not waiting:
            return 0
        rows = await self._threads.do("meetings", partial(self._rows.newest, LOOKED_AT))
        taken = 0
        for advice in waiting:
            found = [row for row in rows if answers(advice, row.decision, self._names)]
            for row in reversed(found):
                at = await self._done_at(row)
                if at is not None and at >= advice.made_at:
                    taken += await self._take(advice, row.decision, at)
                    break
        return taken

    async def _take(self, advice: Advice, decision: Decision, at: datetime) -> bool:
        by = f"{WHO} {decision.decision_id}"
        take = partial(self._book.take, advice.advice_id, by=by, at=at)
        try:
            await self._threads.do("advice", take)
        except Refused:  # a person was quicker, or it has lapsed
            return False
        self._log.info("advice_taken", advice=advice.advice_id, decision=decision.decision_id)
        return True

    async def _done_at(self, row: DecisionRow) -> datetime | None:
        """Return when a decision took effect; None: it did not, or was undone."""
        if row.state is DecisionState.DONE:
            return row.executed_at
        if row.state is DecisionState.REQUESTED and row.reference:
            filed = await self._agreements.find(row.reference)
            if filed is not None and filed.state is ProposalState.USED:
                return filed.filed_at
        return None


def answers(advice: Advice, decision: Decision, names: Mapping[str, str]) -> bool:
    """Return whether a decision does what advice asks for.

    Args:
        advice: names a service, an agent, a task or a figure: "strategy/decide", "feed".
        decision: names what it is about.
        names: of agents, by the name that pays.
    """
    act = decision.act
    if act not in _ANSWERS.get(advice.rule, frozenset()):
        return False
    if advice.rule == "losing agent" and (act in _OF_ALL or decision.subject == EVERYTHING):
        return True
    parts = advice.subject.split("/")
    return decision.subject in {*parts, *(names[part] for part in parts if part in names)}
