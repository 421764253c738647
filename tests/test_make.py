"""What `make` and continuous integration promise.

The Makefile runs for real, on a stand-in for Python that notes how it is called and lays itself
into .venv when it is asked to; nothing is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")


INTERPRETER = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
    "-V") echo "Python $VERSION" ;;
    "-c "*) "$REAL" -c "import sys; sys.version_info = tuple(map(int, '$VERSION'.split('.')))
$2" ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m roboinvest run"*) exec "$REAL" daemon.py ;;
esac
"""
DAEMON = """
import signal
stops = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, stops)
print("ready", flush=True)
first = signal.sigtimedwait(stops, 20)
second = signal.sigtimedwait(stops, 0.3)
print("stopped", first is not None, second is None, flush=True)
"""


class Workshop:
    """A copy of the Makefile and the locks, beside an interpreter that installs nothing."""

    def __init__(self, folder: Path, version: str = "3.11.7") -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        for name in ("Makefile", "pyproject.toml", *LOCKS):
            (folder / name).write_text(
                (REPOSITORY / name).read_text(encoding="utf-8"), encoding="utf-8"
            )
        (folder / "daemon.py").write_text(DAEMON, encoding="utf-8")
        interpreter = folder / "python"
        interpreter.write_text(INTERPRETER, encoding="utf-8")
        interpreter.chmod(0o755)
        here = {"PYTHON": str(interpreter), "CALLS": str(self.calls_file)}
        self.environ = {**os.environ, **here, "VERSION": version, "REAL": sys.executable}
        for inherited in ("MAKEFLAGS", "MAKELEVEL", "ARGS"):
            self.environ.pop(inherited, None)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, *arguments: str) -> tuple[int, str, str]:
        made = self.start(*arguments)
        out, err = made.communicate(timeout=60)
        return made.returncode, out, err

    def calls(self) -> list[str]:
        """Return how the interpreter was called since the last look."""
        calls = self.calls_file.read_text(encoding="utf-8").splitlines()
        self.calls_file.write_text("", encoding="utf-8")
        return calls


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def installed(calls: list[str]) -> list[str]:
    return [call.split()[-1] for call in calls if " install " in call]


def test_a_second_setup_installs_nothing_and_a_changed_lock_installs_again(
    workshop: Workshop,
) -> None:
    assert workshop.make("setup")[0] == 0
    calls = workshop.calls()
    assert installed(calls) == ["requirements.lock", ".", "requirements-dev.lock"]
    assert all("--require-hashes" in call for call in calls if ".lock" in call)

    assert workshop.make("setup") == (0, "", "")
    assert workshop.calls() == []

    later = (workshop.folder / ".venv" / "dev.stamp").stat().st_mtime + 5
    os.utime(workshop.folder / "requirements-dev.lock", (later, later))
    assert workshop.make("setup")[0] == 0
    assert installed(workshop.calls()) == ["requirements-dev.lock"]


def test_a_failed_installation_is_tried_again(workshop: Workshop) -> None:
    script = workshop.folder / "python"
    works = script.read_text(encoding="utf-8")
    script.write_text(works + 'case "$*" in *requirements.lock) exit 1 ;; esac\n', encoding="utf-8")
    assert workshop.make("setup")[0] != 0
    (workshop.folder / ".venv" / "bin" / "python").write_text(works, encoding="utf-8")
    workshop.calls()
    assert workshop.make("setup")[0] == 0
    assert installed(workshop.calls()) == ["requirements.lock", ".", "requirements-dev.lock"]


def test_run_installs_the_runtime_alone_and_passes_arguments_on(workshop: Workshop) -> None:
    made = workshop.start("run", "ARGS=--seed 7 --replay 'my bars'")
    assert made.stdout is not None
    assert [made.stdout.readline() for _ in range(2)][-1] == "ready\n"
    os.killpg(made.pid, signal.SIGINT)
    made.communicate(timeout=60)
    calls = workshop.calls()
    assert installed(calls) == ["requirements.lock", "."]
    assert calls[-1] == "-m roboinvest run --seed 7 --replay my bars"


def to_the_group(made: subprocess.Popen[str]) -> None:
    os.killpg(made.pid, signal.SIGINT)  # what a terminal does


def to_make_alone(made: subprocess.Popen[str]) -> None:
    made.terminate()


@pytest.mark.parametrize("stop", [to_the_group, to_make_alone])
def test_a_stop_reaches_the_daemon_once_and_make_waits_for_it(
    workshop: Workshop, stop: Callable[[subprocess.Popen[str]], None]
) -> None:
    workshop.make("setup")
    made = workshop.start("run")
    assert made.stdout is not None
    assert made.stdout.readline() == "ready\n"
    stop(made)
    assert made.wait(timeout=60) != 0  # make itself reports that it was interrupted
    assert made.stdout.read() == "stopped True True\n"
    made.communicate()


def test_an_old_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    code, out, err = Workshop(tmp_path, version="3.9.2").make("setup")
    assert code != 0
    assert out == ""
    sentence = err.splitlines()[0]
    assert "needs Python 3.11 or later" in sentence
    assert "is Python 3.9.2; name one with make PYTHON=" in sentence


def test_make_test_runs_lone_tests_apart_and_leaves_campaigns_out(workshop: Workshop) -> None:
    workshop.make("setup")
    workshop.calls()
    assert workshop.make("test", "ARGS=tests/core")[0] == 0
    assert workshop.calls() == [
        "-m pytest -q -n 2 -m not campaign and not soak and not alone tests/core",
        "-m pytest -q -m alone and not campaign and not soak tests/core",
    ]


def test_make_campaign_runs_what_is_watched_by_the_clock_apart(workshop: Workshop) -> None:
    workshop.make("setup")
    workshop.calls()
    assert workshop.make("campaign", "ARGS=tests/core")[0] == 0
    assert workshop.calls() == [
        "-m pytest -q -n 2 --dist loadfile -m campaign and not alone tests/core",
        "-m pytest -q -m campaign and alone tests/core",
    ]


def test_continuous_integration_runs_the_tests_then_the_campaign() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
    assert script.splitlines()[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script
    commands = [line.strip() for line in script.splitlines()]
    assert commands.index("apt-get update -qq") < commands.index("make test")
    assert commands[-2:] == ["make test", "make campaign"]
