"""The sections about vendors: where they are, and what we may ask of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, Field

from roboinvest.runtime.configuration.sections import OnOff, Section


class AlpacaSettings(Section):
    """The broker's interface. Its keys are ALPACA_API_KEY and ALPACA_SECRET_KEY."""

    live: bool = False
    """Whether the money is real; it also takes a signed mandate."""
    base_url: str | None = None
    """Address of the trading interface; None: Alpaca's own, paper or live."""
    data_url: str | None = None
    """Address of the data interface; None: Alpaca's own."""
    stream_url: str | None = None
    """Full address of the trade stream, with its path; None: Alpaca's own."""
    calls_per_minute: int = Field(default=180, ge=1)
    """Requests a minute; the vendor's limit is 200 for an account."""


class PolygonSettings(Section):
    """The data vendor's interface. Its key is POLYGON_API_KEY."""

    base_url: str | None = None
    """Address of the interface; None: the vendor's own."""
    stream_url: str | None = None
    """Address of the stream without a path, such as ws://HOST:PORT; None: the vendor's own."""
    calls_per_minute: int = Field(default=5, ge=1)
    """Requests a minute; the free plan allows 5."""


class MandateSettings(Section):
    """What the owner allows."""

    path: Path = Path("config/mandate.toml")
    """File of the owner's mandate; a live account needs a signed one."""


class TestingSettings(Section):
    """Switches for trying the daemon on vendors that are not the real ones."""

    __test__ = False  # not a test, whatever pytest thinks of its name

    loopback_only: OnOff = "off"
    """Whether every vendor's address must be on this machine."""


class ClockSettings(Section):
    """The daemon's own time."""

    offset_s: float = Field(default=0.0, allow_inf_nan=False)
    """Seconds added to the machine's clock; other than 0 only with testing.loopback_only."""
    rate: float = Field(default=1.0, gt=0, le=1000)
    """Seconds that pass in one of the machine's; other than 1 only with testing.loopback_only."""
    anchor: AwareDatetime | None = None
    """Machine time at which the two clocks are offset_s apart; wanted where rate is not 1."""
