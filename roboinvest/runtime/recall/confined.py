"""What runs in the child: confine this process, then become the Chroma server.

It runs as `python -I confined.py <parent pid> <folder> <file limit> <memory limit>` and never in
the daemon, because limits set between fork and exec of a threaded process can deadlock. It calls
the entry point that the `chroma` script calls, without importing the whole client first: measured
0.1 s and 35 MB instead of 1.7 s and 109 MB. Port 0 lets the kernel choose a free port; the daemon
reads it from the sockets of this very process. It imports nothing of the package, so that -I works.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import sys
from pathlib import Path

FOLDER_IN_USE = 75  # exit code: another server still holds this folder
ORPHAN = 76  # exit code: the daemon was gone before this process was ready
_PR_SET_PDEATHSIG = 1
_NICENESS = 5


def die_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the kernel was asked
        sys.exit(ORPHAN)


def limit(file_bytes: int, memory_bytes: int) -> None:
    """Bound what a damaged index can take; a write past the limit fails and nothing is signalled.

    Python ignores SIGXFSZ, and the server inherits that: it answers 500 and lives on.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICENESS)


def hold(folder: Path) -> int:
    """Lock the folder for the life of this process: two servers on one index lose rows silently."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(FOLDER_IN_USE)
    return lock


def main(parent_pid: int, folder: Path, file_bytes: int, memory_bytes: int) -> None:
    """Confine this process and serve until it is told to stop."""
    die_with(parent_pid)
    limit(file_bytes, memory_bytes)
    hold(folder)
    # here, because only the child may pay for it
    import chromadb_rust_bindings  # type: ignore[import-untyped]

    place = ["--host", "127.0.0.1", "--port", "0", "--path", str(folder)]
    chromadb_rust_bindings.cli(["chroma", "run", *place])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
