"""Where each number stands in the kernel's integer arrays.

The compiled code keeps everything that changes in plain int64 arrays, so that a run can stop when
its list of fills is full and go on where it was. Money and prices are units (see
`core.market.grid`), quantities whole shares. A ratio takes two places: numerator and denominator.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from numpy import int8, int32
from numpy.typing import NDArray

from roboinvest.core.market.bars import Ints

Bytes = NDArray[int8]
SmallInts = NDArray[int32]  # half the memory, and twice as many in a processor's cache
UNITS_PER_USD: Final = 10_000

# --- a run's terms: `Board.terms` -----------------------------------------------------------------
SLIP: Final = 0  # ratio: of the price
COMMISSION: Final = 2  # ratio: USD a share
SEC: Final = 4  # ratio: of the proceeds
TAF: Final = 6  # ratio: USD a share
SHARE: Final = 8  # ratio: of a bar's volume; denominator 0: no limit
SIZE: Final = 10  # ratio: of equity; or shares; or millionths of a USD
RISK_FRAC: Final = 12  # ratios, of equity, or of units; denominator 0: no such limit
ORDER_UNITS: Final = 14
POSITION_FRAC: Final = 16
POSITION_UNITS: Final = 18
GROSS_FRAC: Final = 20
DAY_FRAC: Final = 22
DAY_UNITS: Final = 24
DRAWDOWN_FRAC: Final = 26
TAF_CAP: Final = 28  # units
THROUGH: Final = 29  # 1: a limit needs the market beyond it
SIZE_KIND: Final = 30
MAX_BARS: Final = 31  # 0: no limit
MAY_SHORT: Final = 32
HAS_LIMITS: Final = 33
DAY_BARS: Final = 34
MOST: Final = 35  # equity beyond it, in units, could overflow when it is multiplied
MOST_WORTH: Final = 36  # the same of a position
TRADES: Final = 37
OPEN_ORDERS: Final = 38
LIMIT_SHORT: Final = 39
TERMS: Final = 40

EQUITY_SHARE: Final = 0
SHARES: Final = 1
DOLLARS: Final = 2
RISK_SHARE: Final = 3

# --- what stops an entry whatever its size: bits of a wish ----------------------------------------
BARRED_MANDATE: Final = 1
BARRED_SESSION: Final = 2
BARRED_UNIVERSE: Final = 4
BARRED_HOURS: Final = 8
BARRED_END: Final = 16  # there is no next bar to be asked about

# --- one symbol: a row of `Board.held` ------------------------------------------------------------
QTY: Final = 0  # shares, signed
NUMBER: Final = 1  # of the entry order
ENTRY_ROW: Final = 2  # of its first fill, counted from the symbol's own first row
SIGNAL_ROW: Final = 3
SIDE: Final = 4
STOP: Final = 5  # units; 0: none. Moves with a trailing stop
TARGET: Final = 6
TRAIL: Final = 7
BEST: Final = 8
FIRST_STOP: Final = 9  # where it stood at the signal
BUYING: Final = 10  # shares that the entry still waits for
STOP_WORKS: Final = 11  # 0 no, 1 yes, 2 touched
TARGET_WORKS: Final = 12
MOVED: Final = 13  # the stop was moved by a trail
LEAVING: Final = 14  # the exit's cause, 0: no exit is on its way
LEAVING_ROW: Final = 15
DIES: Final = 16  # the day with which a day order dies, as a column of `Board.days`
SEQUENCE: Final = 17  # of the entry, or of the exit; the target comes two after it
PNL: Final = 18  # units, of the entry's fills so far
WORTH: Final = 19  # the position at the last close, units, signed
WISH: Final = 20  # index of the next wish
ROOM: Final = 21  # shares that the bar has still to give, -1: no limit
ENTRY_MARK: Final = 22  # units, what the entry was decided at
STOP_SEQUENCE: Final = 23
ROW: Final = 24  # the next row, counted from the symbol's own first
NEXT: Final = 25  # the next row in which anything can happen
FIRST: Final = 26  # where its rows begin among those of all symbols
BEYOND: Final = 27  # and end
LAST_WISH: Final = 28  # and its wishes
DEAREST: Final = 29  # its highest price, units
LEG: Final = 30  # of the order at hand
INSIDE: Final = 31  # 1: it is filled after the bar's open
KINDEST: Final = 32  # units, the kindest exit where the bar leaves a doubt; -1: none
HELD: Final = 33

# --- the account: `Board.account` -----------------------------------------------------------------
CASH: Final = 0
VALUE: Final = 1  # of all positions at their last closes, signed
GROSS: Final = 2  # the same, absolute
CURSOR: Final = 3  # the next instant
FILLS: Final = 4
NEXT_NUMBER: Final = 5
NEXT_SEQUENCE: Final = 6
SIGNALS: Final = 7
AMBIGUOUS: Final = 8
UNAFFORDABLE: Final = 9
EXPIRED: Final = 10
OVERFLOWED: Final = 11
DAY: Final = 12  # as a column of `Board.days`
DAY_START: Final = 13
PEAK: Final = 14
READINGS: Final = 16  # how many of the three below are known
READING: Final = 17  # the last three readings of equity, the newest last
LOSS_LATCH: Final = 20  # the day that it holds for
DRAWDOWN_LATCH: Final = 21
LAST_EQUITY: Final = 22
CLOSED: Final = 23  # round trips
WINS: Final = 24
FEES: Final = 25
REFUSED: Final = 26  # how often, by the number of the reason
CLAMPED: Final = 42
DAY_AT: Final = 58  # the column of `Board.days` whose end comes next
HIGHEST: Final = 59  # equity so far
FALLEN_FROM: Final = 60  # the deepest drawdown: from where, to where
FALLEN_TO: Final = 61
INVESTED: Final = 62  # instants with a position
ACCOUNT: Final = 63

# --- one fill: a row of `Board.fills` -------------------------------------------------------------
F_SYMBOL: Final = 0
F_ROW: Final = 1
F_INSIDE: Final = 2
F_QTY: Final = 3
F_PRICE: Final = 4
F_FEE: Final = 5
F_LEG: Final = 6
F_CAUSE: Final = 7
F_ENTRY: Final = 8
F_SIGNAL_ROW: Final = 9
F_STOP: Final = 10
F_TARGET: Final = 11
F_KINDEST: Final = 12  # -1: the bar left no doubt
FILL: Final = 13

LEGS: Final = ("entry", "exit", "stop", "target")
LEG_ENTRY: Final = 0
LEG_EXIT: Final = 1
LEG_STOP: Final = 2
LEG_TARGET: Final = 3

CAUSES: Final = ("end", "scan", "stop", "target", "trail", "signal", "time", "close")
BY_SCAN: Final = 1
BY_STOP: Final = 2
BY_TARGET: Final = 3
BY_TRAIL: Final = 4
BY_SIGNAL: Final = 5
BY_TIME: Final = 6
BY_CLOSE: Final = 7

# --- why an entry was not sent, or was made smaller -----------------------------------------------
REASONS: Final = (
    "quantity",
    "short",
    "mandate",
    "session",
    "universe",
    "hours",
    "equity",
    "daily_loss",
    "drawdown",
    "trades_per_day",
    "open_orders",
    "risk_per_trade",
    "order_value",
    "position",
    "gross",
    "cash",
)
NO_QUANTITY: Final = 0
NO_SHORT: Final = 1
NO_MANDATE: Final = 2
NO_SESSION: Final = 3
NO_UNIVERSE: Final = 4
NO_HOURS: Final = 5
NO_EQUITY: Final = 6
NO_DAILY_LOSS: Final = 7
NO_DRAWDOWN: Final = 8
NO_TRADES: Final = 9
NO_OPEN_ORDERS: Final = 10
BY_RISK: Final = 11
BY_ORDER_VALUE: Final = 12
BY_POSITION: Final = 13
BY_GROSS: Final = 14
BY_CASH: Final = 15


# --- a bar: rows of `Board.bars` ------------------------------------------------------------------
OPEN: Final = 0  # units
HIGH: Final = 1
LOW: Final = 2
CLOSE: Final = 3
VOLUME: Final = 4  # shares
INSTANT: Final = 5  # of its close, counted from the first decision
SESSION: Final = 6  # twice the column of `Board.days`, and one where the bar closes with it
BARS: Final = 7

# --- a wish: a row of `Board.wishes` --------------------------------------------------------------
W_ROW: Final = 0  # counted from the symbol's own first
W_SIDE: Final = 1
W_STOP: Final = 2  # units, 0: none
W_TARGET: Final = 3
W_TRAIL: Final = 4
W_BARRED: Final = 5  # why risk says no, whatever the size
W_DAY: Final = 6  # for which it counts, as a column of `Board.days`
WISHED: Final = 7

# --- `Board.days`, `Board.curve` ------------------------------------------------------------------
D_END: Final = 0  # the last instant of the day, -1 before the first decision
D_ENTRIES: Final = 1
D_EQUITY: Final = 2  # at that instant, units
D_GROSS: Final = 3
DAYS: Final = 4
C_EQUITY: Final = 0
C_GROSS: Final = 1


class Board(NamedTuple):
    """Everything that a run reads and writes; few arrays, because each costs time to compile."""

    terms: Ints  # (TERMS,)
    bars: SmallInts  # (BARS, n) of all symbols, one behind the other
    leave: Bytes  # (n,) bit 0: the exit's condition, bit 1: the session is about to end
    wishes: Ints  # (k, WISHED) of all symbols, one behind the other
    account: Ints  # (ACCOUNT,)
    held: Ints  # (s, HELD)
    days: Ints  # (DAYS, d) of all symbols
    curve: Ints  # (2, m) units, per instant; (2, 0): nobody reads it
    fills: Ints  # (room, FILL); (0, FILL): nobody reads them
    here: Ints  # (2, s) scratch: the symbols of an instant, and the busy ones
    queue: Ints  # (3 s, 3) scratch: orders as (sequence, symbol, leg)
