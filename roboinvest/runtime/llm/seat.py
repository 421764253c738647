"""A model in its place in a chain: how it is reached, what it costs, whether it may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from roboinvest.runtime.llm.breaker import CircuitBreaker
from roboinvest.runtime.llm.provider import ChatRequest, Method, Provider
from roboinvest.runtime.llm.spend.estimate import tokens_at_most
from roboinvest.runtime.llm.spend.prices import ModelPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One model of a role's chain."""

    provider: Provider
    breaker: CircuitBreaker
    price: ModelPrice
    method: Method

    def most_usd(self, request: ChatRequest) -> Decimal:
        """Return the most that a request can cost."""
        return self.price.cost(
            input_tokens=tokens_at_most(request),
            cached_tokens=0,
            output_tokens=request.reply_tokens,
        )
