"""The bench shows what it measured, and every measurement is one.

Nothing here says how fast anything is: that is what `make bench` is for.
"""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import FAMILIES, main
from benchmarks.baselines import compare
from benchmarks.disk import TICKS_A_YEAR, Footprint, installed_mb, measure_footprint
from benchmarks.figures import Moment, Took, one_core, percentile
from benchmarks.process import measure_cpu, measure_lag, measure_start, measure_weight
from benchmarks.table import Goal, Machine, Row, show
from benchmarks.tick_line import PARTS, Line, run_line
from benchmarks.ticks import Pace, measure_pace
from benchmarks.virtual import live_through

HEAD = Machine(
    cores=2,
    processor="a processor",
    python="3.11.0",
    load_before=0.25,
    load_after=1.5,
    took_s=61.4,
    disk="/scratch on ext4",
)


def a_row(what: str = "ticks", figure: float = 210.0, goal: Goal | None = None) -> Row:
    return Row(
        family="speed", what=what, figure=figure, unit="ticks/s", n=3, goal=goal, compared="1.4x"
    )


def shown(*rows: Row, is_terminal: bool = False) -> str:
    text = io.StringIO()
    show(rows, HEAD, Console(file=text, force_terminal=is_terminal, width=160))
    return text.getvalue()


# The table


def test_a_row_stands_beside_its_unit_goal_baseline_and_count() -> None:
    goal = Goal(limit=200, at_least=True)
    head, names, line = shown(a_row(goal=goal)).splitlines()
    assert "2 cores (a processor)" in head
    assert "load 0.25 before and 1.50 after" in head
    assert names.split() == ["family", "what", "figure", "unit", "goal", "compared", "with", "n"]
    assert line.split() == ["speed", "ticks", "210", "ticks/s", ">=", "200", "ok", "1.4x", "3"]


def test_a_missed_goal_is_said_without_colours_too() -> None:
    slow = a_row(figure=199.9, goal=Goal(limit=200, at_least=True))
    big = a_row(figure=350.0, goal=Goal(limit=350))
    assert shown(slow, big).count("MISSED") == 2
    assert "\x1b[" not in shown(slow)
    assert "\x1b[31m" in shown(slow, is_terminal=True)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_refused(broken: float) -> None:
    with pytest.raises(ValueError, match="is no figure"):
        shown(a_row(figure=broken))


def test_the_bench_prints_and_writes_the_same_rows_of_the_families_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []

    def measured(folder: Path) -> list[Row]:
        asked.append(folder)
        return [a_row("of one", goal=Goal(limit=5)), a_row("of another")]

    def unwanted(_: Path) -> list[Row]:
        raise AssertionError("nobody asked for it")

    written = tmp_path / "rows.json"
    arguments = ["--only", "one", "--json", str(written), "--folder", str(tmp_path)]
    main(arguments, {"one": measured, "other": unwanted})
    out = capsys.readouterr().out
    found = json.loads(written.read_text(encoding="utf-8"))
    assert asked == [tmp_path]
    assert [(row["what"], row["goal_met"]) for row in found["rows"]] == [
        ("of one", False),
        ("of another", None),
    ]
    assert all(row["what"] in out for row in found["rows"])
    assert found["machine"]["cores"] == len(os.sched_getaffinity(0))


def test_an_unknown_family_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "ticks,speed"])
    assert f"'speed' is none of {', '.join(FAMILIES)}" in capsys.readouterr().err


# Arithmetic


def test_a_pace_is_taken_from_the_ticks_after_the_warm_up() -> None:
    moments = [0.0, 9.0, 9.002, 9.004, 9.010]
    stamps = [Moment(wall_s=at, cpu_s=at / 2) for at in moments]
    pace = Pace.of(stamps, warm_up=1)
    assert pace.per_s == pytest.approx(300)
    assert pace.p50_ms == pytest.approx(2.0)
    assert pace.p99_ms == pytest.approx(6.0)
    assert pace.cpu_ms == pytest.approx(5.0 / 3)
    with pytest.raises(ValueError, match="5 ticks leave none after 4"):
        Pace.of(stamps, warm_up=4)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert [percentile(values, part) for part in (0.001, 0.5, 0.99, 1.0)] == [1, 100, 198, 200]


