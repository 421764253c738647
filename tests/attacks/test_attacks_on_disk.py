"""What a day full of attacks leaves on the disk, in the reports and in the log.

All attacks come within one session of a town with a real store and real reports, a few a minute, so
that the obeying model reads every one of them. One run for all is sound here because it is not
asked which attack got somewhere, only whether any word of any of them, or any secret, did.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from roboinvest.core.budget import BudgetPolicy
from roboinvest.core.market.values import NewsItem
from roboinvest.core.tasks import Answer, Task
from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.house_reports import HouseReports, RunFacts
from tests.conftest import REPOSITORY
from tests.fakes.attacked_day import SECOND, TRACE, by_item, items_of
from tests.fakes.clocks import START
from tests.fakes.gambler import gambler
from tests.fakes.hostile_news import KEY
from tests.fakes.hostile_pages import attacks
from tests.fakes.obedient_model import ObedientModel
from tests.fakes.reports import NothingElse
from tests.fakes.services import context
from tests.fakes.town import Town, books_in
from tests.fakes.worlds import invented
from tools.markets import Market
from tools.news import NewsFile

CORPUS = attacks()
PROMPT = (REPOSITORY / "config" / "prompts" / "reader" / "read_news.md").read_text()
SECRETS = (KEY, "for a trading house and say in a form")


class Obeying(ObedientModel):
    """Reads as it is told to, and gambles, so that there is something to spoil every minute."""

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        if task.name == "strategy":
            return await gambler().ask(task, inputs)
        return await super().ask(task, inputs, about=about)


def hostile(market: Market) -> list[NewsItem]:
    """Return every attack's items about a market's symbols, three a minute, and a second voice."""
    made = [item for attack in (SECOND, *CORPUS) for item in items_of(attack)]
    return [
        replace(
            item,
            symbols=market.symbols,
            published_at=market.starts_at + number * timedelta(seconds=20),
        )
        for number, item in enumerate(made)
    ]


async def lived(folder: Path, news: Sequence[NewsItem], model: Obeying) -> tuple[Town, str]:
    """Live through the session and return the town, with all that reports and logs say."""
    market = replace(invented(3, sessions=1, minutes=60), news=NewsFile(news))
    town = Town(market=market, folder=folder, model=model)
    with capture_logs() as logs:
        async with town.store() as store:
            reports = HouseReports(
                facts=RunFacts(
                    mode="replay",
                    simulated=True,
                    symbols=market.symbols,
                    started_at=START,
                    start_equity=Decimal(100_000),
                    folders={},
                ),
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
            shown = [
                await reports.system_status(),
                await reports.performance(),
                await reports.positions(),
                await reports.trades(),
                await reports.alerts(),
                await reports.budget(),
            ]
    said = [report.model_dump_json() for report in shown]
    return town, json.dumps([said, logs, [repr(event) for event in town.bus.said]], default=str)


@pytest.fixture
async def attacked(tmp_path: Path) -> tuple[Town, str, Obeying]:
    model = Obeying(by_item([SECOND, *CORPUS]), PROMPT[PROMPT.index("You read") :])
    news = hostile(invented(3, sessions=1, minutes=60))
    town, said = await lived(tmp_path / "attacked", news, model)
    return town, said, model


async def test_no_word_of_an_attack_and_no_secret_is_kept_or_told(
    attacked: tuple[Town, str, Obeying],
) -> None:
    town, said, model = attacked
    read = {text.item_id for text in model.read}
    assert {attack.name for attack in CORPUS} <= {name.rpartition("-")[0] for name in read}
    assert model.ran == []
    books = books_in(town.database)
    tainted = []
    for row, commit in zip(books["ticks"], town.commits, strict=True):
        assert row["tick_id"] == commit.record.tick_id
        body = json.loads(commit.record.body or "{}")  # the row's own is packed
        tainted.append(body.pop("news_read", None))
        row["body"] = body
    documents = {row["name"]: row for row in books["documents"]}
    tainted.append(documents.pop("news"))
    books["documents"] = list(documents.values())
    kept, record = json.dumps(books, default=str), json.dumps(tainted, default=str)
    assert TRACE in record  # the quotes are there to be looked at
    for place in (kept, said):
        assert TRACE not in place
    for place in (kept, said, record):
        assert not any(secret in place for secret in SECRETS)
        assert not any(sign in place for sign in ("\\u001b", "\\u202e", "\x1b", "\u202e"))


async def test_the_same_orders_are_sent_as_on_a_day_without_news(
    attacked: tuple[Town, str, Obeying], tmp_path: Path
) -> None:
    town = attacked[0]
    quiet, _ = await lived(tmp_path / "quiet", [], Obeying({}))
    sent, usual = (
        [
            replace(intent, qty=Decimal(1))
            for state in each.states
            for intent in state["execution"].intents
        ]
        for each in (town, quiet)
    )
    assert len(sent) >= 6
    assert sent == usual
    clamps = [c for state in town.states for c in state["execution"].clamps if c.rule == "news"]
    assert clamps
    assert all(abs(c.allowed / c.requested - 1) <= Decimal("0.25") for c in clamps)
    assert town.halt_file.read() is None
