"""The hard cases that a box must survive, each by its number and the payloads that are it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.fakes.sandboxes import Trap, needs, trap
from tests.hostile_code.test_battery import BATTERY, leaks_in
from tools.sandbox.tier import Tier

BOXED: Final[Mapping[str, tuple[str, ...]]] = {
    "1 a forged result and an exit": (
        *("forged_frame", "forged_figures", "forged_seal", "forged_confinement"),
        *("two_frames", "exit_0"),
    ),
    "2 numpy, json, float and the harness patched": (
        *("patched_numpy", "patched_os", "patched_builtins", "patched_zygote", "lying_array"),
    ),
    "3 the stack walked for answers": ("stack", "former_job", "proc_maps"),
    "4 the test told by its surroundings": (
        *("environment", "environ_memory", "getcwd", "hostname", "users", "listing", "stat"),
    ),
    "5 files that the next interpreter runs": ("sitecustomize", "late_import", "pickle"),
    "8 a way out by a link or by dots": ("symlink", "dots", "make_symlink", "make_link"),
    "12 loops, and sleep": ("loop", "loop_at_import", "deaf_loop", "sleep"),
    "13 memory, huge numbers and texts, recursion": (
        *("memory", "numpy_memory", "list_memory", "mmap_memory", "zip_bomb", "huge_text"),
        *("huge_int", "recursion", "deep_recursion", "parser"),
    ),
    "14 forks, threads and another program": (
        *("fork", "fork_bomb", "vfork", "clone", "clone3", "threads", "exec", "subprocess"),
        "multiprocessing",
    ),
    "16 floods, half frames, long frames, no text, no numbers": (
        *("stdout", "flood", "half_frame", "half_and_silence", "long_frame", "bad_utf8"),
        *("nan", "infinity", "huge", "too_many", "nothing", "texts"),
    ),
    "17 secrets of files, environments and descriptors": (
        *("home", "open", "libc_open", "proc_self", "proc_other", "proc_fds", "descriptors"),
        *("environment", "dumpable"),
    ),
    "18 every kind of socket, rings and other numbers": (
        *("tcp", "udp", "dns", "unix", "abstract", "netlink", "raw_socket", "io_uring", "x32"),
    ),
    "19 signals and looks at the daemon": (
        *("kill_parent", "kill_decoy", "kill_group", "ptrace", "process_vm", "pidfd"),
    ),
    "20 disks, names and descriptors used up": ("fill", "inodes", "shm", "memfd", "pipes"),
    "21 crashes of every kind": ("segfault", "abort", "exit_7", "closed_pipes", "interrupt"),
    "42 what it saw sent to somebody": ("udp", "dns", "mtime", "keys", "shmget", "lock", "fifo"),
}


@pytest.fixture(scope="module")
def set_trap() -> Iterator[Trap]:
    with trap() as made:
        yield made


@pytest.mark.parametrize("case", BOXED)
def test_hard_case(case: str, set_trap: Trap) -> None:
    needs(Tier.B)
    by_name = {payload.name: payload for payload in BATTERY}
    assert leaks_in(Tier.B, [by_name[name] for name in BOXED[case]], set_trap) == []
