"""What language models cost today, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from roboinvest.core.ports import Clock
from roboinvest.runtime.llm.spend.caps import Cap
from roboinvest.runtime.llm.spend.ledger import SpendLedger

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentToday:
    """The exchange day so far."""

    cap_usd: Decimal
    spent_usd: Decimal  # charged
    reserved_usd: Decimal  # by calls that are under way
    tokens: int  # read and written


class TodaysSpend:
    """Reads the ledger."""

    def __init__(self, ledger: SpendLedger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def look(self) -> SpentToday:
        """Return where the day stands.

        Raises:
            TryLater: the ledger cannot be read.
        """
        standing = await self._ledger.standing(self._clock.now())
        lines = await self._ledger.figures("day", standing.day)
        (day,) = [cap for cap in standing.caps if cap.cap is Cap.DAY]
        return SpentToday(
            cap_usd=day.cap_usd,
            spent_usd=day.spent_usd,
            reserved_usd=day.reserved_usd,
            tokens=sum(line.input_tokens + line.output_tokens for line in lines),
        )
