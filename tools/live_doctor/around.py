"""What the live doctor is given: settings, keys, clocks, and what else runs here."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from roboinvest.core.ports import Calendar, Clock
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.sections import Source
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from tools.live_doctor.findings import Patience

_USUAL_SYMBOL: Final = "SPY"  # which every vendor has


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Everything that a visit to a vendor needs."""

    settings: Settings
    secrets: Secrets
    clock: Clock  # the daemon's, `clock.offset_s` included; called in worker threads
    calendar: Calendar
    rng: random.Random
    in_flight: InFlight
    daemon_pid: int | None = None  # of a daemon on the same data folder
    patience: Patience = field(default_factory=Patience)

    @property
    def loopback_only(self) -> bool:
        """Return whether every address has to be on this machine."""
        return self.settings.testing.loopback_only == "on"

    @property
    def symbol(self) -> str:
        """Return the ticker to ask about: one of ours where they are real, else the usual one."""
        market = self.settings.market
        if market.source is Source.POLYGON and market.symbols:
            return market.symbols[0]
        return _USUAL_SYMBOL
