"""Other names, dates, prices and amounts for those of a run, so that a model cannot look them up.

Everything is derived from the stamp of the data folder: the same run wears the same disguise after
a restart and in a replay of its recorded answers, and nothing has to be stored.

    symbols   "S-01", "S-02", ... in an order that says nothing about the alphabet
    dates     90 to 150 years later by whole weeks, on the exchange's clock: the weekday and the
              time of the session stay, the day of the year and the year do not
    prices    times a factor for each symbol, 0.5 to 2, that is no split and not near 1
    shares    the other way round, so that their value keeps its proportions
    USD       times one factor for all

What stays recognisable, because deciding needs it: the weekday, the time of day, a half day (by the
minutes to its close), the shape of the moves (a day of a crash has the features of one), and how
long ago one question was after another. Who knows two prices of one moment to the cent could try
every share on earth for their ratio. A disguise makes remembering hard; only days after the cut-off
make it impossible.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE

ValueT = TypeVar("ValueT")

FIRST_WEEKS: Final = 4_696  # 90 years
SPREAD_WEEKS: Final = 3_131  # 60 years
SEASON_DAYS: Final = 30  # that a date is moved within the year at least
_YEAR_DAYS: Final = 365.2425
DIGITS: Final = 7  # significant, of a price: finer than a tenth of a cent up to 99,999 USD
_SPLITS: Final = tuple({a / b for a in range(1, 7) for b in range(1, 7)})
_NEAR_SPLIT: Final = 0.01  # of the factor
_NEAR_ONE: Final = 0.08
_FRACTION: Final = Decimal("0.0001")  # of a share


class RunDisguise:
    """A `Disguise` for the symbols of one run."""

    def __init__(self, stamp: Mapping[str, Any], symbols: Sequence[str]) -> None:
        """Take what tells the run from others (JSON types), and its universe."""
        self._seed = hashlib.sha256(canonical_json(dict(stamp)).encode()).digest()
        self._zone = ZoneInfo(EXCHANGE_ZONE)
        self._shift = self._weeks()
        shuffled = sorted(set(symbols), key=lambda symbol: self._unit(f"label {symbol}"))
        width = max(2, len(str(len(shuffled))))
        self._labels = {s: f"S-{number:0{width}}" for number, s in enumerate(shuffled, start=1)}
        self._symbols = {label: symbol for symbol, label in self._labels.items()}
        self._factors = {symbol: self._factor(f"price {symbol}") for symbol in shuffled}
        self._money = self._factor("money")

    @property
    def key(self) -> str:
        """Return what tells this disguise from every other, which gives none of it away."""
        return hashlib.sha256(self._seed + b"key").hexdigest()[:8]

    def label(self, symbol: str) -> str:
        """Return what a symbol is called.

        Raises:
            BadInput: it is none of the run's.
        """
        return _of(self._labels, symbol)

    def symbol(self, label: str) -> str:
        """Return the symbol that is called so.

        Raises:
            BadInput: none is.
        """
        return _of(self._symbols, label)

    def moment(self, at: datetime) -> datetime:
        """Return an instant (UTC) of another date: same weekday, same exchange clock."""
        there = at.astimezone(self._zone).replace(tzinfo=None) + self._shift
        return there.replace(tzinfo=self._zone, fold=0).astimezone(UTC)

    def price(self, symbol: str, usd: float) -> float:
        """Return a price in disguise, to seven digits; one that is not lower is not lower."""
        return float(f"{usd * _of(self._factors, symbol):.{DIGITS}g}")

    def true_price(self, symbol: str, usd: float) -> float:
        """Return the true price, not rounded, of one in disguise."""
        return usd / _of(self._factors, symbol)

    def shares(self, symbol: str, qty: Decimal) -> Decimal:
        """Return shares in disguise, signed: whole ones stay whole, and none stay none."""
        if not qty:
            return Decimal(0)
        step = Decimal(1) if qty == qty.to_integral_value() else _FRACTION
        scaled = abs(qty) * Decimal(self._money / _of(self._factors, symbol))
        rounded = max(scaled.quantize(step, rounding=ROUND_HALF_EVEN), step)
        return rounded.copy_sign(qty)

    def usd(self, amount: Decimal) -> Decimal:
        """Return an amount in disguise, in whole cents."""
        cents = Decimal("0.01")
        return (amount * Decimal(self._money)).quantize(cents, rounding=ROUND_HALF_EVEN)

    def _weeks(self) -> timedelta:
        """Return the shift of dates, which leaves no date near its day of the year."""
        draw = 0
        while True:
            weeks = FIRST_WEEKS + int(self._unit(f"weeks {draw}") * SPREAD_WEEKS)
            moved = 7 * weeks % _YEAR_DAYS
            if SEASON_DAYS <= moved <= _YEAR_DAYS - SEASON_DAYS:
                return timedelta(weeks=weeks)
            draw += 1

    def _factor(self, purpose: str) -> float:
        """Return a factor from 0.5 to 2, even on a log scale, that is neither 1 nor a split."""
        draw = 0
        while True:
            factor = math.exp((2 * self._unit(f"{purpose} {draw}") - 1) * math.log(2))
            near = min(abs(factor / split - 1) for split in _SPLITS)
            if near > _NEAR_SPLIT and abs(factor - 1) > _NEAR_ONE:
                return factor
            draw += 1

    def _unit(self, purpose: str) -> float:
        """Return a number in [0, 1), always the same for the same purpose."""
        digest = hashlib.sha256(self._seed + purpose.encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48


def _of(known: Mapping[str, ValueT], name: str) -> ValueT:
    if name not in known:
        raise BadInput(f"{name} is no symbol of this run, so it has no disguise; nothing was asked")
    return known[name]
