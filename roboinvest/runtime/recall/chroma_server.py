"""The Chroma server as a child process on loopback, confined, and dead when the daemon is.

Chroma runs outside the daemon because a torn index can crash its process or fill a disk
(`confined.py` holds the limits). The port is chosen by the kernel and read from the child's own
sockets, so there is no race for a port and no other server can be taken for ours. The child is
started from the loop's thread: the kernel ties its life to the thread that started it.
Deliberately absent: restarts and any judgement of health, which are `recall.py`'s.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import psutil

from roboinvest.core.errors import TryLater
from roboinvest.runtime.recall import confined

ResultT = TypeVar("ResultT")
LOOPBACK: Final = "127.0.0.1"
_POLL_S: Final = 0.02  # s between looks for the port; the child is up after about 0.1 s
_MIB: Final = 1 << 20
_EXITS: Final = {
    confined.FOLDER_IN_USE: "another server still holds the folder",
    confined.ORPHAN: "it was started by a process that is gone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What the child may take."""

    disk_limit_mb: int = 1024  # MiB, the largest file it may write
    memory_limit_mb: int = 4096  # MiB of address space
    log_limit_mb: int = 4  # MiB, then the log starts again
    start_timeout_s: float = 20.0  # s until it listens
    stop_timeout_s: float = 3.0  # s between the request to stop and the kill


class ServerAway(TryLater):
    """The recall server does not run, does not answer, or broke off."""


class Damaged(ServerAway):
    """The index answered with an error, or is not what it should be: it has to be built anew."""


class Server(Protocol):
    """A vector server that can be started on a folder, watched and stopped."""

    async def start(self, folder: Path) -> Address:
        """Serve `folder` and return where.

        Raises:
            ServerAway: it did not come up; nothing of it is left running.
            Damaged: it came up and ended by itself, so the folder is to blame.
        """

    async def wait(self) -> str:
        """Return one phrase about its end once it has ended; at once where none runs."""

    async def stop(self) -> None:
        """End it, by force after a deadline; a server that does not run is no error."""

    def trim_log(self) -> None:
        """Keep its log within its bound."""


class ChromaServer:
    """A supervised `chroma run`."""

    def __init__(self, *, log_path: Path, pool: Executor, limits: ServerLimits) -> None:
        self._log_path = log_path
        self._pool = pool
        self._limits = limits
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Return the child's process id while it runs."""
        if self._child is None or self._child.returncode is not None:
            return None
        return self._child.pid

    async def start(self, folder: Path) -> Address:
        """Start the child on `folder` and return its address once it listens."""
        await self.stop()
        child = self._child = await self._spawn(folder)
        port: int | None = None
        try:
            async with asyncio.timeout(self._limits.start_timeout_s):
                port = await self._listening_port(child)
        except TimeoutError:
            raise ServerAway(
                f"the recall server did not listen within {self._limits.start_timeout_s:g} s; "
                f"see {self._log_path.name}"
            ) from None
        finally:
            if port is None:
                await self.stop()
        return Address(host=LOOPBACK, port=port)

    async def wait(self) -> str:
        """Return how the child ended; the phrase never holds anything it printed."""
        if self._child is None:
            return "it does not run"
        return _how_it_ended(await self._child.wait())

    async def stop(self) -> None:
        """End the child: SIGTERM, then SIGKILL after the deadline."""
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        _send(child.terminate)
        try:
            async with asyncio.timeout(self._limits.stop_timeout_s):
                await child.wait()
        except TimeoutError:
            pass  # it is killed below
        finally:
            if child.returncode is None:
                _send(child.kill)  # also when we are cancelled: no child may stay behind
        await child.wait()

    def trim_log(self) -> None:
        """Empty the log once it passes its bound; the child appends, so it goes on from there."""
        try:
            if self._log_path.stat().st_size > self._limits.log_limit_mb * _MIB:
                os.truncate(self._log_path, 0)
        except FileNotFoundError:
            return

    async def _spawn(self, folder: Path) -> asyncio.subprocess.Process:
        limits = self._limits
        command = (
            *(sys.executable, "-I", confined.__file__),
            *(str(os.getpid()), str(folder.absolute())),
            *(str(limits.disk_limit_mb * _MIB), str(limits.memory_limit_mb * _MIB)),
        )
        try:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            self.trim_log()
            with self._log_path.open("ab") as log:
                return await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(_environment()),
                    start_new_session=True,  # a Ctrl-C at the terminal is the daemon's to handle
                )
        except OSError as error:
            raise ServerAway(f"the recall server could not be started: {error.strerror}") from error

    async def _listening_port(self, child: asyncio.subprocess.Process) -> int:
        while child.returncode is None:
            port = await self._in_thread(lambda: _port_of(child.pid))
            if port is not None:
                return port
            await asyncio.sleep(_POLL_S)
        raise Damaged(
            f"the recall server ended before it listened ({_how_it_ended(child.returncode)}); "
            f"see {self._log_path.name}"
        )

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _environment() -> Mapping[str, str]:
    """Return all the child sees of our environment: no key, no token, no proxy, no home."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "ANONYMIZED_TELEMETRY": "False",
        "RUST_LOG": "error",  # one line a request fills a disk
    }


def _port_of(pid: int) -> int | None:
    """Return the loopback port that process `pid` itself listens on."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return None
    for found in sockets:
        if found.status == psutil.CONN_LISTEN and found.laddr.ip == LOOPBACK:
            return int(found.laddr.port)
    return None


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    return _EXITS.get(code, f"exit code {code}")


def _send(order: Callable[[], None]) -> None:
    try:
        order()
    except ProcessLookupError:
        return  # it ended by itself in between
