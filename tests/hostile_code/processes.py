"""Attempts to become more than one process, another program, or to reach other processes."""

from __future__ import annotations

from typing import Final

from tests.hostile_code.payload import Held, Payload, attempt
from tools.sandbox.job import Fault

_S, _M = Held.SECCOMP, Held.SEVERAL

PROCESSES: Final[tuple[Payload, ...]] = (
    attempt(
        "fork",
        "become two",
        _M,
        """
child = os.fork()
if child == 0:
    os._exit(0)
return DONE
""",
    ),
    attempt(
        "fork_bomb",
        "become many",
        _M,
        """
made = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0)
    made += 1
return DONE
""",
    ),
    attempt(
        "vfork",
        "become two by the old call",
        _M,
        """
child = call(57)
if child == 0:
    os._exit(0)
return DONE
""",
    ),
    attempt(
        "clone",
        "become two by the call behind fork",
        _M,
        """
child = call(56, 17, 0, 0, 0, 0)
if child == 0:
    os._exit(0)
return DONE
""",
    ),
    attempt(
        "clone3",
        "become two by the newest call",
        _M,
        """
flags = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0)
child = call(435, flags, 64)
if child == 0:
    os._exit(0)
return DONE
""",
    ),
    attempt(
        "threads",
        "start 200 threads",
        _M,
        """
import threading, time
for _ in range(200):
    threading.Thread(target=lambda: None).start()
return DONE
""",
    ),
    attempt(
        "subprocess",
        "run a program",
        _M,
        """
import subprocess
subprocess.run(['/bin/true'])
return DONE
""",
    ),
    attempt(
        "spawn",
        "run a program by spawning",
        _M,
        "os.posix_spawn('/bin/true', ['true'], {})\nreturn DONE",
    ),
    attempt(
        "multiprocessing",
        "start a pool of processes",
        _M,
        """
import multiprocessing
multiprocessing.get_context('fork').Process(target=print).start()
return DONE
""",
    ),
    Payload(
        name="exec",
        tries="become another program",
        held=_M,
        ends=frozenset({Fault.CODE}),
        code="def attempt():\n    os.execv('/bin/true', ['true'])\n",
    ),
    attempt(
        "kill_parent",
        "reach its parent with a signal",
        _M,
        """
os.kill(os.getppid(), 0)
return DONE
""",
    ),
    attempt("kill_decoy", "kill another process", _M, "os.kill($decoy, 9)"),
    attempt(
        "kill_group",
        "reach everything with a signal",
        _S,
        """
os.kill(-1, 0)
return DONE
""",
    ),
    attempt(
        "ptrace",
        "take another process over",
        _S,
        """
call(101, 0, 0, 0, 0)
return DONE
""",
    ),
    attempt(
        "process_vm",
        "read another process's memory",
        _S,
        """
buffer = ctypes.create_string_buffer(8)
vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
call(310, os.getpid(), vector, 1, vector, 1, 0)
return DONE
""",
    ),
    attempt(
        "pidfd",
        "hold another process",
        _S,
        """
call(434, os.getpid(), 0)
return DONE
""",
    ),
    attempt(
        "outlive",
        "live on when its parent dies",
        _S,
        """
call(157, 1, 0, 0, 0, 0)
return DONE
""",
    ),
    attempt(
        "nice",
        "take the processor from others",
        _S,
        """
call(140, 0, 0)
return DONE
""",
    ),
)
