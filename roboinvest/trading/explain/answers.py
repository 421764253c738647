"""The one sentence: why it did that, or why it did not trade.

A sentence is made of stored facts alone. Where they do not say why, it says that they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.events import TradingState
from roboinvest.core.orders import TERMINAL_STATES, Action, Leg, OrderState, Side
from roboinvest.core.tasks import RULES, SAFE
from roboinvest.trading.explain.story import (
    Cut,
    Decided,
    DecisionTold,
    OrderTold,
    TickTold,
    TradeTold,
)
from roboinvest.trading.explain.words import (
    joined,
    plain,
    price,
    r_multiple,
    shortened,
    usd,
    utc,
)

CEILINGS: Final = frozenset({"order_value", "position", "gross", "cash"})  # they cut a size
_SENDS_NOTHING: Final = frozenset(
    {TradingState.HALTED, TradingState.STARTING, TradingState.RECONCILING}
)
_ENDED: Final = {
    OrderState.REJECTED: "the broker refused it",
    OrderState.EXPIRED: "it expired before a share was bought or sold",
    OrderState.CANCELLED: "it was cancelled before a share was bought or sold",
}
_OPEN: Final = {
    OrderState.INTENT: "it was written down and has not been sent",
    OrderState.UNKNOWN: "it was sent, and whether the broker has it is being looked up",
}
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Answered:
    """A sentence, and whether shares changed hands because of the decision."""

    text: str
    traded: bool


def answer_of(told: DecisionTold, tick: TickTold | None, unread: str = "") -> Answered:
    """Return the sentence about one symbol at one tick.

    `unread` is why no answer of a model could be used, where the safe output stands in for it.
    """
    decision = told.decision
    if decision is None:
        return _without_record(told, tick)
    asked = {Action.BUY: (Leg.ENTRY,), Action.SELL: (Leg.EXIT,)}.get(Action(decision.action), ())
    order = next((o for o in told.orders if o.leg in asked), None)
    if decision.action == Action.HOLD:
        return Answered(_hold(told, decision, tick, unread), _any_filled(told.orders))
    if order is None:
        return Answered(_unsent(told, decision, tick), traded=False)
    return _sent(told, decision, order, tick)


def about_order(told: DecisionTold, order: OrderTold, halts: str) -> str:
    """Return the sentence about one order: what it was for, and what became of it.

    `halts` is why trading was halted when it was sent, "" where it was not.
    """
    side = f"{order.side} {plain(order.qty)} {order.symbol}"
    entry = next((o for o in told.orders if o.client_order_id == order.parent_id), None)
    at = f"at {utc(order.created_at)}"
    match order.leg:
        case Leg.ENTRY:
            what = f"The entry that was to {side}, sent {at}"
        case Leg.EXIT:
            what = f"The exit that was to {side}, sent {at}"
        case Leg.FLATTEN:
            why = f" ({halts})" if halts else ""
            what = f"The order that was to {side} because a person asked to close all{why}"
        case _ if entry is not None or order.parent_id is not None:
            what = (
                f"The {order.leg} that was to {side} at {_level(order)}, sent with its entry {at}"
            )
        case _:
            what = (
                f"The {order.leg} that was to {side} at {_level(order)}, sent {at} because the "
                "position had no stop at the broker"
            )
    return f"{what}: {_became(order)}{_result(told.trades, order)}."


def summed_up(told: Sequence[DecisionTold], tick: TickTold) -> str:
    """Return the sentence about a whole tick."""
    if len(told) == 1:
        return told[0].answer
    busy = [t for t in told if t.traded or (t.decision and t.decision.action != Action.HOLD)]
    quiet = [t.symbol for t in told if t not in busy]
    parts = [t.answer for t in busy]
    if not told:
        parts.append(_without_record(None, tick).text)
    elif not busy and (blocked := _blocked(tick)):
        parts.append(f"Nothing was traded at {utc(tick.at)}: {blocked}.")
    elif not busy:
        parts.append(f"Nothing was traded at {utc(tick.at)}: each of {joined(quiet)} was held.")
    elif quiet:
        was = "was" if len(quiet) == 1 else "were"
        parts.append(f"{joined(quiet)} {was} held.")
    return " ".join(parts)


def _hold(told: DecisionTold, decision: Decided, tick: TickTold | None, unread: str) -> str:
    """Return why nothing was wanted, and what was sent all the same."""
    blocked = _blocked(tick, told.symbol)
    why = f"the decision was HOLD: {_argument(decision)}"
    if decision.source == SAFE and unread:
        why += f" ({shortened(unread.rstrip('.'))})"
    if blocked:
        why = f"{blocked}; in any case {why}"
    beside = [o for o in told.orders if o.parent_id is None]
    lead = f"{told.symbol} was not traded{_when(tick)}"
    if not beside:
        return f"{lead}: {why}."
    sent = joined([f"a {o.leg} order to {o.side} {plain(o.qty)}" for o in beside])
    return f"For {told.symbol}{_when(tick)} {why}; {sent} was sent beside it."


def _unsent(told: DecisionTold, decision: Decided, tick: TickTold | None) -> str:
    """Return why a BUY or a SELL became no order."""
    lead = f"The {decision.action} of {told.symbol}{_when(tick)} came to nothing"
    zeros = [cut for cut in told.cuts if cut.allowed == _ZERO]
    halt = next((cut for cut in zeros if cut.rule == "trading_state"), None)
    if halt is not None:
        return f"{lead}: {_blocked(tick) or _fact(halt)}."
    if zeros:
        tightest = zeros[0]
        verb = "cut it to no share" if tightest.rule in CEILINGS else "refused it"
        others = len({cut.rule for cut in zeros} - {tightest.rule})
        more = f", and {others} more" if others else ""
        return f"{lead}: risk {verb}, {_fact(tightest)} ({tightest.rule}{more})."
    if told.refusals:
        said = _without_symbol(told.refusals[0], told.symbol)
        if said == "a BUY needs a stop and a price":
            return f"{lead}: {said}, and it had not both."
        return f"{lead}: the broker refused it, {shortened(said)}."
    if decision.action == Action.SELL:
        return f"{lead}: nothing was held, or an exit was on its way already."
    return f"{lead}, and nothing is stored that says why."


def _sent(
    told: DecisionTold, decision: Decided, order: OrderTold, tick: TickTold | None
) -> Answered:
    """Return what became of an order that the decision asked for."""
    argument = _argument(decision)
    verb = "bought" if order.side == Side.BUY else "sold"
    if not order.filled_qty:
        so_far = "" if _has_ended(order) else " so far"
        lead = f"The {decision.action} of {told.symbol}{_when(tick)} {verb} nothing{so_far}"
        return Answered(f"{lead}: {_became(order)}; it was decided on {argument}.", traded=False)
    part = "" if order.filled_qty == order.qty else f" of {plain(order.qty)}"
    text = f"{plain(order.filled_qty)}{part} {told.symbol} were {verb}"
    if order.fills:
        text += f" at {price(_mean(order))}"
    text += f" (decided{_when(tick)}): {argument}"
    cut = _binding(told.cuts, order.qty)
    if cut is not None:
        text += f"; risk cut {plain(cut.requested)} to {plain(cut.allowed)} ({cut.rule})"
    return Answered(f"{text}{_result(told.trades, order)}.", traded=True)


def _without_record(told: DecisionTold | None, tick: TickTold | None) -> Answered:
    """Return what the figures of a tick still say."""
    if told is not None and told.orders:
        parts = joined([f"the {o.leg}: {_became(o)}" for o in told.orders])
        return Answered(
            f"Why {told.symbol} was traded is not stored; {parts}.", _any_filled(told.orders)
        )
    if tick is None:
        return Answered("Nothing is stored of this tick.", traded=False)
    held = f"{tick.holds} {'symbol was' if tick.holds == 1 else 'symbols were'} held"
    if tick.has_record:
        return Answered(f"Nothing was decided{_when(tick)}.", traded=False)
    return Answered(
        f"Nothing was traded{_when(tick)}: {held}; why is no longer stored, because old ticks on "
        "which nothing happened keep their figures only.",
        traded=False,
    )


def _blocked(tick: TickTold | None, symbol: str = "") -> str:
    """Return what kept anything from being sent, whatever was decided."""
    if tick is None:
        return ""
    if tick.trading_state in _SENDS_NOTHING:
        return f"trading was {tick.trading_state} ({tick.state_reason}), so nothing could be sent"
    if tick.trading_state == TradingState.DEGRADED:
        return f"trading was DEGRADED ({tick.state_reason}), so nothing could be bought"
    if symbol in tick.suspended:
        return f"its prices were not trusted ({tick.suspended[symbol]})"
    return ""


def _argument(decision: Decided) -> str:
    """Return why, in the words of whoever decided."""
    text = decision.summary.removeprefix(f"{decision.action} {decision.symbol}: ").rstrip(".")
    if decision.source == RULES:
        text = text.rpartition("; ")[0] or text  # the votes behind it are told elsewhere
        return text.replace(f"conviction {decision.conviction or 0.0:+.2f}", _exactly(decision), 1)
    if decision.source == SAFE:
        return text
    return f'{decision.source or "a model"} said "{shortened(text)}"'


def _exactly(decision: Decided) -> str:
    """Return the conviction with the digits that tell it from a line it just missed."""
    conviction = decision.conviction or 0.0
    is_near = round(conviction, 4) == round(conviction, 2)
    return f"conviction {conviction:+.6f}" if is_near else f"conviction {conviction:+.4f}"


def _became(order: OrderTold) -> str:
    """Return what became of an order."""
    state, note = order.state, f", {shortened(order.note)}" if order.note else ""
    if state == OrderState.FILLED:
        return f"filled{_fills(order)}{note}"
    if order.filled_qty:
        part = f"{plain(order.filled_qty)} of {plain(order.qty)} were filled{_fills(order)}"
        rest = "the rest still works" if not _has_ended(order) else f"the rest was {state}"
        return f"{part}, {rest}{note}"
    if state in _ENDED:
        return f"{_ENDED[OrderState(state)]}{note}"
    if state in _OPEN:
        return f"{_OPEN[OrderState(state)]}{note}"
    waits = "it waits for its entry" if state == OrderState.HELD else "it is working, not filled"
    return f"{waits}{note}"


def _result(trades: Sequence[TradeTold], order: OrderTold) -> str:
    """Return what came of it in money, where something did."""
    name = order.client_order_id
    own = [t for t in trades if name in (t.entry_order_id, t.exit_order_id)]
    if not own:
        is_open = order.filled_qty and order.leg == Leg.ENTRY
        return "; the position is still open" if is_open else ""
    total, last = sum((t.pnl for t in own), _ZERO), own[-1]
    closed = sum((abs(t.qty) for t in own), _ZERO)
    rs = [t.r_multiple for t in own]
    r = f", {r_multiple(rs[0])}" if len(own) == 1 and rs[0] is not None else ""
    if order.leg != Leg.ENTRY:
        return f"; the trade came to {usd(total)}{r}"
    share = "" if closed >= order.filled_qty else f" {plain(closed)} of them"
    return f"; closed{share} by {last.exit_leg} for {usd(total)}{r}"


def _binding(cuts: Sequence[Cut], qty: Decimal) -> Cut | None:
    """Return the limit that set the size."""
    return next((c for c in cuts if c.rule in CEILINGS and c.allowed == qty < c.requested), None)


def _fact(cut: Cut) -> str:
    return shortened(_without_symbol(cut.text, cut.symbol))


def _without_symbol(text: str, symbol: str) -> str:
    return text.removeprefix(f"{symbol}: ").rstrip(".")


def _when(tick: TickTold | None) -> str:
    return f" at {utc(tick.at)}" if tick is not None else ""


def _fills(order: OrderTold) -> str:
    return f" at {price(_mean(order))}" if order.fills else ""


def _mean(order: OrderTold) -> Decimal:
    """Return the mean price of an order's executions."""
    shares = sum((abs(f.qty) for f in order.fills), _ZERO)
    paid = sum((abs(f.qty) * f.price for f in order.fills), _ZERO)
    return round(paid / shares, 4) if shares else order.mark


def _level(order: OrderTold) -> str:
    level = order.stop_price if order.stop_price is not None else order.limit_price
    return "the market" if level is None else price(level)


def _has_ended(order: OrderTold) -> bool:
    return order.state in TERMINAL_STATES


def _any_filled(orders: Sequence[OrderTold]) -> bool:
    return any(order.filled_qty for order in orders)
