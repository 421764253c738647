"""Which system calls a job may make: a short list, everything else is refused.

A list of what is allowed, and not of what is forbidden, because a kernel gets new calls every year
and a job needs few: it reads and writes the descriptors that it was given, and handles memory and
signals of its own. Not on the list, among all others: clone, fork, vfork (so no thread either:
numpy runs on one), exec, sockets, kill, ptrace, process_vm_*, pidfd_*, io_uring, memfd_create,
prctl, setrlimit, stat, getrandom (unseeded chance fails, rather than differs) and every sleep.

Opening for reading is let through, because a filter sees numbers and no paths: which files may be
opened (none) is Landlock's to say, and a test that takes Landlock away must be able to see it.

The program is for x86-64. Another architecture in the same process (int 0x80) and the x32 numbers
kill the process. clone3 is "not implemented", the one answer after which libraries ask otherwise.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from typing import Final

ARCHITECTURE: Final = 0xC000003E  # AUDIT_ARCH_X86_64
MACHINE: Final = "x86_64"
X32: Final = 0x40000000

ALLOWED: Final[Mapping[str, int]] = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "lseek": 8,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "getpid": 39,
    "exit": 60,
    "gettimeofday": 96,
    "sigaltstack": 131,
    "gettid": 186,
    "time": 201,
    "futex": 202,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "clock_getres": 229,
    "exit_group": 231,
}
MMAP: Final = 9
MPROTECT: Final = 10
OPENAT: Final = 257
CLONE3: Final = 435

KILL: Final = 0x80000000  # SECCOMP_RET_KILL_PROCESS
ALLOW: Final = 0x7FFF0000
ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0  # in seccomp_data
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16  # eight bytes each, the low half first
_EXECUTE: Final = 4  # PROT_EXEC
# O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_LARGEFILE; so no O_CREAT, O_TRUNC,
# O_PATH, and no access mode but O_RDONLY, which is 0.
_HARMLESS_FLAGS: Final = 0o2000000 | 0o200000 | 0o400000 | 0o4000 | 0o400 | 0o100000


def program() -> bytes:
    """Return the filter, eight bytes an instruction."""
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, ARCHITECTURE, 1, 0),
        _step(_RETURN, KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, X32, 0, 1),
        _step(_RETURN, KILL),
    ]
    for number in ALLOWED.values():
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, ALLOW)]
    steps += _none_of(MMAP, argument=2, bits=_EXECUTE, refusal=errno.EACCES)
    steps += _none_of(MPROTECT, argument=2, bits=_EXECUTE, refusal=errno.EACCES)
    steps += _none_of(OPENAT, argument=2, bits=~_HARMLESS_FLAGS, refusal=errno.EACCES)
    steps += [_step(_EQUAL, CLONE3, 0, 1), _step(_RETURN, ERRNO | errno.ENOSYS)]
    steps.append(_step(_RETURN, ERRNO | errno.EPERM))
    return b"".join(steps)


def _none_of(number: int, *, argument: int, bits: int, refusal: int) -> list[bytes]:
    """Return steps that allow a call while none of `bits` is set in an argument."""
    return [
        _step(_EQUAL, number, 0, 5),
        _step(_LOAD, _ARGUMENTS_AT + 8 * argument),
        _step(_AND, bits & 0xFFFFFFFF),
        _step(_EQUAL, 0, 0, 1),
        _step(_RETURN, ALLOW),
        _step(_RETURN, ERRNO | refusal),
    ]


def _step(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, k)
