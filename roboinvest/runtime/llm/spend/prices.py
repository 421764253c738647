"""What a model's tokens cost, and since when it knows nothing. A model without a price is refused.

Reasoning tokens are output tokens: providers count and bill them so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.llm.spend.money import NANO, usd_of

_PER: Final = 1_000_000  # tokens that a price is for
_MOST_USD: Final = Decimal(100_000)  # per million tokens: more is a slip of the decimal point


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """The prices of one model, in USD per million tokens; a model of one's own may cost nothing."""

    input_usd: Decimal
    output_usd: Decimal
    cached_input_usd: Decimal | None = None  # None: as any other input
    knowledge_cutoff: date | None = None  # what happened later it cannot have read about

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            BadSettings: a price is no amount, or a cached token would cost more than a new one.
        """
        for name in ("input_usd", "output_usd", "cached_input_usd"):
            usd = getattr(self, name)
            if usd is not None and not (usd.is_finite() and 0 <= usd <= _MOST_USD):
                raise BadSettings(
                    f"{name} = {usd} is no price between 0 and {_MOST_USD} USD per million tokens"
                )
        if self.cached_input_usd is not None and self.cached_input_usd > self.input_usd:
            raise BadSettings(
                f"cached_input_usd = {self.cached_input_usd} is more than input_usd = "
                f"{self.input_usd}; a reservation would be too small: write at most the same"
            )

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """Return the cost in USD, rounded up to 1e-9; cached tokens are among the input tokens.

        More cached tokens than input tokens are as many; a negative count is none.
        """
        cached = min(max(cached_tokens, 0), max(input_tokens, 0))
        fresh = max(input_tokens, 0) - cached
        cached_usd = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        per_million = (
            fresh * Fraction(self.input_usd)
            + cached * Fraction(cached_usd)
            + max(output_tokens, 0) * Fraction(self.output_usd)
        )
        nano = -(-per_million * NANO // _PER)  # rounded up
        return usd_of(int(nano))


class PriceTable(Mapping[str, ModelPrice]):
    """Prices by the names of models."""

    def __init__(self, prices: Mapping[str, ModelPrice]) -> None:
        self._prices = dict(prices)

    def __getitem__(self, model: str) -> ModelPrice:
        return self._prices[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self._prices)

    def __len__(self) -> int:
        return len(self._prices)

    def price(self, model: str) -> ModelPrice:
        """Return the price of a model.

        Raises:
            BadSettings: there is none, so what a call costs at most cannot be reserved.
        """
        found = self._prices.get(model)
        if found is None:
            name = json.dumps(model)
            raise BadSettings(
                f"the model {name} has no price, so it is not asked; write under "
                f"[llm.models.{name}] the lines input_usd, cached_input_usd and output_usd, "
                "each in USD per million tokens (0 for a model of your own)"
            )
        return found
