# mypy: disable-error-code="no-any-return"
"""What risk lets through, in integers: `core.risk.size_entry` and `core.risk.check_intent`.

Only what can come up in a backtest is here: an entry of whole shares at the market, decided on a
bar that has just closed, with nothing held in the symbol. Every rule that says no is counted, as
its verdict carries them all.
"""

from __future__ import annotations

from roboinvest.core.market.bars import Ints
from tools.backtester.kernel.machine.compiled import compiled, inlined
from tools.backtester.kernel.machine.costs import shares_for
from tools.backtester.kernel.machine.layout import (
    BARRED_END,
    BARRED_HOURS,
    BARRED_MANDATE,
    BARRED_SESSION,
    BARRED_UNIVERSE,
    BUYING,
    BY_CASH,
    BY_GROSS,
    BY_ORDER_VALUE,
    BY_POSITION,
    BY_RISK,
    CASH,
    CLAMPED,
    CLOSE,
    D_ENTRIES,
    DAY,
    DAY_BARS,
    DAY_FRAC,
    DAY_START,
    DAY_UNITS,
    DRAWDOWN_FRAC,
    DRAWDOWN_LATCH,
    ENTRY_MARK,
    FIRST,
    GROSS,
    GROSS_FRAC,
    LAST_EQUITY,
    LEAVING,
    LIMIT_SHORT,
    LOSS_LATCH,
    MAY_SHORT,
    MOST,
    NO_DAILY_LOSS,
    NO_DRAWDOWN,
    NO_EQUITY,
    NO_HOURS,
    NO_MANDATE,
    NO_OPEN_ORDERS,
    NO_QUANTITY,
    NO_SESSION,
    NO_SHORT,
    NO_TRADES,
    NO_UNIVERSE,
    OPEN_ORDERS,
    ORDER_UNITS,
    OVERFLOWED,
    PEAK,
    POSITION_FRAC,
    POSITION_UNITS,
    QTY,
    READING,
    READINGS,
    REASONS,
    REFUSED,
    RISK_FRAC,
    ROW,
    SESSION,
    SIDE,
    STOP,
    STOP_WORKS,
    TARGET,
    TARGET_WORKS,
    TRADES,
    W_BARRED,
    W_DAY,
    W_SIDE,
    W_STOP,
    W_TARGET,
    WISH,
    Board,
)

MOST_SHARES = 10**9  # `core.intent_form.MOST`
NUMBER_OF_REASONS = len(REASONS)


@compiled
def allowed(board: Board, s: int, asked: int, equity: int) -> int:
    """Return the shares that may be sent, and count what was refused or made smaller."""
    account, held = board.account, board.held[s]
    at, wish = held[FIRST] + held[ROW], board.wishes[held[WISH]]
    mark = int(board.bars[CLOSE, at])
    if wish[W_BARRED] & BARRED_END:
        account[REFUSED + NO_SESSION] += 1
        return 0
    if wish[W_SIDE] < 0 and not board.terms[MAY_SHORT]:
        account[REFUSED + NO_SHORT] += 1
        return 0
    qty = asked
    if wish[W_STOP] > 0:
        qty = min(asked, _risked(board.terms, equity, abs(mark - wish[W_STOP])))
    if qty > MOST_SHARES:
        account[REFUSED + NO_QUANTITY] += 1
        return 0
    if _refuses(board, wish, qty, equity, board.bars[SESSION, at] & 1 == 1):
        return 0
    sent = _clamped(board, wish, qty, equity, mark)
    if sent:
        account[CLAMPED + BY_RISK] += int(qty < asked)
        board.days[D_ENTRIES, wish[W_DAY]] += 1
    return sent


@inlined
def _risked(terms: Ints, equity: int, distance: int) -> int:
    """Return the shares whose loss at the stop is the risk of one trade."""
    if distance == 0 or equity <= 0:
        return 0
    return shares_for(equity, terms[RISK_FRAC], terms[RISK_FRAC + 1], distance)


