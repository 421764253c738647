"""A data folder that ticks were committed to, and the stories that are told of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from roboinvest.core.journal import JournalState
from roboinvest.core.orders import Action, OrderIntent
from roboinvest.core.ports import Calendar
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.records import TickCommit
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import AskFacts, CallFacts, Spent
from roboinvest.runtime.storage.reads import StoreReader
from roboinvest.trading.explain.page import page_of
from roboinvest.trading.explain.sources import RecordFiles
from roboinvest.trading.explain.story import DecisionTold, Story
from roboinvest.trading.explain.telling import Explainer
from tests.fakes.clocks import ManualClock
from tests.fakes.house import InMemoryHouse, flat_bars, house
from tests.fakes.markets import minute
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.open_stores import opened
from tests.fakes.spending import DOLLAR
from tools.calendar import ExchangeCalendar

BUY_TICK: Final = "20240305T143200Z"  # minute 2


class ToldFolder:
    """The files of one data folder."""

    def __init__(self, root: Path) -> None:
        self.database = root / "roboinvest.db"
        self.journal = root / "journal.db"
        self.ledger = root / "llm.db"

    async def keep(self, commits: Iterable[TickCommit]) -> None:
        """Commit ticks to the store."""
        store = await opened(self.database)
        try:
            for commit in commits:
                await store.commit_tick(commit)
        finally:
            await store.close()

    async def keep_intent(
        self, intent: OrderIntent, *moves: JournalState, reason: str = "", looked: int | None = None
    ) -> None:
        """Record an intent in the journal and move it on, all at its tick."""
        journal = await SqliteOrderJournal.open(self.journal, in_flight=InFlight())
        try:
            await journal.record(intent, '{"max_order_usd":"25000"}', intent.valid_until)
            for state in moves:
                await journal.move(
                    intent.client_order_id,
                    state,
                    intent.valid_until,
                    reason=reason,
                    clean_lookups=looked,
                )
        finally:
            await journal.close()

    async def keep_ask(self, ask: AskFacts, *calls: tuple[CallFacts, Spent]) -> None:
        """Record an ask and its calls."""
        ledger = await SpendLedger.open(
            self.ledger, DOLLAR, in_flight=InFlight(), clock=ManualClock(), recover=True
        )
        try:
            for call, spent in calls:
                await ledger.reserve(replace(call, ask_id=ask.ask_id))
                await ledger.settle(call.call_id, spent)
            await ledger.note_ask(ask)
        finally:
            await ledger.close()

    async def story(
        self,
        what: str,
        *,
        redact: Callable[[str], str] = str,
        calendar: Callable[[], Calendar] = ExchangeCalendar,
    ) -> Story:
        """Return the story of what is asked about."""
        in_flight = InFlight()
        reader = await StoreReader.open_read_only(self.database, in_flight=in_flight)
        try:
            records = RecordFiles(self.journal, self.ledger, in_flight=in_flight)
            explainer = Explainer(reader, records, calendar=calendar, redact=redact)
            return await explainer.explain(what)
        finally:
            await reader.close()

    async def told(self, what: str) -> DecisionTold:
        """Return the one decision of a story."""
        (decision,) = (await self.story(what)).decisions
        return decision


def page(story: Story, *, full: bool = False) -> str:
    """Return a page as one text, unwrapped."""
    return "\n".join(f"{row.name}: {row.text}" for row in page_of(story, full=full))


def with_body(commit: TickCommit, change: Callable[[dict[str, Any]], None]) -> TickCommit:
    """Return a commit whose record was changed by hand."""
    body = json.loads(commit.record.body or "{}")
    change(body)
    return replace(commit, record=replace(commit.record, body=json.dumps(body)))


def texts_in(tree: Any) -> list[str]:
    """Return every text of a plain tree, keys too."""
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, Mapping):
        return [text for pair in tree.items() for part in pair for text in texts_in(part)]
    if isinstance(tree, (list, tuple)):
        return [text for part in tree for text in texts_in(part)]
    return []


def buys_at(number: int, *, sells_at: int | None = None, **levels: float) -> ScriptedModel:
    """Return a model that buys every symbol once and, when told, sells it once."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        symbol = brief.observation.symbol
        if inputs.at == minute(number):
            return view(symbol, Action.BUY, **({"stop": 98.0, "target": 104.0} | levels))
        if sells_at is not None and inputs.at == minute(sells_at):
            return view(symbol, Action.SELL)
        return hold(symbol)

    return ScriptedModel(script)


async def lived(
    tmp_path: Path, model: ScriptedModel, last: int = 4, *, bars: Any = None, **parts: Any
) -> InMemoryHouse:
    """Return a house that has lived through its first ticks."""
    one = house(tmp_path, flat_bars(last + 1) if bars is None else bars, model, **parts)
    await one.ticks(1, last)
    return one
