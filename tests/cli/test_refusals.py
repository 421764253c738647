"""What is refused, with which exit code, and in which words: one sentence and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.processes import Finished, roboinvest
from tests.fakes.stored_runs import StoredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command that is refused. `BARS` in it stands for the file of bars."""

    typed: str
    code: int
    says: tuple[str, ...]  # parts of the sentence: the fact, the value, the next step


WRONG_ARGUMENTS = (
    Case(typed="run --replay none.csv", code=2, says=("none.csv does not exist", "give the path")),
    Case(typed="run --replay empty.csv", code=2, says=("empty.csv is empty", "give a file")),
    Case(typed="run --replay BARS --symbols ZZZ", code=2, says=("no symbol ZZZ", "AAA, BBB")),
    Case(
        typed="run --replay two_sources.csv",
        code=2,
        says=("AAA comes from 2 sources", "lean, other", "--source NAME"),
    ),
    Case(
        typed="run --replay BARS --from 2020-01-06 --to 2020-02-03",
        code=2,
        says=("no rows from 2020-01-06 to 2020-02-03", "from 2015-12-21 to 2015-12-24"),
    ),
    Case(
        typed="run --replay BARS --from 2015-12-24 --to 2015-12-23",
        code=2,
        says=("--from 2015-12-24 is after --to 2015-12-23", "swap"),
    ),
    Case(typed="run --replay BARS --from tomorrow", code=2, says=("tomorrow", "2011-01-03")),
    Case(typed="run --replay BARS --speed fast", code=2, says=("--speed fast", "max")),
    Case(typed="run --replay BARS --speed 0", code=2, says=("--speed 0", "above 0")),
    Case(typed="run --speed nan", code=2, says=("--speed nan", "above 0")),
    Case(typed="run --replay BARS --seed 3", code=2, says=("--seed 3", "simulated market")),
    Case(typed="run --from 2015-12-23", code=2, says=("--from", "--replay PATH")),
    Case(typed="run --replay days.csv", code=2, says=("bars of a day", "shorter bars")),
    Case(typed="schema nothing", code=2, says=("nothing", "system_status, performance")),
    Case(typed="data check none.csv", code=2, says=("none.csv does not exist", "give the path")),
    Case(typed="data check text.doc", code=2, says=("text.doc", "supported are")),
    Case(typed="data check BARS --map close", code=2, says=("--map close", "close=Last")),
    Case(typed="data check BARS --map close=Last", code=2, says=("no column Last", "it has")),
    Case(typed="data check BARS --map price=close", code=2, says=("price", "ts, open, high")),
    Case(typed="data import none.csv", code=2, says=("none.csv does not exist", "give the path")),
    Case(typed="halt --level hard", code=2, says=("--level hard", "new, cancel or flatten")),
)
WRONG_SETTINGS = (
    Case(
        typed="run --config unknown_key.toml",
        code=3,
        says=(
            "unknown_key.toml",
            "risk.max_daily_los_frac",
            "did you mean risk.max_daily_loss_frac",
        ),
    ),
    Case(typed="run --config not.toml", code=3, says=("not.toml, line 1", "correct that line")),
    Case(typed="run --config none.toml", code=3, says=("none.toml", "--config", "leave it out")),
    Case(typed="run --config out_of_range.toml", code=3, says=("risk.max_gross_frac is -1.0",)),
    Case(typed="status --config unknown_key.toml", code=3, says=("did you mean",)),
    Case(
        typed="run --replay BARS --data-dir empty.csv/data",
        code=3,
        says=("empty.csv/data cannot be written", "a file is where a folder belongs", "--data-dir"),
    ),
    Case(typed="halt --data-dir empty.csv/data", code=3, says=("cannot be written", "--data-dir")),
)
NOTHING_THERE = tuple(
    Case(typed=f"{command} --data-dir nowhere", code=4, says=("nowhere", "roboinvest run"))
    for command in ("report", "positions", "orders", "trades")
)


