"""A process that plays combinations: what runs in the child.

Ctrl-C ends it at once and without a word, and the kernel ends it when its parent is gone: a search
leaves nothing behind, however it ends.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.runtime.recall.confined import die_with
from tools.backtester.contract import Request
from tools.backtester.search.jobs import FAULTS, Failure, Play, attempt
from tools.backtester.search.shared_bars import read_bars


class Recipe(Protocol):
    """How a worker comes by the strategy and the executor; it travels as a pickle.

    A strategy itself does not travel: it is made of functions, and those of a file have no name
    that another process could import.
    """

    def open(self, bars: Mapping[str, SessionBars]) -> tuple[Request, Play]:
        """Return the request, values left open, and what plays it.

        Raises:
            BadInput: the strategy cannot be loaded.
        """


def serve(connection: Connection, recipe: Recipe, folder: Path, parent_pid: int) -> None:
    """Say None when ready, or why not; then answer jobs until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    die_with(parent_pid)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            request, play = recipe.open(read_bars(folder))
        except (RoboInvestError, *FAULTS) as error:
            connection.send(Failure(why=" ".join(str(error).split()) or type(error).__name__))
            return
        connection.send(None)
        while True:
            connection.send(attempt(request, play, connection.recv()))
