"""What a server of language models did, and what it wants for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD for a million tokens."""

    read: Decimal = Decimal("2.50")
    cached: Decimal = Decimal("1.25")
    written: Decimal = Decimal("10.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One call that was worked on, answered or not."""

    number: int  # from 1
    model: str
    prompt_tokens: int  # cached ones included
    cached_tokens: int
    completion_tokens: int
    usd: Decimal  # exact
    is_told: bool  # the answer holds the tokens


class Till:
    """Writes the bills."""

    def __init__(self, rates: Mapping[str, Rates] | None = None) -> None:
        """Take the rates by model; a model that is not among them has the usual ones."""
        self.bills: list[Bill] = []
        self._rates = dict(rates or {})

    def set_rates(self, model: str, rates: Rates) -> None:
        """Change what a model costs from now on."""
        self._rates[model] = rates

    def charge(
        self, model: str, *, read: int, cached: int, written: int, is_told: bool = True
    ) -> None:
        """Write one bill."""
        rates = self._rates.get(model, Rates())
        fresh = (read - cached) * rates.read
        usd = (fresh + cached * rates.cached + written * rates.written) / _MILLION
        self.bills.append(
            Bill(
                number=len(self.bills) + 1,
                model=model,
                prompt_tokens=read,
                cached_tokens=cached,
                completion_tokens=written,
                usd=usd,
                is_told=is_told,
            )
        )

    @property
    def usd(self) -> Decimal:
        """Return the sum, exact."""
        return sum((bill.usd for bill in self.bills), Decimal(0))
