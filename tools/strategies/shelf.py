"""The strategies that can be named: those of the library, and those of files."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Strategy
from tools.strategies.files import load_strategy
from tools.strategies.fingerprint import fingerprint
from tools.strategies.library import (
    averages,
    breakouts,
    opening,
    overnight,
    pairs,
    reversion,
    vwap,
    yardsticks,
)
from tools.strategies.near import nearest

_LIBRARY: Final = "tools.strategies.library."
MAKERS: Final[tuple[Callable[[], Strategy], ...]] = (
    averages.ema_crossover,
    averages.macd,
    averages.sma_crossover,
    breakouts.donchian_breakout,
    breakouts.volatility_breakout,
    opening.gap_and_go,
    opening.gap_fade,
    opening.opening_range_breakout,
    overnight.overnight_momentum,
    pairs.pairs,
    reversion.bollinger_fade,
    reversion.rsi_mean_reversion,
    vwap.vwap_bounce,
    vwap.vwap_reclaim,
    yardsticks.buy_and_hold,
    yardsticks.random_entry,
)


def strategies() -> tuple[Strategy, ...]:
    """Return the strategies of the library, by name."""
    return tuple(sorted(map(_marked, MAKERS), key=lambda each: each.name))


def find(name_or_path: str) -> Strategy:
    """Return a strategy by its name in the library, or by the path of its file.

    Raises:
        BadInput: there is no such name, or the file is no strategy.
    """
    if name_or_path.endswith(".py") or "/" in name_or_path:
        return load_strategy(Path(name_or_path))
    makers = {maker.__name__: maker for maker in MAKERS}
    if name_or_path in makers:
        return _marked(makers[name_or_path])
    raise BadInput(
        f"there is no strategy {name_or_path!r}, and it is no path of a .py file; "
        f"{nearest(name_or_path, sorted(makers))}"
    )


def describe() -> list[dict[str, object]]:
    """Return what the strategies of the library are, as JSON knows it."""
    return [
        {
            "name": each.name,
            "timeframe": each.timeframe.value,
            "symbols": each.symbols,
            "idea": each.idea,
            "params": [
                {
                    "name": param.name,
                    "default": param.default,
                    "low": param.low,
                    "high": param.high,
                    "step": param.step,
                    "text": param.text,
                }
                for param in each.params
            ],
        }
        for each in strategies()
    ]


def _marked(maker: Callable[[], Strategy]) -> Strategy:
    """Return a strategy of the library with the fingerprint of its code."""
    strategy = maker()
    defaults = {param.name: param.default for param in strategy.params}
    words = frozenset(defaults) | frozenset(strategy.plan(defaults).columns)
    mark = fingerprint(_parsed(maker.__module__), (maker.__name__,), words, _followed)
    return replace(strategy, fingerprint=mark)


def _followed(module: str) -> ast.Module | None:
    """Return the syntax of the modules that names are followed into: the library's own."""
    return _parsed(module) if module.startswith(_LIBRARY) else None


def _parsed(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))
