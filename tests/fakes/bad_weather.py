"""Faults at both vendors at once, by chance: what a bad day on the wire is made of.

A storm spoils requests one by one and breaks, doubles, delays and loses what the streams say. It is
drawn with a seed; what it hits depends on what the daemon asks, so a storm is not repeated exactly.
"""

from __future__ import annotations

import random
import threading
from typing import Any, Final

from tests.fakes.background import Background
from tests.fakes.live_vendors import LiveVendors
from tests.fakes.vendors.http_faults import Fault, FaultKind

_ANY: Final = ".*"
_HTML: Final = "<html><body>504 Gateway Time-out</body></html>"
_BUSY: Final = {"code": 42910000, "message": "rate limit exceeded"}
_WAIT: Final = {"Retry-After": "1"}
# An order is handled late by less than the desk waits before it believes that there is none.
LATE_MARKET_S: Final = 8.0


def storm_at_broker(rate: float) -> tuple[Fault, ...]:
    """Return the faults of a broker whose clock runs at `rate`."""
    orders, late = r"^/v2/orders$", LATE_MARKET_S / rate
    gateway: dict[str, Any] = {"status": 504, "body": _HTML}
    return (
        _often(0.12, FaultKind.RESET_AFTER, "POST", orders),  # a lost reply
        _often(0.12, FaultKind.STATUS_AFTER, "POST", orders, **gateway),
        _often(0.10, FaultKind.LATE, "POST", orders, delay_s=late, **gateway),
        _often(0.05, FaultKind.STALL_AFTER, "POST", orders),
        _often(0.08, FaultKind.RESET_BEFORE, "POST", orders),
        _often(0.08, FaultKind.STATUS, "POST", orders, status=429, body=_BUSY, headers=_WAIT),
        _often(0.08, FaultKind.TRUNCATED, "POST", orders, at_byte=90),
        _often(0.05, FaultKind.STATUS_AFTER, "POST", orders, status=500, body={"message": "oops"}),
        _often(0.10, FaultKind.RESET_AFTER, "DELETE"),
        _often(0.10, FaultKind.STATUS_AFTER, "DELETE", **gateway),
        *_on_reads(_BUSY, 1.0),
    )


def storm_at_vendor() -> tuple[Fault, ...]:
    """Return the faults of the market data."""
    busy = {"status": "ERROR", "error": "exceeded the maximum requests per minute"}
    return _on_reads(busy, 0.4)  # without bars there is nothing to send, and so nothing to lose


def _on_reads(busy: object, share: float) -> tuple[Fault, ...]:
    return (
        _often(0.03 * share, FaultKind.TRUNCATED, "GET", at_byte=40),
        _often(0.03 * share, FaultKind.CUT, "GET", at_byte=40),
        _often(0.03 * share, FaultKind.STATUS, "GET", status=429, body=busy, headers=_WAIT),
        _often(0.04 * share, FaultKind.RESET_BEFORE, "GET"),
        _often(0.03 * share, FaultKind.STATUS, "GET", status=504, body=_HTML),
        _often(0.01 * share, FaultKind.STALL, "GET"),
        _often(0.05 * share, FaultKind.SLOW, "GET", delay_s=0.2),
    )


def _often(
    probability: float, kind: FaultKind, method: str, path: str = _ANY, **fields: Any
) -> Fault:
    return Fault(
        kind=kind,
        method=method,
        path=path,
        probability=probability,
        count=None,
        **fields,
    )


class BadWeather(Background):
    """Storms over a pair of vendors; use it with `with`, and ask for each storm."""

    def __init__(self, vendors: LiveVendors, *, seed: int) -> None:
        self._vendors = vendors
        self._chance = chance = random.Random(f"{seed} weather")
        super().__init__("weather", pause_s=lambda: chance.uniform(0.2, 1.2))
        self._blows = threading.Event()
        self.squalls = 0  # that hit the streams

    def storm(self) -> None:
        """Let faults hit from now on."""
        self.calm()
        vendors = self._vendors
        vendors.alpaca.add_fault(*storm_at_broker(vendors.rate))
        vendors.polygon.plant(*storm_at_vendor())
        self._blows.set()

    def calm(self) -> None:
        """Let everything be well from now on; what was lost stays lost."""
        self._blows.clear()
        vendors = self._vendors
        vendors.alpaca.clear_faults()
        vendors.polygon.heal()
        vendors.alpaca.stream(copies=1, delay_s=0.0, shuffle_s=0.0)

    def hits(self) -> int:
        """Return how many requests were spoilt at the broker, and squalls at the streams."""
        return len(self._vendors.alpaca.faults.taken) + self.squalls

    def happen(self) -> None:
        """Hit the streams, where a storm blows."""
        if self._blows.is_set():
            self.squalls += 1
            self._squall()

    def _squall(self) -> None:
        alpaca, polygon, chance = self._vendors.alpaca, self._vendors.polygon, self._chance
        match chance.randrange(6):
            case 0:
                alpaca.disconnect_streams()
            case 1:
                polygon.break_stream()
            case 2:
                alpaca.stream(copies=chance.choice((2, 3)), shuffle_s=0.4)  # doubled, reordered
            case 3:
                alpaca.stream(copies=0)  # lost
            case 4:
                alpaca.stream(copies=1, delay_s=0.5, shuffle_s=0.0)
            case _:
                alpaca.stream(copies=1, delay_s=0.0, shuffle_s=0.0)
