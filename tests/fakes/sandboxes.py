"""A trap round a sandbox: secrets to find, files to change, ports to reach, a process to hurt.

Whatever a payload does to any of them is seen here, from outside, and told as a leak.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import pytest

from tests.hostile_code.payload import DONE, LENGTH, Payload
from tools.sandbox.box import Box
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.inside.kernel import Kernel
from tools.sandbox.job import Outcome, Transform
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import why_not
from tools.sandbox.worker import JobRunner

NOBODY: Final = 65534
VARIABLE: Final = "ROBOINVEST_CANARY"
IMPORTS: Final = (  # what payloads attack with must be there, or they would fail for want of it
    *(
        "encodings.idna",
        "fcntl",
        "importlib.util",
        "mmap",
        "multiprocessing.pool",
        "multiprocessing.popen_fork",
    ),
    *("pickle", "resource", "select", "shutil", "signal", "socket", "subprocess", "threading"),
)


@dataclass
class Trap:
    """What stands round the box."""

    folder: Path
    secret: str
    tcp: socket.socket
    udp: socket.socket
    paths: tuple[socket.socket, ...]  # unix sockets, with a path and without
    decoy: subprocess.Popen[bytes]

    @property
    def places(self) -> dict[str, str]:
        """Return what payloads are told."""
        return {
            "folder": str(self.folder),
            "unique": self.folder.name,
            "tcp": str(self.tcp.getsockname()[1]),
            "udp": str(self.udp.getsockname()[1]),
            "decoy": str(self.decoy.pid),
            "library": _library(),
        }

    def honest(self) -> Transform:
        """Return a job that any whole box does, with a secret for the next to look for."""
        code = (
            "import numpy as np\n"
            f"OWN = {self.secret!r}\n"
            "def transform(columns):\n"
            "    return np.cumsum(columns['close']) + len(OWN) * 0\n"
        )
        return Transform(code=code, columns={"close": np.arange(5.0)}, length=5)

    def leaks_of(self, payload: Payload, outcome: Outcome) -> list[str]:
        """Return what a payload came to that it must not, and set the trap anew."""
        found = []
        if outcome.fault not in payload.ends:
            found.append(f"it ended with {outcome.fault} ({outcome.detail})")
        if outcome.signals is None:
            spelled = b""
        else:
            if outcome.signals.shape != (LENGTH,) or not np.isfinite(outcome.signals).all():
                found.append("its signals are out of form")
            spelled = outcome.signals.astype("u1").tobytes()
        if self.secret.encode()[:20] in spelled:
            found.append("it knows the secret")
        if DONE in spelled:
            found.append("the forbidden thing worked")
        found += self._changes()
        found += [f"it reached {name}" for name in self._heard()]
        if not _answers(self.decoy):
            _end(self.decoy)
            found.append("it killed another process")
            self.decoy = _decoy(self.secret)
        return found

    def set_up(self) -> None:
        """Lay out the files anew."""
        for each in self.folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each.name != "socket":
                each.unlink()
        (self.folder / "home").mkdir()
        for name in ("canary.txt", "home/.env"):
            (self.folder / name).write_text(self.secret)
        (self.folder / "evil.py").write_text(f"SECRET = {self.secret.encode()!r}\n")
        (self.folder / "owned.txt").write_text("owned")
        (self.folder / "link").symlink_to("canary.txt")
        if os.getuid() == 0:
            os.chown(self.folder / "owned.txt", NOBODY, NOBODY)

    def _changes(self) -> list[str]:
        files = {str(each.relative_to(self.folder)) for each in self.folder.rglob("*")}
        known = {"canary.txt", "home", "home/.env", "evil.py", "owned.txt", "link", "socket"}
        found = [f"it left {name}" for name in sorted(files - known)[:3]]
        found += [f"it took {name}" for name in sorted(known - files)]
        owned = self.folder / "owned.txt"
        if owned.exists():
            state = owned.stat()
            if owned.read_text() != "owned" or state.st_mtime < 2 or state.st_mode & 0o111:
                found.append("it changed a file")
        shared = Path("/dev/shm", self.folder.name)  # noqa: S108 where payloads try to write
        if shared.exists():
            shared.unlink()
            found.append("it left a file in memory")
        if found:
            self.set_up()
        return found

    def _heard(self) -> list[str]:
        names = {self.tcp: "a port", self.udp: "a datagram port"}
        everything = [self.tcp, self.udp, *self.paths]
        ready, _, _ = select.select(everything, [], [], 0)
        for each in ready:
            if each is self.udp:
                each.recv(64)
            else:
                each.accept()[0].close()
        return [names.get(each, "a unix socket") for each in ready]


@contextmanager
def trap() -> Iterator[Trap]:
    """Set a trap up, with a secret in this process's environment, and take it down."""
    secret = f"secret-{os.urandom(12).hex()}"
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="trap-"))
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o777)
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = secret
        stack.callback(_restore, before)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        paths = []
        for address in (str(folder / "socket"), f"\0{folder.name}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
            paths.append(listener)
        (folder / "socket").chmod(0o777)
        made = Trap(folder, secret, tcp, udp, tuple(paths), _decoy(secret))
        stack.callback(lambda: _end(made.decoy))
        made.set_up()
        yield made


def needs(tier: Tier) -> None:
    """Skip where the machine cannot have this tier; fail where it could and it is not there."""
    why = why_not(tier)
    if why is None:
        return
    if tier is Tier.A:
        wrap = shutil.which("bwrap")
        if wrap is None:
            pytest.skip(f"tier A is not here: {why}")
        plain = [wrap, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"]
        if subprocess.run(plain, capture_output=True, check=False).returncode != 0:
            pytest.skip(f"this machine gives bubblewrap no namespaces: {why}")
    if tier is Tier.B:
        try:
            Kernel().landlock_version()
        except OSError as error:
            pytest.skip(f"tier B is not here: {error}")
    pytest.fail(f"tier {tier} should hold here: {why}")


def lacking(layers: Layers, tier: Tier = Tier.B) -> JobRunner:
    """Return a worker whose box lacks layers, as no production code can make it."""
    return JobRunner(Box(tier, IMPORTS, -1, layers))


def below(worker: JobRunner) -> int:
    """Return how many processes a worker has."""
    if worker.pid is None:
        return 0
    with suppress(psutil.NoSuchProcess):
        return len(psutil.Process(worker.pid).children(recursive=True)) + 1
    return 0


def _decoy(secret: str) -> subprocess.Popen[bytes]:
    """Start a process that jobs may signal, as far as users go, and that repeats what it reads."""
    user = NOBODY if os.getuid() == 0 else None
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["/bin/cat"],
        env={VARIABLE: secret},
        user=user,
        group=user,
        stdin=pipe,
        stdout=pipe,
        bufsize=0,
    )


def _answers(decoy: subprocess.Popen[bytes]) -> bool:
    """Ask the decoy: one that was sent a deadly signal never answers, however late it is reaped."""
    assert decoy.stdin is not None
    assert decoy.stdout is not None
    try:
        decoy.stdin.write(b".")
    except BrokenPipeError:
        return False
    return decoy.stdout.read(1) == b"."


def _restore(value: str | None) -> None:
    if value is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = value


def _end(decoy: subprocess.Popen[bytes]) -> None:
    decoy.kill()
    decoy.communicate()


def _library() -> str:
    """Return a library that is not loaded yet."""
    folders = [Path("/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path(sys.base_prefix) / "lib"]
    for folder in folders:
        for each in sorted(folder.glob("libnss_*.so*")) + sorted(folder.glob("libresolv.so*")):
            return str(each)
    return "/lib/libc.so"
