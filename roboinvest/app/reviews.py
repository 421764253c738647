"""Who looks back: every hour what the house did, every day a report of it, and a meeting.

None of it waits for trading, nor trading for it. In a replay no meeting is held, because what it
would decide is of another day than the market's; at full speed nobody looks back at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple

from meta_agents.analyst_ports import StoredTrading
from meta_agents.daily_report.archive import FOLDER, ReportArchive
from meta_agents.daily_report.books import HouseBooks
from meta_agents.daily_report.days import APART
from meta_agents.daily_report.service import ALERT_KEY as DAILY_ALERT
from meta_agents.daily_report.service import DailyReports
from meta_agents.delegations import Delegations, InboxInThreads
from meta_agents.governance_meeting import Meeting
from meta_agents.healing import Healer
from meta_agents.meeting.advised import AdviceTaken
from meta_agents.meeting.agreements import Agreements
from meta_agents.meeting.alone import LEVELS, SHOWN
from meta_agents.meeting.ports import Hand
from meta_agents.meeting.sources import JsonFolder, LogInThreads, ReportFiles
from meta_agents.overseer import Overseer
from meta_agents.overseer_file import FileKeeper, OnFile
from meta_agents.overseer_hands import Governed
from meta_agents.overseer_meetings import ALERT_KEY, MeetingService
from meta_agents.overseer_service import HealthService
from meta_agents.performance_analyst import ALERT_KEY as ANALYSIS_ALERT
from meta_agents.performance_analyst import EVERY, PerformanceAnalystAgent
from roboinvest.app.governing import PREFIX, Governing, around, measures_of
from roboinvest.app.roster import PAYERS
from roboinvest.core.events import Event
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.oversight.spans import SpanBook
from roboinvest.core.ports import Clock, LanguageModel
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.log_tail import LogTail
from roboinvest.runtime.oversight import analyst_tables, meeting_schema
from roboinvest.runtime.oversight.analyst_tables import AdviceBook
from roboinvest.runtime.oversight.file import OverseerFile
from roboinvest.runtime.oversight.meetings import MeetingRows
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.redaction import Redactor
from roboinvest.runtime.supervision.service import Child
from roboinvest.runtime.supervision.supervisor import Supervisor
from roboinvest.runtime.telemetry import LOG_NAME
from roboinvest.trading.reins import Account
from tools.markets import Market

SCHEMAS: Final = (analyst_tables.SCHEMA, meeting_schema.SCHEMA)
REPORT_WITHIN_S: Final = 120.0  # that one daily report may take


class Watched(NamedTuple):
    """What is looked at, and who looks and heals in between."""

    overseer: Overseer
    spans: SpanBook
    health: HealthService
    healing_s: float  # between two rounds, as the settings say
    healer: Callable[[], Healer | None]


class Reviews:
    """The services that look back."""

    def __init__(
        self,
        market: Market,
        folder: DataFolder,
        *,
        redactor: Redactor,
        model: LanguageModel,
        clock: Clock,
        in_flight: InFlight,
        publish: Callable[[Event], None],
        account: Account | None = None,
    ) -> None:
        self._market, self._folder = market, folder
        self._redactor, self._model = redactor, model
        self._clock, self._in_flight, self._publish = clock, in_flight, publish
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reviews")
        self._threads = Threads(self._pool, in_flight, deadline_s=REPORT_WITHIN_S)
        self._is_replay = market.mode == "replay"
        self._analyst: PerformanceAnalystAgent | None = None
        # As a meeting set them: whoever goes by one is made anew after trouble with the file.
        self._review_every = EVERY
        self.healing_s: float | None = None  # None: as the settings say
        self._governing = Governing(account, clock=clock, publish=publish)
        self._writer = None if account is None else account.reports

    def children(
        self,
        keeper: FileKeeper,
        governed: Governed,
        tree: Callable[[], Supervisor],
        board: AlertBoard,
        watched: Watched,
    ) -> tuple[Child, ...]:
        """Return the services; none at full speed."""
        if self._market.speed is None and not self._market.is_live:
            return ()
        trading = StoredTrading(self._folder, self._in_flight, self._threads)

        def analyst(file: OverseerFile) -> PerformanceAnalystAgent:
            self._analyst = PerformanceAnalystAgent(
                file,
                senses=watched.overseer,
                trading=None if self._market.is_simulated or self._is_replay else trading,
                spans=watched.spans,
                reports=self._folder.reports,
                redactor=self._redactor,
                clock=self._clock,
                threads=self._threads,
                new_id=governed.new_id,
                publish=self._publish,
                left_open=bool(board.open_keys(ANALYSIS_ALERT)),
            )
            self._analyst.cadence.every = self._review_every
            return self._analyst

        self._tune(watched)
        self._governing.resume(board.open_keys(PREFIX))
        found = [
            Child(service=OnFile(PerformanceAnalystAgent.name, keeper, analyst), patience_s=300.0),
            Child(service=self._daily(board), patience_s=2 * REPORT_WITHIN_S),
        ]
        if not self._is_replay:
            meetings = OnFile(
                MeetingService.name,
                keeper,
                lambda file: self._meetings(file, governed, tree, board),
            )
            found.append(Child(service=meetings, patience_s=300.0))
        return tuple(found)

    def close(self) -> None:
        """Take no more work; a thread that hangs is left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _tune(self, watched: Watched) -> None:
        """Say which intervals may be set, how far, and who goes by them.

        Whoever looks and heals may be slowed down to half its pace, and no further.
        """
        health, every_s = watched.health, EVERY.total_seconds()
        healing_s = watched.healing_s

        def heal(seconds: float) -> None:
            self.healing_s = seconds
            if (healer := watched.healer()) is not None:
                healer.interval_s = seconds

        def analyse(seconds: float) -> None:
            self._review_every = timedelta(seconds=seconds)
            if self._analyst is not None:
                self._analyst.cadence.every = self._review_every

        self._governing.intervals |= {
            "health": around(health.interval_s, partial(setattr, health, "interval_s")),
            "healing": around(healing_s, heal),
            PerformanceAnalystAgent.name: around(every_s, analyse),
        }
        if (writer := self._writer) is not None:
            told = partial(setattr, writer, "interval_s")
            self._governing.intervals[writer.name] = around(writer.interval_s, told, factor=10.0)

    def _daily(self, board: AlertBoard) -> DailyReports:
        books = HouseBooks(
            self._folder, clock=self._clock, in_flight=self._in_flight, threads=self._threads
        )
        return DailyReports(
            books,
            ReportArchive(self._folder.reports),
            redactor=self._redactor,
            clock=self._clock,
            threads=self._threads,
            publish=self._publish,
            run_now=None if self._market.mode in APART else self._clock.now,
            left_open=bool(board.open_keys(DAILY_ALERT)),
        )

    def _meetings(
        self,
        file: OverseerFile,
        governed: Governed,
        tree: Callable[[], Supervisor],
        board: AlertBoard,
    ) -> MeetingService:
        hands = self._governing.hands(file, self._threads, tree)

        @asynccontextmanager
        async def opens(file: OverseerFile) -> AsyncIterator[Meeting]:
            names = [status.name for status in tree().statuses()]
            async with self._meeting(file, governed, hands, names) as meeting:
                yield meeting

        return MeetingService(
            file,
            opens,
            clock=self._clock,
            threads=self._threads,
            publish=self._publish,
            left_open=bool(board.open_keys(ALERT_KEY)),
            begins=partial(self._governing.begin, file, self._threads, tree),
        )

    @asynccontextmanager
    async def _meeting(
        self,
        file: OverseerFile,
        governed: Governed,
        hands: Mapping[Act, Hand],
        agents: Sequence[str],
    ) -> AsyncIterator[Meeting]:
        folder, threads, clock, rows = self._folder, self._threads, self._clock, MeetingRows(file)
        async with governed.file() as governance:
            inbox = governed.inbox(governance)
            desk = InboxInThreads(inbox, threads)
            agreements = Agreements(governance, inbox, threads)
            yield Meeting(
                rows,
                agreements,
                self._model,
                reports=ReportFiles(folder.reports / FOLDER, threads),
                log=LogInThreads(LogTail(folder.logs / LOG_NAME, LEVELS), threads),
                measures=measures_of(
                    file,
                    folder,
                    in_flight=self._in_flight,
                    threads=threads,
                    has_own_time=self._market.is_simulated,
                ),
                hands=hands,
                delegates=Delegations(desk, clock=clock, new_id=governed.new_id),
                agents=frozenset(agents),
                shows=JsonFolder(folder.reports / SHOWN, threads),
                clock=clock,
                threads=threads,
                advised=AdviceTaken(AdviceBook(file), rows, agreements, threads, names=PAYERS),
            )
