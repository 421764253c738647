"""The layers a job puts round itself, between the fork and the first byte of the candidate.

The order matters: limits and Landlock first, the filter last, since it refuses what the others
need. Each layer can be left out by a zygote that a test started; what production starts has all.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from dataclasses import dataclass
from typing import Final

from tools.sandbox.inside.filter import program
from tools.sandbox.inside.kernel import Kernel
from tools.sandbox.wire import Order

DOWN: Final = 3  # descriptors of a job; 0, 1 and 2 lead nowhere
UP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What stands between a candidate and the machine; all of it, outside tests."""

    landlock: bool = True
    seccomp: bool = True
    rlimits: bool = True
    clean_environment: bool = True  # the zygote's, so of all its jobs


def keep_only(down: int, up: int) -> None:
    """Move a job's two pipes to their places and close every other descriptor above 2."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, UP + 1) for each in (down, up)]
    for place, each in zip((DOWN, UP), high, strict=True):
        os.dup2(each, place)
    os.closerange(UP + 1, 1 << 20)


def confine(kernel: Kernel, layers: Layers, order: Order, parent: int) -> None:
    """Put all layers on.

    Raises:
        OSError: the kernel refuses one of them; the job must not run.
    """
    os.setsid()
    kernel.die_with_parent(parent)
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if order.processor >= 0:
        _stay_on(order.processor)
    if layers.rlimits:
        _limit(order)
    kernel.stay_unread()
    kernel.give_up_privileges()
    if layers.landlock:
        kernel.refuse_all_files()
    if layers.seccomp:
        kernel.filter_calls(program())


def _stay_on(processor: int) -> None:
    try:
        os.sched_setaffinity(0, {processor})
    except OSError:
        pass  # only slower: the pool had it, but a container may give us another set


def _limit(order: Order) -> None:
    limits = {
        resource.RLIMIT_AS: order.memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: order.files,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    # The first limit is told by a signal of its own, which a job may ignore for a second.
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_s, order.cpu_s + 1))
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))
