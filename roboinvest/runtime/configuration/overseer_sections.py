"""The section of the settings on who looks after the house."""

from __future__ import annotations

from pydantic import Field

from roboinvest.runtime.configuration.sections import OnOff, Section


class OverseerSettings(Section):
    """Who looks after the house."""

    enabled: OnOff = "on"
    """Whether anybody does; trading goes on either way."""
    health_interval_s: float = Field(default=60.0, ge=5, le=600)
    """Seconds between two looks at every agent."""
    healing_interval_s: float = Field(default=300.0, ge=5, le=3600)
    """Seconds between two rounds of healing; a critical alert is not left until then."""
