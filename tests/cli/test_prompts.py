"""Prompts are listed, compared, promoted and rolled back, beside a registry and without one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roboinvest.runtime.prompts.versions import Outcome
from tests.fakes.processes import REPOSITORY, roboinvest
from tests.fakes.prompts import NAME, PromptPlace, a_prompt, cause

ONE, TWO, THREE = (
    a_prompt(system=f"You decide, [b]{word}[/b] :bear:.") for word in ("1", "2", "3")
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a place whose registry had one file, then another, and has a candidate."""
    asyncio.run(_left_behind(PromptPlace(tmp_path)))
    return tmp_path


async def _left_behind(place: PromptPlace) -> None:
    place.write(ONE)
    async with place.opened():
        pass
    place.write(TWO)
    async with place.opened() as registry:
        registry.count(registry.current(NAME), Outcome.ASKED, 7)
        await registry.propose(NAME, THREE, cause("shorter", pairs=140))


def in_force(place: Path) -> str:
    text: str = roboinvest("prompts", "show", NAME, "--json", cwd=place).value()["text"]
    return text


def test_prompts_are_listed_with_what_is_in_force(place: Path) -> None:
    (row,) = roboinvest("prompts", "ls", "--json", cwd=place).value()["prompts"]
    assert (row["name"], row["asked"], row["by"]) == (NAME, 7, "daemon")
    words = roboinvest("prompts", "ls", cwd=place)
    assert (words.code, words.err) == (0, "")
    assert row["current"] in words.out
    assert row["candidate"] in words.out
    assert "no daemon" not in words.out


def test_a_prompt_is_shown_with_its_figures_and_its_history(place: Path) -> None:
    shown = roboinvest("prompts", "show", NAME, "--json", cwd=place).value()
    assert (shown["text"], shown["labels"], shown["figures"]) == (TWO, ["current"], {"asked": 7})
    assert shown["placeholders"] == {"at": "text", "symbols": "json"}
    assert [move["kind"] for move in shown["moves"]] == ["file", "file", "proposed"]
    assert shown["moves"][2]["evidence"] == {"pairs": 140}
    words = roboinvest("prompts", "show", NAME, cwd=place)
    assert TWO in words.out  # to the byte: no markup, no emoji
    assert "asked 7" in words.out
    assert "(proposed): shorter" in words.out


def test_a_version_is_found_by_its_first_digits_or_its_label(place: Path) -> None:
    candidate = roboinvest(
        "prompts", "show", NAME, "--version", "candidate", "--json", cwd=place
    ).value()
    assert candidate["text"] == THREE
    digits = candidate["version"][:10].upper()
    again = roboinvest("prompts", "show", NAME, "--version", digits, "--json", cwd=place).value()
    assert again["version"] == candidate["version"]
    for wrong in ("zzz", ""):
        refused = roboinvest("prompts", "show", NAME, "--version", wrong, cwd=place)
        assert refused.code == 2
        assert "versions of strategy/decide" in refused.refusal()


def test_the_candidate_is_compared_with_what_is_in_force(place: Path) -> None:
    lines = roboinvest("prompts", "diff", NAME, cwd=place).out.splitlines()
    assert "-You decide, [b]2[/b] :bear:." in lines
    assert "+You decide, [b]3[/b] :bear:." in lines


def test_without_a_candidate_what_was_before_is_compared(place: Path) -> None:
    assert roboinvest("prompts", "promote", NAME, "--reason", "it wins", cwd=place).code == 0
    lines = roboinvest("prompts", "diff", NAME, "--json", cwd=place).value()["diff"].splitlines()
    assert "-You decide, [b]2[/b] :bear:." in lines
    assert "+You decide, [b]3[/b] :bear:." in lines


def test_any_two_versions_are_compared(place: Path) -> None:
    shown = roboinvest("prompts", "show", NAME, "--json", cwd=place).value()
    first = shown["moves"][0]["after"]
    words = roboinvest("prompts", "diff", NAME, first[:9], "candidate", cwd=place).out
    assert "-You decide, [b]1[/b] :bear:." in words
    assert "+You decide, [b]3[/b] :bear:." in words
    same = roboinvest("prompts", "diff", NAME, "current", cwd=place).out
    assert "have the same words" in same


def test_a_rollback_says_what_was_and_what_is_and_keeps_who_and_why(place: Path) -> None:
    done = roboinvest("prompts", "rollback", NAME, "--reason", "two loses", cwd=place)
    shown = roboinvest("prompts", "show", NAME, "--json", cwd=place).value()
    last = shown["moves"][-1]
    assert done.out == f"{NAME}: {last['before'][:12]} -> {last['after'][:12]}\n"
    assert (shown["text"], last["reason"], last["kind"]) == (ONE, "two loses", "rolled_back")
    assert last["by"]
    again = roboinvest("prompts", "rollback", NAME, "--reason", "once more", cwd=place)
    assert again.code == 5
    assert "nothing to go back to" in again.refusal()
    assert in_force(place) == ONE


def test_a_promotion_puts_the_candidate_in_force_once(place: Path) -> None:
    move = roboinvest(
        "prompts", "promote", NAME, "--reason", "it wins", "--json", cwd=place
    ).value()
    assert (move["kind"], move["label"]) == ("promoted", "current")
    assert in_force(place) == THREE
    again = roboinvest("prompts", "promote", NAME, "--reason", "it wins", cwd=place)
    assert again.code == 5
    assert "has no candidate" in again.refusal()


def test_a_move_without_a_reason_is_not_made(place: Path) -> None:
    for command in ("rollback", "promote"):
        assert roboinvest("prompts", command, NAME, cwd=place).code == 2
        refused = roboinvest("prompts", command, NAME, "--reason", " ", cwd=place)
        assert refused.code == 2
        assert "the reason has" in refused.refusal()
    assert in_force(place) == TWO


def test_a_name_that_is_none_is_said_with_those_there_are(place: Path) -> None:
    for command in (("show",), ("diff",), ("rollback", "--reason", "x")):
        refused = roboinvest("prompts", *command, "strategy/other", cwd=place)
        assert refused.code == 2
        assert NAME in refused.refusal()


def test_before_the_first_start_the_files_are_shown_and_nothing_is_made(tmp_path: Path) -> None:
    words = roboinvest("prompts", "ls", cwd=tmp_path)
    assert (words.code, words.err) == (0, "")
    assert NAME in words.out
    assert "no daemon with a model has started here yet" in words.out
    shown = roboinvest("prompts", "show", NAME, "--json", cwd=tmp_path).value()
    assert (shown["registry"], shown["version"]) == (False, None)
    assert "It never opens a short position." in shown["text"]
    for command in (("diff", NAME), ("rollback", NAME, "--reason", "x")):
        refused = roboinvest("prompts", *command, cwd=tmp_path)
        assert refused.code == 4
        assert "roboinvest run" in refused.refusal()
    assert roboinvest("prompts", "show", "strategy/other", cwd=tmp_path).code == 2
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_no_registry_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = PromptPlace(tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 100)
    refused = roboinvest("prompts", "ls", cwd=tmp_path)
    assert refused.code == 3
    assert "is damaged" in refused.refusal()


LOADED = """
import json, sys
from roboinvest.cli.main import run_program
run_program(sys.argv[1:])
json.dump(sorted({name.partition(".")[0] for name in sys.modules}), sys.stderr)
"""


@pytest.mark.parametrize("command", [["status"], ["prompts", "--help"]])
def test_what_reads_no_prompt_loads_no_template_engine(command: list[str], tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", LOADED, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert {"jinja2", "sqlite3"} & set(json.loads(asked.stderr)) == set()
