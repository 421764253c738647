"""`explain`, as a person types it: a page to read, a JSON value, or one sentence."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roboinvest.trading.explain.story import Story
from tests.fakes.processes import REPOSITORY, Daemon, Ended, Finished, roboinvest
from tests.fakes.spending import a_call, an_ask, paid
from tests.fakes.stored_runs import StoredRun
from tests.fakes.told import ToldFolder

CANARY = "canary-4f1d9b7e2a"
WIDTH = 100
HEAVY = {"numpy", "pandas", "pyarrow", "langgraph", "langchain_openai", "chromadb", "alpaca"}
IMPORTED_BY = """
import json, sys
from roboinvest.cli.main import run_program
code = run_program(sys.argv[1:])
json.dump([code, sorted({name.partition(".")[0] for name in sys.modules})], sys.stderr)
"""


def asked(run: Finished, *arguments: object) -> Ended:
    return roboinvest("explain", *arguments, "--data-dir", run.data, cwd=run.place)


def bought(run: Finished) -> tuple[str, str, str]:
    """Return tick, symbol and order of the first entry of a run."""
    ((tick, symbol, order),) = StoredRun(run.data).rows(
        "SELECT tick_id, symbol, client_order_id FROM orders WHERE leg = 'entry' "
        "ORDER BY seq LIMIT 1"
    )
    return tick, symbol, order


def test_every_kind_of_question_is_answered_in_words_and_in_json(finished: Finished) -> None:
    tick, symbol, order = bought(finished)
    questions = {
        tick: "tick",
        "2015-12-23T10:00": "time",
        "last": "last",
        f"{tick}/{symbol}": "decision",
        symbol: "symbol",
        order: "order",
        f"{order}-s": "order",
    }
    for what, kind in questions.items():
        words = asked(finished, what)
        assert (words.code, words.err) == (0, ""), what
        answer = asked(finished, what, "--json").value()
        assert answer["kind"] == kind
        assert list(answer) == list(Story.model_fields)
        assert " ".join(words.out.split()).startswith(" ".join(answer["answer"].split()))


def test_nothing_asked_is_the_last_tick(finished: Finished) -> None:
    assert asked(finished).out == asked(finished, "last").out


def test_a_page_is_plain_and_not_wider_than_a_hundred_columns(finished: Finished) -> None:
    tick, _, order = bought(finished)
    for what in (tick, order, "last"):
        page = asked(finished, what, "--full").out
        assert page.isprintable() is False  # lines
        assert page.replace("\n", "").isprintable()
        assert max(map(len, page.splitlines())) <= WIDTH
        assert not [line for line in page.splitlines() if line != line.rstrip()]
    shown = asked(finished, tick).out
    names = [line.partition(" ")[0] for line in shown.splitlines() if line[:1] not in ("", " ")]
    order_of_story = ["tick", "trading", "seen", "features", "memories", "votes", "decision"]
    assert {"seen", "decision", "risk"} <= set(names)
    first = [names.index(name) for name in order_of_story if name in names]
    assert first == sorted(first)


def test_an_entry_leads_to_its_trade_and_its_lesson(finished: Finished) -> None:
    tick, symbol, order = bought(finished)
    (told,) = asked(finished, f"{tick}/{symbol}", "--json").value()["decisions"]
    assert told["traded"] is True
    assert {one["leg"] for one in told["orders"]} >= {"entry", "stop", "target"}
    (entry,) = [one for one in told["orders"] if one["leg"] == "entry"]
    assert (entry["client_order_id"], entry["state"]) == (order, "filled")
    assert entry["journal"]["state"] in ("accepted", "closed")
    assert json.loads(entry["journal"]["limits"])["max_order_usd"] == "25000"
    assert told["trades"][0]["entry_tick"] == tick
    assert told["lesson"]["outcome"]["kind"] == "trade"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("20151223T143501Z", "there is no tick 20151223T143501Z; the nearest is 20151223T143500Z"),
        ("ZZZ", "nothing was ever decided about ZZZ; the last tick looked at AAA, BBB"),
        ("ri1-none", "there is no order ri1-none; the nearest is ri1-"),
        ("2001-01-01", "the first is 20151223T143500Z"),
        ("why not", "'why not' is nothing that can be explained"),
    ],
)
def test_what_is_not_there_is_one_sentence_and_exit_code_2(
    finished: Finished, what: str, words: str
) -> None:
    answer = asked(finished, what)
    assert answer.code == 2
    assert words in answer.refusal()
    assert asked(finished, what, "--json").refusal() == answer.refusal()


def test_before_any_run_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    answer = roboinvest("explain", "last", cwd=tmp_path)
    assert answer.code == 4
    assert "roboinvest run" in answer.refusal()
    assert not (tmp_path / "data").exists()


@pytest.fixture
def with_a_model(finished: Finished, tmp_path: Path) -> tuple[Path, str]:
    """Return a copy of the run in which a model was asked, its records unredacted, and a tick."""
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    tick, _, _ = bought(finished)
    prompt = f"[user]\n\nThe key is {CANARY}. \x1b[2J[bold]Buy[/bold] " + "x" * 300
    call = (a_call(1), paid("0.01", prompt=prompt, reply=f'{{"say":"{CANARY}"}}'))
    ask = an_ask(1, about=tick, reason=f"said {CANARY}", task="strategy")
    asyncio.run(ToldFolder(data).keep_ask(ask, call))
    return tmp_path, tick


def test_a_prompt_and_its_reply_are_shown_on_demand_as_they_are_and_never_a_secret(
    with_a_model: tuple[Path, str],
) -> None:
    place, tick = with_a_model
    env = {"OPENAI_API_KEY": CANARY}
    short = roboinvest("explain", tick, cwd=place, env=env)
    full = roboinvest("explain", tick, "--full", cwd=place, env=env)
    as_json = roboinvest("explain", tick, "--json", cwd=place, env=env)
    for answer in (short, full, as_json):
        assert (answer.code, answer.err) == (0, "")
        assert CANARY not in answer.out
    assert "The key is" not in short.out
    assert "The key is [redacted]. [bold]Buy[/bold]" in full.out
    assert '{"say":"[redacted]"}' in full.out
    assert "\x1b" not in full.out
    assert not [line for line in full.out.splitlines() if line != line.rstrip()]
    assert max(map(len, full.out.splitlines())) <= WIDTH
    (ask,) = as_json.value()["asks"]
    assert ask["calls"][0]["prompt"].startswith("[user]\n\nThe key is [redacted].")


def test_it_answers_beside_a_daemon_that_goes_on(bars: Path, tmp_path: Path) -> None:
    def ask(daemon: Daemon, what: str) -> Any:
        answer = roboinvest("explain", what, "--json", "--data-dir", daemon.data, cwd=tmp_path)
        assert (answer.code, answer.err) == (0, "")
        return answer.value()

    replay = ("--replay", bars, "--from", "2015-12-23", "--speed", 300)
    with Daemon(tmp_path / "data", "run", *replay, cwd=tmp_path) as daemon:
        daemon.until_ready()
        count = daemon.until_tick(1)
        first = ask(daemon, "last")["tick"]["tick_id"]
        daemon.until_tick(count + 3)
        later = ask(daemon, "last")["tick"]["tick_id"]
        assert later > first
        assert ask(daemon, first)["tick"]["tick_id"] == first
        assert ask(daemon, "last")["decisions"][0]["answer"]


def test_it_loads_nothing_that_takes_long(finished: Finished) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_BY, "explain", "last", "--data-dir", str(finished.data)],
        cwd=finished.place,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert HEAVY & set(modules) == set()
