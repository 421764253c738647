"""The filter, judged by a small machine that runs its program as the kernel does."""

from __future__ import annotations

import errno
import struct

import pytest

from tools.sandbox.inside.filter import (
    ALLOW,
    ALLOWED,
    ARCHITECTURE,
    CLONE3,
    ERRNO,
    KILL,
    MMAP,
    MPROTECT,
    OPENAT,
    X32,
    program,
)


def verdict(number: int, *arguments: int, architecture: int = ARCHITECTURE) -> int:
    """Run the program on one call."""
    given = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(a & (1 << 64) - 1 for a in given))
    steps = [struct.unpack_from("<HBBI", program(), at) for at in range(0, len(program()), 8)]
    register = at = 0
    while True:
        code, if_true, if_false, k = steps[at]
        at += 1
        if code == 0x20:
            register = struct.unpack_from("<I", data, k)[0]
        elif code == 0x15:
            at += if_true if register == k else if_false
        elif code == 0x35:
            at += if_true if register >= k else if_false
        elif code == 0x54:
            register &= k
        elif code == 0x06:
            return int(k)
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


def test_every_call_of_the_list_passes_and_every_other_is_refused() -> None:
    judged = {MMAP, MPROTECT, OPENAT, CLONE3}
    for number in range(600):
        if number in ALLOWED.values():
            assert verdict(number) == ALLOW
        elif number not in judged:
            assert verdict(number) == ERRNO | errno.EPERM


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("clone", 56), ("fork", 57), ("vfork", 58), ("execve", 59), ("execveat", 322)),
        *(("kill", 62), ("tkill", 200), ("tgkill", 234), ("ptrace", 101), ("prctl", 157)),
        *(("process_vm_readv", 310), ("process_vm_writev", 311), ("pidfd_open", 434)),
        *(("pidfd_getfd", 438), ("pidfd_send_signal", 424), ("io_uring_setup", 425)),
        *(("memfd_create", 319), ("socket", 41), ("socketpair", 53), ("connect", 42)),
        *(("sendto", 44), ("open", 2), ("openat2", 437), ("stat", 4), ("newfstatat", 262)),
        *(("setrlimit", 160), ("prlimit64", 302), ("getrandom", 318), ("nanosleep", 35)),
        *(("clock_nanosleep", 230), ("unshare", 272), ("mount", 165), ("bpf", 321)),
        *(("keyctl", 250), ("shmget", 29), ("userfaultfd", 323), ("perf_event_open", 298)),
    ],
)
def test_what_could_reach_out_is_refused(name: str, number: int) -> None:
    assert verdict(number) == ERRNO | errno.EPERM


def test_another_architecture_and_the_numbers_of_x32_kill() -> None:
    assert verdict(0, architecture=0x40000003) == KILL  # i386, by int 0x80
    assert verdict(0, architecture=0xC00000B7) == KILL  # aarch64
    assert verdict(X32) == KILL
    assert verdict(X32 + 41) == KILL
    assert verdict(0xFFFFFFFF) == KILL


def test_clone3_is_not_there_so_that_libraries_ask_otherwise() -> None:
    assert verdict(CLONE3) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("number", [MMAP, MPROTECT])
def test_memory_never_becomes_code(number: int) -> None:
    assert verdict(number, 0, 4096, 3) == ALLOW
    for protection in (4, 5, 7, 1 << 32 | 4):
        assert verdict(number, 0, 4096, protection) == ERRNO | errno.EACCES


def test_a_file_may_be_asked_for_reading_only() -> None:
    assert verdict(OPENAT, 0, 0, 0) == ALLOW
    assert verdict(OPENAT, 0, 0, 0o2000000) == ALLOW  # O_CLOEXEC
    for flag in (0o1, 0o2, 0o3, 0o100, 0o1000, 0o2000, 0o10000000, 0o20000000):
        assert verdict(OPENAT, 0, 0, flag) == ERRNO | errno.EACCES
