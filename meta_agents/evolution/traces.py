"""Traces of runs, kept word for word under their own digest.

A record says that a run came to this; its trace says what the run was, and can be computed again.
Traces lie beside the revisions and not in them: they are of the runner, not of the author, and
what is swept there as unknown must not take them along.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.revisions.artifact import is_digest, sha256_of
from roboinvest.runtime.revisions.disk import Disk

TRACES: Final = "traces"  # the folder of traces, in the data folder
MAX_TRACE: Final = 4_000_000  # bytes
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class TraceShelf:
    """Writes and reads traces in one folder; blocking."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self._disk = disk

    def put(self, text: str) -> str:
        """Keep a trace durably and return its digest; one that is there already stays.

        Raises:
            BadInput: it is longer than 4 MB.
            TryLater: the disk does not take it.
        """
        content = text.encode()
        if len(content) > MAX_TRACE:
            raise BadInput(f"a trace has {len(content)} bytes, and {MAX_TRACE} are kept")
        digest = sha256_of(content)
        path, part = self.root / f"{digest}.json", self.root / f".new-{digest}-{os.getpid()}"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                self._disk.remove(part)
                self._disk.write_new(part, content)
                self._disk.rename(part, path)
                self._disk.sync(self.root)
        except OSError as error:
            raise TryLater(
                f"{self.root} cannot be written ({error.strerror or error}); make room there, "
                "and run the gates again"
            ) from error
        return digest

    def read(self, digest: str) -> str:
        """Return a trace once it was verified.

        Raises:
            BadInput: that is no digest.
            Refused: it is missing or was changed.
        """
        if not is_digest(digest):
            raise BadInput(f"{digest[:80]!r} is no SHA-256 in lower-case hex")
        try:
            handle = os.open(self.root / f"{digest}.json", _READ)
            with os.fdopen(handle, "rb") as file:
                content = file.read(MAX_TRACE + 1)
        except OSError as error:
            raise Refused(
                f"the trace {digest[:12]} cannot be read ({error.strerror}); run the gates again"
            ) from error
        if sha256_of(content) != digest:
            raise Refused(f"the trace {digest[:12]} was changed since it was kept; run again")
        return content.decode()
