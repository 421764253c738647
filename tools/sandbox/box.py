"""A zygote as the pool's side sees it: started, ordered to fork, heard, ended.

Every wait has an end. What does not answer is killed, and the next job gets a new zygote.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import Final

from roboinvest.core.errors import TryLater
from tools.sandbox import wire
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.job import Limits
from tools.sandbox.launch import ENVIRONMENT, plain_command, wrapped_command
from tools.sandbox.tier import Tier

_READY_S: Final = 15.0  # to import numpy on a machine under load
_STARTED_S: Final = 0.5  # to fork; doubled each time it is missed, for a machine under load
_TRIES: Final = 4
_SEAL_S: Final = 1.0  # beyond the wall limit
_GONE_S: Final = 0.5  # to end by itself


class Guard(threading.Timer):
    """Ends a zygote that does not end its job; it hardly ever has to."""

    def __init__(self, box: Box, wall_s: float) -> None:
        super().__init__(wall_s + _SEAL_S, box.kill)
        self.daemon = True


class Box:
    """One zygote at a time; see `Worker` for the arguments."""

    def __init__(self, tier: Tier, preload: Sequence[str], processor: int, layers: Layers) -> None:
        self.processor = processor
        self.served = 0  # jobs of this zygote
        self._tier = tier
        self._preload = tuple(preload)
        self._layers = layers
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._number = 0
        self.interrupted = False  # until the next `start`

    @property
    def pid(self) -> int | None:
        """Return the process that was started, or None."""
        return None if self._zygote is None else self._zygote.pid

    def start(self) -> None:
        """Start a zygote, in place of any other, and wait until it is loaded.

        Raises:
            TryLater: it does not start; the message says why.
        """
        self.interrupted = False
        self._launch()

    def _launch(self) -> None:
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        make = wrapped_command if self._tier is Tier.A else plain_command
        outer = {} if self._layers.clean_environment else dict(os.environ)
        try:
            with theirs:
                zygote = self._zygote = subprocess.Popen(  # noqa: S603 our own command line
                    make(theirs.fileno(), self._preload, self._layers),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={**outer, **ENVIRONMENT},
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                )
        except OSError as error:
            self.close()
            raise TryLater(f"a sandbox of tier {self._tier} cannot be started: {error}") from error
        self._await_ready(zygote, ours)
        self.served = 0

    def _await_ready(self, zygote: subprocess.Popen[bytes], control: socket.socket) -> None:
        said = _receive(control, _READY_S)
        if said != wire.READY:
            zygote.kill()
        _, errors = zygote.communicate() if said != wire.READY else (b"", b"")
        if zygote.stderr is not None:
            zygote.stderr.close()
        if said == wire.READY:
            return
        self.close()
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        why = said[1:].decode(errors="replace") or " ".join(last) or "it says nothing"
        raise TryLater(f"a sandbox of tier {self._tier} does not start: {why[:300]}")

    def fork(self, limits: Limits) -> tuple[int, int]:
        """Have a job forked, in a new zygote where needed; return its pipes, down and up.

        Raises:
            TryLater: no zygote starts, or none answers.
        """
        patience_s = _STARTED_S
        for _ in range(_TRIES):
            if self.interrupted:
                raise TryLater("the job was interrupted; start the worker again")
            if self._zygote is None or self._zygote.poll() is not None:
                self._launch()
            below, down = os.pipe()
            up, above = os.pipe()
            if self._sent(limits, (below, above), patience_s):
                self.served += 1
                return down, up
            os.close(down)
            os.close(up)
            self.kill()
            self.close()
            patience_s *= 2
        raise TryLater(f"a sandbox of tier {self._tier} forks no job; the machine is overloaded")

    def _sent(self, limits: Limits, handles: tuple[int, int], patience_s: float) -> bool:
        assert self._control is not None  # noqa: S101 `start` made it
        self._number = (self._number + 1) % (1 << 32)
        memory = limits.memory_mb << 20
        order = wire.Order(
            self._number, limits.cpu_s, limits.wall_s, memory, limits.files, self.processor
        )
        try:
            socket.send_fds(self._control, [order.pack()], handles)
        except OSError:
            return False
        finally:
            for each in handles:
                os.close(each)
        return _receive(self._control, patience_s) == wire.STARTED

    def seal(self, wall_s: float) -> wire.Seal | None:
        """Wait for how the job ended; None: the zygote did not say, and is ended."""
        if self._control is not None:
            raw = _receive(self._control, wall_s + _SEAL_S)
            with contextlib.suppress(ValueError):
                seal = wire.Seal.unpack(raw)
                if seal.number == self._number:
                    return seal
        self.kill()
        self.close()
        return None

    def stop_job(self) -> None:
        """Have the job killed; the zygote lives, and its seal follows."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(wire.STOP)

    def interrupt(self) -> None:
        """Kill zygote and job at once, from any thread, and fork no other before `start`."""
        self.interrupted = True
        self.kill()

    def kill(self) -> None:
        """Kill zygote and job at once, from any thread."""
        zygote = self._zygote
        if zygote is not None:
            zygote.kill()

    def close(self) -> None:
        """End the zygote and whatever it runs."""
        if self._control is not None:
            self._control.close()
        if self._zygote is not None:
            try:
                self._zygote.wait(_GONE_S)
            except subprocess.TimeoutExpired:
                self._zygote.kill()
                self._zygote.wait()
        self._control = self._zygote = None


def _receive(control: socket.socket, timeout_s: float) -> bytes:
    """Return the next message; empty where there is none in time or the other end is gone."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    try:
        return control.recv(wire.LONGEST_CONTROL) if poll.poll(timeout_s * 1_000) else b""
    except OSError:
        return b""
