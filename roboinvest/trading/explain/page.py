"""The story as a page for a terminal: what a person reads in twenty seconds, in the story's order.

Rows only; whoever prints them wraps them. What a page leaves out (most features, other limits) is
in the story.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.orders import Action
from roboinvest.core.tasks import RULES, SAFE
from roboinvest.trading.explain.answers import CEILINGS
from roboinvest.trading.explain.story import (
    Ask,
    Call,
    Cut,
    Decided,
    DecisionTold,
    JournalTold,
    Lesson,
    MemoriesUsed,
    NewsTold,
    OrderTold,
    Seen,
    Story,
    TickTold,
    TradeTold,
)
from roboinvest.trading.explain.words import (
    both_zones,
    cost,
    plain,
    price,
    r_multiple,
    signed,
    span,
    usd,
    utc,
)

_SHOWN: Final[Mapping[str, str]] = {  # features that a person asks about, and their names
    "rsi": "RSI",
    "adx": "ADX",
    "bb_z": "z of 20 bars",
    "ema_gap": "EMA gap (ATR)",
    "vwap_gap": "VWAP gap (ATR)",
    "move_15": "move of 15 bars",
    "move_60": "move of 60 bars",
    "rel_volume": "relative volume",
    "vol_ratio": "volatility ratio",
}
_LEVELS: Final = 6
_ITEMS: Final = 5  # headlines
_SETUPS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the page: a name and a text, which may be long, or a block with its own lines."""

    name: str  # "" continues the row before
    text: str
    is_block: bool = False
    is_heading: bool = False


def page_of(story: Story, *, full: bool) -> tuple[Row, ...]:
    """Return the page; `full` adds prompts, replies, all features and the limits in force."""
    rows = [Row(name="", text=story.answer, is_heading=True)]
    rows += _named("note", story.notes)
    if story.tick is not None:
        rows += _market(story.tick)
    if len(story.decisions) == 1:
        told = story.decisions[0]
        rows += [*_before(told, full=full), *_asks(story, full=full), *_after(told, full=full)]
    else:
        rows += _asks(story, full=full)
        rows += _several(story, full=full)
    if story.tick is not None:
        rows += _budget(story.tick, story.asks)
    rows += _named("not told", story.gaps)
    return tuple(rows)


def _several(story: Story, *, full: bool) -> Iterator[Row]:
    """Yield the decisions of a tick: those that wanted something whole, the others on a line."""
    quiet = list[DecisionTold]()
    for told in story.decisions:
        if told.orders or (told.decision and told.decision.action != Action.HOLD):
            yield Row(name="", text=told.symbol, is_heading=True)
            yield from (*_before(told, full=full), *_after(told, full=full))
        else:
            quiet.append(told)
    held = [t.decision.summary if t.decision else f"{t.symbol}: {t.answer}" for t in quiet]
    yield from _named("held", held)
    if quiet and story.tick is not None:
        where = f"{story.tick.tick_id}/{quiet[0].symbol}"
        yield Row(name="more", text=f"roboinvest explain {where}")


def _market(tick: TickTold) -> Iterator[Row]:
    yield Row(
        name="tick", text=f"{tick.tick_id}, {both_zones(tick.at)}, session {tick.session_day}"
    )
    if tick.trading_state is not None:
        yield Row(name="trading", text=f"{tick.trading_state}: {tick.state_reason}")
    yield from _named("suspended", [f"{s}: {why}" for s, why in sorted(tick.suspended.items())])
    yield from _named("actions", tick.actions)


def _before(told: DecisionTold, *, full: bool) -> Iterator[Row]:
    """Yield what the decision was made of."""
    if told.news is not None:
        yield from _named("news", _news(told.news))
    if told.seen is not None:
        yield from _seen(told.seen, full=full)
    if told.held:
        yield Row(name="held", text=f"{plain(told.held)} shares before the decision")
    if told.decision is not None:
        yield from _named("memories", _memories(told.memories))


def _after(told: DecisionTold, *, full: bool) -> Iterator[Row]:
    """Yield what was decided, and what became of it."""
    if told.decision is not None:
        yield from _decided(told.decision)
    yield from _named("risk", [_cut(cut, told) for cut in _by_weight(told.cuts)])
    yield from _named("refused", told.refusals)
    yield from _named("orders", [_order(order) for order in told.orders])
    for order in told.orders:
        if order.journal is not None:
            yield from _journal(order, order.journal, full=full)
    yield from _named("fills", _fills(told.orders))
    yield from _named("trade", [line for trade in told.trades for line in _trade(trade)])
    if told.lesson is not None:
        yield from _named("lesson", _lesson(told.lesson))


