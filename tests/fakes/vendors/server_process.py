"""A vendor's server as a process of its own, so that it outlives a killed daemon.

The program prints one JSON object as its first line, serves until SIGTERM, and takes commands by
POST to /control/NAME.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

REPOSITORY: Final = Path(__file__).resolve().parents[3]


class ServerProcess:
    """A server in a child process; `with` ends it."""

    def __init__(self, module: str, *arguments: object) -> None:
        """Take the program, as `python -m` does, and its arguments."""
        self.url = ""
        self.said: dict[str, Any] = {}  # the program's first line
        self._command = [sys.executable, "-m", module, *map(str, arguments)]
        self._child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid if self._child else 0

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self._command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line:
            raise RuntimeError(f"the server ended with {self._child.wait(10)} before it listened")
        self.said = json.loads(line)
        self.url = self.said["url"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.wait(10)
            if self._child.stdout is not None:
                self._child.stdout.close()

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(10)

    def call(self, name: str, /, **arguments: object) -> Any:
        """Call a method of the server by name and return what it returns, as JSON.

        Raises:
            ValueError: the server refused it.
        """
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("POST", f"/control/{name}", json.dumps(arguments, default=str))
            answer = connection.getresponse()
            said = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{name}: {said['message']}")
        return said
