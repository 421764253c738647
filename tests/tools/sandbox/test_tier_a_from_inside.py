"""A look round from inside tier A, with the job's own layers off, so that only the box is seen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from tests.fakes.sandboxes import Trap, lacking, needs, trap
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Transform
from tools.sandbox.launch import wrapped_command
from tools.sandbox.tier import Tier
from tools.sandbox.worker import JobRunner

NONE = Layers(landlock=False, seccomp=False, rlimits=False)
LENGTH = 2_000
SPELL = f"""
def transform(columns):
    raw = repr(look()).encode()[:{LENGTH}]
    return list(raw) + [0.0] * ({LENGTH} - len(raw))
"""


@pytest.fixture(scope="module")
def bare() -> Iterator[JobRunner]:
    needs(Tier.A)
    with lacking(NONE, Tier.A) as made:
        yield made


@pytest.fixture(scope="module")
def set_trap() -> Iterator[Trap]:
    with trap() as made:
        yield made


def seen(runner: JobRunner, body: str) -> object:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    code = f"import os, socket, ctypes\ndef look():\n{lines}{SPELL}"
    outcome = runner.run(Transform(code=code, columns={}, length=LENGTH))
    assert outcome.signals is not None, outcome.detail
    text = outcome.signals.astype(np.uint8).tobytes().rstrip(b"\0").decode()
    return eval(text, {"__builtins__": {}})  # noqa: S307 our own look, spelled


def test_the_root_holds_the_box_and_the_c_library(bare: JobRunner) -> None:
    root = seen(bare, "return sorted(os.listdir('/'))")
    assert isinstance(root, list)
    assert set(root) <= {"box", "lib", "lib64", "usr"}
    assert seen(bare, "return sorted(os.listdir('/usr'))") == ["lib"]
    assert seen(bare, "return sorted(os.listdir('/box'))") == ["bin", "lib", "site"]
    site = seen(bare, "return sorted(os.listdir('/box/site'))")
    assert isinstance(site, list)
    assert {"numpy", "tools"} <= set(site)
    assert seen(bare, "return sorted(os.listdir('/box/site/tools'))") == ["__init__.py", "sandbox"]


def test_there_is_no_proc_no_home_and_no_secret(bare: JobRunner, set_trap: Trap) -> None:
    places = ["/proc", "/sys", "/dev", "/etc", "/home", "/root", "/tmp", "/run", "/var"]  # noqa: S108
    body = f"return [each for each in {[*places, str(set_trap.folder)]!r} if os.path.exists(each)]"
    assert seen(bare, body) == []


def test_nothing_can_be_written(bare: JobRunner) -> None:
    body = """
made = []
for folder in ('/', '/box', '/box/site', '/usr/lib', '/lib'):
    try:
        open(folder + '/marker', 'w').close()
        made.append(folder)
    except OSError:
        pass
return made
"""
    assert seen(bare, body) == []


def test_there_is_no_process_but_the_boxes_own(bare: JobRunner, set_trap: Trap) -> None:
    body = """
alive = []
for pid in range(1, 2000):
    try:
        os.kill(pid, 0)
        alive.append(pid)
    except ProcessLookupError:
        pass
    except PermissionError:
        alive.append(pid)
return len(alive)
"""
    assert seen(bare, body) in (2, 3)  # bubblewrap's process 1, the zygote and the job
    reach = f"try:\n    os.kill({set_trap.decoy.pid}, 9)\nexcept OSError:\n    return 'gone'"
    assert seen(bare, reach) == "gone"
    assert set_trap.decoy.poll() is None


def test_there_is_no_network_but_an_empty_one(bare: JobRunner, set_trap: Trap) -> None:
    assert seen(bare, "return [name for _, name in socket.if_nameindex()]") in ([], ["lo"])
    port = set_trap.tcp.getsockname()[1]
    body = f"return socket.socket().connect_ex(('127.0.0.1', {port}))"
    assert seen(bare, body) != 0
    abstract = f"return socket.socket(socket.AF_UNIX).connect_ex('\\0{set_trap.folder.name}')"
    assert seen(bare, abstract) != 0


def test_the_environment_names_nothing_of_the_host(bare: JobRunner, set_trap: Trap) -> None:
    environment = seen(bare, "return dict(os.environ)")
    assert isinstance(environment, dict)
    assert set_trap.secret not in repr(environment)
    assert not {"HOME", "PATH", "USER"} & set(environment)
    assert seen(bare, "return os.uname().nodename") == "box"


def test_it_is_nobody_and_cannot_become_anybody(bare: JobRunner) -> None:
    body = """
try:
    os.setuid(0)
except OSError:
    pass
return os.getuid()
"""
    assert seen(bare, body) == 65534


def test_the_command_mounts_no_host_root_and_no_proc() -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    command = wrapped_command(3, (), Layers())
    sources = [command[at + 1] for at, word in enumerate(command) if word.startswith("--ro-bind")]
    assert "/" not in sources
    assert not {"--proc", "--dev", "--bind", "--share-net", "--as-pid-1"} & set(command)
