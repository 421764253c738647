"""Models for the strategy task that see what is shown and nothing else: one that read the future.

They are asked as a model is: by the shown inputs alone, with a form that the task itself reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from roboinvest.core.errors import BadReply
from roboinvest.core.market.values import Timeframe
from roboinvest.core.tasks import RULES, SAFE, Answer, Task
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tests.fakes.walks import walk, write_walks

SEED = 11
SYMBOLS = ("AAA", "BBB")
TIMEFRAME = Timeframe.HOUR
FIRST, LAST = date(2015, 10, 29), date(2015, 12, 2)
CUTOFF = date(2015, 11, 13)  # twelve sessions up to it, and twelve after
AHEAD = 2  # bars that memory looks ahead
HELD_BARS = 2
SOURCE = "openai:reader"
Shown = Mapping[str, Any]
Memory = Mapping[tuple[str, str], float]  # symbol and minute, as shown -> the close `AHEAD` later


@dataclass
class ShownModel:
    """A model whose every answer follows from the time and one symbol's shown inputs."""

    choose: Callable[[str, Shown], Mapping[str, Any]]

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        if task.prompt != STRATEGY_TASK.prompt:
            return _answer(task.rule(inputs), RULES)
        shown = task.show(inputs)
        at, symbols = str(shown["at"]), shown["symbols"]
        assert isinstance(symbols, list)
        form = task.form.model_validate({"views": [_view(self.choose(at, s), s) for s in symbols]})
        try:
            return _answer(task.read(inputs, form), SOURCE)
        except BadReply:
            return _answer(task.safe(inputs), SAFE)


def without_memory(at: str, shown: Shown) -> Mapping[str, Any]:
    """Choose by what is shown of the market alone: no name, no date, no price."""
    if float(shown["shares_held"]):
        late = shown["bars_held"] >= HELD_BARS or shown["minutes_to_close"] <= 30
        return {"action": "SELL" if late else "HOLD"}
    if shown["minutes_to_close"] <= 60 or shown["features"].get("rsi", 50.0) < 52.0:
        return {"action": "HOLD"}
    return {"action": "BUY"}


def with_memory(memory: Memory) -> Callable[[str, Shown], Mapping[str, Any]]:
    """Choose by what is remembered of the symbol at that minute; elsewhere without memory."""

    def choose(at: str, shown: Shown) -> Mapping[str, Any]:
        later = memory.get((shown["symbol"], at))
        if later is None:
            return without_memory(at, shown)
        rises = later > shown["close"] * 1.0004
        if float(shown["shares_held"]):
            return {"action": "HOLD" if rises and shown["minutes_to_close"] > 30 else "SELL"}
        return {"action": "BUY" if rises and shown["minutes_to_close"] > 60 else "HOLD"}

    return choose


def memory_of_walks(until: date, symbols: tuple[str, ...] = SYMBOLS) -> Memory:
    """Return what a model remembers that has read of every day up to `until`."""
    found = dict[tuple[str, str], float]()
    for number, symbol in enumerate(symbols):
        rows = walk(SEED + number, FIRST, LAST, price=100.0 + 20.0 * number, timeframe=TIMEFRAME)
        closes = rows.values[3]
        for row in range(len(closes) - AHEAD):
            shut = datetime.fromtimestamp(int(rows.ts[row]) / 1e9, UTC) + TIMEFRAME.length
            if shut.date() <= until:
                found[symbol, f"{shut:%Y-%m-%d %H:%M} UTC"] = float(closes[row + AHEAD])
    return found


def settings_for(folder: Path, **more: object) -> Settings:
    """Return the settings of a replay of the walks, whose file is written to `folder`."""
    path = folder / "walks.csv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_walks(path, SEED, FIRST, LAST, symbols=SYMBOLS, timeframe=TIMEFRAME)
    typed = {
        "market.source": "replay",
        "replay.path": path,
        "memory.chroma": "off",
        "risk.cooldown_bars": 0,
        **more,
    }
    return load_settings(None, {}, typed)


def _view(chosen: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    buys, close = chosen["action"] == "BUY", float(shown["close"])
    return {
        "symbol": shown["symbol"],
        "conviction": 0.5,
        "stop": close * 0.99 if buys else None,
        "target": close * 1.015 if buys else None,
        "reason": f"{shown['symbol']} at {close}",
        **chosen,
    }


def _answer(output: object, source: str) -> Answer[Any]:
    return Answer(output=output, source=source, cost_usd=Decimal(0), latency_ms=0.0)
