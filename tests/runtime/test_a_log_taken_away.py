"""A log whose file is taken away, or torn by a full disk, goes on with the next line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.telemetry import LOG_NAME, Telemetry


def file_record(event: str) -> logging.LogRecord:
    """Return a line as the log's thread gets it."""
    return logging.makeLogRecord({"msg": {"event": event}})


@pytest.mark.parametrize("taken", ["renamed", "removed", "replaced"])
def test_a_file_that_was_taken_away_is_begun_anew_with_the_next_line(
    tmp_path: Path, taken: str
) -> None:
    path = tmp_path / LOG_NAME
    telemetry = Telemetry(tmp_path, clock=SystemClock())
    file = telemetry._file
    record = file_record("before")
    file.handle(record)
    if taken == "renamed":
        path.rename(tmp_path / "taken")
    else:
        path.unlink()
    if taken == "replaced":
        path.write_text("")
    file.handle(file_record("after"))
    file.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["after"]


def test_half_a_line_costs_itself_and_not_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / LOG_NAME
    telemetry = Telemetry(tmp_path, clock=SystemClock())
    file = telemetry._file
    path.write_text('{"event": "ha')  # as a full disk leaves it
    file.handleError(file_record("half"))
    file.handle(file_record("whole"))
    file.close()
    lines = path.read_text().splitlines()
    assert lines[0] == '{"event": "ha'
    assert [json.loads(line)["event"] for line in lines[1:]] == ["whole"]
