"""Who hears of what, as people write it."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.core.events import Severity
from roboinvest.runtime.configuration.secrets import load_secrets
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.notice import Worth
from roboinvest.runtime.notifications.opening import notice_rules, open_channels
from tests.fakes.notices import notice

TOKEN = "hunter2secret"  # noqa: S105 of no channel


def test_what_is_written_becomes_rules() -> None:
    environ = {
        "ROBOINVEST_NOTIFY__CHANNELS": "phone, mail",
        "ROBOINVEST_NOTIFY__KINDS__DATA": "digest",
        "ROBOINVEST_NOTIFY__ONLY__MAIL__DATA": "off",
        "ROBOINVEST_NOTIFY__QUIET_HOURS": "22:00-07:30",
        "ROBOINVEST_NOTIFY__ZONE": "Europe/Berlin",
    }
    settings = load_settings(None, environ, {})
    rules = notice_rules(settings)
    assert settings.notify.variables() == ("NOTIFY_PHONE_URL", "NOTIFY_MAIL_URL")
    assert rules.quiet == (time(22), time(7, 30))
    assert rules.zone.key == "Europe/Berlin"
    high, critical = notice(kind="data"), notice(kind="data", severity=Severity.CRITICAL)
    assert rules.worth(high, "phone") is Worth.DIGEST
    assert rules.worth(critical, "phone") is Worth.ON  # never left for the evening
    assert rules.worth(critical, "mail") is Worth.OFF


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("notify.channels", ["Phone"]),
        ("notify.channels", ["a", "a"]),
        ("notify.channels", [f"c{n}" for n in range(9)]),
        ("notify.kinds", {"weather": "on"}),
        ("notify.kinds", {"data": "maybe"}),
        ("notify.only", {"nobody": {}}),
        ("notify.at_least", "huge"),
        ("notify.quiet_hours", "22-7"),
        ("notify.quiet_hours", "24:00-07:00"),
        ("notify.quiet_hours", "07:00-07:00"),
        ("notify.digest_at", "25:00"),
        ("notify.zone", "Mars/Olympus"),
        ("notify.zone", "../../etc/passwd"),
        ("notify.deadline_s", 51),
        ("notify.repeat_min", -1),
        ("notify.heartbeat_s", 1),
        ("metrics.port", 0),
        ("metrics.port", 65_536),
    ],
)
def test_a_mistake_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(BadSettings, match=key):
        load_settings(None, {}, {key: value})


def test_addresses_are_shown_nowhere() -> None:
    environ = {
        "ROBOINVEST_NOTIFY__CHANNELS": "phone",
        "ROBOINVEST_NOTIFY__HEARTBEAT_URL": f"https://watcher.example/{TOKEN}",
        "NOTIFY_PHONE_URL": f"json://host/{TOKEN}",
    }
    settings = load_settings(None, environ, {})
    secrets = load_secrets(environ, settings.notify.variables())
    (channel,) = open_channels(settings, secrets, in_flight=InFlight(), monotonic=float)
    shown = f"{settings!r} {settings.model_dump()} {settings.model_dump_json()} {secrets!r}"
    assert TOKEN not in f"{shown} {channel.shown} {channel!r}"
    assert any(TOKEN in text for text in secrets.texts())
    assert any(TOKEN in text for text in settings.notify.secret_texts())
