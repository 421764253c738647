"""What `halt` does at a real broker: watch the daemon do it, or do it itself.

A daemon whose interpreter is wedged does nothing at all, so a command that heard nothing for a
second acts on a client of its own. Both name closing orders by the instant of the halt, so that
acting twice closes once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.halt import Halt
    from roboinvest.runtime.halt_guard import HaltResult, HaltResults

CONFIRM_S: Final = 1.3  # from the halt on, for a sign that the daemon acts
SILENCE_S: Final = 12.0  # between two signs that it goes on
FINISH_S: Final = 15.0  # from the halt on, for the daemon to be done while somebody waits
LOOK_S: Final = 0.05
TRIES: Final = 3  # of a command that acts by itself
AGAIN_S: Final = 1.0  # between two of them
JOURNAL_S: Final = 2.0

Tell = Callable[[str], None]


def trades_at_alpaca(settings: Settings, folder: DataFolder) -> bool:
    """Return whether the orders of this folder are at Alpaca, by its stamp or by the settings."""
    broker = folder.stamped().get("broker")
    return str(broker or settings.broker.kind) == "alpaca"


def carry_out(
    settings: Settings,
    halt: Halt,
    tell: Tell,
    *,
    daemon_runs: bool,
    halted_s: float,
    all_positions: bool,
) -> bool:
    """See to it that a halt is carried out, and return whether nothing was left open.

    `halted_s` is when the halt was set, as `time.monotonic` has it: while the control port was
    asked in vain, the daemon's own thread has had that time to begin.

    Raises:
        BadSettings: the keys or addresses of the broker are missing or wrong.
        TryLater: the broker could not be asked.
    """
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.halt_guard import HaltResults, key_of

    folder = DataFolder(settings.data_dir)
    results = HaltResults(folder.halt_results)
    if daemon_runs:
        clean = _watch(lambda: results.of(key_of(halt)), tell, halted_s)
        if clean is not None:
            return clean
        tell("the daemon does not act; this command does")
    return _act(settings, folder, results, halt, tell, all_positions=all_positions)


def _watch(lines: Callable[[], list[HaltResult]], tell: Tell, halted_s: float) -> bool | None:
    """Tell what the daemon does; return whether it is clean, or None if it does nothing or stops.

    A daemon whose broker is away tries for ever; a person is not kept waiting for that.
    """
    shown, pause = 0, threading.Event()
    heard = halted_s
    while True:
        found = lines()
        for line in found[shown:]:
            tell(line.text)
            heard = time.monotonic()
            if line.is_last and line.is_clean:
                return True
        shown, now = len(found), time.monotonic()
        if now - heard > (SILENCE_S if shown else CONFIRM_S):
            return None
        if now - halted_s > FINISH_S:
            tell("not all is done; the daemon goes on trying")
            return False
        pause.wait(LOOK_S)


def _act(
    settings: Settings,
    folder: DataFolder,
    results: HaltResults,
    halt: Halt,
    tell: Tell,
    *,
    all_positions: bool,
) -> bool:
    from roboinvest.brokers.alpaca.opening import alpaca_access, carry_out_halt
    from roboinvest.core.errors import RoboInvestError
    from roboinvest.runtime.configuration.policies import clock_of
    from roboinvest.runtime.configuration.secrets import load_secrets
    from roboinvest.runtime.halt_guard import HaltResult, key_of
    from roboinvest.runtime.journal.halt_log import HaltLog
    from roboinvest.runtime.journal.order_journal import SqliteOrderJournal

    def told(text: str) -> None:
        tell(text)
        results.append(HaltResult(halted_at=key_of(halt), by="command", text=text))

    journal = None
    if folder.journal.exists():
        try:
            journal = SqliteOrderJournal.open_now(folder.journal, timeout_s=JOURNAL_S)
        except RoboInvestError as error:
            told(f"the order journal cannot be opened: {error}")
    access = alpaca_access(settings, load_secrets(os.environ))

    def once() -> bool:
        return carry_out_halt(
            access,
            journal,
            HaltLog(folder.halt_log),
            halt,
            told,
            instance=folder.instance(lambda: "unknown"),
            clock=clock_of(settings),
            all_positions=all_positions,
        )

    try:
        return _again_until_clean(once, told)
    finally:
        if journal is not None:
            journal.close_now(JOURNAL_S)


def _again_until_clean(once: Callable[[], bool], tell: Tell) -> bool:
    """Return whether a try came to its end with nothing left open; each does what is left to do.

    Raises:
        TryLater: the broker could not be asked, by the last of them.
    """
    from roboinvest.core.errors import TryLater

    pause = threading.Event()
    for _ in range(TRIES - 1):
        try:
            if once():
                return True
            tell("not all is done; trying again")
        except TryLater as error:
            tell(f"not done, trying again: {error}")
        pause.wait(AGAIN_S)
    return once()
