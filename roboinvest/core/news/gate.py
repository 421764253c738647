"""The taint gate: the one place where news touches money, and all that it can do there.

A decision is made without news. What news may do is change how many shares of an entry that was
decided anyway are asked for, by a quarter at most, where two independent sources agree. It cannot
open a position, close one, choose a symbol, or move a stop, a target or a limit: nothing here takes
or returns any of these. An exit is never sized: what is held leaves whole, and bad news, which
anybody can write, sells nothing.

Risk comes after the gate and clamps every size alike. The gate trusts nobody: a tilt that is no
number or beyond the limit is refused whole, as is a factor that speaks of another symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from roboinvest.core.news.factor import TAINT_LIMIT, NewsFactor, tilt
from roboinvest.core.orders import Action, Decision

RULE: Final = "news"  # the name under which a moved size is recorded
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """How many shares may be asked for."""

    qty: Decimal  # whole shares
    text: str = ""  # what moved the size, or why nothing may; "" where it is the untainted one


class TaintGate:
    """Sizes an entry under the news of its symbol."""

    def __init__(self, tilt_of: Callable[[NewsFactor | None], Decimal] = tilt) -> None:
        self._tilt_of = tilt_of

    def size(
        self,
        decision: Decision,
        qty: Decimal,
        factor: NewsFactor | None,
        universe: Collection[str],
    ) -> Sized:
        """Return the shares to ask for where `qty` whole shares is the untainted size.

        Rounded to whole shares towards the untainted size, so that the limit holds to the share
        and an entry that was decided never shrinks to nothing.
        """
        symbol = decision.symbol
        if symbol not in universe or decision.action is not Action.BUY:
            return Sized(qty=ZERO, text=f"{symbol}: no entry was decided in the universe")
        if factor is None or qty <= ZERO:
            return Sized(qty=qty)
        asked = self._tilt_of(factor)
        if not asked.is_finite() or abs(asked - 1) > TAINT_LIMIT or factor.symbol != symbol:
            text = f"{symbol}: news asked for {asked} times the size, limit {TAINT_LIMIT:.0%}"
            return Sized(qty=qty, text=f"{text}; nothing was moved")
        rounding = ROUND_FLOOR if asked > 1 else ROUND_CEILING
        moved = (qty * asked).to_integral_value(rounding=rounding)
        if moved == qty:
            return Sized(qty=qty)
        return Sized(qty=moved, text=_told(qty, moved, factor))


def _told(before: Decimal, after: Decimal, factor: NewsFactor) -> str:
    share = f"{after / before - 1:+.1%}"
    sources = f"{factor.agreeing} independent sources agree on a tone of {factor.tone:+.2f}"
    return f"{factor.symbol}: news moved the size {before} -> {after} ({share}): {sources}"
