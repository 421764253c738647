"""Alpaca on loopback as a process of its own, so that it outlives a daemon killed beside it.

    python -m tests.fakes.vendors.alpaca_main --port 0 --state books.json --price SPY=100

prints {"url", "stream_url", "key", "secret", "pid"} as one line and serves until SIGTERM. A test
commands it by `AlpacaProcess.call`, which posts to /control/NAME; the books in the state file are
taken up again by the next process that is given it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.fakes.vendors.alpaca_server import SYMBOLS, AlpacaServer
from tests.fakes.vendors.server_process import ServerProcess

_HOURS: Final[dict[str, bool | None]] = {"open": True, "closed": False, "calendar": None}


class AlpacaProcess(ServerProcess):
    """A server in a child process; `with` ends it."""

    def __init__(self, *arguments: object) -> None:
        """Take the program's arguments."""
        super().__init__("tests.fakes.vendors.alpaca_main", *arguments)
        self.stream_url = self.key = self.secret = ""

    def __enter__(self) -> Self:
        super().__enter__()
        self.stream_url = self.said["stream_url"]
        self.key, self.secret = self.said["key"], self.said["secret"]
        return self


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    asked = _parser().parse_args(arguments)
    server = AlpacaServer(
        cash=asked.cash,
        symbols=asked.symbols.split(","),
        is_open=_HOURS[asked.hours],
        limit_per_minute=asked.limit_per_minute,
        seed=asked.seed,
        state=asked.state,
    )
    server.port, server.stream_port = asked.port, asked.stream_port
    server.set_clock(asked.offset_s)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with server:
        for pair in asked.price:
            symbol, _, price = pair.partition("=")
            server.set_price(symbol, price)
        said = {"url": server.url, "stream_url": server.stream_url, "pid": os.getpid()}
        print(json.dumps({**said, "key": server.key, "secret": server.secret}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Alpaca on loopback, with books and faults")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stream-port", type=int, default=0)
    parser.add_argument("--state", type=Path, help="keeps the books between two processes")
    parser.add_argument("--cash", default="100000")
    parser.add_argument("--symbols", default=",".join(SYMBOLS))
    parser.add_argument("--price", action="append", default=[], metavar="SYMBOL=USD")
    parser.add_argument("--hours", choices=sorted(_HOURS), default="open")
    parser.add_argument("--offset-s", type=float, default=0.0)
    parser.add_argument("--limit-per-minute", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
