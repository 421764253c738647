"""Files that an honest person would write: nothing speaks against them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

from tests.fakes.strategy_files import CROSSING, PULLBACK
from tools.strategies import files, library

_HERE: Final = Path(str(library.__file__)).parent
_SHARED: Final = "tools.strategies.library.protection"
# What is no part of the box: types and an error, which a lone file writes without.
_STAND_INS: Final = "BadInput = ValueError\nFloats = np.ndarray\nSessionBars = object\n"
_ELSEWHERE: Final = re.compile(r"roboinvest\.core\.(errors|market)|tools\.strategies")


def example_of_files() -> str:
    """Return the example that the head of tools/strategies/files.py shows."""
    text = files.__doc__ or ""
    shown = text.partition("names:\n\n")[2].partition("\n\n`def scan(p)`")[0]
    return "\n".join(line.removeprefix("    ") for line in shown.splitlines()) + "\n"


def library_files() -> dict[str, str]:
    """Return each strategy of the library as a file that stands alone, by its name."""
    shared = (_HERE / "protection.py").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for path in sorted(_HERE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if (
                isinstance(node, ast.FunctionDef)
                and isinstance(node.returns, ast.Name)
                and node.returns.id == "Strategy"
                and not (node.args.args or node.name.startswith("_"))
            ):
                found[node.name] = _alone(shared, text) + f"\n\nSTRATEGY = {node.name}()\n"
    return found


def _alone(*texts: str) -> str:
    """Return modules as one file: imports first, those of what the box lacks left out."""
    imports, bodies = ["import numpy as np"], []
    for text in texts:
        tree = ast.parse(text)
        for node in tree.body:
            if isinstance(node, ast.Import):
                continue
            if isinstance(node, ast.ImportFrom):
                if node.module != "__future__" and not _ELSEWHERE.match(node.module or ""):
                    imports.append(ast.unparse(node))
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                bodies.append(ast.unparse(node))
    head = "from __future__ import annotations\n" + "\n".join(dict.fromkeys(imports))
    return f"{head}\n\n{_STAND_INS}\n" + "\n\n".join(bodies)


TRANSFORMS: Final[dict[str, str]] = {
    "crossing": """
import numpy as np

def transform(columns):
    close = columns["close"]
    fast, slow = int(PARAMS["fast"]), int(PARAMS["slow"])
    sums = np.cumsum(np.insert(close, 0, 0.0))
    signals = np.zeros(len(close))
    for row in range(slow, len(close)):
        quick = (sums[row + 1] - sums[row + 1 - fast]) / fast
        steady = (sums[row + 1] - sums[row + 1 - slow]) / slow
        signals[row] = 1.0 if quick > steady else -1.0
    return signals
""",
    "names_of_bars": """
def transform(columns):
    open, high, low, close = (columns[name] for name in ("open", "high", "low", "close"))
    return (close - open) / (high - low + 1e-9)
""",
    "parameter_open": """
def gap(open, close):
    return open / close - 1.0

def transform(columns):
    return gap(columns["open"][1:], columns["close"][:-1])
""",
    "step": """
from collections import deque

class Window:
    def __init__(self, size):
        self.rows = deque(maxlen=size)

    def __len__(self):
        return len(self.rows)

    def mean(self, value):
        self.rows.append(value)
        return sum(self.rows) / len(self.rows)

def step(row):
    window = Window(5)
    return window.mean(row[FIELDS.index("close")])
""",
    "dataclass": """
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

LEAST: Final = 3

@dataclass(frozen=True, slots=True)
class Level:
    price: float
    touches: int = 0
    marks: tuple[int, ...] = field(default_factory=tuple)

def transform(columns):
    level = Level(columns["close"][0])
    for price in columns["close"]:
        if abs(price - level.price) < 0.01:
            level = replace(level, touches=level.touches + 1)
    return columns["close"] * (level.touches > LEAST)
