"""How much a check may cost: little beside every run, more when somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much a check may cost."""

    name: str
    whole: int  # cuts of the whole run
    stretches: int  # short pieces, all symbols together
    cuts: int  # of each piece
    played: int  # pieces that an account plays too
    walked: int  # rows in turn at which a piece ends
    stretches_called: int  # pieces played where the exit is a call
    played_rows: int  # bars that an account plays in all, roughly
    row_budget: int  # rows asked about in cuts of the whole run, roughly
    worlds: int = 3  # other futures tried per cut


QUICK: Final = Effort(
    name="quick",
    whole=6,
    stretches=24,
    cuts=3,
    played=4,
    walked=6,
    stretches_called=10,
    played_rows=60_000,
    row_budget=1_200_000,
    worlds=2,
)
THOROUGH: Final = Effort(
    name="thorough",
    whole=24,
    stretches=400,
    cuts=6,
    played=24,
    walked=120,
    stretches_called=80,
    played_rows=1_500_000,
    row_budget=12_000_000,
    worlds=6,
)
