"""What a comparison can cost at most, said before it starts.

An upper estimate, and a loose one: every tick asks, every answer has to be repaired, every model of
the chain is paid, and a symbol takes more room in the prompt than any has been seen to take. The
caps bind as ever; where they come first, the rules answer the rest, and that is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from roboinvest.core.tasks import Task
from roboinvest.runtime.llm.provider import ChatRequest, Message
from roboinvest.runtime.llm.spend.estimate import tokens_at_most
from roboinvest.runtime.llm.spend.money import usd_text
from roboinvest.runtime.llm.spend.prices import ModelPrice

SYMBOL_BYTES: Final = 2_048  # of one symbol in the prompt
RUNS: Final = 2
_REPAIR_TOKENS: Final = 1_024  # what is said of an answer that cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """The most that two runs can cost, in USD."""

    asks: int
    ask_usd: Decimal  # one ask, a repair and every model of the chain included
    run_cap_usd: Decimal  # where the day's cap stops a run at the latest
    day_usd: Decimal  # where the day's cap begins

    @property
    def most_usd(self) -> Decimal:
        """Return what both runs together cannot pass on one exchange day."""
        capped = RUNS * (self.run_cap_usd + self.ask_usd)
        return min(self.asks * self.ask_usd, capped)

    @property
    def text(self) -> str:
        """Return the sentence that a person agrees to."""
        if not self.ask_usd:
            return f"{self.asks} questions in {RUNS} runs, which cost nothing at these prices"
        covered = min(int(self.day_usd / self.ask_usd), self.asks // RUNS)
        return (
            f"{self.asks} questions in {RUNS} runs cost at most {usd_text(self.most_usd)} USD "
            f"(at most {usd_text(self.ask_usd)} each; each run has a day's cap of its own, which "
            f"begins at {usd_text(self.day_usd)} USD, ends at {usd_text(self.run_cap_usd)} USD and "
            f"covers {covered} of {self.asks // RUNS} questions for certain; the rules answer "
            "those that it does not)"
        )


def cost_at_most(
    task: Task[Any, Any],
    prompt: str,
    prices: Sequence[ModelPrice],
    *,
    ticks: int,
    symbols: int,
    day_usd: Decimal,
    ceiling_usd: Decimal,
) -> CostEstimate:
    """Return the estimate for `ticks` questions about so many symbols, asked in both runs.

    Args:
        task: that is asked.
        prompt: the text of its file.
        prices: of the models of its chain.
        ticks: of one run.
        symbols: in each question.
        day_usd: the day's cap where it begins.
        ceiling_usd: where it can rise to.
    """
    room = min(SYMBOL_BYTES * symbols, task.limits.prompt_bytes)
    request = ChatRequest(
        messages=(
            Message(speaker="system", text=prompt),
            Message(speaker="user", text="0" * room),
        ),
        form=task.form,
        reply_tokens=task.limits.reply_tokens,
        temperature=0.0,
    )
    first, written = tokens_at_most(request), task.limits.reply_tokens
    ask_usd = Decimal(0)
    for price in prices:
        for tokens in (first, first + written + _REPAIR_TOKENS):
            ask_usd += price.cost(input_tokens=tokens, cached_tokens=0, output_tokens=written)
    return CostEstimate(
        asks=RUNS * ticks, ask_usd=ask_usd, run_cap_usd=ceiling_usd, day_usd=day_usd
    )
