# mypy: disable-error-code="no-any-return"
"""What is sent at the close of a bar, in integers: exits first, then entries, then stops.

The order of events is that of `core.strategy`. Whoever calls works the symbols of an instant in
sorted order within each of the three steps. The bar is the one of the symbol's `ROW`.
"""

from __future__ import annotations

from roboinvest.core.market.bars import Ints
from tools.backtester.kernel.machine.compiled import compiled, inlined
from tools.backtester.kernel.machine.costs import CENT, UNITS, over, shares_for
from tools.backtester.kernel.machine.fills import end_trade
from tools.backtester.kernel.machine.judge import allowed
from tools.backtester.kernel.machine.layout import (
    BEST,
    BUYING,
    BY_CLOSE,
    BY_SIGNAL,
    BY_STOP,
    BY_TIME,
    BY_TRAIL,
    CLOSE,
    DAY_BARS,
    DEAREST,
    DIES,
    DOLLARS,
    ENTRY_MARK,
    ENTRY_ROW,
    EQUITY_SHARE,
    EXPIRED,
    FIRST,
    FIRST_STOP,
    HAS_LIMITS,
    HIGH,
    LAST_WISH,
    LEAVING,
    LEAVING_ROW,
    LOW,
    MAX_BARS,
    MAY_SHORT,
    MOST,
    MOST_WORTH,
    MOVED,
    NEXT_NUMBER,
    NEXT_SEQUENCE,
    NO_QUANTITY,
    NO_SHORT,
    NUMBER,
    OVERFLOWED,
    PNL,
    QTY,
    REFUSED,
    ROW,
    SEQUENCE,
    SESSION,
    SHARES,
    SIDE,
    SIGNAL_ROW,
    SIGNALS,
    SIZE,
    SIZE_KIND,
    STOP,
    STOP_SEQUENCE,
    STOP_WORKS,
    TARGET,
    TARGET_WORKS,
    TRAIL,
    W_ROW,
    W_SIDE,
    W_STOP,
    W_TARGET,
    W_TRAIL,
    WISH,
    Board,
)


@inlined
def exits(board: Board, s: int) -> None:
    """Leave a position at a row's close, where there is a reason to."""
    held = board.held[s]
    if held[QTY] == 0 or held[LEAVING] or not _may_send(board, s):
        return
    flags, longest = board.leave[held[FIRST] + held[ROW]], board.terms[MAX_BARS]
    cause = 0
    if flags & 2:
        cause = BY_CLOSE
    elif longest and held[ROW] - held[ENTRY_ROW] + 1 >= longest:
        cause = BY_TIME
    elif flags & 1:
        cause = BY_SIGNAL
    if cause:
        _leave(board, s, cause)


@inlined
def enters(board: Board, s: int, equity: int) -> None:
    """Send an entry at a row's close, where one is wanted and nothing is held or waits."""
    held, account, terms = board.held[s], board.account, board.terms
    next_wish(board, s)
    if held[QTY] or held[BUYING] or held[WISH] >= held[LAST_WISH]:
        return
    wish = board.wishes[held[WISH]]
    if wish[W_ROW] != held[ROW]:
        return
    account[SIGNALS] += 1
    if abs(equity) > terms[MOST]:
        account[OVERFLOWED] = 1
        return
    mark = int(board.bars[CLOSE, held[FIRST] + held[ROW]])
    qty = requested(equity, mark, wish[W_STOP], terms)
    if terms[HAS_LIMITS]:
        qty = allowed(board, s, qty, equity)
    elif wish[W_SIDE] < 0 and not terms[MAY_SHORT]:
        qty = 0
        account[REFUSED + NO_SHORT] += 1
    elif qty == 0:
        account[REFUSED + NO_QUANTITY] += 1
    if qty and float(qty) * held[DEAREST] > terms[MOST_WORTH]:
        account[OVERFLOWED] = 1
    elif qty:
        _enter(board, s, wish, qty, mark)


@inlined
def next_wish(board: Board, s: int) -> None:
    """Pass over the wishes of rows that are gone."""
    held = board.held[s]
    while held[WISH] < held[LAST_WISH] and board.wishes[held[WISH], W_ROW] < held[ROW]:
        held[WISH] += 1


@inlined
def requested(equity: int, mark: int, stop: int, terms: Ints) -> int:
    """Return the whole shares that a strategy asks for: `core.strategy.requested_shares`."""
    kind, size, per = terms[SIZE_KIND], terms[SIZE], terms[SIZE + 1]
    if mark <= 0 or equity <= 0:
        return 0
    if kind == SHARES:
        return max(size, 0)
    if kind == DOLLARS:
        return size // (mark * 100)
    if kind == EQUITY_SHARE:
        return shares_for(equity, size, per, mark)
    distance = abs(mark - stop) if stop > 0 else 0
    return shares_for(equity, size, per, distance) if distance else 0


