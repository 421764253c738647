# mypy: disable-error-code="no-any-return"
"""The walk through a run, instant by instant, that skips what nothing can happen in.

Symbols are merged by the close of their bars. A symbol whose orders a bar cannot reach, and which
wants nothing at its close, costs a comparison; a run of one symbol passes over such bars in one go.
The walk stops where its list of fills could overflow, and goes on from there when called again.
"""

from __future__ import annotations

from roboinvest.core.market.bars import Ints
from tools.backtester.kernel.machine.compiled import inlined
from tools.backtester.kernel.machine.decide import enters, exits, expire, guards, next_wish
from tools.backtester.kernel.machine.fills import (
    begin_bar,
    stop_at,
    stop_within,
    target_at,
    target_within,
    work_market,
)
from tools.backtester.kernel.machine.judge import begin_day, read
from tools.backtester.kernel.machine.layout import (
    BEYOND,
    BUYING,
    CASH,
    CLOSE,
    DAY_BARS,
    ENTRY_ROW,
    FIRST,
    GROSS,
    HAS_LIMITS,
    HIGH,
    INSTANT,
    LAST_WISH,
    LEAVING,
    LEG_ENTRY,
    LEG_STOP,
    LEG_TARGET,
    LOW,
    MAX_BARS,
    NEXT,
    QTY,
    ROW,
    SEQUENCE,
    SESSION,
    SIDE,
    STOP,
    STOP_SEQUENCE,
    STOP_WORKS,
    TARGET,
    TARGET_WORKS,
    TRAIL,
    VALUE,
    W_ROW,
    WISH,
    WORTH,
    Board,
)
from tools.backtester.kernel.machine.sums import note_instant, note_stretch

FILLS_A_BAR = 6  # more than a symbol's orders can make of one bar
NEVER = 1 << 62
AT_OPEN, STOPS, LIMITS = 0, 1, 2
HERE, BUSY = 0, 1  # rows of `Board.here`


@inlined
def most_fills(board: Board) -> int:
    """Return the fills after which the list may not suffice for one more instant."""
    if not len(board.fills):
        return NEVER
    return len(board.fills) - FILLS_A_BAR * len(board.held)


@inlined
def coast(board: Board) -> None:
    """Pass over the bars of a lone symbol up to its next event."""
    account, held, bars = board.account, board.held[0], board.bars
    row, until = held[ROW], min(held[NEXT], held[BEYOND])
    if row >= until:
        return
    note_stretch(board, row, until)
    if board.terms[HAS_LIMITS]:
        for i in range(row, until):
            begin_day(account, bars[SESSION, i] >> 1)
            read(board.terms, account, account[CASH] + held[QTY] * bars[CLOSE, i])
    held[ROW] = until


@inlined
def gather(board: Board) -> int:
    """Note the symbols whose next bar closes first; return how many there are."""
    held, here = board.held, board.here
    count, first = 0, NEVER
    for s in range(len(held)):
        at = held[s, FIRST] + held[s, ROW]
        if at >= held[s, BEYOND]:
            continue
        instant = board.bars[INSTANT, at]
        if instant < first:
            count, first = 0, instant
        if instant == first:
            here[HERE, count] = s
            count += 1
    return count


@inlined
def instant(board: Board, count: int) -> None:
    """Work the bars of one instant, then decide at their close."""
    account, terms, held, here = board.account, board.terms, board.held, board.here
    session = board.bars[SESSION, held[here[HERE, 0], FIRST] + held[here[HERE, 0], ROW]]
    day, busy = session >> 1, 0
    expire(board, day)
    begin_day(account, day)
    for i in range(count):
        s = here[HERE, i]
        if held[s, ROW] >= held[s, NEXT]:
            here[BUSY, busy] = s
            busy += 1
    _work(board, busy)
    if session & 1:
        expire(board, day + 1)
    equity = _marked(board, count)
    if terms[HAS_LIMITS] and terms[DAY_BARS]:  # asked at the next open, it has been read
        read(terms, account, equity)
    _decide(board, busy, equity)
    if terms[HAS_LIMITS] and not terms[DAY_BARS]:
        read(terms, account, equity)
    for i in range(count):
        held[here[HERE, i], ROW] += 1
    for i in range(busy):
        held[here[BUSY, i], NEXT] = _next_event(board, here[BUSY, i])


