# mypy: disable-error-code="no-any-return"
"""What a bar does to the orders of one symbol: `brokers.paper` in integers.

A symbol has at most an entry with a stop and a target, or an exit in their place. Both legs guard
what is held, so their quantities need no books of their own. The bar is the one of the symbol's
`ROW`.
"""

from __future__ import annotations

from roboinvest.core.market.bars import Ints
from tools.backtester.kernel.machine.compiled import compiled, inlined
from tools.backtester.kernel.machine.costs import (
    affordable,
    fees,
    limit_at_open,
    limit_inside,
    slipped,
    stop_at_open,
    stop_inside,
    within,
)
from tools.backtester.kernel.machine.layout import (
    AMBIGUOUS,
    BUYING,
    BY_SCAN,
    BY_STOP,
    BY_TARGET,
    BY_TRAIL,
    CASH,
    CLOSED,
    ENTRY_ROW,
    F_CAUSE,
    F_ENTRY,
    F_FEE,
    F_INSIDE,
    F_KINDEST,
    F_LEG,
    F_PRICE,
    F_QTY,
    F_ROW,
    F_SIGNAL_ROW,
    F_STOP,
    F_SYMBOL,
    F_TARGET,
    FEES,
    FILLS,
    FIRST,
    FIRST_STOP,
    HIGH,
    INSIDE,
    KINDEST,
    LEAVING,
    LEAVING_ROW,
    LEG,
    LEG_ENTRY,
    LEG_EXIT,
    LEG_STOP,
    LEG_TARGET,
    LOW,
    MOVED,
    NUMBER,
    OPEN,
    PNL,
    QTY,
    ROOM,
    ROW,
    SHARE,
    SIDE,
    SIGNAL_ROW,
    STOP,
    STOP_WORKS,
    TARGET,
    TARGET_WORKS,
    UNAFFORDABLE,
    VOLUME,
    WINS,
    Board,
)


@inlined
def begin_bar(board: Board, s: int) -> None:
    """Note how many shares a bar has for us; its open comes first."""
    held, terms = board.held[s], board.terms
    held[INSIDE], held[KINDEST], held[ROOM] = 0, -1, -1
    if terms[SHARE + 1]:
        volume = int(board.bars[VOLUME, held[FIRST] + held[ROW]])
        held[ROOM] = volume * terms[SHARE] // terms[SHARE + 1]


@inlined
def work_market(board: Board, s: int) -> None:
    """Fill the market order that waits at a bar's open; an entry's legs see that open too (F3)."""
    held = board.held[s]
    opened = int(board.bars[OPEN, held[FIRST] + held[ROW]])
    if held[LEAVING]:
        held[LEG] = LEG_EXIT
        take(board, s, slipped(opened, -held[SIDE], board.terms))
    elif held[BUYING]:
        held[LEG] = LEG_ENTRY
        take(board, s, slipped(opened, held[SIDE], board.terms))
        stop_at(board, s)
        target_at(board, s)


@inlined
def stop_at(board: Board, s: int) -> None:
    """Fill a stop that a bar's open is beyond, or that was touched before."""
    held = board.held[s]
    opened, sign = int(board.bars[OPEN, held[FIRST] + held[ROW]]), -held[SIDE]
    if held[STOP_WORKS] == 2 or (held[STOP_WORKS] and stop_at_open(held[STOP], sign, opened)):
        held[LEG] = LEG_STOP
        take(board, s, slipped(opened, sign, board.terms))


@inlined
def target_at(board: Board, s: int) -> None:
    """Fill a target that a bar's open is beyond."""
    held = board.held[s]
    opened = int(board.bars[OPEN, held[FIRST] + held[ROW]])
    if held[TARGET_WORKS] and limit_at_open(held[TARGET], -held[SIDE], opened, board.terms):
        held[LEG] = LEG_TARGET
        take(board, s, opened)


@inlined
def stop_within(board: Board, s: int) -> None:
    """Fill a stop that a bar comes to after its open."""
    held, terms = board.held[s], board.terms
    at, sign = held[FIRST] + held[ROW], -held[SIDE]
    high, low = int(board.bars[HIGH, at]), int(board.bars[LOW, at])
    if held[STOP_WORKS] != 1 or not stop_inside(held[STOP], sign, high, low):
        return
    held[INSIDE], held[LEG] = 1, LEG_STOP
    if held[TARGET_WORKS]:
        if limit_at_open(held[TARGET], sign, int(board.bars[OPEN, at]), terms):
            return  # the target was due before, and waits for shares or cash
        if limit_inside(held[TARGET], sign, high, low, terms):
            held[KINDEST] = within(held[TARGET], high, low)
            board.account[AMBIGUOUS] += 1
    take(board, s, slipped(within(held[STOP], high, low), sign, terms))


