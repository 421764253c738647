"""From settings and keys to channels and rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.configuration.notify_sections import variable_of
from roboinvest.runtime.configuration.secrets import Secrets
from roboinvest.runtime.configuration.settings import Settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.channel import AppriseChannel
from roboinvest.runtime.notifications.notice import NoticeRules, Worth


def open_channels(
    settings: Settings,
    secrets: Secrets,
    *,
    in_flight: InFlight,
    monotonic: Callable[[], float],
) -> tuple[AppriseChannel, ...]:
    """Return the channels that settings name, in their order; nothing is sent.

    Raises:
        BadSettings: the URL of one is missing.
    """
    found: list[AppriseChannel] = []
    for name in settings.notify.channels:
        variable = variable_of(name)
        url = secrets.named(variable)
        if url is None:
            raise BadSettings(
                f"notify.channels names {name}, and {variable} is not set; set it, or "
                f"{variable}_FILE, to a URL such as ntfys://HOST/TOPIC, or take {name} out"
            )
        found.append(
            AppriseChannel(
                name,
                url,
                deadline_s=settings.notify.deadline_s,
                in_flight=in_flight,
                monotonic=monotonic,
                loopback_only=settings.testing.loopback_only == "on",
            )
        )
    return tuple(found)


def notice_rules(settings: Settings) -> NoticeRules:
    """Return who hears what, when."""
    notify = settings.notify
    return NoticeRules(
        kinds={kind: Worth(worth) for kind, worth in notify.kinds.items()},
        only={
            channel: {kind: Worth(worth) for kind, worth in kinds.items()}
            for channel, kinds in notify.only.items()
        },
        at_least=notify.at_least,
        quiet=notify.quiet(),
        digest_at=time.fromisoformat(notify.digest_at),
        zone=ZoneInfo(notify.zone),
        repeat=timedelta(minutes=notify.repeat_min),
    )