@pytest.fixture
def place(tmp_path: Path, bars: Path) -> Path:
    """Return a folder with files that can go wrong."""
    lines = bars.read_text().splitlines()
    of_aaa = [line for line in lines[1:] if line.startswith("AAA,")]
    both = [f"{line},{source}" for source in ("lean", "other") for line in of_aaa]
    days = [f"AAA,2015-12-{day}T05:00:00+00:00,100,101,99,100,5000" for day in range(14, 19)]
    files = {
        "empty.csv": "",
        "text.doc": "bars",
        "two_sources.csv": "\n".join([f"{lines[0]},source", *both, ""]),
        "days.csv": "\n".join([lines[0], *days, ""]),
        "unknown_key.toml": "[risk]\nmax_daily_los_frac = 0.01\n",
        "not.toml": "[risk\n",
        "out_of_range.toml": "[risk]\nmax_gross_frac = -1.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "case", [*WRONG_ARGUMENTS, *WRONG_SETTINGS, *NOTHING_THERE], ids=lambda case: case.typed
)
def test_a_mistake_is_told_in_one_sentence_with_the_next_step(
    case: Case, place: Path, bars: Path
) -> None:
    typed = (str(bars) if word == "BARS" else word for word in case.typed.split())
    ended = roboinvest(*typed, cwd=place)
    sentence = ended.refusal()
    assert ended.code == case.code, sentence
    for part in case.says:
        assert part in sentence
    assert not (place / "data").exists()  # what is refused leaves nothing behind


def test_json_does_not_change_how_a_refusal_is_told(place: Path) -> None:
    ended = roboinvest("run", "--replay", "none.csv", "--json", cwd=place)
    assert ended.code == 2
    assert "none.csv does not exist" in ended.refusal()


def test_a_mistake_in_the_environment_is_named_by_its_variable(place: Path) -> None:
    wrong = {"ROBOINVEST_RISK__MAX_GROSS_FRAC": "much"}
    ended = roboinvest("run", cwd=place, env=wrong)
    assert ended.code == 3
    assert "ROBOINVEST_RISK__MAX_GROSS_FRAC" in ended.refusal()


def test_debug_shows_the_traceback_that_a_refusal_keeps_to_itself(place: Path) -> None:
    ended = roboinvest("--debug", "run", "--replay", "none.csv", cwd=place)
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert "none.csv does not exist" in ended.err.splitlines()[-1]


def test_a_word_that_is_no_command_or_option_is_told_with_code_2(place: Path) -> None:
    for typed in (("nonsense",), ("run", "--nonsense"), ("orders", "--limit", "0")):
        ended = roboinvest(*typed, cwd=place)
        assert ended.code == 2
        assert not ended.out
        assert "Traceback" not in ended.err


def test_another_run_is_refused_the_folder_and_fresh_gives_it_one_with_the_halt_in_force(
    finished: Finished, tmp_path: Path
) -> None:
    first = ("once", "--replay", finished.bars, "--from", "2015-12-23")
    other = ("once", "--replay", finished.bars, "--from", "2015-12-24")
    assert roboinvest(*first, cwd=tmp_path).code == 0
    assert roboinvest("halt", "--reason", "lunch", cwd=tmp_path).code == 0

    refused = roboinvest(*other, cwd=tmp_path)
    assert refused.code == 5
    sentence = refused.refusal()
    for part in ('"2015-12-23"', '"2015-12-24"', "--fresh", "--data-dir"):
        assert part in sentence
    assert StoredRun(tmp_path / "data").tick_count() == 1

    fresh = roboinvest(*other, "--fresh", "--json", cwd=tmp_path)
    assert fresh.code == 0
    assert (fresh.value()["trading_state"], fresh.value()["state_reason"]) == ("HALTED", "lunch")
    assert (tmp_path / "data" / "HALT").exists()
    (old,) = tmp_path.glob("data.old-*")
    assert StoredRun(old).tick_count() == 1
    assert StoredRun(tmp_path / "data").ticks() == ["2015-12-24 14:35:00.000000"]
