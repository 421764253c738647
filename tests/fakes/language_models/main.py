"""The server of language models as a process of its own, so that it outlives a killed daemon.

    python -m tests.fakes.language_models.main --port 0 --script valid

prints {"url", "pid"} as one line and serves until SIGTERM. A test commands it by
`LanguageModelProcess.call`, which posts to /control/NAME.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.fakes.language_models.scripts import SCRIPTS
from tests.fakes.language_models.server import LanguageModelServer

REPOSITORY: Final = Path(__file__).resolve().parents[3]


class LanguageModelProcess:
    """A server in a child process; `with` ends it."""

    def __init__(self, *arguments: object) -> None:
        """Take the program's arguments."""
        self.url = ""
        self._arguments = [str(each) for each in arguments]
        self._child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._child.pid if self._child else 0

    @property
    def billed_usd(self) -> Decimal:
        """Return what all calls cost, exact."""
        return Decimal(self.call("billed_usd"))

    @property
    def billed_calls(self) -> int:
        """Return how many calls were worked on."""
        return int(self.call("billed_calls"))

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.language_models.main", *self._arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line:
            raise RuntimeError(f"the server ended with {self._child.wait(10)} before it listened")
        self.url = json.loads(line)["url"]
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
        """Call a method of `LanguageModelServer` by name and return what it returns, as JSON.

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


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    asked = _parser().parse_args(arguments)
    server = LanguageModelServer(models=asked.models.split(","), key=asked.key, seed=asked.seed)
    server.port = asked.port
    server.set_script(asked.script, **json.loads(asked.script_arguments))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with server:
        print(json.dumps({"url": server.url, "pid": os.getpid()}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Language models on loopback, by a script")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="valid")
    parser.add_argument("--script-arguments", default="{}", metavar="JSON")
    parser.add_argument("--models", default="gpt-loopback")
    parser.add_argument("--key", help="the only one that is taken")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
