"""Two runs of the same market are the same run, byte for byte, but for what an answer cost.

The fields that may differ are named once in the core (`NOT_DIGESTED`); here the clock of one run
goes wild, so that they do differ, and nothing else may.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roboinvest.core.records import NOT_DIGESTED
from tests.fakes.gambler import gambler
from tests.fakes.town import Town, run_life
from tests.fakes.worlds import invented

REPOSITORY = Path(__file__).resolve().parents[2]

ANOTHER_PROCESS = """
import sys
from pathlib import Path
from tests.fakes.town import Town, run_life
from tests.fakes.worlds import invented

run_life(Town(market=invented(9, minutes=70, sessions=1), folder=Path(sys.argv[1])))
"""


class WildClock:
    """A clock that jumps about."""

    def __init__(self) -> None:
        self._asked = 0

    def now(self) -> datetime:
        return datetime(2031, 5, 5, tzinfo=UTC)

    def monotonic(self) -> float:
        self._asked += 1
        return self._asked * self._asked * 0.37


def bodies(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "roboinvest.db") as connection:
        rows = connection.execute("SELECT body FROM ticks ORDER BY at").fetchall()
    connection.close()
    return [zlib.decompress(row[0]).decode() for row in rows]


def digests(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "roboinvest.db") as connection:
        rows = connection.execute("SELECT digest FROM ticks ORDER BY at").fetchall()
    connection.close()
    return [row[0] for row in rows]


def essentials(body: str) -> str:
    return json.dumps(_without_incidentals(json.loads(body)))


def _without_incidentals(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _without_incidentals(v) for k, v in tree.items() if k not in NOT_DIGESTED}
    if isinstance(tree, list):
        return [_without_incidentals(item) for item in tree]
    return tree


def test_two_runs_differ_in_latency_and_cost_alone(tmp_path: Path) -> None:
    for name in ("calm", "wild"):
        market = invented(9, minutes=70, sessions=2)
        town = Town(market=market, folder=tmp_path / name)
        if name == "wild":
            town.clock = WildClock()
        run_life(town)
    calm, wild = bodies(tmp_path / "calm"), bodies(tmp_path / "wild")
    assert len(calm) == 140
    assert calm != wild, "the clocks differ, so latencies must"
    assert [essentials(body) for body in calm] == [essentials(body) for body in wild]
    assert digests(tmp_path / "calm") == digests(tmp_path / "wild")


def test_bodies_without_a_latency_are_equal_byte_for_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_life(Town(market=invented(9), folder=tmp_path / name, model=gambler()))
    assert bodies(tmp_path / "one") == bodies(tmp_path / "two")


def test_another_process_with_another_hash_seed_lives_the_same_day(tmp_path: Path) -> None:
    run_life(Town(market=invented(9, minutes=70, sessions=1), folder=tmp_path / "here"))
    subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, str(tmp_path / "there")],
        check=True,
        cwd=REPOSITORY,
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": str(REPOSITORY), "PATH": ""},
        timeout=60,
    )
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
    assert [essentials(b) for b in bodies(tmp_path / "here")] == [
        essentials(b) for b in bodies(tmp_path / "there")
    ]


def test_another_market_is_another_run(tmp_path: Path) -> None:
    for seed in (9, 10):
        run_life(Town(market=invented(seed, sessions=1), folder=tmp_path / str(seed)))
    assert digests(tmp_path / "9") != digests(tmp_path / "10")
