"""The parent of jobs: loads what they need, then forks one confined child for each.

It never runs candidate code and never even reads it: code and arrays go from the pool to the child
by the child's own pipe. What it says about a job (exit, CPU time, memory) comes from the kernel,
over a socket that the child does not have. So a candidate can lie in its signals and nowhere else.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Final, NoReturn

from tools.sandbox import wire
from tools.sandbox.inside.confinement import DOWN, UP, Layers, confine, keep_only
from tools.sandbox.inside.kernel import Kernel

# What a candidate may import: a job can open no file, so only what is loaded is there.
# fmt: off
LIBRARY: Final = (
    "_strptime", "abc", "array", "ast", "base64", "bisect", "calendar", "cmath", "collections",
    "collections.abc", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "io", "itertools", "json",
    "linecache", "math", "numbers", "operator", "random", "re", "statistics", "string",
    "struct", "textwrap", "time", "traceback", "types", "typing", "warnings", "zlib",
    "encodings.ascii", "encodings.latin_1", "encodings.utf_8", "numpy", "numpy.fft",
    "numpy.lib.stride_tricks", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random",
)
# fmt: on
_NOBODY: Final = 65534


def main() -> None:
    """Serve until the pool hangs up."""
    said: dict[str, Any] = json.loads(sys.argv[1])
    control = socket.socket(fileno=said["control"])
    control.setblocking(True)
    try:
        zygote = Zygote(control, Layers(**said["layers"]))
        for name in (*LIBRARY, "tools.sandbox.inside.harness", *said["preload"]):
            importlib.import_module(name)
        _become_nobody()
        zygote.kernel.stay_unread()
        zygote.kernel.landlock_version()
    except (ImportError, OSError) as error:
        control.send(wire.FAILED + str(error).encode(errors="replace")[:1_000])
        return
    sys.path.clear()
    sys.argv = [""]
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared
    os.dup2(0, 2)  # what starts us reads our errors only until here
    control.send(wire.READY)
    zygote.serve()


def _become_nobody() -> None:
    """Give up root, where there is anything to give up."""
    if os.getuid() != 0:
        return
    try:
        os.setgroups([])
    except PermissionError:
        return  # root of a namespace that knows nobody else; the children drop capabilities anyway
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


class Zygote:
    """One job at a time."""

    def __init__(self, control: socket.socket, layers: Layers) -> None:
        self.kernel = Kernel()
        self._control = control
        self._layers = layers

    def serve(self) -> None:
        """Take orders until there are no more."""
        while True:
            raw, handles, _, _ = socket.recv_fds(self._control, wire.LONGEST_CONTROL, 2)
            if not raw:
                return
            if raw[:1] == b"J" and len(handles) == 2:
                self._play(wire.Order.unpack(raw), *handles)

    def _play(self, order: wire.Order, down: int, up: int) -> None:
        me = os.getpid()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self._become_job(order, down, up, me)
        os.close(down)
        os.close(up)
        self._control.send(wire.STARTED)
        ending = self._watch(child, order.wall_s)
        _, status, usage = os.wait4(child, 0)
        wall_s = time.monotonic() - began
        signalled = os.WIFSIGNALED(status)
        code = os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
        if ending == wire.EXITED and signalled:
            ending = wire.SIGNALLED
        cpu_s = usage.ru_utime + usage.ru_stime
        seal = wire.Seal(order.number, ending, code, cpu_s, wall_s, usage.ru_maxrss)
        self._control.send(seal.pack())

    def _watch(self, child: int, wall_s: float) -> int:
        """Wait for a job's end, and bring it about where it is late or the pool says so."""
        handle = os.pidfd_open(child)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        try:
            ready = dict(poll.poll(wall_s * 1_000))
            if handle in ready:
                return wire.EXITED
            os.kill(child, signal.SIGKILL)
            if not ready:
                return wire.OUT_OF_TIME
            if not self._control.recv(wire.LONGEST_CONTROL):
                os._exit(0)  # the pool is gone; the child dies with us
            return wire.STOPPED
        finally:
            os.close(handle)

    def _become_job(self, order: wire.Order, down: int, up: int, parent: int) -> NoReturn:
        # Whatever happens in here, this process must not get back into the zygote's loop.
        with contextlib.suppress(BaseException):
            keep_only(down, up)
            try:
                confine(self.kernel, self._layers, order, parent)
            except OSError as error:
                os.write(UP, wire.ERROR + str(error).encode(errors="replace"))
                os._exit(1)
            os.write(UP, wire.CONFINED)
            sys.modules["tools.sandbox.inside.harness"].play(DOWN, UP)
            os._exit(0)
        os._exit(1)