def _news(news: NewsTold) -> Iterator[str]:
    factor = news.factor
    if factor is not None:
        sources = ", ".join(f"{v.source or 'nobody'} {signed(v.tone)}" for v in factor.voices)
        yield f"tone {signed(factor.tone)}, {factor.agreeing} agreeing sources ({sources})"
    for item in news.items[-_ITEMS:]:
        lean = f"{item.event}, sentiment {signed(item.sentiment)}, read by {item.reader}"
        quote = f': "{item.quote}"' if item.quote else ""
        yield f"{item.source or 'nobody'}, {lean}{quote}"
    told = {item.item_id for item in news.items}
    missing = sum(name not in told for name in factor.records) if factor is not None else 0
    if missing:
        yield f"{missing} more, read at earlier ticks and no longer stored"


def _seen(seen: Seen, *, full: bool) -> Iterator[Row]:
    regime = "_".join(filter(None, (seen.regime.trend, seen.regime.volatility)))
    vix = f", VIX {seen.regime.vix:g}" if seen.regime.vix is not None else ""
    bar = f" (bar of {utc(seen.bar_ts)})" if seen.bar_ts is not None else ""
    warm = "" if seen.warm else ", not enough for every feature"
    close = "no price" if seen.close is None else f"close {price(seen.close)}"
    yield Row(name="seen", text=f"{close}{bar}, {seen.bars} bars{warm}, regime {regime}{vix}")
    names = {name: name for name in sorted(seen.features)} if full else _SHOWN
    shown = [
        f"{label} {seen.features[name]:.4g}"
        for name, label in names.items()
        if seen.features.get(name) is not None
    ]
    if shown:
        yield Row(name="features", text=", ".join(shown))
    near = sorted(seen.levels, key=lambda level: abs((level.price or 0) - (seen.close or 0)))
    levels = sorted(near[:_LEVELS], key=lambda level: level.price or 0)
    texts = [
        f"{level.name} {price(level.price)}{f' (x{level.touches})' if level.touches else ''}"
        for level in levels
        if level.price is not None
    ]
    if texts:
        yield Row(name="levels", text=", ".join(texts))


def _memories(used: MemoriesUsed) -> Iterator[str]:
    trust = "" if used.confidence is None else f"; confidence {used.confidence:.2f}"
    if not used.count:
        yield f"no similar setup had an outcome{trust}"
        return
    were = "setup" if used.count == 1 else "setups"
    yield f"{used.count} similar {were}, mean {r_multiple(used.mean_r)}{trust}"
    for setup in used.setups[:_SETUPS]:
        far = "" if setup.distance is None else f", distance {setup.distance:.2f}"
        yield f"{setup.memory_id}: {r_multiple(setup.r_multiple)}{far}"
    if len(used.setups) > _SETUPS:
        yield f"and {len(used.setups) - _SETUPS} more"


def _asks(story: Story, *, full: bool) -> Iterator[Row]:
    """Yield who answered: each ask and call, or what the decisions themselves say of it."""
    if not story.asks:
        sources = sorted({t.decision.source for t in story.decisions if t.decision})
        if sources:
            yield Row(name="answered", text=f"{', '.join(sources)} (no model was asked)")
        return
    yield from _named("answered", [_ask(ask) for ask in story.asks])
    for call in (call for ask in story.asks for call in ask.calls):
        yield Row(name="call", text=_call(call))
        if full:
            yield Row(name="prompt", text=call.prompt or "(no longer stored)", is_block=True)
            yield Row(name="reply", text=call.reply or "(nothing)", is_block=True)


def _ask(ask: Ask) -> str:
    version = f" version {ask.prompt_version[:12]}" if ask.prompt_version else ""
    who = {RULES: "the rules", SAFE: "the safe output"}.get(ask.source, ask.source)
    why = f", because {ask.reason}" if ask.reason else ""
    took = "" if ask.latency_ms is None else f", {ask.latency_ms:.0f} ms"
    tries = f", {ask.attempts} {'call' if ask.attempts == 1 else 'calls'}"
    looked = f", looked up {', '.join(ask.looked_up)}" if ask.looked_up else ""
    paid = f", {cost(ask.cost_usd)}"
    return f"{ask.task}: {who}{why}{tries}{took}{paid}{looked}; prompt {ask.prompt_name}{version}"


def _call(call: Call) -> str:
    tokens = "tokens not counted"
    if call.input_tokens is not None:
        cached = f" ({call.cached_tokens} cached)" if call.cached_tokens else ""
        tokens = f"{call.input_tokens} tokens in{cached}, {call.output_tokens} out"
    estimate = " (as reserved)" if call.is_estimated else ""
    took = "" if call.latency_ms is None else f", {call.latency_ms:.0f} ms"
    failed = f"; {call.failure}" if call.failure else ""
    head = f"{call.model}, {call.purpose or 'answer'}, {call.state}"
    return f"{head}: {tokens}, {cost(call.cost_usd)}{estimate}{took}{failed}"


