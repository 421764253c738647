"""Risk: models request, risk disposes.

`check_intent` is a pure function. Refusals come first, cuts after them, and each cut is a `Clamp`
with the fact, the value and the limit, so that every share that was not bought can be explained.
The cuts do not depend on their order: each yields the most shares its limit allows, and the
smallest wins. Nothing here can widen a limit; only a person who edits the settings can, and the
owner's mandate narrows even that.

An intent that only reduces a position passes the limits on size, loss and pace, because a limit
that keeps us in a losing position is not a limit. It does not pass a halt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from roboinvest.core.events import TradingState
from roboinvest.core.intent_form import faults_of_figures, faults_of_form, is_figure
from roboinvest.core.mandate import Mandate, is_zone, standing, within_hours
from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import OrderIntent, Side
from roboinvest.core.protections import Lock
from roboinvest.core.records import canonical_json

ZERO: Final = Decimal(0)
_ENTRIES_ALLOWED: Final = frozenset({TradingState.READY})
_EXITS_ALLOWED: Final = frozenset({TradingState.READY, TradingState.DEGRADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Hard rules; fractions are of equity."""

    allow_short: bool = False
    risk_per_trade_frac: Decimal = Decimal("0.0025")  # most that one stop-out may cost
    max_order_usd: Decimal = Decimal(25_000)
    max_position_frac: Decimal = Decimal("0.10")
    max_gross_frac: Decimal = Decimal("0.80")
    max_daily_loss_frac: Decimal = Decimal("0.02")  # against the equity at the day's start
    max_drawdown_frac: Decimal = Decimal("0.10")  # against the highest equity so far
    max_trades_per_day: int = 20  # entries
    max_open_orders: int = 60  # protective legs included
    stale_after: timedelta = timedelta(minutes=3)  # age of the last bar
    price_collar_frac: Decimal = Decimal("0.05")  # between any price of the intent and the last bar
    no_entry_last: timedelta = timedelta(minutes=15)  # before the session's close
    max_position_usd: Decimal | None = None  # None: max_position_frac alone
    max_daily_loss_usd: Decimal | None = None  # None: max_daily_loss_frac alone
    allow_fractions: bool = False  # entries for parts of a share, where they carry no bracket
    live: bool = False  # real money: nothing is entered without a signed mandate
    mandate: Mandate | None = None  # what the owner allows; already in the figures above


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskBook:
    """What the check has to know of the world, for one symbol at one instant."""

    at: datetime  # UTC
    session: Session
    state: TradingState
    state_reason: str
    equity: Decimal  # USD
    cash: Decimal  # USD, less what working buys will need
    day_start_equity: Decimal
    peak_equity: Decimal
    position_qty: Decimal  # shares, signed, working entries included
    gross_usd: Decimal  # absolute value of all positions and working entries
    trades_today: int
    open_orders: int
    last_price: Decimal | None  # USD, close of the last good bar
    bar_age: timedelta | None  # since that bar closed
    suspended: str | None = None  # why the symbol's prices are not trusted
    locks: tuple[Lock, ...] = ()  # in force for the symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A limit that cut."""

    rule: str
    symbol: str
    requested: Decimal  # shares
    allowed: Decimal  # shares
    text: str  # the fact, the value, the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Risk's answer: how many shares may be sent, and what cut the rest."""

    qty: Decimal  # shares; 0 is a refusal
    clamps: tuple[Clamp, ...]

    @property
    def approved(self) -> bool:
        """Return whether anything may be sent."""
        return self.qty > 0


def size_entry(equity: Decimal, mark: Decimal, stop: Decimal, limits: RiskLimits) -> Decimal:
    """Return the whole shares whose loss at `stop` is the risk of one trade, never negative.

    The stop stands some multiple of the average true range away, so the size shrinks as
    volatility grows (volatility-scaled fixed-fractional sizing; Tharp, 1998).
    """
    if not (is_figure(mark) and is_figure(stop) and equity.is_finite()):
        return ZERO
    risk_per_share = abs(mark - stop)
    if not risk_per_share or equity <= 0:
        return ZERO
    return whole(equity * limits.risk_per_trade_frac / risk_per_share)


