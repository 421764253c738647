"""Stored values as parts of the story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from roboinvest.core.quant.calibration import BUCKETS, bucket_of, posterior_mean
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickRecord
from roboinvest.runtime.llm.spend.values import AskRecord, CallRecord
from roboinvest.trading.explain.body import Action, Body
from roboinvest.trading.explain.story import Ask, Call, Cell, Lesson, TickTold
from roboinvest.trading.explain.words import plain

_WIDTH: Final = 2 / BUCKETS  # of a range of conviction


def tick_told(record: TickRecord, body: Body) -> TickTold:
    """Return a tick, with what its record adds to its figures."""
    return TickTold(
        tick_id=record.tick_id,
        at=record.at,
        session_day=record.session_day,
        has_record=record.body is not None,
        trading_state=body.trading_state,
        state_reason=body.state_reason,
        suspended=body.suspended,
        actions=tuple(map(_in_words, body.actions)),
        buys=record.buys,
        sells=record.sells,
        holds=record.holds,
        orders=record.orders,
        fills=record.fills,
        rejected=record.rejected,
        equity=record.equity,
        cash=record.cash,
        budget=body.budget,
        digest=record.digest,
    )


def ask_told(record: AskRecord) -> Ask:
    """Return an ask with its calls."""
    calls = tuple(map(_call_told, record.calls))
    return Ask.model_validate(record.facts).model_copy(update={"calls": calls})


def lesson_told(memory: Memory, cells: Sequence[CalibrationCell]) -> Lesson:
    """Return what was remembered, and what convictions like it came to by now."""
    told, bucket = Lesson.model_validate(memory), bucket_of(memory.conviction)
    own = (c for c in cells if c.bucket == bucket and c.agent_id == memory.agent_id)
    counted = next(own, None)
    if counted is None:
        return told
    low = round(bucket * _WIDTH - 1, 6)
    cell = Cell(
        low=low,
        high=round(low + _WIDTH, 6),
        wins=counted.wins,
        losses=counted.losses,
        confidence=posterior_mean(counted.wins, counted.losses),
    )
    return told.model_copy(update={"cell": cell})


def without_secrets(tree: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401 JSON
    """Return a tree of plain values with every text of it redacted."""
    if isinstance(tree, str):
        return redact(tree)
    if isinstance(tree, dict):
        return {without_secrets(k, redact): without_secrets(v, redact) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [without_secrets(item, redact) for item in tree]
    return tree


def _in_words(action: Action) -> str:
    if action.ratio != 1:
        return f"{action.symbol}: split, {plain(action.ratio)} for 1"
    return f"{action.symbol}: dividend of {plain(action.cash)} USD a share"


def _call_told(call: CallRecord) -> Call:
    usage = call.usage
    return Call(
        call_id=call.facts.call_id,
        at=call.facts.at,
        model=call.facts.model,
        purpose=call.facts.purpose,
        state=call.state,
        input_tokens=usage.input_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cost_usd=call.charged_usd,
        is_estimated=call.is_estimated,
        latency_ms=call.latency_ms,
        failure=call.failure,
        prompt=call.prompt,
        reply=call.reply,
    )