@inlined
def target_within(board: Board, s: int) -> None:
    """Fill a target that a bar trades through after its open."""
    held, terms = board.held[s], board.terms
    at, sign, level = held[FIRST] + held[ROW], -held[SIDE], held[TARGET]
    if not held[TARGET_WORKS]:
        return
    opened = int(board.bars[OPEN, at])
    high, low = int(board.bars[HIGH, at]), int(board.bars[LOW, at])
    held[INSIDE], held[LEG] = 1, LEG_TARGET
    if limit_at_open(level, sign, opened, terms):
        take(board, s, opened)
    elif limit_inside(level, sign, high, low, terms):
        take(board, s, within(level, high, low))


@compiled
def take(board: Board, s: int, price: int) -> None:
    """Fill of the order at hand what volume and cash allow."""
    held, account = board.held[s], board.account
    is_entry = held[LEG] == LEG_ENTRY
    if held[LEG] == LEG_STOP and held[STOP_WORKS] == 1:
        held[STOP_WORKS], held[TARGET_WORKS], held[BUYING] = 2, 0, 0
    sign = held[SIDE] if is_entry else -held[SIDE]
    left = held[BUYING] if is_entry else abs(held[QTY])
    qty = left if held[ROOM] < 0 else min(left, held[ROOM])
    if qty <= 0:
        return
    paid = affordable(qty, price, account[CASH], board.terms) if sign > 0 else qty
    if paid > 0:
        _execute(board, s, sign, paid, price)
    if paid < qty:
        account[UNAFFORDABLE] += 1
        if is_entry:
            held[BUYING] = 0
    if held[QTY] == 0 and held[BUYING] == 0:
        end_trade(board, s)


@compiled
def _execute(board: Board, s: int, sign: int, qty: int, price: int) -> None:
    """Book an execution, and what depends on it."""
    held, account = board.held[s], board.account
    fee = fees(sign, qty, price, board.terms)
    if len(board.fills):
        _record(board.fills[account[FILLS]], held, s, sign * qty, price, fee)
    account[FILLS] += 1
    spent = sign * qty * price + fee
    account[CASH] -= spent
    account[FEES] += fee
    held[PNL] -= spent
    if held[LEG] == LEG_ENTRY:
        if held[QTY] == 0:
            held[ENTRY_ROW] = held[ROW]
        held[BUYING] -= qty
        held[STOP_WORKS], held[TARGET_WORKS] = int(held[STOP] > 0), int(held[TARGET] > 0)
    else:
        held[BUYING] = 0
    held[QTY] += sign * qty
    if held[ROOM] >= 0:
        held[ROOM] -= qty


@compiled
def _record(fill: Ints, held: Ints, s: int, qty: int, price: int, fee: int) -> None:
    """Note a fill for those who want to read it."""
    leg = held[LEG]
    fill[F_SYMBOL], fill[F_ROW], fill[F_INSIDE], fill[F_LEG] = s, held[ROW], held[INSIDE], leg
    fill[F_QTY], fill[F_PRICE], fill[F_FEE], fill[F_ENTRY] = qty, price, fee, held[NUMBER]
    fill[F_SIGNAL_ROW], fill[F_KINDEST] = held[SIGNAL_ROW], held[KINDEST]
    if leg == LEG_ENTRY:
        fill[F_CAUSE], fill[F_STOP], fill[F_TARGET] = BY_SCAN, held[FIRST_STOP], held[TARGET]
    elif leg == LEG_EXIT:
        fill[F_CAUSE], fill[F_SIGNAL_ROW] = held[LEAVING], held[LEAVING_ROW]
    elif leg == LEG_TARGET:
        fill[F_CAUSE] = BY_TARGET
    else:
        fill[F_CAUSE] = BY_TRAIL if held[MOVED] else BY_STOP


@compiled
def end_trade(board: Board, s: int) -> None:
    """Forget a position that is over, and an entry that came to nothing."""
    held, account = board.held[s], board.account
    if held[ENTRY_ROW] >= 0:
        account[CLOSED] += 1
        account[WINS] += int(held[PNL] > 0)
    held[STOP_WORKS], held[TARGET_WORKS], held[LEAVING], held[MOVED] = 0, 0, 0, 0
    held[PNL], held[ENTRY_ROW], held[SIDE] = 0, -1, 0
