"""A person takes a folder in as a draft, runs its gates and installs it, by typing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from roboinvest.core.revisions.artifact import Artifact
from tests.cli.test_agents import Typist
from tests.fakes.evolution import (
    CROSSING,
    STRATEGY_SUITE,
    a_strategy,
    a_transform,
    an_artifact,
    cases,
)
from tests.fakes.sandboxes import needs
from tools.sandbox.tier import Tier


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Typist]:
    """Return a person who types where there is no data folder yet."""
    needs(Tier.B)
    typist = Typist(tmp_path)
    yield typist
    typist.leave()


def laid(place: Path, artifact: Artifact, name: str = "written") -> Path:
    """Write an artifact as a folder."""
    for path, content in artifact.files.items():
        (place / name / path).parent.mkdir(parents=True, exist_ok=True)
        (place / name / path).write_bytes(content)
    return place / name


def test_a_pure_transform_goes_from_a_folder_to_being_active(ada: Typist) -> None:
    folder = laid(ada.place, a_transform())
    drafted = ada.agents("draft", folder, "--agent", "scout")
    assert (drafted.code, drafted.err) == (0, "")
    assert "next: roboinvest agents gate scout" in drafted.out
    early = ada.agents("install", "scout")
    assert early.code == 5
    assert "is draft" in early.refusal()

    gated = ada.agents("gate", "scout")
    assert (gated.code, gated.err) == (0, "")
    assert "state: gated" in gated.out
    assert "next: roboinvest agents install scout" in gated.out
    again = ada.value("gate", "scout")
    assert [row["held"] for row in again["gates"]] == [True, True]
    assert again["passed"] is True

    assert ada.value("install", "scout")["state"] == "installed"
    revision = again["revision_id"]
    move = ada.value("activate", "scout", revision[:12], "--reason", "it doubles")
    assert move["after"] == revision
    assert len(list((ada.place / "data" / "traces").iterdir())) == 1


@pytest.mark.parametrize("store", ["none", "empty"])
def test_a_strategy_is_told_what_it_lacks(ada: Typist, store: str) -> None:
    ada.value("draft", laid(ada.place, a_strategy()), "--agent", "trader")
    if store == "empty":  # as a daemon leaves it
        (ada.place / "data" / "bars").mkdir()
    ended = ada.agents("gate", "trader")
    assert ended.code == 1
    assert "not run: give bars" in ended.out
    assert "before it may be active it needs as well: paper, person, shadow" in ended.out
    assert "next: roboinvest agents gate trader" in ended.out
    refused = ada.agents("install", "trader")
    assert refused.code == 5


def test_hard_case_09_a_null_strategy_and_a_null_suite_fail(ada: Typist) -> None:
    null = CROSSING.replace('above("close", "mean")', 'above("close", 1e9)')
    ada.value("draft", laid(ada.place, a_strategy(null), "null"), "--agent", "null")
    found = ada.agents("gate", "null", "--json")
    assert found.code == 1
    rows = {row["gate"]: row for row in found.value()["gates"]}
    assert rows["evaluator"]["verdict"] == "failed"
    assert rows["backtest"]["note"] == "not run: a gate before it did not pass"
    easy = [{**case, "expect": {"at_most": 4000}} for case in STRATEGY_SUITE["cases"]]
    suite = {"kind": "strategy", "cases": easy}
    ada.value("draft", laid(ada.place, a_strategy(suite=suite), "easy"), "--agent", "easy")
    told = ada.agents("gate", "easy")
    assert told.code == 1
    assert "the suite proves nothing: the null agent passes it" in told.out


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import os\nos.write(1, b'ok')\nos._exit(0)\n", "which its spec does not declare"),
        ("def transform(c):\n    return open('/etc/passwd').read()\n", "ReadAccess"),
    ],
)
def test_hard_case_01_a_cheat_is_seen_before_it_runs(ada: Typist, code: str, word: str) -> None:
    ended = ada.agents("draft", laid(ada.place, a_transform(code)), "--agent", "cheat")
    assert ended.code == 2
    assert word in ended.refusal()
    assert ada.value("ls") == {"agents": []}


def test_an_undeclared_capability_is_one_sentence(ada: Typist) -> None:
    silent = an_artifact({"code/strategy.py": CROSSING, "evals/cases.json": STRATEGY_SUITE})
    ended = ada.agents("draft", laid(ada.place, silent), "--agent", "trader")
    assert ended.code == 2
    assert "uses MarketData, OrderProposal" in ended.refusal()


def test_hard_case_36_a_tampered_file_is_not_judged_and_not_installed(ada: Typist) -> None:
    ada.value("draft", laid(ada.place, a_transform()), "--agent", "scout")
    ada.value("gate", "scout")
    (path,) = (ada.place / "data" / "agents").rglob("code/transform.py")
    path.chmod(0o600)
    path.write_text("def transform(c):\n    return 3 * c['close']\n")
    for command in ("gate", "install"):
        ended = ada.agents(command, "scout")
        assert ended.code == 5
        assert "code/transform.py" in ended.refusal()


def test_a_trace_that_is_gone_stops_an_activation(ada: Typist) -> None:
    ada.value("draft", laid(ada.place, a_transform()), "--agent", "scout")
    ada.value("gate", "scout")
    revision = ada.value("install", "scout")["revision_id"]
    (trace,) = (ada.place / "data" / "traces").iterdir()
    trace.unlink()
    ended = ada.agents("activate", "scout", revision[:12], "--reason", "it doubles")
    assert ended.code == 5
    assert "run the gates again" in ended.refusal()
    ada.value("gate", "scout", "--again")
    assert ada.value("activate", "scout", revision[:12], "--reason", "it doubles")["after"]


def test_a_revision_names_its_parent_and_has_to_do_more(ada: Typist) -> None:
    first = ada.value("draft", laid(ada.place, a_transform(), "one"), "--agent", "scout")
    same: Mapping[str, object] = {
        "name": "four", "columns": {"close": [7]}, "expect": {"values": [14]},
    }  # fmt: skip
    laid(ada.place, a_transform(suite=cases(same)), "two")
    parent = first["revision_id"][:12]
    second = ada.value("draft", ada.place / "two", "--agent", "scout", "--parent", parent)
    assert second["parent"] == first["revision_id"]
    ended = ada.agents("gate", "scout")
    assert ended.code == 1
    assert f"the version before ({parent}) passes it" in ended.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("draft", "nowhere", "--agent", "scout"), "is no folder"),
        (("draft", "written", "--agent", "Not An Id"), "no agent id"),
        (("draft", "written", "--agent", "scout", "--parent", "abc"), "there is no agent"),
        (("gate", "scout"), "no agent has a revision here yet"),
        (("install", "scout"), "no agent has a revision here yet"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    ada: Typist, arguments: tuple[str, ...], word: str
) -> None:
    laid(ada.place, a_transform())
    ended = ada.agents(*arguments)
    assert ended.code == 2
    assert word in ended.refusal()


def test_every_answer_has_a_form_for_programs(ada: Typist) -> None:
    drafted = ada.value("draft", laid(ada.place, a_transform()), "--agent", "scout")
    assert drafted["state"] == "draft"
    gated = ada.value("gate", "scout")
    assert {"gates", "later", "groups", "passed", "next", "state"} <= set(gated)
    assert json.dumps(gated)