@compiled
def _refuses(board: Board, wish: Ints, qty: int, equity: int, ends: bool) -> bool:
    """Return whether a rule says no, and count each that does."""
    terms, account, barred = board.terms, board.account, wish[W_BARRED]
    refused = account[REFUSED : REFUSED + NUMBER_OF_REASONS]
    before = refused.sum()
    start = equity if terms[DAY_BARS] else account[DAY_START]
    peak, loss, fall = account[PEAK], False, False
    if equity <= 0 or start <= 0 or peak <= 0:
        refused[NO_EQUITY] += 1
    else:
        loss = below_day_floor(terms, equity, start)
        fall = below_drawdown_floor(terms, equity, peak)
    is_down = terms[DAY_BARS] == 0 and account[LOSS_LATCH] == account[DAY] and not ends
    refused[NO_QUANTITY] += int(qty == 0)
    refused[NO_MANDATE] += int(barred & BARRED_MANDATE != 0)
    refused[NO_SHORT] += int(wish[W_SIDE] < 0 and terms[LIMIT_SHORT] == 0)
    refused[NO_SESSION] += int(barred & BARRED_SESSION != 0)
    refused[NO_DAILY_LOSS] += int(loss or is_down)
    refused[NO_DRAWDOWN] += int(fall or account[DRAWDOWN_LATCH] != 0)
    refused[NO_UNIVERSE] += int(barred & BARRED_UNIVERSE != 0)
    refused[NO_HOURS] += int(barred & BARRED_HOURS != 0)
    refused[NO_TRADES] += int(board.days[D_ENTRIES, wish[W_DAY]] >= terms[TRADES])
    legs = 1 + int(wish[W_STOP] > 0) + int(wish[W_TARGET] > 0)
    refused[NO_OPEN_ORDERS] += int(_open_orders(board) + legs > terms[OPEN_ORDERS])
    return refused.sum() > before


@compiled
def _clamped(board: Board, wish: Ints, qty: int, equity: int, mark: int) -> int:
    """Return the most shares that order value, position, gross and cash allow."""
    terms, account = board.terms, board.account
    waiting, reserved = 0, 0
    for s in range(len(board.held)):
        worth = board.held[s, BUYING] * board.held[s, ENTRY_MARK]
        waiting += worth
        reserved += worth if board.held[s, SIDE] > 0 else 0
    order = terms[ORDER_UNITS] // (terms[ORDER_UNITS + 1] * mark)
    position = shares_for(equity, terms[POSITION_FRAC], terms[POSITION_FRAC + 1], mark)
    if terms[POSITION_UNITS + 1]:
        position = min(position, terms[POSITION_UNITS] // (terms[POSITION_UNITS + 1] * mark))
    per = terms[GROSS_FRAC + 1]
    gross = (equity * terms[GROSS_FRAC] - (account[GROSS] + waiting) * per) // (per * mark)
    cash = (account[CASH] - reserved) // mark if wish[W_SIDE] > 0 else qty
    sent = max(min(qty, order, position, gross, cash), 0)
    counts = account[REFUSED:] if sent == 0 else account[CLAMPED:]
    below = qty if sent else 1
    counts[BY_ORDER_VALUE] += int(order < below)
    counts[BY_POSITION] += int(position < below)
    counts[BY_GROSS] += int(gross < below)
    counts[BY_CASH] += int(cash < below)
    return sent


@compiled
def _open_orders(board: Board) -> int:
    """Return how many orders of the account can still fill."""
    count = 0
    for s in range(len(board.held)):
        held = board.held[s]
        if held[QTY] == 0 and held[BUYING]:  # its legs wait for it
            count += 1 + int(held[STOP] > 0) + int(held[TARGET] > 0)
        else:
            count += int(held[BUYING] > 0) + int(held[LEAVING] > 0)
            count += int(held[STOP_WORKS] > 0) + int(held[TARGET_WORKS] > 0)
    return count


@inlined
def below_day_floor(terms: Ints, equity: int, start: int) -> bool:
    """Return whether a day's loss stops entries."""
    per, units = terms[DAY_FRAC + 1], terms[DAY_UNITS + 1]
    below = equity * per <= start * (per - terms[DAY_FRAC])
    return below or (units > 0 and equity * units <= start * units - terms[DAY_UNITS])


@inlined
def below_drawdown_floor(terms: Ints, equity: int, peak: int) -> bool:
    """Return whether a fall from the highest equity stops entries."""
    per = terms[DRAWDOWN_FRAC + 1]
    return equity * per <= peak * (per - terms[DRAWDOWN_FRAC])


@inlined
def begin_day(account: Ints, day: int) -> None:
    """Roll the figures that risk judges a day by."""
    if account[DAY] != day:
        account[DAY], account[DAY_START] = day, account[LAST_EQUITY]


@compiled
def read(terms: Ints, account: Ints, equity: int) -> None:
    """Take a reading of equity; three in a row make a peak, or a lock."""
    account[LAST_EQUITY] = equity
    account[READING], account[READING + 1] = account[READING + 1], account[READING + 2]
    account[READING + 2] = equity
    account[READINGS] += 1
    if abs(equity) > terms[MOST]:
        account[OVERFLOWED] = 1
    if account[READINGS] < 3:
        return
    lowest = min(account[READING], account[READING + 1], equity)
    highest = max(account[READING], account[READING + 1], equity)
    account[PEAK] = max(account[PEAK], lowest)
    if account[DAY_START] <= 0 or account[PEAK] <= 0:
        return
    if below_day_floor(terms, highest, account[DAY_START]):
        account[LOSS_LATCH] = account[DAY]
    if below_drawdown_floor(terms, highest, account[PEAK]):
        account[DRAWDOWN_LATCH] = 1