@inlined
def guards(board: Board, s: int) -> None:
    """Trail a stop, and put one back that went with an exit which died."""
    held = board.held[s]
    if held[QTY] == 0 or held[STOP] == 0:
        return
    side, level, close = held[SIDE], held[STOP], int(board.bars[CLOSE, held[FIRST] + held[ROW]])
    if held[TRAIL]:
        level = _trailed(board, s)
    if held[LEAVING] or held[STOP_WORKS] == 2 or not _may_send(board, s):
        return
    cause = 0
    if (level - held[STOP]) * side > 0:
        if (close - level) * side <= 0:
            cause = BY_TRAIL
        else:
            held[STOP], held[MOVED] = level, 1
            _renew_stop(board, s)
    if held[STOP_WORKS] == 0 and not cause:
        if (close - held[STOP]) * side <= 0:  # the price is past the stop already
            cause = BY_TRAIL if held[MOVED] else BY_STOP
        else:
            held[STOP_WORKS] = 1
            _renew_stop(board, s)
    if cause:
        _leave(board, s, cause)


@compiled
def expire(board: Board, before: int) -> None:
    """End the day orders of sessions before a day, a column of `Board.days`."""
    for s in range(len(board.held)):
        held = board.held[s]
        if held[DIES] < before and (held[BUYING] or held[LEAVING]):
            board.account[EXPIRED] += int(held[BUYING] > 0)
            held[BUYING], held[LEAVING] = 0, 0
            if held[QTY] == 0:
                end_trade(board, s)


@compiled
def _enter(board: Board, s: int, wish: Ints, qty: int, mark: int) -> None:
    held, account = board.held[s], board.account
    held[NUMBER] = account[NEXT_NUMBER]
    account[NEXT_NUMBER] += 1
    held[SIGNAL_ROW], held[ENTRY_ROW], held[ENTRY_MARK] = held[ROW], -1, mark
    held[SIDE], held[STOP], held[TARGET] = wish[W_SIDE], wish[W_STOP], wish[W_TARGET]
    held[TRAIL], held[FIRST_STOP], held[BUYING] = wish[W_TRAIL], wish[W_STOP], qty
    held[MOVED], held[PNL], held[BEST] = 0, 0, 0
    _book_day_order(board, s)


@compiled
def _leave(board: Board, s: int, cause: int) -> None:
    """Send the exit of all that is held, in the place of every other order."""
    held = board.held[s]
    held[STOP_WORKS], held[TARGET_WORKS], held[BUYING] = 0, 0, 0
    held[LEAVING], held[LEAVING_ROW] = cause, held[ROW]
    _book_day_order(board, s)


@compiled
def _book_day_order(board: Board, s: int) -> None:
    held, account = board.held[s], board.account
    session = board.bars[SESSION, held[FIRST] + held[ROW]]
    held[SEQUENCE], held[STOP_SEQUENCE] = account[NEXT_SEQUENCE], account[NEXT_SEQUENCE] + 1
    account[NEXT_SEQUENCE] += 3
    held[DIES] = (session + 1) // 2  # sent at the close it lives in the next one


@inlined
def _may_send(board: Board, s: int) -> bool:
    """Return whether anything is sent at a row's close (F10)."""
    silent = board.terms[HAS_LIMITS] and not board.terms[DAY_BARS]
    return not (silent and board.bars[SESSION, board.held[s, FIRST] + board.held[s, ROW]] & 1)


@inlined
def _renew_stop(board: Board, s: int) -> None:
    """Make the stop the youngest order."""
    board.held[s, STOP_SEQUENCE] = board.account[NEXT_SEQUENCE]
    board.account[NEXT_SEQUENCE] += 1


@compiled
def _trailed(board: Board, s: int) -> int:
    """Return where a trailing stop belongs, rounded away from the market to the tick."""
    held = board.held[s]
    at = held[FIRST] + held[ROW]
    if held[SIDE] > 0:
        held[BEST] = max(held[BEST], int(board.bars[HIGH, at]))
        level = held[BEST] - held[TRAIL]
        return level if level < UNITS else level // CENT * CENT
    low = int(board.bars[LOW, at])
    held[BEST] = low if held[BEST] == 0 else min(held[BEST], low)
    level = held[BEST] + held[TRAIL]
    return level if level < UNITS else CENT * over(level, CENT)
