"""`roboinvest backtest`, as a person types it: what it answers, and in which words it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from roboinvest.cli.main import run_program
from roboinvest.core.market.values import Timeframe
from tests.fakes.walks import write_walks
from tools.bars.store import BarStore
from tools.bars.table import read_table

SOUND = """
from roboinvest.core.strategy import Execution, Percent
NAME, VERSION, IDEA, SOURCE, TIMEFRAME = "probe", "1", "None.", "this test", "any"
PARAMS = {"bars": (3, 1, 9)}
def scan(now, p):
    return now("close") > now("open")
def execution(p):
    return Execution(stop=Percent(0.02), max_bars=p["bars"])
"""


@dataclass(frozen=True, slots=True)
class Typed:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Types commands into this process, with a data folder of its own."""

    def __init__(self, bars: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.bars, self.place, self._capsys = bars, place, capsys

    def __call__(self, typed: str) -> Typed:
        words = typed.replace("BARS", str(self.bars)).replace("HERE", str(self.place)).split()
        code = run_program(["backtest", *words, "--data-dir", str(self.place / "data")])
        out, err = self._capsys.readouterr()
        return Typed(code, out, err)

    def file(self, text: str) -> str:
        path = self.place / "probe.py"
        path.write_text(text)
        return str(path)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("week") / "week.csv"
    first, last = date(2015, 12, 14), date(2015, 12, 24)
    return write_walks(path, 5, first, last, timeframe=Timeframe.MINUTES_5)


@pytest.fixture
def shell(week: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(week, tmp_path, capsys)


def test_a_run_is_told_in_json_and_kept_in_the_book(shell: Shell) -> None:
    ran = shell("run sma_crossover --bars BARS --symbols AAA --json")
    assert ran.code == 0, ran.err
    assert ran.value["number"] == 1
    assert ran.value["strategy"]["name"] == "sma_crossover"
    listed = shell("ls --json").value
    assert [run["run"] for run in listed] == [1]
    shown = shell("show 1 --json").value
    assert (shown["trials"], shown["symbols"]) == (1, ["AAA"])


def test_a_report_is_written_in_the_form_of_its_name(shell: Shell) -> None:
    for name, begins in (("a.html", "<!doctype html>"), ("a.json", "{"), ("a.csv", "")):
        assert shell(f"run sma_crossover --bars BARS --symbols AAA --report HERE/{name}").code == 0
        text = (shell.place / name).read_text()
        assert text.lower().startswith(begins)
        assert text


def test_the_same_run_again_is_no_new_trial_and_other_values_are(shell: Shell) -> None:
    for values in ("", "", "--param fast=7"):
        assert shell(f"run sma_crossover --bars BARS --symbols AAA {values}").code == 0
    assert shell("show 3 --json").value["trials"] == 2


def test_a_file_of_ones_own_runs_and_its_rename_begins_no_new_count(shell: Shell) -> None:
    path = shell.file(SOUND)
    assert shell(f"run {path} --bars BARS --symbols AAA").code == 0
    shell.file(SOUND.replace('"probe"', '"renamed"'))
    ran = shell(f"run {path} --bars BARS --symbols AAA --param bars=4 --json")
    assert shell(f"show {ran.value['number']} --json").value["trials"] == 2


def test_a_sweep_counts_every_combination_and_the_walk_forward_its_folds(shell: Shell) -> None:
    swept = shell(
        "sweep sma_crossover --bars BARS --symbols AAA --over fast=3,5 --over slow=15:25:5 "
        "--heat-map HERE/map.svg --json"
    )
    assert swept.code == 0, swept.err
    assert (len(swept.value["rows"]), swept.value["trials"]) == (6, 6)
    assert (shell.place / "map.svg").read_text().startswith("<svg")
    walked = shell(
        "run sma_crossover --bars BARS --symbols AAA --walk-forward 2 --param slow=60 --json"
    )
    assert walked.code == 0, walked.err
    assert len(walked.value["evidence"]["folds"]) == 2


def test_the_library_is_listed_and_compared(shell: Shell) -> None:
    code = run_program(["backtest", "strategies", "--json"])
    listed = json.loads(shell._capsys.readouterr().out)
    assert code == 0
    assert {"name", "timeframe", "symbols", "idea", "params"} <= set(listed[0])
    assert len(listed) >= 15
    compared = shell("compare sma_crossover macd --bars BARS --symbols AAA --json")
    assert [row["strategy"] for row in compared.value] == ["sma_crossover@1", "macd@1"]


def test_every_strategy_that_suits_the_bars_gets_a_page(shell: Shell) -> None:
    done = shell("report-all --bars BARS --symbols AAA --to 2015-12-16 --out HERE/pages --json")
    assert done.code == 0, done.err
    pages = {page.stem for page in (shell.place / "pages").glob("*.html")} - {"index"}
    assert len(pages) >= 10
    assert pages == {row["strategy"].partition("@")[0] for row in done.value}
    assert "sma_crossover.html" in (shell.place / "pages" / "index.html").read_text()


def test_a_cheat_is_caught_and_ends_with_one(shell: Shell) -> None:
    cheat = """
from roboinvest.core.quant.calculators.chance import custom
import numpy as np
NAME, VERSION, IDEA, SOURCE, TIMEFRAME = "oracle", "1", "None.", "this test", "any"
def columns(p):
    return {"next": custom("next", lambda bars: np.append(bars.close[1:], np.nan), 0)}
def scan(now, p):
    return now("next") > now("close")
"""
    found = shell(f"leak-check {shell.file(cheat)} --bars BARS --symbols AAA --json")
    assert found.code == 1
    assert "prefix" in found.value["caught_by"]
    assert shell("leak-check sma_crossover --bars BARS --symbols AAA").code == 0


def test_a_locked_holdout_is_seen_once_for_each_version(shell: Shell) -> None:
    path = shell.file(SOUND)
    locked = shell(f"holdout lock {path} --from 2015-12-22 --symbols AAA")
    assert locked.code == 0, locked.err
    reached = shell(f"run {path} --bars BARS --symbols AAA")
    assert (reached.code, "holdout" in reached.err) == (5, True)
    assert shell(f"run {path} --bars BARS --symbols AAA --to 2015-12-21").code == 0
    assert shell(f"holdout open {path}").code == 0
    assert shell(f"run {path} --bars BARS --symbols AAA").code == 0
    again = shell(f"holdout open {path}")
    assert again.code == 5


REFUSED = {
    "no such strategy": ("run sma_crosover --bars BARS", "sma_crossover"),
    "no such parameter": ("run macd --bars BARS --param speed=3", "has no parameter speed"),
    "no pair": ("run macd --bars BARS --param fast", "write it as fast=10"),
    "a value out of range": ("run sma_crossover --bars BARS --param fast=0", "outside"),
    "no such bars": ("run macd --bars HERE/none.csv", "does not exist"),
    "no such symbol": ("run macd --bars BARS --symbols ZZZ", "ZZZ"),
    "days the wrong way round": (
        "run macd --bars BARS --from 2015-12-24 --to 2015-12-23",
        "swap them",
    ),
    "daily bars wanted": ("run overnight_momentum --bars DAYS", "is for intraday bars"),
    "too few bars": (
        "run sma_crossover --bars BARS --symbols AAA --to 2015-12-14 --param slow=200",
        "warms up on",
    ),
    "a second symbol missing": ("run pairs --bars BARS --symbols AAA", "needs 2 symbols"),
    "costs of no kind": ("run macd --bars BARS --costs tax=3", "--costs tax is unknown"),
    "costs that are no number": ("run macd --bars BARS --costs slippage_bps=x", "is no number"),
    "no form of report": ("run macd --bars BARS --report HERE/a.doc", "end it in .html"),
    "no executor": ("run macd --bars BARS --executor gpu", "auto, simulator or kernel"),
    "more folds than days": ("run macd --bars BARS --symbols AAA --walk-forward 40", "folds"),
    "a sweep over nothing": ("sweep macd --bars BARS --symbols AAA", "--over"),
    "a range upside down": ("sweep macd --bars BARS --symbols AAA --over fast=9:3", "upwards"),
    "a single one to compare": ("compare macd --bars BARS", "two or more"),
    "no run of that number": ("show 99", "99"),
}
WISH = 'return now("close") > now("open")'
ENTRY = "from roboinvest.core.strategy import Entry\n    return Entry(stop={})"
FILES = {
    "syntax error": ("def scan(now, p:\n", "line 1"),
    "no scan": (SOUND.replace("def scan", "def skan"), "no scan"),
    "unknown indicator": (
        "from roboinvest.core.quant.calculators.averages import smma\n" + SOUND,
        "smma",
    ),
    "a stop that is no number": (SOUND.replace(WISH, ENTRY.format("float('nan')")), "nan"),
    "a stop on the wrong side": (SOUND.replace(WISH, ENTRY.format("1e6")), "must be below it"),
    "an exception in the scan": (SOUND.replace("return now", "1 / 0\n    return now"), "division"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused_in_one_sentence(case: str, shell: Shell) -> None:
    typed, says = REFUSED[case]
    if "DAYS" in typed:
        days = shell.place / "days.csv"
        write_walks(days, 5, date(2014, 1, 2), date(2015, 12, 24), timeframe=Timeframe.DAY)
        typed = typed.replace("DAYS", str(days))
    if case == "no run of that number":
        shell("run macd --bars BARS --symbols AAA")
    ended = shell(typed)
    assert ended.code == 2, ended.out
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert not list(shell.place.glob("a.*"))


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused_in_one_sentence_and_counted_nowhere(case: str, shell: Shell) -> None:
    text, says = FILES[case]
    ended = shell(f"run {shell.file(text)} --bars BARS --symbols AAA --report HERE/a.html")
    assert ended.code == 2, ended.out
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert not (shell.place / "a.html").exists()
    assert shell("ls --json").out.strip() in ("", "[]")


def test_a_store_with_shorter_bars_tells_what_longer_ones_cannot(
    shell: Shell, tmp_path: Path
) -> None:
    store = tmp_path / "data" / "bars"
    first, last = date(2015, 12, 14), date(2015, 12, 24)
    for timeframe in (Timeframe.HOUR, Timeframe.MINUTES_5):
        path = write_walks(tmp_path / f"{timeframe}.csv", 5, first, last, timeframe=timeframe)
        BarStore(store).add(read_table(path), timeframe=timeframe)
    several = shell("run sma_crossover --symbols AAA")
    assert (several.code, "--timeframe" in several.err) == (2, True)
    params = "--param fast=2 --param slow=4 --param stop_frac=0.002"
    told = shell(f"run sma_crossover --symbols AAA --timeframe 1h {params} --json")
    assert told.code == 0, told.err
    assert told.value["run"]["timeframe"] == "1h"
