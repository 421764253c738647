"""What a process of its own does to a run book; run as `python -m tests.fakes.book_writers`."""

from __future__ import annotations

import sys
from pathlib import Path

from roboinvest.core.errors import RoboInvestError
from roboinvest.runtime.clock import SystemClock
from tests.fakes.run_notes import run_note
from tools.backtester.run_book.book import RunBook
from tools.backtester.run_book.values import Kin


def main(what: str, folder: Path, name: str, count: int) -> None:
    """Say that this process is ready, wait for a line, then do it."""
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with RunBook.open(folder, SystemClock()) as book:
            if what == "open":
                kin = Kin(strategy=name, fingerprint="")
                opening = book.open_holdout(book.lineage_of(kin), "1.0")
                print(f"opened {opening.number}", flush=True)
                return
            for number in range(count):
                note = run_note("shared", version=name, values={"fast": number})
                print(f"noted {book.note(note)}", flush=True)
    except RoboInvestError as error:
        print(f"{type(error).__name__} {error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