def clamped_by_risk(symbol: str, wanted: Decimal, allowed: Decimal, limits: RiskLimits) -> Clamp:
    """Return the clamp of an entry whose stop-out would have cost more than one trade may."""
    share = f"{limits.risk_per_trade_frac:.2%} of equity"
    return Clamp(
        rule="risk_per_trade",
        symbol=symbol,
        requested=wanted,
        allowed=allowed,
        text=f"{symbol}: {wanted} shares asked for, and a stop-out of {allowed} costs {share}",
    )


def whole(shares: Decimal) -> Decimal:
    """Return whole shares, rounded down, never negative."""
    return max(shares.to_integral_value(rounding=ROUND_FLOOR), ZERO)


def reduces(intent: OrderIntent, position_qty: Decimal) -> bool:
    """Return whether the intent can only make the position smaller."""
    against = position_qty * intent.side.sign < 0
    return against and intent.qty <= abs(position_qty)


def narrowed(limits: RiskLimits, mandate: Mandate | None) -> RiskLimits:
    """Return the limits under a mandate: of each two the tighter one, so that none is widened."""
    if mandate is None:
        return limits
    terms = mandate.terms
    return replace(
        limits,
        allow_short=limits.allow_short and terms.allow_short,
        max_order_usd=min(limits.max_order_usd, terms.max_order_usd),
        max_position_usd=_tighter(limits.max_position_usd, terms.max_position_usd),
        max_position_frac=min(limits.max_position_frac, terms.max_position_frac),
        max_gross_frac=min(limits.max_gross_frac, terms.max_gross_frac),
        max_daily_loss_usd=_tighter(limits.max_daily_loss_usd, terms.max_daily_loss_usd),
        max_daily_loss_frac=min(limits.max_daily_loss_frac, terms.max_daily_loss_frac),
        max_drawdown_frac=min(limits.max_drawdown_frac, terms.max_drawdown_frac),
        max_trades_per_day=min(limits.max_trades_per_day, terms.max_trades_per_day),
        mandate=mandate,
    )


def limits_snapshot(limits: RiskLimits) -> str:
    """Return the canonical JSON of the limits in force, for the order journal.

    Times are seconds; of the mandate it holds what is not a figure above, and the consent hash.
    """
    plain: dict[str, object] = {}
    for name in RiskLimits.__dataclass_fields__:
        value = getattr(limits, name)
        plain[name] = value.total_seconds() if isinstance(value, timedelta) else value
    mandate = limits.mandate
    plain["mandate"] = mandate and {
        "universe": mandate.terms.universe,
        "entries_from": mandate.terms.entries_from.isoformat(),
        "entries_until": mandate.terms.entries_until.isoformat(),
        "timezone": mandate.terms.timezone,
        "expires_at": mandate.terms.expires_at,
        "signature": mandate.signature,
    }
    return canonical_json(plain)


def daily_loss_floor(limits: RiskLimits, day_start_equity: Decimal) -> Decimal:
    """Return the equity (USD) at and below which a day's loss stops entries."""
    floor = day_start_equity * (1 - limits.max_daily_loss_frac)
    if limits.max_daily_loss_usd is None:
        return floor
    return max(floor, day_start_equity - limits.max_daily_loss_usd)


def drawdown_floor(limits: RiskLimits, peak_equity: Decimal) -> Decimal:
    """Return the equity (USD) at and below which a drawdown stops entries."""
    return peak_equity * (1 - limits.max_drawdown_frac)


def daily_loss_text(limits: RiskLimits, equity: Decimal, day_start_equity: Decimal) -> str:
    """Return the fact, the value and the limit of a day's loss."""
    lost = 1 - equity / day_start_equity
    text = f"down {lost:.2%} today, limit {limits.max_daily_loss_frac:.2%}"
    if limits.max_daily_loss_usd is None:
        return text
    return f"{text} or {_usd(limits.max_daily_loss_usd)}"


def drawdown_text(limits: RiskLimits, equity: Decimal, peak_equity: Decimal) -> str:
    """Return the fact, the value and the limit of a drawdown."""
    lost = 1 - equity / peak_equity
    return f"{lost:.2%} below the peak, limit {limits.max_drawdown_frac:.2%}"


