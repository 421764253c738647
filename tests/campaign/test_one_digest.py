"""The digest of the decisions depends on the bars and the arguments, and on nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tests.fakes.processes import Daemon, Ended, Finished, roboinvest, side_by_side
from tests.fakes.stored_runs import StoredRun

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

SEED = 11
HALF_WAY = 100  # of 210 ticks
SLOWLY = ("--speed", 1800)  # 30 ticks a second: time to break something half-way


def replayed(
    uncut: Finished, folder: Path, name: str, env: Mapping[str, str], *more: object
) -> Ended:
    """Live through the replay of `uncut` in a folder of its own."""
    data = ("--data-dir", folder / name)
    return roboinvest(*uncut.arguments, *more, *data, cwd=folder, env=env)


def broken(uncut: Finished, folder: Path, name: str, breaks: Callable[[Daemon], object]) -> Ended:
    """Live through the same replay while something is broken half-way."""
    data = folder / name
    with Daemon(data, *uncut.arguments, *SLOWLY, cwd=folder) as daemon:
        daemon.until(lambda: daemon.recall()[0] == "ready", "text recall is ready")
        daemon.until_tick(HALF_WAY)
        breaks(daemon)
        assert StoredRun(data).tick_count() < 210, "it was over before it was broken"
        daemon.until(lambda: daemon.recall()[0] == "degraded", "text recall is degraded")
        return daemon.ended(60)


def kill_chroma(daemon: Daemon) -> None:
    child = daemon.chroma()
    assert child is not None
    child.kill()


def delete_memory(daemon: Daemon) -> None:
    shutil.rmtree(daemon.data / "memory")


def test_the_same_bars_and_arguments_are_the_same_digest_whatever_else_differs(
    uncut: Finished, tmp_path: Path
) -> None:
    again = partial(replayed, uncut, tmp_path)
    cases: dict[str, Callable[[], Ended]] = {
        **{
            f"hash-seed-{seed}": partial(again, f"hash{seed}", {"PYTHONHASHSEED": seed})
            for seed in ("0", "1", "4242")
        },
        "no-memory": partial(again, "off", {"ROBOINVEST_MEMORY__CHROMA": "off"}),
        "shuffled": partial(again, "shuffled", {}, "--replay", shuffled(uncut.bars, tmp_path)),
        "chroma-killed": partial(broken, uncut, tmp_path, "killed", kill_chroma),
        "memory-deleted": partial(broken, uncut, tmp_path, "deleted", delete_memory),
    }
    ends = dict(zip(cases, side_by_side(cases.values()), strict=True))
    wanted = uncut.ended.value()
    for name, end in ends.items():
        assert end.code == 0, (name, end.err)
        assert end.value() == wanted, name


def test_five_cents_in_one_bar_are_another_digest(uncut: Finished, tmp_path: Path) -> None:
    header, *lines = uncut.bars.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("AAA,2015-12-24T16:00"))
    symbol, ts, opened, high, *rest = lines[place].split(",")
    lines[place] = ",".join([symbol, ts, opened, str(float(high) + 0.05), *rest])
    other = tmp_path / "other.csv"
    other.write_text("\n".join([header, *lines, ""]))
    end = replayed(uncut, tmp_path, "other", {}, "--replay", other).value()
    assert end["ticks"] == 210
    assert end["decision_digest"] != uncut.ended.value()["decision_digest"]


def test_shuffled_rows_are_the_same_run_to_the_data_folder(uncut: Finished, tmp_path: Path) -> None:
    again = roboinvest(
        *(*uncut.arguments, "--replay", shuffled(uncut.bars, tmp_path)),
        *("--data-dir", uncut.data),
        cwd=tmp_path,
    )
    assert again.code == 0, again.err
    assert again.value()["decision_digest"] == uncut.ended.value()["decision_digest"]


def shuffled(bars: Path, folder: Path) -> Path:
    """Write the rows of a CSV into a parquet file, in another order."""
    print(f"rows shuffled with seed {SEED}")
    text = pacsv.ConvertOptions(column_types={"ts": pa.timestamp("ns", "UTC")})
    table = pacsv.read_csv(bars, convert_options=text)
    order = np.random.default_rng(SEED).permutation(table.num_rows)
    path = folder / "shuffled.parquet"
    pq.write_table(table.take(order), path)
    return path
