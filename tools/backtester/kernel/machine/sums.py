"""What a run adds up to while it is played: the equity of each instant, or of each day alone."""

from __future__ import annotations

import numpy as np

from tools.backtester.kernel.machine.compiled import inlined
from tools.backtester.kernel.machine.layout import (
    C_EQUITY,
    C_GROSS,
    CASH,
    CLOSE,
    CURSOR,
    D_END,
    D_EQUITY,
    D_GROSS,
    DAY_AT,
    FALLEN_FROM,
    FALLEN_TO,
    HIGHEST,
    INVESTED,
    QTY,
    Board,
)


@inlined
def note_instant(board: Board, equity: int, gross: int) -> None:
    """Note what the account is worth at an instant, and go on to the next."""
    account, at = board.account, board.account[CURSOR]
    account[CURSOR] += 1
    account[INVESTED] += int(gross > 0)
    if board.curve.shape[1]:
        board.curve[C_EQUITY, at], board.curve[C_GROSS, at] = equity, gross
        return
    day = account[DAY_AT]
    if board.days[D_END, day] == at:
        board.days[D_EQUITY, day], board.days[D_GROSS, day] = equity, gross
        account[DAY_AT] += 1
    if equity > account[HIGHEST]:
        account[HIGHEST] = equity
    elif float(equity) * account[FALLEN_FROM] < float(account[FALLEN_TO]) * account[HIGHEST]:
        account[FALLEN_FROM], account[FALLEN_TO] = account[HIGHEST], equity


@inlined
def note_stretch(board: Board, row: int, until: int) -> None:
    """Note the instants of a lone symbol's rows, in which nothing is traded."""
    account, at = board.account, board.account[CURSOR]
    cash, qty, close = account[CASH], board.held[0, QTY], board.bars[CLOSE]
    account[CURSOR] += until - row
    account[INVESTED] += until - row if qty else 0
    if board.curve.shape[1]:
        equity, gross = board.curve[C_EQUITY], board.curve[C_GROSS]
        for i in range(until - row):
            equity[at + i] = cash + qty * close[row + i]
            gross[at + i] = abs(qty * close[row + i])
        return
    day = account[DAY_AT]
    while day < board.days.shape[1] and board.days[D_END, day] < account[CURSOR]:
        worth = qty * close[row + board.days[D_END, day] - at]
        board.days[D_EQUITY, day], board.days[D_GROSS, day] = cash + worth, abs(worth)
        day += 1
    account[DAY_AT] = day
    if qty == 0:
        return  # flat since the last instant, which was noted
    highest, start, end = account[HIGHEST], account[FALLEN_FROM], account[FALLEN_TO]
    floor = _floor(highest, start, end)
    for i in range(row, until):
        equity_now = cash + qty * close[i]
        if equity_now > highest:
            highest = equity_now
            floor = _floor(highest, start, end)
        elif equity_now < floor:
            start, end, floor = highest, equity_now, equity_now
    account[HIGHEST], account[FALLEN_FROM], account[FALLEN_TO] = highest, start, end


@inlined
def _floor(highest: int, start: int, end: int) -> int:
    """Return the equity below which a fall is deeper than the one from `start` to `end`."""
    return int(np.ceil(float(highest) * (float(end) / float(start))))