def check_intent(intent: OrderIntent, book: RiskBook, limits: RiskLimits) -> Verdict:
    """Return how much of `intent` may be sent now."""
    senseless = list(faults_of_figures(intent))
    if not book.position_qty.is_finite():
        senseless.append(("position", f"{book.position_qty} shares held is not a number"))
    if senseless:  # nothing may be computed with them
        return _refused(intent, senseless)
    exit_only = reduces(intent, book.position_qty)
    refusals = _refusals_of_all(intent, book, limits, exit_only=exit_only)
    if not exit_only:
        refusals += _refusals_of_entries(intent, book, limits)
    if refusals:
        return _refused(intent, refusals)
    if exit_only:
        return Verdict(qty=intent.qty, clamps=())
    cuts = [
        _clamp(rule, intent, whole(allowed), text)
        for rule, allowed, text in _ceilings(intent, book, limits)
        if whole(allowed) < intent.qty
    ]
    qty = min((cut.allowed for cut in cuts), default=intent.qty)
    return Verdict(qty=qty, clamps=tuple(cuts))


def _tighter(one: Decimal | None, other: Decimal) -> Decimal:
    return other if one is None else min(one, other)


def _refused(intent: OrderIntent, refusals: list[tuple[str, str]]) -> Verdict:
    clamps = (_clamp(rule, intent, ZERO, text) for rule, text in refusals)
    return Verdict(qty=ZERO, clamps=tuple(clamps))


def _clamp(rule: str, intent: OrderIntent, allowed: Decimal, text: str) -> Clamp:
    return Clamp(
        rule=rule,
        symbol=intent.symbol,
        requested=intent.qty,
        allowed=allowed,
        text=f"{intent.symbol}: {text}",
    )


def _refusals_of_all(
    intent: OrderIntent, book: RiskBook, limits: RiskLimits, *, exit_only: bool
) -> list[tuple[str, str]]:
    """Return the reasons that stop any order, exits too."""
    found = list(faults_of_form(intent, fractions=limits.allow_fractions))
    allowed = _EXITS_ALLOWED if exit_only else _ENTRIES_ALLOWED
    if book.state not in allowed:
        found.append(("trading_state", f"trading is {book.state}, {book.state_reason}"))
    if book.suspended:
        found.append(("suspended", book.suspended))
    if not book.session.holds(book.at):
        closed = f"the session closed at {book.session.closes_at:%H:%M} UTC"
        found.append(("session", f"{closed}, now {book.at:%H:%M}"))
    if book.at > intent.valid_until:
        found.append(("expired", f"valid until {intent.valid_until:%H:%M:%S} UTC, now past it"))
    if not intent.qty:
        found.append(("quantity", f"{intent.qty} shares, at least one is needed"))
    under = standing(limits.mandate, limits.live, book.at)
    if not (exit_only or under.entries_allowed):
        found.append(("mandate", under.reason))
    found.extend(_off_collar(intent, book, limits))
    return found


def _off_collar(
    intent: OrderIntent, book: RiskBook, limits: RiskLimits
) -> Iterator[tuple[str, str]]:
    """Yield a refusal for each price of the intent that is far from the last bar."""
    if book.last_price is None or not is_figure(book.last_price):
        last = "no good bar yet" if book.last_price is None else f"last price {book.last_price}"
        yield "no_price", f"{last}, so no price to trade at"
        return
    for name, price in (("mark", intent.mark), ("limit price", intent.limit_price)):
        if price is None:
            continue
        gap = abs(price / book.last_price - 1)
        if gap > limits.price_collar_frac:
            limit = f"limit {limits.price_collar_frac:.1%}"
            yield "price_collar", f"{name} {price} is {gap:.1%} from {book.last_price}, {limit}"


