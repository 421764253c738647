"""Columns that no market makes: chance, and what a strategy's file brings itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.arguments import declared, whole
from roboinvest.core.strategy import Calculator, Number

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_LARGEST_SEED: Final = 2**62


def coin(seed: Number) -> Calculator:
    """Return numbers in [0, 1), drawn from symbol, bar time and `seed`, alike in every process."""
    chosen = whole("coin", "seed", seed, low=0, high=_LARGEST_SEED)

    def compute(bars: SessionBars) -> Floats:
        text = f"{bars.symbol}/{chosen}".encode()
        key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        mixed = _mixed(bars.ts.astype(np.uint64) + np.uint64(key))
        return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53

    return declared("coin", 0, compute, chosen)


def custom(name: str, function: Callable[[SessionBars], Floats], warm_up: Number) -> Calculator:
    """Return a strategy's own function as a calculator; whether it looks ahead is tested later."""
    return Calculator(name=name, warm_up=whole(name, "warm_up", warm_up, low=0), compute=function)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return hashes of values: the finaliser of splitmix64, twice, as bar times differ little."""
    for _ in range(2):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * _FIRST
        values = (values ^ (values >> np.uint64(27))) * _SECOND
        values = values ^ (values >> np.uint64(31))
    return values
