"""Faults that are done to a real daemon from outside: how each is planted, and how it is mended.

Each takes another way: files, disks, limits of the process, signals, and the other ends of its
sockets. Nothing here reaches into the program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.fakes.faulty_house import FaultyHouse, good_model
from tests.fakes.language_models.scripts import raw, refusing

LLM: Final = "llm.model."
CHANNEL: Final = "notify.channel.phone"
RECALL: Final = "recall"
REPORTS: Final = "reports.unwritable"
MODEL_WATCH_S: Final = 5.0  # between two looks at who answers, beside the Overseer's
FEWEST_FILES: Final = 3  # input, output and errors
GARBAGE: Final = b"not a database! "
Act = Callable[[FaultyHouse], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    name: str
    plant: Act
    mend: Act
    told: str  # begins the key of the alert of its cause
    says: str  # regular expression: what the alert says of the cause
    beside: tuple[str, ...] = ()  # begin the keys of what may be told as well; argued where not ()
    patience_s: float = 0.0  # that its own watcher waits, beside two looks
    over_within_s: float = 12.0  # after it was mended: two looks and a little
    later: bool = False  # its end is not waited for at once
    stays: bool = False  # nothing but a person ends it
    also: str = ""  # the key of a second alert that is waited for: there are two faults at once


def _reports_become_a_file(house: FaultyHouse) -> None:
    house.phone.go_down()  # two at once: nobody hears of it either
    reports = house.data / "reports"
    reports.rename(house.data / "reports.aside")
    reports.write_text("in the way")


def _reports_come_back(house: FaultyHouse) -> None:
    (house.data / "reports").unlink()
    (house.data / "reports.aside").rename(house.data / "reports")
    house.phone.come_back()


def _overwrite(path: Path) -> None:
    """Let garbage stand in a file, as long as it was."""
    length = path.stat().st_size
    with path.open("r+b") as file:
        file.write(GARBAGE * (length // len(GARBAGE)))


def _governance_is_spoilt(house: FaultyHouse) -> None:
    path = house.data / "governance.db"
    path.with_suffix(".copy").write_bytes(path.read_bytes())
    _overwrite(path)


def _governance_is_put_back(house: FaultyHouse) -> None:
    path = house.data / "governance.db"
    with path.open("r+b") as file:
        file.write(path.with_suffix(".copy").read_bytes())


def _overseers_file_is_spoilt(house: FaultyHouse) -> None:
    for name in ("overseer.db", "overseer.db-wal"):
        _overwrite(house.data / name)


def _overseers_file_is_moved_away(house: FaultyHouse) -> None:
    for name in ("overseer.db", "overseer.db-wal", "overseer.db-shm"):
        (house.data / name).unlink(missing_ok=True)


def exhaust_files(process: psutil.Process) -> None:
    """Let a process open no more files: fewer are allowed than it began with."""
    _, most = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (FEWEST_FILES, most))


def _files_again(house: FaultyHouse) -> None:
    process = house.process()
    _, most = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (most, most))


def fill_disk(house: FaultyHouse) -> None:
    """Fill the disk; where there is none of its own, no file of the daemon may grow any more."""
    if not house.is_small:
        house.process().rlimit(psutil.RLIMIT_FSIZE, (1, -1))
        return
    ballast = os.open(house.data.parent / "ballast", os.O_WRONLY | os.O_CREAT)
    size = 1 << 16
    while size >= 512:
        try:
            os.write(ballast, bytes(size))
        except OSError:
            size //= 2
    os.close(ballast)


def make_room(house: FaultyHouse) -> None:
    """Let the disk take files again."""
    if house.is_small:
        (house.data.parent / "ballast").unlink()
    else:
        house.process().rlimit(psutil.RLIMIT_FSIZE, (-1, -1))


def _model_talks_garbage(house: FaultyHouse) -> None:
    house.model.script = raw(b"{not json")


def _model_has_no_money(house: FaultyHouse) -> None:
    house.model.script = refusing(429, "insufficient_quota", kind="insufficient_quota")


def _model_is_well(house: FaultyHouse) -> None:
    house.model.script = good_model()
    house.model.clear_faults()


def _nothing(_house: FaultyHouse) -> None:
    """Leave it to the daemon."""


FAULTS: Final = (
    Fault(
        name="the model talks garbage",
        plant=_model_talks_garbage,
        mend=_model_is_well,
        told=LLM,
        says="cannot be read",
        patience_s=MODEL_WATCH_S,
        over_within_s=45.0,  # it rests half a minute before it is tried again
        later=True,
    ),
    Fault(
        name="the reports folder is a file, and the channel to people is down",
        plant=_reports_become_a_file,
        mend=_reports_come_back,
        told=REPORTS,
        says="File exists|Not a directory|a file is where",
        also=CHANNEL,
        beside=(CHANNEL, "daily_report."),  # the second of the two; a report of its own
    ),
    Fault(
        name="the Overseer's file is overwritten",
        plant=_overseers_file_is_spoilt,
        mend=_overseers_file_is_moved_away,
        told="overseer.file",
        says="not a database|malformed",
    ),
    Fault(
        name="the audit log is overwritten",
        plant=_governance_is_spoilt,
        mend=_governance_is_put_back,
        told="governance.audit.broken",
        says="not a database|malformed",
        patience_s=10.0,  # the whole log is verified each ten seconds, at the next round
        over_within_s=20.0,
    ),
    Fault(
        name="Chroma is killed",
        plant=lambda house: house.child().kill(),
        mend=_nothing,
        told=RECALL,
        says="signal 9",
        over_within_s=30.0,  # it is started anew
    ),
    Fault(
        name="Chroma hangs",
        plant=lambda house: house.child().send_signal(signal.SIGSTOP),
        mend=_nothing,
        told=RECALL,
        says="in time|no answer|did not",
        patience_s=10.0,
        over_within_s=30.0,
    ),
    Fault(
        name="files run out",
        plant=lambda house: exhaust_files(house.process()),
        mend=_files_again,
        told=REPORTS,
        says="Too many open files",
        # Everybody who needs a file says so for himself: the root is known a minute later.
        beside=(CHANNEL, RECALL, "governance.anchors.behind", "governance.upkeep", "health."),
    ),
    Fault(
        name="the model does not answer",
        plant=lambda house: house.model.add_fault(kind="stall", count=None),
        mend=_model_is_well,
        told=LLM,
        says="no answer came in time",
        patience_s=MODEL_WATCH_S,
        over_within_s=45.0,
        later=True,
    ),
    Fault(
        name="the model's account has no money",
        plant=_model_has_no_money,
        mend=_model_is_well,
        told=LLM,
        says="no money left",
        patience_s=MODEL_WATCH_S,
        stays=True,
    ),
)
