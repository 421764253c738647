"""The server of language models as a process of its own, so that it outlives a killed daemon.

    python -m tests.fakes.language_models.main --port 0 --script valid

prints {"url", "pid"} as one line and serves until SIGTERM. A test commands it by
`LanguageModelProcess.call`, which posts to /control/NAME.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from decimal import Decimal

from tests.fakes.language_models.scripts import SCRIPTS
from tests.fakes.language_models.server import LanguageModelServer
from tests.fakes.vendors.server_process import ServerProcess


class LanguageModelProcess(ServerProcess):
    """A server in a child process; `with` ends it."""

    def __init__(self, *arguments: object) -> None:
        """Take the program's arguments."""
        super().__init__("tests.fakes.language_models.main", *arguments)

    @property
    def billed_usd(self) -> Decimal:
        """Return what all calls cost, exact."""
        return Decimal(self.call("billed_usd"))

    @property
    def billed_calls(self) -> int:
        """Return how many calls were worked on."""
        return int(self.call("billed_calls"))


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
