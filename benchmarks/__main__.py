"""`python -m benchmarks`: measure, and print one table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import (
    baselines,
    boxes,
    code_checks,
    disk,
    health,
    journal,
    lookouts,
    models,
    orders,
    overseer,
    process,
    reports,
    ticks,
    virtual,
)
from benchmarks.backtests import rows as backtests
from benchmarks.table import Row, load, machine, show, write_json

Family = Callable[[Path], list[Row]]  # measures in a folder

FAMILIES: Final[Mapping[str, Family]] = {
    ticks.FAMILY: ticks.rows,
    baselines.FAMILY: baselines.rows,
    process.FAMILY: process.rows,
    virtual.FAMILY: virtual.rows,
    disk.FAMILY: disk.rows,
    journal.FAMILY: journal.rows,
    orders.FAMILY: orders.rows,
    models.FAMILY: models.rows,
    health.FAMILY: health.rows,
    overseer.FAMILY: overseer.rows,
    backtests.FAMILY: backtests.rows,
    boxes.FAMILY: boxes.rows,
    code_checks.FAMILY: code_checks.rows,
    lookouts.FAMILY: lookouts.rows,
    reports.FAMILY: reports.rows,
}
KEPT_OVER_BOOTS: Final = Path("/var/tmp")  # noqa: S108 on a disk, where /tmp is often memory


def main(arguments: Sequence[str] | None = None, families: Mapping[str, Family] = FAMILIES) -> None:
    """Measure what was asked for and show it."""
    asked = _parser(families).parse_args(arguments)
    folder, before, began = asked.folder.resolve(), load(), time.perf_counter()
    rows: list[Row] = []
    for name in asked.only:
        if sys.stderr.isatty():
            print(f"measuring {name} ...", file=sys.stderr)
        rows += families[name](folder)
    head = machine(folder, load_before=before, took_s=time.perf_counter() - began)
    show(rows, head, Console(highlight=False))
    if asked.json is not None:
        write_json(rows, head, asked.json)


def _parser(families: Mapping[str, Family]) -> argparse.ArgumentParser:
    names = ", ".join(families)

    def some_of(text: str) -> tuple[str, ...]:
        chosen = tuple(name.strip() for name in text.split(","))
        strangers = [name for name in chosen if name not in families]
        if strangers:
            raise argparse.ArgumentTypeError(f"{strangers[0]!r} is none of {names}")
        return chosen

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        type=some_of,
        default=tuple(families),
        help=f"which of {names}, with commas between",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_scratch_folder(),
        help="where the runs write; on the kind of disk that the daemon will have",
    )
    return parser


def _scratch_folder() -> Path:
    return KEPT_OVER_BOOTS if KEPT_OVER_BOOTS.is_dir() else Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
