"""A frontend that reads the report files all the time never finds a broken or a false one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.fakes.processes import Daemon, roboinvest, strict_json
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(180)]

SIMULATED = ("run", "--speed", 600, "--seed", 7)
OFTEN = {"ROBOINVEST_REPORTS__INTERVAL_S": "0.05"}
READ_FOR_S = 15.0
LEAST_READS = 2_000
LEAST_VERSIONS = 30  # of system_status.json, seen in that time


class Frontend:
    """Reads every report there is and holds it to its schema."""

    def __init__(self, reports: Path, schemas: Mapping[str, Any]) -> None:
        self._validators = {
            reports / f"{name}.json": jsonschema.Draft202012Validator(
                schema, format_checker=jsonschema.FormatChecker()
            )
            for name, schema in schemas.items()
        }
        self._latest: dict[Path, Mapping[str, Any]] = {}
        self.reads = 0
        self.versions: Counter[str] = Counter()

    def look(self) -> None:
        """Read each file once."""
        for path, validator in self._validators.items():
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                assert path not in self._latest, f"{path.name} was there before"
                continue
            report = strict_json(text)
            validator.validate(report)
            self._compare(path, report)
            self.reads += 1

    def _compare(self, path: Path, report: Mapping[str, Any]) -> None:
        """Hold a version to the one before: sequence and time never run backwards."""
        before = self._latest.get(path)
        if "sequence" not in report:  # what looks back is written once an hour, or once a day
            self._latest[path] = report
            return
        if before is None or before["sequence"] != report["sequence"]:
            self.versions[path.stem] += 1
        else:
            assert before == report, f"{path.name} changed and kept its sequence"
        if before is not None:
            assert report["sequence"] >= before["sequence"], path.name
            times = [datetime.fromisoformat(each["generated_at"]) for each in (before, report)]
            assert times == sorted(times), path.name
        self._latest[path] = report


def test_every_report_is_whole_and_valid_whenever_it_is_read(tmp_path: Path) -> None:
    schemas = roboinvest("schema", cwd=tmp_path).value()
    data = tmp_path / "data"
    frontend = Frontend(data / "reports", schemas)
    for life in ("first", "after kill -9"):
        with Daemon(data, *SIMULATED, cwd=tmp_path, env=OFTEN) as daemon:
            daemon.until(lambda: daemon.report("system_status"), "the first report")
            deadline = time.monotonic() + READ_FOR_S / 2
            while time.monotonic() < deadline:
                frontend.look()
            daemon.kill()
            frontend.look()
        print(f"{life}: {frontend.reads} reads, versions {dict(frontend.versions)}")
    assert frontend.reads > LEAST_READS
    assert frontend.versions["system_status"] > LEAST_VERSIONS


def test_a_figure_that_is_shown_was_committed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stored, seen = StoredRun(data), dict[str, Mapping[str, Any]]()
    with Daemon(data, *SIMULATED, cwd=tmp_path, env=OFTEN) as daemon:
        daemon.until_ready()

        def enough() -> bool:
            status = daemon.report("system_status") or {}
            if tick := status.get("last_tick"):
                seen[tick["tick_id"]] = tick
            return len(seen) >= 20

        daemon.until(enough, "twenty ticks in the status")
        daemon.kill()
    rows = stored.rows("SELECT tick_id, digest, orders, fills FROM ticks")
    committed = {tick_id: rest for tick_id, *rest in rows}
    for tick_id, tick in seen.items():
        assert [tick["digest"], tick["orders"], tick["fills"]] == committed[tick_id]
