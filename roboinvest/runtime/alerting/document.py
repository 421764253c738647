"""The board as one JSON text: written in pieces, read with patience.

Alerts that did not change keep their text, and the loop gets its turn between the others, so that
a full board holds up nobody. A row that cannot be read costs that row, and not the start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from roboinvest.runtime.alerting.storms import Spilled
from roboinvest.runtime.alerting.values import Alert, alert_json, alert_of

_AT_A_TIME: Final = 100  # alerts written as text before others get their turn


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBoard:
    """What a run before left."""

    alerts: tuple[Alert, ...]
    digests: tuple[str, ...]  # of causes without room
    unnamed: int


class BoardDocument:
    """Texts of alerts, until they change."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def changed(self, key: str) -> None:
        """Write this alert anew next time."""
        self._texts.pop(key, None)

    async def text(self, alerts: Mapping[str, Alert], spilled: Spilled) -> str:
        """Return the whole as text."""
        for number, alert in enumerate(tuple(alerts.values())):
            if alert.key not in self._texts:
                self._texts[alert.key] = alert_json(alert)
            if number % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
        rows = ",".join(self._texts.get(key) or alert_json(one) for key, one in alerts.items())
        digests = json.dumps(spilled.digests())
        return f'{{"alerts":[{rows}],"spilled":{digests},"unnamed":{spilled.unnamed}}}'


def read_board(text: str | None) -> StoredBoard:
    """Return what a document holds; what cannot be read is left out and logged."""
    try:
        tree = json.loads(text) if text else []
        if isinstance(tree, list):  # of an older version
            tree = {"alerts": tree, "spilled": [], "unnamed": 0}
        rows, digests = list(tree["alerts"]), tuple(map(str, tree["spilled"]))
        unnamed = int(tree["unnamed"])
    except (ValueError, TypeError, KeyError) as error:
        structlog.get_logger("roboinvest.alerts").warning("alerts_unreadable", error=repr(error))
        return StoredBoard(alerts=(), digests=(), unnamed=0)
    found: list[Alert] = []
    for row in rows:
        try:
            found.append(alert_of(row))
        except (ValueError, TypeError, KeyError) as error:
            log = structlog.get_logger("roboinvest.alerts")
            log.warning("alert_unreadable", error=repr(error))
    return StoredBoard(alerts=tuple(found), digests=digests, unnamed=unnamed)
