"""Where no box holds, generated code stays off, the daemon trades on, and the doctor says why."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.denied_program import DeniedDaemon
from tests.fakes.processes import Daemon, environment, roboinvest

SIMULATED = ("run", "--speed", 600, "--seed", 7)
WITHOUT_RECALL = {"ROBOINVEST_MEMORY__CHROMA": "off"}  # its server is confined by other means
TICKS_MEANWHILE = 10


def sandbox_of(daemon: Daemon) -> Mapping[str, Any]:
    """Wait until the box was tried; return what the status says of it."""

    def found() -> Mapping[str, Any] | None:
        line = (daemon.report("system_status") or {}).get("governance") or {}
        return line.get("sandbox")

    return daemon.until(found, "the box was tried")


def open_alerts(daemon: Daemon) -> dict[str, str]:
    alerts = (daemon.report("alerts") or {}).get("alerts", ())
    return {each["key"]: each["message"] for each in alerts if each["resolved_at"] is None}


def doctor(denied: str, data: Path) -> Mapping[str, str]:
    """Return what the doctor says of the sandbox on a machine that refuses something."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fakes.denied_program", denied, "roboinvest", "doctor",
         "--json", "--data-dir", str(data)],
        env=environment(), cwd=data.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    checks = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    found: Mapping[str, str] = checks["sandbox"]
    return found


@pytest.mark.campaign
@pytest.mark.parametrize("denied", ["landlock", "seccomp"])
def test_with_landlock_or_seccomp_denied_code_agents_are_off_and_the_daemon_trades_on(
    tmp_path: Path, denied: str
) -> None:
    data = tmp_path / "data"
    with DeniedDaemon(denied, data, *SIMULATED, cwd=tmp_path, env=WITHOUT_RECALL) as daemon:
        daemon.until_ready()
        box = sandbox_of(daemon)
        assert box["tier"] in ("C", "D")
        assert box["code_agents"] is False
        daemon.until_tick(daemon.until_tick(1) + TICKS_MEANWHILE)
        alert = daemon.until(lambda: open_alerts(daemon).get("sandbox.off"), "the alert")
        assert alert.startswith("code agents are off")
        assert alert.endswith("see roboinvest doctor")
        status = daemon.report("system_status") or {}
        assert status["trading_state"] == "READY"
        assert {line["state"] for line in status["services"]} == {"running"}
        words = roboinvest("status", "--data-dir", data, cwd=tmp_path)
        assert f"off, sandbox tier {box['tier']}" in words.out
        said = doctor(denied, data)
    assert said["grade"] == "warn"
    assert said["fact"] == f"tier {box['tier']}: {box['reason']}"
    assert "\n" not in said["fact"]
    assert denied in said["fact"].lower()
    assert "trading goes on; generated code stays off" in said["mend"]


def test_the_doctor_names_bubblewrap_where_it_is_missing(tmp_path: Path) -> None:
    paths = tmp_path / "bin"
    paths.mkdir()
    for name in ("python3", "sh"):
        (paths / name).symlink_to(shutil.which(name) or sys.executable)
    ended = roboinvest(
        "doctor", "--json", "--data-dir", tmp_path / "data", cwd=tmp_path, env={"PATH": str(paths)}
    )
    checks = {check["name"]: check for check in ended.value()["checks"]}
    assert "install the package bubblewrap" in checks["sandbox"]["mend"]