def _refusals_of_entries(
    intent: OrderIntent, book: RiskBook, limits: RiskLimits
) -> Iterator[tuple[str, str]]:
    """Yield the reasons that stop an order which adds risk."""
    figures = (book.equity, book.cash, book.gross_usd, book.day_start_equity, book.peak_equity)
    if not all(figure.is_finite() for figure in figures):
        shown = ", ".join(str(figure) for figure in figures)
        yield "equity", f"a figure of the account is not a number ({shown})"
        return
    if intent.side is Side.SELL and not limits.allow_short:
        held = f"{book.position_qty} shares held"
        yield "short", f"selling {intent.qty} with {held} opens a short, not allowed"
    if book.bar_age is None or book.bar_age > limits.stale_after:
        age = "no bar" if book.bar_age is None else f"last bar is {_minutes(book.bar_age)} old"
        yield "stale_data", f"{age}, limit {_minutes(limits.stale_after)}"
    left = book.session.time_left(book.at)
    if left <= limits.no_entry_last:
        closed = f"no entries in the last {_minutes(limits.no_entry_last)}"
        yield "session", f"{_minutes(left)} to the close, {closed}"
    losses = dict(_refusals_by_losses(book, limits))
    yield from losses.items()
    yield from ((lock.rule.value, lock.text) for lock in book.locks if lock.rule not in losses)
    yield from _refusals_by_mandate(intent, book, limits.mandate)
    if book.trades_today >= limits.max_trades_per_day:
        yield (
            "trades_per_day",
            f"{book.trades_today} entries today, limit {limits.max_trades_per_day}",
        )
    legs = 1 + (intent.stop_loss is not None) + (intent.take_profit is not None)
    if book.open_orders + legs > limits.max_open_orders:
        added = f"{book.open_orders} open orders and {legs} more"
        yield "open_orders", f"{added}, limit {limits.max_open_orders}"


def _refusals_by_losses(book: RiskBook, limits: RiskLimits) -> Iterator[tuple[str, str]]:
    if book.equity <= 0 or book.day_start_equity <= 0 or book.peak_equity <= 0:
        yield "equity", f"equity is {_usd(book.equity)}, more than nothing is needed"
        return
    if book.equity <= daily_loss_floor(limits, book.day_start_equity):
        yield "daily_loss", daily_loss_text(limits, book.equity, book.day_start_equity)
    if book.equity <= drawdown_floor(limits, book.peak_equity):
        yield "drawdown", drawdown_text(limits, book.equity, book.peak_equity)


def _refusals_by_mandate(
    intent: OrderIntent, book: RiskBook, mandate: Mandate | None
) -> Iterator[tuple[str, str]]:
    """Yield what the mandate itself forbids; whether it is in force is asked before."""
    if mandate is None or not is_zone(mandate.terms.timezone):
        return
    terms = mandate.terms
    if terms.universe is not None and intent.symbol not in terms.universe:
        yield "universe", f"the mandate allows {', '.join(terms.universe) or 'nothing'}"
    if not within_hours(terms, book.at):
        window = f"{terms.entries_from:%H:%M} to {terms.entries_until:%H:%M} {terms.timezone}"
        yield "hours", f"{book.at:%H:%M} UTC is outside the mandate's {window}"


def _ceilings(
    intent: OrderIntent, book: RiskBook, limits: RiskLimits
) -> Iterator[tuple[str, Decimal, str]]:
    """Yield (rule, most shares, text) of every limit on size."""
    mark, sign = intent.mark, intent.side.sign
    yield (
        "order_value",
        limits.max_order_usd / mark,
        f"order of {_usd(intent.notional)}, limit {_usd(limits.max_order_usd)}",
    )
    held, room = book.position_qty * sign, limits.max_position_frac * book.equity
    share = f" ({limits.max_position_frac:.1%})"
    if limits.max_position_usd is not None and limits.max_position_usd < room:
        room, share = limits.max_position_usd, ""
    wanted = (held + intent.qty) * mark
    yield (
        "position",
        room / mark - held,
        f"position of {_usd(wanted)}, limit {_usd(room)}{share}",
    )
    gross_room = limits.max_gross_frac * book.equity
    yield (
        "gross",
        (gross_room - book.gross_usd) / mark,
        f"gross exposure of {_usd(book.gross_usd + intent.notional)}, limit {_usd(gross_room)}",
    )
    if intent.side is Side.BUY:
        yield (
            "cash",
            book.cash / mark,
            f"order of {_usd(intent.notional)}, free cash {_usd(book.cash)}",
        )


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f} USD"


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} min"
