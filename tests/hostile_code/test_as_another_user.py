"""The same battery, started by a user who is not root, in a process that never was.

It runs as in a container: the kernel refuses namespaces to that process and all it starts.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.sandboxes import NOBODY, lacking
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Transform
from tools.sandbox.tier import Tier

REPOSITORY = Path(__file__).resolve().parents[2]
BATTERY = (
    "tests/hostile_code/test_battery.py::test_nothing_gets_out_and_the_next_honest_job_is_served[B]"
)


def interpreter_for_all() -> str | None:
    """Return an interpreter of our version in folders that everybody may enter."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = getattr(sys, "_base_executable", sys.executable)
    for each in (own, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if each is not None:
            place = Path(each).resolve()
            if all(folder.stat().st_mode & stat.S_IXOTH for folder in place.parents):
                return str(place)
    return None


def test_jobs_are_nobodys_whoever_starts_them() -> None:
    code = "import os\ndef transform(c): return [float(os.getuid()), float(os.getgid())]"
    with lacking(Layers(seccomp=False), Tier.B) as worker:
        outcome = worker.run(Transform(code=code, columns={}, length=2))
    expected = [NOBODY, NOBODY] if os.getuid() == 0 else [os.getuid(), os.getgid()]
    assert outcome.signals is not None
    assert outcome.signals.tolist() == expected


@pytest.fixture
def interpreter() -> str:
    """Return an interpreter for a user who is not root; skip where such a user has none."""
    if os.getuid() != 0:
        pytest.skip("these tests run as a user already, so the battery itself did")
    found = interpreter_for_all()
    if found is None:
        pytest.skip("the interpreter lies in a folder that only root may enter")
    return found


def as_nobody(interpreter: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module as a user who is not root."""
    return subprocess.run(
        [interpreter, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={"PYTHONPATH": os.pathsep.join(each for each in sys.path if each), "LANG": "C.UTF-8"},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_without_namespaces_a_user_who_is_not_root_gets_tier_b(interpreter: str) -> None:
    done = as_nobody(interpreter, "tests.fakes.sandbox_denials", "namespaces")
    said = json.loads(done.stdout)
    assert said["tier"] == "B", done.stdout + done.stderr
    assert set(said["refused"]) == {"A"}


@pytest.mark.alone
def test_the_battery_holds_without_namespaces_for_a_user_who_is_not_root(interpreter: str) -> None:
    battery = ("pytest", "-q", "-p", "no:cacheprovider", BATTERY)
    done = as_nobody(interpreter, "tests.fakes.denied_program", "namespaces", *battery)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    assert "1 passed" in done.stdout
