"""Figures of days that a model may remember carry a sentence; those of the rules carry nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.market.updates import DataCounts
from roboinvest.core.ports import LanguageModel
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.llm.hindsight.contamination import Cutoffs
from roboinvest.runtime.reports.models import Performance
from roboinvest.runtime.store import Store
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.house_reports import HouseReports, RunFacts
from roboinvest.trading.summary import summarise
from tests.fakes.clocks import START
from tests.fakes.hindsight import SOURCE, ShownModel, without_memory
from tests.fakes.reports import NothingElse
from tests.fakes.services import context
from tests.fakes.town import Town
from tests.fakes.worlds import invented

NOTHING = DataCounts(rows=0, used=0, quarantined=0, by_reason={})
MODEL = SOURCE.partition(":")[2]


def reports_of(town: Town, store: Store, cutoffs: Cutoffs | None) -> HouseReports:
    facts = RunFacts(
        mode="replay",
        simulated=False,
        symbols=town.market.symbols,
        started_at=START,
        start_equity=Decimal(100_000),
        folders={},
    )
    return HouseReports(
        facts=facts,
        store=store,
        gate=TradingGate(town.halt_file),
        board=AlertBoard(store.put_document),
        view=NothingElse(),
        policy=BudgetPolicy(),
        clock=town.clock,
        runner=lambda: town.runner,
        cutoffs=cutoffs,
    )


async def figures(
    folder: Path, model: LanguageModel | None, cutoffs: Cutoffs | None
) -> tuple[dict[str, Any], Performance, Performance]:
    """Return the summary and the report of a session, and the report after a restart."""
    town = Town(market=invented(3, sessions=1, minutes=10), folder=folder, model=model)
    async with town.store() as store:
        reports = reports_of(town, store, cutoffs)
        await reports.load()
        town.watcher = reports
        await town.service(store).run(context("trading"))
        assert town.runner is not None
        summary = await summarise(
            store,
            town.runner,
            NOTHING,
            mode="replay",
            symbols=town.market.symbols,
            cutoffs=cutoffs,
        )
        report = await reports.performance()
        town.runner = None  # a restart, before the books are read
        again = reports_of(town, store, cutoffs)
        await again.load()
        return summary, report, await again.performance()


async def test_a_model_before_its_cutoff_marks_summary_and_report(tmp_path: Path) -> None:
    cutoffs = Cutoffs(days={MODEL: date(2030, 1, 1)})
    summary, report, again = await figures(tmp_path, ShownModel(without_memory), cutoffs)
    assert report.contamination is not None
    assert summary["contamination"] == report.contamination.model_dump(mode="json")
    assert summary["contamination"]["model"] == MODEL
    assert summary["contamination"]["cutoff"] == "2030-01-01"
    assert summary["contamination"]["marked"] is True
    assert str(report.equity_curve[0].session) in summary["contamination"]["text"]
    assert again.contamination == report.contamination


@pytest.mark.parametrize(
    ("cutoffs", "marked"),
    [
        (Cutoffs(days={MODEL: date(2020, 1, 1)}), False),
        (Cutoffs(days={}), True),
        (Cutoffs(days={}, invented=True), False),
    ],
)
async def test_the_mark_follows_what_the_model_can_know(
    tmp_path: Path, cutoffs: Cutoffs, marked: bool
) -> None:
    summary, report, _ = await figures(tmp_path, ShownModel(without_memory), cutoffs)
    assert report.contamination is not None
    assert summary["contamination"]["marked"] is report.contamination.marked is marked


async def test_rules_have_nothing_to_remember(tmp_path: Path) -> None:
    summary, report, again = await figures(tmp_path, None, Cutoffs(days={}))
    assert summary["contamination"] is None
    assert (report.contamination, again.contamination) == (None, None)


async def test_where_nobody_told_the_cutoffs_nothing_is_said(tmp_path: Path) -> None:
    summary, report, _ = await figures(tmp_path, ShownModel(without_memory), None)
    assert summary["contamination"] is None
    assert report.contamination is None
