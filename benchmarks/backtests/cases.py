"""What is played: the same rules for every engine, told in numbers alone.

Imported by our own runner and by the one in the peers' environment, so it needs nothing but Python.
"""

from __future__ import annotations

FAST, SLOW = 20, 60  # bars of the two averages
STOP_FRAC, TARGET_FRAC = 0.002, 0.004  # of the close at the signal
FLAT_MIN, NO_ENTRY_MIN = 5.0, 30.0  # minutes before the close
CASH = 1_000_000.0  # USD
SLIPPAGE_BPS = 1.0
SWEEP = [(fast, slow) for fast in range(5, 55, 5) for slow in range(60, 260, 20)]  # 100 pairs
SYMBOLS = 20
CASES = ("daily_sma", "minute_sma", "minute_vwap", "symbols_sma", "sweep_sma")
