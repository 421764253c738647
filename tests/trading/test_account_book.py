"""The day's figures survive a restart, and a new day starts from the last equity."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from roboinvest.core.ledger import Ledger
from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.trading.account_book import AccountBook, AccountFigures
from roboinvest.trading.budget import BudgetFigures
from tests.fakes.house import CASH, flat_bars, house
from tests.fakes.markets import bar, minute, session, update
from tests.fakes.models import ScriptedModel, hold, view


def rides_into(number: int) -> ScriptedModel:
    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        if inputs.at == minute(number):
            return view(brief.observation.symbol, Action.BUY, stop=90.0, target=140.0)
        return hold(brief.observation.symbol)

    return ScriptedModel(script)


async def test_figures_read_back_are_the_figures_written(tmp_path: Path) -> None:
    bars = [*flat_bars(5), *(bar(minute(n), [100.0 + n]) for n in range(5, 50))]
    one = house(tmp_path, bars, rides_into(2))
    await one.ticks(1, 45)
    documents = {name: text for c in one.commits for name, text in c.documents.items()}
    assert AccountFigures.from_json(documents["account"]) == one.account.figures
    assert BudgetFigures.from_json(documents["budget"]) == one.runner.books.budget.figures
    assert one.account.figures.peak_equity > CASH


def test_a_new_session_starts_from_the_last_equity_and_counts_entries_anew() -> None:
    book = AccountBook(Ledger(), (), AccountFigures.starting_with(CASH))
    book.begin(update(minute(1)))
    book.count_entry()
    book.value(Decimal(99_000))
    tomorrow = date(2024, 3, 6)
    book.begin(update(minute(1, tomorrow), on=session(tomorrow)))
    assert book.figures.day_start_equity == 99_000
    assert book.figures.last_session_pnl == -1_000
    assert book.figures.entries_today == 0
    assert book.figures.peak_equity == CASH


async def test_only_documents_that_changed_are_stored_again(tmp_path: Path) -> None:
    one = house(tmp_path, flat_bars(10), rides_into(99))
    await one.ticks(1, 5)
    assert set(one.commits[0].documents) >= {"account", "budget", "paper_broker", "benchmark"}
    assert set(one.commits[-1].documents) == {"budget"}  # it counts the answers
