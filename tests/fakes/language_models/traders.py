"""Scripts that answer what the house asks: a strategist, a reader of news, and both by turns.

They look at the prompt alone, as a model does, and are pure: equal prompts are answered alike.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.fakes.language_models.said import Asked, Script
from tests.fakes.language_models.scripts import saying, valid

_SYMBOL: Final = re.compile(r"^\d+\. [^:]+: (\{.*\})$", re.MULTILINE)
HELD_BARS: Final = 12  # after which the strategist sells
STOP: Final = 0.997  # of the close
TARGET: Final = 1.005


def strategist() -> Script:
    """Return a script that buys every so many bars and sells a little later."""
    return saying(lambda asked: json.dumps({"views": [_view(one) for one in shown_in(asked)]}))


def house_model() -> Script:
    """Return a script for every task: views for the strategist, the smallest form for others."""
    trade, other = strategist(), valid()
    return lambda asked: (trade if shown_in(asked) else other)(asked)


def shown_in(asked: Asked) -> list[dict[str, Any]]:
    """Return what the strategist's prompt shows of each symbol."""
    return [json.loads(found) for found in _SYMBOL.findall(asked.prompt)]


def _view(one: dict[str, Any]) -> dict[str, Any]:
    close, held = float(one["close"]), float(one["shares_held"])
    action, stop, target = "HOLD", None, None
    if held and one["bars_held"] >= HELD_BARS:
        action = "SELL"
    elif not held and one["warm"] and not one["no_entry_because"] and _rises(one):
        action, stop, target = "BUY", round(close * STOP, 2), round(close * TARGET, 2)
    return {
        "symbol": one["symbol"],
        "action": action,
        "conviction": 0.6 if action == "BUY" else 0.0,
        "stop": stop,
        "target": target,
        "reason": f"{one['symbol']} at {close:.2f}, held {one['bars_held']} bars",
    }


def _rises(one: dict[str, Any]) -> bool:
    return float(one["features"].get("rsi", 50.0)) > 60.0
