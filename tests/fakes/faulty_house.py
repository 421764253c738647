"""A daemon in a world that can be spoilt piece by piece, and what is seen of it from outside.

Its model and the channel to people are on loopback; where the machine permits it, its
data folder is a disk of its own, small enough to be filled. Everything that is read here lies on
that disk: the board as it was kept, ticks, the Overseer's attempts and its last look.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from tests.fakes.language_models.said import Answer, Asked, Script
from tests.fakes.language_models.scripts import saying
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.language_models.traders import house_model
from tests.fakes.listeners import Listener
from tests.fakes.llm_days import KEY, MODEL, RATES, model_settings
from tests.fakes.outsiders import Outsider
from tests.fakes.processes import Daemon, Ended, roboinvest
from tests.fakes.stored_runs import StoredRun

HEALTH_S: Final = 5.0  # between two looks: the least that the settings take
DISK_MB: Final = 96
SETTINGS: Final = {
    "ROBOINVEST_OVERSEER__HEALTH_INTERVAL_S": str(HEALTH_S),
    "ROBOINVEST_OVERSEER__HEALING_INTERVAL_S": "5",
    "ROBOINVEST_GOVERNANCE__SWEEP_INTERVAL_S": "5",
    "ROBOINVEST_GOVERNANCE__AUDIT_INTERVAL_S": "10",
    "ROBOINVEST_REPORTS__INTERVAL_S": "0.5",
    "ROBOINVEST_MEMORY__CHROMA": "on",
    "ROBOINVEST_LLM__DEADLINE_S": "1",
    "ROBOINVEST_NOTIFY__CHANNELS": "phone",
}


_ITEM: Final = re.compile(r"^Item (\S+), published at ", re.MULTILINE)


class FaultyHouse:
    """The daemon with its world; use it with `with`."""

    def __init__(self, place: Path, *, seed: int) -> None:
        """Take an empty folder."""
        self.place, self.data = place, place / "disk" / "data"
        self._typed = ("run", "--speed", 60, "--seed", seed)  # a tick each second
        self.model = LanguageModelServer(script=good_model(), rates={MODEL: RATES}, key=KEY)
        self.phone = Listener()
        self.is_small = False  # the data folder is a disk of its own
        self.lags: Mapping[str, Any] = {}  # the status that could be read last
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.data.parent.mkdir(parents=True)
            self.is_small = _mounted(self.data.parent)
            if self.is_small:
                stack.callback(_unmount, self.data.parent)
            for each in (self.model, self.phone):
                stack.enter_context(each)
            self.daemon = Daemon(self.data, *self._typed, cwd=self.place, env=self.env)
            stack.enter_context(self.daemon)
            self.daemon.until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def env(self) -> Mapping[str, str]:
        """Return the environment of the daemon."""
        model = model_settings(self.model.url).items()
        names = {f"ROBOINVEST_{key.replace('.', '__').upper()}": str(v) for key, v in model}
        url = f"json://{self.phone.address}/"
        return {**names, "OPENAI_API_KEY": KEY, "NOTIFY_PHONE_URL": url, **SETTINGS}

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return the board as it was kept last, by key."""
        found = StoredRun(self.data).rows("SELECT text FROM documents WHERE name = 'alerts'")
        return {each["key"]: each for (text,) in found for each in json.loads(text)["alerts"]}

    def open_alerts(self) -> dict[str, dict[str, Any]]:
        """Return those that are open."""
        return {key: each for key, each in self.alerts().items() if each["resolved_at"] is None}

    def ticks(self) -> int:
        """Return how many are committed."""
        return StoredRun(self.data).tick_count()

    def attempts(self) -> list[dict[str, Any]]:
        """Return what healing wrote down, oldest first."""
        names = "attempt_id, agent, cause, rung, action_end, verdict, metric_before, metric_after"
        rows = Outsider(self.data / "overseer.db").rows(
            f"SELECT {names} FROM heal_attempts ORDER BY at"  # noqa: S608 columns
        )
        return [dict(zip(names.split(", "), row, strict=True)) for row in rows]

    def health(self) -> Mapping[str, Any]:
        """Return the last look, as the report has it; empty: there is none to be read."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.data / "reports/health.json").read_bytes())
            return found
        return {}

    def attempted(self) -> list[dict[str, Any]]:
        """Return the same; none while the file is spoilt."""
        with suppress(sqlite3.DatabaseError):
            return self.attempts()
        return []

    def said(self, event: str) -> bool:
        """Return whether the log has an event; a line that a full disk cut is passed over."""
        text = (self.data / "logs" / "roboinvest.jsonl").read_text(errors="replace")
        return f'"event": "{event}"' in text

    def heard(self, pattern: str, after: int) -> bool:
        """Return whether a message to people said so, among those after the first `after`."""
        requests = self.phone.requests[after:]
        return any(re.search(pattern, each.body.decode()) for each in requests)

    def asked(self, *command: object) -> Ended:
        """Run a command about this folder to its end."""
        return roboinvest(*command, "--data-dir", self.data, cwd=self.place)

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float) -> float:
        """Wait for a condition while the daemon lives; return for how many seconds."""
        began = time.monotonic()
        self.daemon.until(condition, what, timeout_s)
        return time.monotonic() - began

    def process(self) -> psutil.Process:
        """Return the daemon's process."""
        return psutil.Process(self.daemon.pid)

    def child(self) -> psutil.Process:
        """Return the Chroma child, once there is one."""
        return self.daemon.until(self.daemon.chroma, "Chroma runs")


def good_model() -> Script:
    """Return a script for every task; each item of news is read as one that says nothing."""
    other = house_model()

    def script(asked: Asked) -> Answer:
        shown = _ITEM.search(asked.prompt)
        if shown is None:
            return other(asked)
        form = {"symbols": [], "event": "other", "sentiment": 0.0, "confidence": 0.0, "quote": ""}
        return saying(json.dumps({"item": shown[1], **form}))(asked)

    return script


def _mounted(folder: Path) -> bool:
    """Return whether a folder became a small disk of its own."""
    command = ("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder))
    try:
        return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(folder: Path) -> None:
    subprocess.run(("umount", "-l", str(folder)), check=True)