@inlined
def _marked(board: Board, count: int) -> int:
    """Value the positions at the close of their bars; return the equity."""
    account, held = board.account, board.held
    for i in range(count):
        s = board.here[HERE, i]
        worth = held[s, QTY] * board.bars[CLOSE, held[s, FIRST] + held[s, ROW]]
        account[VALUE] += worth - held[s, WORTH]
        account[GROSS] += abs(worth) - abs(held[s, WORTH])
        held[s, WORTH] = worth
    equity = account[CASH] + account[VALUE]
    note_instant(board, equity, account[GROSS])
    return equity


@inlined
def _decide(board: Board, busy: int, equity: int) -> None:
    for i in range(busy):
        exits(board, board.here[BUSY, i])
    for i in range(busy):
        enters(board, board.here[BUSY, i], equity)
    for i in range(busy):
        guards(board, board.here[BUSY, i])


@inlined
def _work(board: Board, busy: int) -> None:
    """Fill what the bars of an instant reach: at the open, then stops, then limits."""
    for i in range(busy):
        begin_bar(board, board.here[BUSY, i])
    for phase in range(LIMITS + 1):
        for i in range(_queued(board, busy, phase)):
            s, leg = board.queue[i, 1], board.queue[i, 2]
            if phase == STOPS:
                stop_within(board, s)
            elif phase == LIMITS:
                target_within(board, s)
            elif leg == LEG_STOP:
                stop_at(board, s)
            elif leg == LEG_TARGET:
                target_at(board, s)
            else:
                work_market(board, s)


@inlined
def _queued(board: Board, busy: int, phase: int) -> int:
    """Queue the working orders that a phase is about, oldest first; return how many there are."""
    count, queue = 0, board.queue
    for i in range(busy):
        s = board.here[BUSY, i]
        held = board.held[s]
        if phase == AT_OPEN and (held[BUYING] or held[LEAVING]):
            count = _insert(queue, count, held[SEQUENCE], s, LEG_ENTRY)
        if phase != LIMITS and held[STOP_WORKS]:
            count = _insert(queue, count, held[STOP_SEQUENCE], s, LEG_STOP)
        if phase != STOPS and held[TARGET_WORKS]:
            count = _insert(queue, count, held[SEQUENCE] + 2, s, LEG_TARGET)
    return count


@inlined
def _insert(queue: Ints, count: int, sequence: int, s: int, leg: int) -> int:
    at = count
    while at > 0 and queue[at - 1, 0] > sequence:
        queue[at, 0], queue[at, 1] = queue[at - 1, 0], queue[at - 1, 1]
        queue[at, 2] = queue[at - 1, 2]
        at -= 1
    queue[at, 0], queue[at, 1], queue[at, 2] = sequence, s, leg
    return count + 1


@inlined
def _next_event(board: Board, s: int) -> int:
    """Return the next row, from the symbol's own on, in which anything can happen."""
    held = board.held[s]
    row, rows = held[ROW], held[BEYOND] - held[FIRST]
    if held[BUYING] or held[LEAVING] or row >= rows:
        return row
    if held[QTY] == 0:
        next_wish(board, s)
        return board.wishes[held[WISH], W_ROW] if held[WISH] < held[LAST_WISH] else rows
    if held[TRAIL] or held[STOP_WORKS] == 2 or (held[STOP] and not held[STOP_WORKS]):
        return row
    longest = board.terms[MAX_BARS]
    if longest:
        rows = min(rows, max(row, held[ENTRY_ROW] + longest - 1))
    return _touched(board, held, held[FIRST] + row, held[FIRST] + rows) - held[FIRST]


@inlined
def _touched(board: Board, held: Ints, at: int, until: int) -> int:
    """Return the first place whose bar comes to a level or has a reason to leave."""
    leave, lows, highs = board.leave, board.bars[LOW], board.bars[HIGH]
    low, high = -1, NEVER
    if held[STOP_WORKS] and held[SIDE] > 0:
        low = held[STOP]
    elif held[STOP_WORKS]:
        high = held[STOP]
    if held[TARGET_WORKS] and held[SIDE] > 0:
        high = held[TARGET]
    elif held[TARGET_WORKS]:
        low = held[TARGET]
    if low < 0 and high == NEVER:
        while at < until and leave[at] == 0:
            at += 1
        return at
    while at < until and leave[at] == 0 and lows[at] > low and highs[at] < high:
        at += 1
    return at