def test_the_parts_of_a_tick_add_up_to_it() -> None:
    spent = {"advance": 1, "window": 2, "news": 3, "monitor": 9, "strategy": 4, "graph": 30}
    others = {"executor": 5, "budget": 6, "playbook": 1}
    line = Line()
    run, commit = Took(wall_ms=60, cpu_ms=40), Took(wall_ms=25, cpu_ms=10)
    line.note({**spent, **others}, run, commit)
    assert {part: line.p50_ms(part) for part in ("observe", "graph", "record", "feed")} == {
        "observe": 4,
        "graph": 5,
        "record": 9,
        "feed": 6,
    }
    assert sum(line.p50_ms(part) for part in PARTS) == 50
    assert line.wholes == [Took(wall_ms=85, cpu_ms=50)]


def test_a_year_on_disk_is_bytes_a_tick_times_its_ticks() -> None:
    footprint = Footprint(ticks=100, whole=2000.0, shrunk=500.0)
    assert footprint.year_mb() == pytest.approx(TICKS_A_YEAR * 2000 / 1e6)
    assert footprint.year_with_retention_mb() == pytest.approx(
        (21 * 390 * 2000 + (TICKS_A_YEAR - 21 * 390) * 500) / 1e6
    )


def test_the_core_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


# Measurements, each on the smallest setting that has a result


def test_a_whole_house_is_timed_tick_by_tick(tmp_path: Path) -> None:
    pace = measure_pace(tmp_path, universe=1, ticks=5, warm_up=1)
    assert 0 < pace.p50_ms <= pace.p99_ms < math.inf
    assert 0 < pace.per_s < math.inf
    assert 0 < pace.cpu_ms < math.inf
    assert list(tmp_path.iterdir()) == []


def test_the_parts_of_a_tick_are_timed(tmp_path: Path) -> None:
    line = run_line(tmp_path, universe=2, ticks=4, warm_up=1)
    assert len(line.commits) == len(line.windows) == len(line.stored) == 3
    for part in PARTS:
        assert 0 < line.p50_ms(part) < math.inf, part
    assert list(tmp_path.iterdir()) == []


def test_the_bare_rivals_of_a_tick_are_timed_beside_it(tmp_path: Path) -> None:
    found = compare(tmp_path, ticks=4, warm_up=1)
    for pair in (found.graph, found.commit, found.commit_wall, found.observe):
        assert 0 < pair.bare < math.inf
        assert 0 < pair.ours < math.inf
    assert list(tmp_path.iterdir()) == []


def test_a_stretch_of_virtual_time_takes_real_time(tmp_path: Path) -> None:
    stretch = live_through(tmp_path, ticks=5)
    assert stretch.ticks == 5
    assert stretch.virtual_s == pytest.approx(4.0, abs=0.5)  # a tick a second
    assert 0 < stretch.cpu_s < math.inf
    assert 0 < stretch.wall_s < math.inf


def test_the_lag_of_a_loop_is_seen_by_both_probes(tmp_path: Path) -> None:
    lag = measure_lag(tmp_path, universe=1, ticks=3, chroma="off")
    assert 0 <= lag.fine_p99_ms <= lag.fine_max_ms < math.inf
    assert 0 <= lag.own_p99_ms < math.inf


def test_a_database_and_an_installation_have_a_size(tmp_path: Path) -> None:
    footprint = measure_footprint(tmp_path, ticks=20)
    assert 0 < footprint.shrunk <= footprint.whole < math.inf
    lock = tmp_path / "some.lock"
    lock.write_text("rich==15.0.0 \\\n    --hash=sha256:ab\nNo_Such.Thing==1.0 ; python > '3'\n")
    assert 0.1 < installed_mb(lock) < 10


@pytest.mark.alone
@pytest.mark.campaign
def test_a_real_daemon_is_timed_weighed_and_watched(tmp_path: Path) -> None:
    bytecode = tmp_path / "bytecode"
    start = measure_start(tmp_path, bytecode)
    assert 0 < start.committed_s <= start.shown_s < math.inf
    weight = measure_weight(tmp_path, bytecode, ticks=3)
    assert 20 < weight.own_mb < math.inf
    assert 1 < weight.children_mb < math.inf
    assert 0 < measure_cpu(tmp_path, bytecode, speed=600, window_s=0.5) < math.inf
    assert list(tmp_path.iterdir()) == [bytecode]
