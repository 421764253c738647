"""The sections about people and watchers: who hears of what, when, and where figures are read.

The URL of a channel carries its password, so it is no setting: it comes from the environment, under
a name that follows from the channel's. The address of the heartbeat often carries a token; it is
held so that nothing shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from roboinvest.core.events import Severity
from roboinvest.runtime.configuration.sections import Seconds, Section, split

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def _clock_time(text: str) -> str:
    time.fromisoformat(text)
    return text


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # no file of the zone database, or no name of one
        raise ValueError(f"{name!r} is no time zone; write one such as America/New_York") from None
    return name


ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")]
Worth = Literal["on", "digest", "off"]
KindName = Literal[
    "agent",
    "performance",
    "system",
    "budget",
    "data",
    "broker",
    "security",
    "risk",
    "approval",
    "governance",
    "report",
]
Kinds = Mapping[KindName, Worth]


class NotifySettings(Section):
    """How people hear of what happens."""

    channels: Annotated[tuple[ChannelName, ...], BeforeValidator(split)] = Field(
        default=(), max_length=8
    )
    """Names; the URL of "phone" is in NOTIFY_PHONE_URL, or in the file NOTIFY_PHONE_URL_FILE."""
    kinds: Kinds = Field(default_factory=dict)
    """What each kind of news is worth; one that is not named is on."""
    only: Mapping[ChannelName, Kinds] = Field(default_factory=dict)
    """The same for one channel alone; it goes before `kinds`."""
    at_least: Severity = Severity.MEDIUM
    """What is less than this waits for the digest."""
    quiet_hours: str | None = None
    """Hours in which only criticals are sent, as 22:00-07:00; None: none."""
    digest_at: Annotated[
        str, StringConstraints(pattern=r"^\d\d:\d\d$"), AfterValidator(_clock_time)
    ] = "18:00"
    """Time at which the digest is sent."""
    zone: Annotated[str, AfterValidator(_known_zone)] = "America/New_York"
    """Time zone of both."""
    repeat_min: float = Field(default=15, ge=0, le=1440)
    """Minutes within which the same news of one cause is sent once, with a count."""
    deadline_s: Seconds = Field(default=10.0, le=50)
    """Seconds that one message may take."""
    heartbeat_url: SecretStr | None = None
    """Address that is called while the daemon lives and is READY; None: none."""
    heartbeat_s: float = Field(default=60.0, ge=5, le=86_400)
    """Seconds between two calls of it."""

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, text: str | None) -> str | None:
        found = _HOURS.fullmatch(text) if text is not None else None
        if text is not None and (found is None or found.group(1, 2) == found.group(3, 4)):
            raise ValueError(f"{text!r} is not two different times such as 22:00-07:00; correct it")
        return text

    @model_validator(mode="after")
    def _known_channels(self) -> Self:
        strangers = [name for name in self.only if name not in self.channels]
        if strangers:
            raise ValueError(f"only names {strangers[0]}, which is not in channels; add it there")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("channels names one of them twice; leave one out")
        return self

    def variables(self) -> tuple[str, ...]:
        """Return the environment variables that hold the URLs of channels."""
        return tuple(variable_of(name) for name in self.channels)

    def secret_texts(self) -> tuple[str, ...]:
        """Return what must never be logged."""
        return () if self.heartbeat_url is None else (self.heartbeat_url.get_secret_value(),)

    def quiet(self) -> tuple[time, time] | None:
        """Return the beginning and the end of the quiet hours."""
        if self.quiet_hours is None:
            return None
        first, _, last = self.quiet_hours.partition("-")
        return time.fromisoformat(first), time.fromisoformat(last)


class MetricsSettings(Section):
    """Figures for Prometheus, on loopback."""

    port: int | None = Field(default=None, ge=1, le=65_535)
    """TCP port of http://127.0.0.1:PORT/metrics; None: none."""


def variable_of(channel: str) -> str:
    """Return the environment variable that holds the URL of a channel."""
    return f"NOTIFY_{channel.upper()}_URL"
