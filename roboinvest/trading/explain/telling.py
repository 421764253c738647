"""Puts the story together: what was seen, decided, cut, sent, filled and learnt, in that order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.core.events import TradingState
from roboinvest.core.journal import JournalEntry, JournalState
from roboinvest.core.orders import Action, Leg, Order
from roboinvest.core.quant.memories import CalibrationCell
from roboinvest.core.tasks import SAFE
from roboinvest.runtime.llm.spend.values import AskRecord
from roboinvest.trading.explain.answers import about_order, answer_of, summed_up
from roboinvest.trading.explain.body import Body, Inputs, inputs_of, news_of
from roboinvest.trading.explain.finding import Finder, Found
from roboinvest.trading.explain.pieces import (
    ask_told,
    lesson_told,
    tick_told,
    without_secrets,
)
from roboinvest.trading.explain.plain import one_line
from roboinvest.trading.explain.questions import question_of
from roboinvest.trading.explain.sources import Records, StoredFacts
from roboinvest.trading.explain.story import (
    Decided,
    DecisionTold,
    FillTold,
    JournalTold,
    Lesson,
    MemoriesUsed,
    NewsItemRead,
    NewsTold,
    OrderTold,
    Story,
    TickTold,
    TradeTold,
)

if TYPE_CHECKING:  # what it needs costs a tenth of a second to load
    from roboinvest.core.ports import Calendar

STRATEGY: Final = "strategy"  # the task whose inputs tell what decisions were made of
_NEWS: Final = "news"  # the document with the records of the news window


@dataclass(slots=True)
class _Desk:
    """What is known of one tick while its story is written."""

    found: Found
    asks: Sequence[AskRecord] = ()
    inputs: Inputs = field(default_factory=Inputs)
    entries: Mapping[str, JournalEntry] = field(default_factory=dict)  # by client order id
    shelf: Mapping[str, NewsItemRead] = field(default_factory=dict)  # by item id
    cells: Sequence[CalibrationCell] = ()
    orders: Sequence[Order] = ()
    gaps: list[str] = field(default_factory=list)

    @property
    def body(self) -> Body:
        return self.found.body

    @property
    def tick_id(self) -> str:
        """Return the name of the tick, also of one that is not stored."""
        found = self.found
        if found.record is not None:
            return found.record.tick_id
        named = found.order or (found.intent.intent if found.intent else None)
        return named.tick_id if named is not None else ""

    @property
    def unread(self) -> str:
        """Return why the answer to the strategy's question could not be used."""
        asks = (a.facts for a in self.asks if a.facts.task == STRATEGY and a.facts.source == SAFE)
        return next((one_line(facts.reason) for facts in asks), "")

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that the story is about, sorted."""
        if self.found.symbols is not None:
            return self.found.symbols
        decided = {decision.symbol for decision in self.body.decisions}
        return tuple(sorted(decided | {order.symbol for order in self.orders}))


class Explainer:
    """Answers why."""

    def __init__(
        self,
        store: StoredFacts,
        records: Records,
        *,
        calendar: Callable[[], Calendar],
        redact: Callable[[str], str],
    ) -> None:
        """Take the parts.

        Args:
            store: what ticks committed.
            records: the order journal and the record of asks.
            calendar: makes one, where a gap between ticks has to be told.
            redact: takes secrets out of a text; what is stored went through it already.
        """
        self._store = store
        self._records = records
        self._redact = redact
        self._finder = Finder(store, records, calendar)

    async def explain(self, what: str) -> Story:
        """Return the story of what was asked about, clean and without secrets.

        Raises:
            BadInput: there is no such thing; the sentence names the nearest.
            TryLater: there is nothing at all yet, or the store cannot be read now.
        """
        found = await self._finder.find(question_of(what))
        desk = await self._gather(found)
        tick = tick_told(found.record, found.body) if found.record is not None else None
        told = tuple([await self._decision(symbol, desk, tick) for symbol in desk.symbols()])
        story = Story(
            asked=what,
            kind=found.kind,
            answer=_answer(found, told, tick),
            order_id=_order_id(found),
            tick=tick,
            decisions=told,
            asks=tuple(map(ask_told, desk.asks)),
            notes=found.notes,
            gaps=(*found.gaps, *desk.gaps),
        )
        return Story.model_validate(without_secrets(story.model_dump(), self._redact))

    async def _gather(self, found: Found) -> _Desk:
        """Read what belongs to the whole tick."""
        desk = _Desk(found)
        if not desk.tick_id:
            return desk
        desk.orders = await self._store.orders_of(desk.tick_id)
        desk.cells = await self._store.calibration()
        ids = [order.client_order_id for order in desk.orders if order.parent_id is None]
        try:
            entries = await self._records.intents(desk.tick_id, ids)
            desk.entries = {entry.intent.client_order_id: entry for entry in entries}
        except (TryLater, BadSettings) as error:
            desk.gaps.append(f"the order journal was not read: {error}")
        try:
            desk.asks = await self._records.asks(desk.tick_id)
        except (TryLater, BadSettings) as error:
            desk.gaps.append(f"who was asked was not read: {error}")
        asked = [record.facts.inputs for record in desk.asks if record.facts.task == STRATEGY]
        desk.inputs = inputs_of(asked[-1]) if asked else Inputs()
        if desk.body.news:
            items = (*news_of(await self._store.document(_NEWS)), *desk.body.news_read)
            desk.shelf = {item.item_id: item for item in items}
        return desk

    async def _decision(self, symbol: str, desk: _Desk, tick: TickTold | None) -> DecisionTold:
        """Return what is known of one symbol, with its sentence."""
        body, decision = desk.body, desk.body.decision(symbol)
        sent = [order for order in desk.orders if order.symbol == symbol]
        orders = tuple([await self._order(order, desk) for order in sent])
        trades = await self._trades(orders)
        told = DecisionTold(
            symbol=symbol,
            answer="",
            traded=False,
            decision=decision,
            seen=body.observations.get(symbol),
            news=_news(symbol, desk),
            memories=await self._memories(decision, desk),
            held=desk.inputs.held(symbol),
            cuts=tuple(cut for cut in body.clamps if cut.symbol == symbol),
            refusals=_refusals(symbol, desk),
            orders=orders,
            trades=trades,
            lesson=await self._lesson(decision, symbol, desk, trades),
        )
        answered = answer_of(told, tick, desk.unread)
        return told.model_copy(
            update={"answer": one_line(answered.text), "traded": answered.traded}
        )

    async def _order(self, order: Order, desk: _Desk) -> OrderTold:
        fills = await self._store.fills_of(order.client_order_id)
        entry = desk.entries.get(order.client_order_id)
        told = OrderTold.model_validate(order)
        return told.model_copy(
            update={
                "fills": tuple(FillTold.model_validate(fill) for fill in fills),
                "journal": None if entry is None else JournalTold.model_validate(entry),
            }
        )

    async def _trades(self, orders: Sequence[OrderTold]) -> tuple[TradeTold, ...]:
        """Return the round trips that these orders began or ended, and where both were decided."""
        found: dict[str, TradeTold] = {}
        for name in (order.client_order_id for order in orders if order.filled_qty):
            for trade in await self._store.trades_of(name):
                ticks = [
                    await self._tick_of(trade.entry_order_id),
                    await self._tick_of(trade.exit_order_id),
                ]
                told = TradeTold.model_validate(trade)
                found[trade.trade_id] = told.model_copy(
                    update=dict(zip(("entry_tick", "exit_tick"), ticks, strict=True))
                )
        return tuple(found.values())

    async def _tick_of(self, client_order_id: str) -> str | None:
        order = await self._store.order(client_order_id)
        return None if order is None else one_line(order.tick_id)

    async def _memories(self, decision: Decided | None, desk: _Desk) -> MemoriesUsed:
        """Return the setups that were compared; which ones, where the question was recorded."""
        if decision is None:
            return MemoriesUsed()
        setups = desk.inputs.setups(decision.symbol)
        known = await self._store.memories([setup.memory_id for setup in setups]) if setups else ()
        texts = {memory.memory_id: one_line(memory.text) for memory in known}
        return MemoriesUsed(
            count=decision.similar_setups,
            mean_r=decision.similar_mean_r,
            confidence=decision.confidence,
            setups=tuple(
                setup.model_copy(update={"text": texts.get(setup.memory_id)}) for setup in setups
            ),
        )

    async def _lesson(
        self, decision: Decided | None, symbol: str, desk: _Desk, trades: Sequence[TradeTold]
    ) -> Lesson | None:
        """Return what was remembered of the decision, or of the one whose trade it closed."""
        ticks = [desk.tick_id]
        agents = {order.agent_id for order in desk.orders if order.symbol == symbol}
        if decision is not None:
            agents.add(decision.agent_id)
        if decision is None or decision.action != Action.BUY:
            ticks += [trade.entry_tick for trade in trades if trade.entry_tick]
        ids = [f"{tick}/{agent}/{symbol}" for tick in ticks for agent in sorted(agents)]
        for memory in await self._store.memories(ids) if ids else ():
            return lesson_told(memory, desk.cells)
        return None


def _answer(found: Found, told: Sequence[DecisionTold], tick: TickTold | None) -> str:
    """Return the sentence at the top."""
    if found.order is not None:
        name = found.order.client_order_id
        for decision in told:
            for order in decision.orders:
                if order.client_order_id == name:
                    halted = tick is not None and tick.trading_state == TradingState.HALTED
                    why = tick.state_reason if tick is not None and halted else ""
                    return about_order(decision, order, why)
    if found.intent is not None:
        intent, entry = found.intent.intent, found.intent
        side = f"{intent.side} {intent.qty.normalize():f} {intent.symbol}"
        reason = f", {entry.reason}" if entry.reason else ""
        return f"The {intent.leg} that was to {side} never was an order: {entry.state}{reason}."
    if tick is None:
        return "Nothing is stored of this tick."
    text = summed_up(told, tick) if found.symbols is None else told[0].answer
    return f"{found.lead} {text}".strip()


def _order_id(found: Found) -> str | None:
    if found.order is not None:
        return found.order.client_order_id
    return None if found.intent is None else found.intent.intent.client_order_id


def _news(symbol: str, desk: _Desk) -> NewsTold | None:
    factor = desk.body.news.get(symbol)
    if factor is None:
        return None
    items = [desk.shelf[name] for name in factor.records if name in desk.shelf]
    return NewsTold(factor=factor, items=tuple(items))


def _refusals(symbol: str, desk: _Desk) -> tuple[str, ...]:
    """Return the refusals of a symbol's intents that no limit of risk made.

    The journal says it best. A tick's record holds sentences without a symbol of their own: those
    that begin with it are its own, as is one that begins with none where one symbol alone asked.
    """
    refused = [
        entry.reason
        for entry in desk.entries.values()
        if entry.intent.symbol == symbol and entry.reason
        if entry.state in (JournalState.REJECTED, JournalState.EXPIRED)
    ]
    if refused:
        return tuple(dict.fromkeys(refused))
    body = desk.body
    by_risk = tuple(cut.text for cut in body.clamps if cut.text)  # with which its sentences begin
    open_texts = [text for text in body.rejected if not text.startswith(by_risk)]
    own = [text for text in open_texts if text.startswith(f"{symbol}:")]
    entered = {intent.symbol for intent in body.intents if intent.leg in (Leg.ENTRY, Leg.EXIT)}
    waiting = [
        d.symbol for d in body.decisions if d.action != Action.HOLD and d.symbol not in entered
    ]
    if not own and waiting == [symbol]:
        own = open_texts
    return tuple(own)
