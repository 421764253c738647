"""No report is ahead of the store: what a tick has done is told once it is committed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.house_reports import HouseReports, RunFacts
from tests.fakes.clocks import START
from tests.fakes.gambler import gambler
from tests.fakes.reports import NothingElse
from tests.fakes.services import context
from tests.fakes.town import Town, books_in
from tests.fakes.worlds import invented


class Asking:
    """A model that compares report and store in the middle of each tick, then gambles."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.reports: HouseReports | None = None
        self.ahead: list[str] = []
        self.held = 0  # ticks at which something was held

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        assert self.reports is not None
        report, performance = await self.reports.positions(), await self.reports.performance()
        books = books_in(self.town.database)
        stored = {lot["symbol"]: float(lot["qty"]) for lot in books["lots"]}
        shown = {symbol: line.quantity for symbol, line in report.positions.items()}
        self.held += bool(stored)
        if shown != stored or performance.trades != len(books["trades"]):
            self.ahead.append(f"{about}: {shown}, stored {stored}")
        return await gambler().ask(task, inputs)


async def test_no_report_shows_what_the_store_does_not_hold(tmp_path: Path) -> None:
    town = Town(market=invented(3, sessions=1), folder=tmp_path)
    town.model = asking = Asking(town)
    async with town.store() as store:
        facts = RunFacts(
            mode="replay",
            simulated=True,
            symbols=town.market.symbols,
            started_at=START,
            start_equity=Decimal(100_000),
            folders={},
        )
        reports = asking.reports = HouseReports(
            facts=facts,
            store=store,
            gate=TradingGate(town.halt_file),
            board=AlertBoard(store.put_document),
            view=NothingElse(),
            policy=BudgetPolicy(),
            clock=town.clock,
            runner=lambda: town.runner,
        )
        await reports.load()
        town.watcher = reports
        await town.service(store).run(context("trading"))
    assert asking.held > 3
    assert asking.ahead == []
