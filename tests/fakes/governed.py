"""Whole houses under virtual time whose daily meeting is told what to wish.

The house, its market, store, ledger, inbox and Overseer are the product's own; only the model that
is asked at meetings is a script, and the market is slow, so that days pass in seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from meta_agents.governance_meeting import NAME
from meta_agents.meeting.question import MEETING
from roboinvest.app.house import House
from roboinvest.app.language_models import OpenedModels
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.core.oversight.decisions import Act
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.configuration.policies import inbox_rules, spend_caps
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.governance.file import FILE_NAME as GOVERNANCE
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.rules import RulesModel
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.meeting_schema import SCHEMA
from roboinvest.runtime.oversight.meetings import DecisionRow, MeetingRows, RefusedRow
from roboinvest.runtime.supervision.watchdog import ForcedExit
from tests.fakes.clocks import START, LoopClock, ManualClock
from tests.fakes.meetings import ToldModel
from tests.fakes.virtual_time import run_virtual
from tests.fakes.wishes import told
from tools.markets import open_market

HOUR: Final = 3_600.0
Beside = Callable[["Life"], Coroutine[Any, Any, None]]


class Governor:
    """Answers meetings as it was told, and everything else by the rules."""

    def __init__(self, clock: LoopClock, *meetings: list[Any] | None) -> None:
        """Take the wishes of each meeting in turn; None: the rules answer at it."""
        self._rules = RulesModel(clock)
        self._told = ToldModel()
        self._meetings = list(meetings)
        self.saw: list[Any] = []

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        """Return an answer."""
        if task.name != MEETING.name:
            return await self._rules.ask(task, inputs, about=about)
        self.saw.append(inputs)
        wishes = self._meetings.pop(0) if self._meetings else []
        if wishes is None:
            return await self._rules.ask(task, inputs, about=about)
        self._told.replies = [told(*wishes)]
        return await self._told.ask(task, inputs, about=about)


def settings_of(folder: Path, **typed: Any) -> Settings:
    """Return the settings of a house whose minute is half an hour; `typed` has "__" for a dot."""
    given = {
        "data_dir": folder,
        "memory.chroma": "off",
        "simulated.speed": 1 / 30,
        "simulated.history_days": 5,
        "simulated.symbols": ["ALFA", "BRVO"],
        "reports.interval_s": 600.0,
        **{name.replace("__", "."): value for name, value in typed.items()},
    }
    return load_settings(None, {}, given)


@dataclass
class Life:
    """One life of a house, and what it left."""

    settings: Settings
    meetings: tuple[list[Any] | None, ...] = ()
    began_h: float = 0.0  # after the first life in the folder
    in_flight: InFlight = field(default_factory=InFlight)
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        self.clock = LoopClock(START + timedelta(hours=self.began_h))
        self.folder = DataFolder(self.settings.data_dir)
        self.model = Governor(self.clock, *self.meetings)
        self.house: House | None = None
        self.ledger: SpendLedger | None = None

    async def live(self, hours: float, beside: Beside | None) -> None:
        """Live for so long; somebody does something beside it."""
        market = open_market(self.settings)
        self.folder.take(market.stamp, fresh_at=None)
        async with AsyncExitStack() as closing:
            self.ledger = await SpendLedger.open(
                self.folder.llm,
                spend_caps(self.settings),
                in_flight=self.in_flight,
                clock=self.clock,
                recover=True,
            )
            closing.push_async_callback(self.ledger.close)
            models = OpenedModels(model=self.model, spend=self.ledger, ledger=self.ledger)
            house = self.house = House(
                *(self.settings, market, self.folder, RunOptions()),
                clock=self.clock,
                in_flight=self.in_flight,
                models=models,
            )
            forced = ForcedExit(after_s=25.0, clock=ManualClock(), end_process=lambda _: None)
            aside = None if beside is None else asyncio.ensure_future(beside(self))
            loop = asyncio.get_running_loop()
            loop.call_later(hours * HOUR, house._asked_to_stop, "the end")
            try:
                self.outcome = await house.run(forced)
            finally:
                if aside is not None:
                    aside.cancel()
            if aside is not None and aside.done() and not aside.cancelled():
                aside.result()

    async def until(self, hours: float) -> None:
        """Wait until so many hours of this life have passed."""
        await asyncio.sleep(hours * HOUR - asyncio.get_running_loop().time())

    def status(self) -> dict[str, Any]:
        """Return system_status.json."""
        text = (self.folder.reports / "system_status.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def alerts(self) -> dict[str, Any]:
        """Return the open alerts by key."""
        found = json.loads((self.folder.reports / "alerts.json").read_text())["alerts"]
        return {each["key"]: each for each in found if each["resolved_at"] is None}


def lived(
    folder: Path,
    hours: float,
    *meetings: list[Any] | None,
    beside: Beside | None = None,
    began_h: float = 0.0,
    **typed: Any,
) -> Life:
    """Let a house live under virtual time."""
    life = Life(settings_of(folder, **typed), meetings, began_h)

    async def main() -> None:
        await life.live(hours, beside)

    try:
        run_virtual(main, life.in_flight)
    finally:
        life.folder.release()
    return life


def decisions_in(folder: Path) -> dict[tuple[Act, str], DecisionRow]:
    """Return all decisions of a folder by what they set, the newest of each."""
    with OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file:
        rows = MeetingRows(file).newest(1000)
    return {(row.decision.act, row.decision.subject): row for row in reversed(rows)}


def refused_in(folder: Path) -> list[RefusedRow]:
    """Return all refused wishes of a folder, in order."""
    with OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file:
        rows = MeetingRows(file)
        days = sorted(each.day for each in rows.meetings(1000))
        return [wish for day in days for wish in rows.refused(day)]


def ask_undo(folder: Path, decision_id: str, by: str) -> None:
    """Ask for an undoing, as the command line does."""
    with OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file:
        MeetingRows(file).ask_undo(decision_id, by)


def make_due(folder: Path) -> None:
    """Make a meeting due at the next look, as the command line does."""
    with OverseerFile.open(folder / FILE_NAME, schemas=[SCHEMA]) as file:
        MeetingRows(file).make_due(NAME, START)


def approve(life: Life, name: str, by: str) -> None:
    """Approve a proposal, as the command line does."""
    with GovernanceFile.open(life.folder.root / GOVERNANCE, life.clock) as file:
        inbox = Inbox(file, inbox_rules(life.settings), life.clock)
        filed = inbox.get(name)
        inbox.approve(name, filed.proposal.digest, by=by)