""",
    "numpy_wide": """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def transform(columns):
    close = np.asarray(columns["close"], dtype=np.float64)
    rolled = np.roll(close, 1)
    rolled[0] = np.nan
    view = sliding_window_view(close, 5)
    ranks = np.linalg.norm(view, axis=1)
    picked = np.select([close > rolled, close < rolled], [1.0, -1.0], default=0.0)
    picked[4:] *= np.sign(ranks)
    return np.ma.masked_invalid(picked).filled(0.0)
""",
    "plain_library": """
import bisect
import heapq
import itertools
import math
import operator
import re
import statistics
import json
from functools import partial, reduce
from decimal import Decimal

PATTERN = re.compile(r"[a-z]+")
TABLE = json.loads('{"a": [1, 2.5]}')

def transform(columns):
    best = heapq.nlargest(3, columns["close"])
    key = operator.itemgetter(0)
    pairs = sorted(zip(best, itertools.count(), strict=False), key=key)
    half = partial(pow, 2)
    total = reduce(operator.add, (float(Decimal("0.5")), half(1)), 0.0)
    where = bisect.bisect_left(best, math.floor(statistics.fmean(best)))
    return columns["close"] * (total + where + len(pairs) + bool(PATTERN.match("a")))
""",
    "seeded_chance": """
import random
import numpy as np

def transform(columns):
    rng = np.random.default_rng(7)
    own = random.Random(7)
    return rng.normal(size=len(columns["close"])) + own.random()
""",
    "constant_getattr": """
def transform(columns):
    size = getattr(columns["close"], "size", 0)
    return columns["close"] * size if hasattr(columns, "keys") else columns["close"]
""",
    "cited": '''
"""Mean reversion after Lo and MacKinlay, https://example.org/papers/lo-mackinlay-1990.pdf"""

def transform(columns):
    # Café prices rise: naïve, but a comment may say so in any words — even "Größe".
    return -columns["close"] + columns["close"].mean()
''',
    "bar_times": """
from datetime import time, timedelta

OPEN = time(9, 30)

def late(now):
    return now.at.time() > OPEN and now.left > timedelta(minutes=15)

def transform(columns):
    return columns["close"]
""",
    "matching": """
def kind(move):
    match move:
        case float() if move > 0.02:
            return "up"
        case float() if move < -0.02:
            return "down"
        case _:
            return "flat"

def transform(columns):
    return [1.0 if kind(float(each)) == "up" else 0.0 for each in columns["close"]]
""",
    "errors_raised": """
def transform(columns):
    if "close" not in columns:
        raise ValueError(f"columns are {sorted(columns)}; close is needed")
    try:
        return columns["close"] / columns["volume"]
    except (KeyError, ZeroDivisionError):
        return columns["close"]
""",
    "walrus_and_lambdas": """
def transform(columns):
    close = columns["close"]
    weigh = lambda x, w=0.5: x * w
    if (n := len(close)) > 3:
        return [weigh(close[i]) for i in range(n)]
    return close
""",
    "own_exec_word": """
def execute(order):
    return order

def evaluate(score, evaluation):
    return score * evaluation

def transform(columns):
    return execute(evaluate(columns["close"], 1.0))
""",
    "state_in_closure": """
def smoother(alpha):
    last = None

    def smooth(value):
        nonlocal last
        last = value if last is None else alpha * value + (1 - alpha) * last
        return last

    return smooth

def transform(columns):
    smooth = smoother(0.2)
    return [smooth(float(each)) for each in columns["close"]]
""",
}


def honest_files() -> dict[str, str]:
    """Return all of them by name."""
    strategies = {"pullback": PULLBACK, "crossing": CROSSING, "head_of_files": example_of_files()}
    return {
        **{f"transform_{name}": text for name, text in TRANSFORMS.items()},
        **{f"strategy_{name}": text for name, text in strategies.items()},
        **{f"library_{name}": text for name, text in library_files().items()},
    }