def _decided(decision: Decided) -> Iterator[Row]:
    votes = sorted(decision.reasons, key=lambda r: -abs((r.weight or 0) * (r.score or 0)))
    shown = [f"{r.name} {signed(r.score)} x {r.weight:.0%}: {r.text}" for r in votes if r.weight]
    yield from _named("votes", shown)
    figures = f"{decision.action}, conviction {signed(decision.conviction)}"
    if decision.confidence is not None:
        figures += f", confidence {decision.confidence:.2f}"
    for name, level in (("stop", decision.stop), ("target", decision.target)):
        if level is not None:
            figures += f", {name} {price(level)}"
    yield from _named("decision", [figures, decision.summary])


def _by_weight(cuts: Sequence[Cut]) -> list[Cut]:
    """Return the cuts, the one that left the least first."""
    return sorted(cuts, key=lambda cut: (cut.allowed, cut.rule))


def _cut(cut: Cut, told: DecisionTold) -> str:
    text = cut.text.removeprefix(f"{cut.symbol}: ")
    sent = max((order.qty for order in told.orders), default=Decimal(0))
    binds = cut.rule in CEILINGS and cut.allowed == sent
    mark = " (this one set the size)" if binds else ""
    return f"{cut.rule}: {plain(cut.requested)} -> {plain(cut.allowed)} shares, {text}{mark}"


def _order(order: OrderTold) -> str:
    level = order.stop_price if order.stop_price is not None else order.limit_price
    where = "at the market" if level is None else f"at {price(level)}"
    state = order.state
    if order.filled_qty and order.filled_qty != order.qty:
        state = f"{state}, {plain(order.filled_qty)} filled"
    note = f" ({order.note})" if order.note else ""
    what = f"{order.leg}: {order.side} {plain(order.qty)} {where}"
    return f"{what}, {state}{note}  {order.client_order_id}"


def _journal(order: OrderTold, entry: JournalTold, *, full: bool) -> Iterator[Row]:
    """Yield what the journal adds: a broker of its own, repeats, look-ups, a reason."""
    is_plain = entry.sends <= 1 and not entry.clean_lookups and not entry.reason
    if full or not (is_plain and entry.venue_id in (None, order.client_order_id)):
        broker = f", the broker's {entry.venue_id}" if entry.venue_id else ""
        sends = f"{entry.sends} {'request' if entry.sends == 1 else 'requests'} sent"
        looks = f", {entry.clean_lookups} look-ups found nothing" if entry.clean_lookups else ""
        why = f", {entry.reason}" if entry.reason else ""
        yield Row(name="journal", text=f"{order.leg} {entry.state}: {sends}{looks}{broker}{why}")
    if full and entry.limits:
        yield Row(name="limits", text=entry.limits, is_block=True)


def _fills(orders: Sequence[OrderTold]) -> Iterator[str]:
    for order in orders:
        for fill in order.fills:
            slip = "" if fill.slippage_bps is None else f", slippage {fill.slippage_bps:+.2f} bps"
            yield (
                f"{utc(fill.filled_at)} {fill.leg} {fill.qty.normalize():+f} at "
                f"{price(fill.price)}{slip}, commission {price(fill.commission)} USD"
            )


def _trade(trade: TradeTold) -> Iterator[str]:
    r = "" if trade.r_multiple is None else f", {r_multiple(trade.r_multiple)}"
    move = f"{price(trade.entry_price)} -> {price(trade.exit_price)}"
    held = f"by {trade.exit_leg} after {span(trade.closed_at - trade.opened_at)}"
    yield f"{usd(trade.pnl)}{r}: {plain(trade.qty)} shares {move} {held}"
    ticks = {"entered": trade.entry_tick, "left": trade.exit_tick}
    where = ", ".join(f"{word} at {t}/{trade.symbol}" for word, t in ticks.items() if t)
    if where:
        yield where


def _lesson(lesson: Lesson) -> Iterator[str]:
    came = lesson.outcome
    if came is None:
        yield f"remembered as {lesson.memory_id}; what it came to is not known yet"
    else:
        by = "its trade" if came.kind == "trade" else "the bars after it; it was not traded"
        result = f"{r_multiple(came.r_multiple)} by {came.how}"
        yield f"{lesson.memory_id} came to {result}, told by {by}"
    cell = lesson.cell
    if cell is not None:
        yield (
            f"convictions of {cell.low:+.1f} to {cell.high:+.1f} so far: {cell.wins} won, "
            f"{cell.losses} lost, now worth a confidence of {cell.confidence:.2f}"
        )


def _budget(tick: TickTold, asks: Sequence[Ask]) -> Iterator[Row]:
    money = tick.budget
    if money is None or money.cap_usd is None or not (asks or money.spent_usd):
        return
    spent = cost(money.spent_usd or Decimal(0))
    why = f" ({money.move.reason})" if money.move and money.move.reason else ""
    yield Row(name="budget", text=f"{spent} of {cost(money.cap_usd)} spent that day{why}")


def _named(name: str, texts: Sequence[str] | Iterator[str]) -> Iterator[Row]:
    """Yield texts under one name."""
    for number, text in enumerate(texts):
        yield Row(name="" if number else name, text=text)
