"""A meeting without a daemon: of what the last run left, answered by rules.

Without hands it can ask for things, carry on what waits, and say what was decided. Whoever has
hands that work on files alone, and books to measure by, hands them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

from meta_agents.delegations import Delegations, InboxInThreads
from meta_agents.governance_meeting import Meeting
from meta_agents.meeting.agreements import Agreements
from meta_agents.meeting.ports import Hand, Measures
from meta_agents.meeting.sources import JsonFolder, LogInThreads, ReportFiles
from roboinvest.core.approvals import InboxRules
from roboinvest.core.errors import RoboInvestError
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.oversight.scoring import HOUSE_METRICS, Metric, Sample
from roboinvest.core.ports import Clock
from roboinvest.runtime.governance.file import FILE_NAME as GOVERNANCE
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.log_tail import LogTail
from roboinvest.runtime.oversight import analyst_tables
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.meeting_schema import SCHEMA
from roboinvest.runtime.oversight.meetings import MeetingRows
from roboinvest.runtime.oversight.threads import Threads

REPORTS: Final = "governance_reports"  # below the folder of reports
SHOWN: Final = "governance"
LEVELS: Final = ("warning", "error", "critical")


class NothingMeasured:
    """Knows what a house measures, and has measured nothing."""

    async def metrics(self) -> tuple[Metric, ...]:
        """Return what a run measures."""
        return HOUSE_METRICS

    async def sample(
        self,
        metric: str,  # noqa: ARG002 port
        subject: str,  # noqa: ARG002 port
        since: datetime,  # noqa: ARG002 port
        until: datetime,  # noqa: ARG002 port
    ) -> Sample | None:
        """Return nothing."""
        return None


@contextmanager
def rows_in(root: Path) -> Iterator[MeetingRows]:
    """Open the rows of a data folder."""
    with OverseerFile.open(root / FILE_NAME, schemas=[SCHEMA]) as file:
        yield MeetingRows(file)


@contextmanager
def meeting_alone(
    root: Path,
    reports: Path,
    log: Path,
    *,
    rules: InboxRules,
    clock: Clock,
    in_flight: InFlight,
    hands: Callable[[OverseerFile, Threads], Mapping[Act, Hand]] | None = None,
    measures: Callable[[OverseerFile, Threads], Measures] | None = None,
) -> Iterator[tuple[Meeting, MeetingRows]]:
    """Open a meeting on a data folder that no daemon holds.

    Args:
        root: of the data folder.
        reports: its folder of reports.
        log: its log file.
        rules: of the inbox.
        clock: the machine's.
        in_flight: counts work in threads.
        hands: what can be set, on the Overseer's file; None: nothing.
        measures: what decisions are held against; None: nothing is measured.
    """
    with ExitStack() as opened:
        pool = opened.enter_context(ThreadPoolExecutor(1))
        schemas = [SCHEMA, analyst_tables.SCHEMA]
        overseer = opened.enter_context(OverseerFile.open(root / FILE_NAME, schemas=schemas))
        file = opened.enter_context(GovernanceFile.open(root / GOVERNANCE, clock))
        threads, ids = Threads(pool, in_flight), count(1)
        inbox, rows = Inbox(file, rules, clock), MeetingRows(overseer)
        daily = ReportFiles(reports / REPORTS, threads)
        desk = InboxInThreads(inbox, threads)
        meeting = Meeting(
            rows,
            Agreements(file, inbox, threads),
            RulesModel(clock),
            reports=daily,
            log=LogInThreads(LogTail(log, LEVELS), threads),
            measures=NothingMeasured() if measures is None else measures(overseer, threads),
            hands={} if hands is None else hands(overseer, threads),
            delegates=Delegations(desk, clock=clock, new_id=lambda: f"asked-{next(ids)}"),
            agents=_agents(daily),
            shows=JsonFolder(reports / SHOWN, threads),
            clock=clock,
            threads=threads,
        )
        yield meeting, rows


def _agents(daily: ReportFiles) -> frozenset[str]:
    """Return the agents that the last report knows."""
    try:
        report = daily.read()
    except RoboInvestError:
        return frozenset()
    return frozenset() if report is None else frozenset(each.name for each in report.agents)
