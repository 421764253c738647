"""A folder becomes an artifact when it holds plain files in their places, and nothing is run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from meta_agents.evolution.drafts import artifact_from, files_in
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.proposals import Capability
from tests.fakes.evolution import TRADES, Check, JudgedHouse, Report, a_strategy, a_transform
from tests.fakes.revisions import PERSON


def laid(folder: Path, **files: str | bytes) -> Path:
    """Write the files of a transform, and others beside them; "__" in a name parts folders."""
    written: dict[str, str | bytes] = {**a_transform().files}
    written |= {name.replace("__", "/"): content for name, content in files.items()}
    return put(folder, written)


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_folder_becomes_the_artifact_that_it_is(tmp_path: Path) -> None:
    written = a_strategy()
    made = artifact_from(put(tmp_path / "s", {**written.files}), "scout", Check())
    assert made.files == written.files
    assert made.declared == frozenset(TRADES)
    assert made.inferred == frozenset(TRADES)  # what a strategy does by its nature


def test_reading_a_folder_runs_nothing_of_it(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    code = f"open({str(trap)!r}, 'w')\nraise SystemExit\n"
    artifact_from(laid(tmp_path / "s", **{"code/transform.py": code}), "scout", Check())
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    ["code/conftest.py", "code/sitecustomize.py", "code/own.pth", "evals/usercustomize.py",
     "code/x.pyc", "code/model.pkl", "README.md", "gates/passed.json", ".git/config",
     "code/.hidden.py", "code/pl\u0430in.py", "code/a b.py", "conftest.py"],
)  # fmt: skip
def test_hard_case_05_and_08_what_starts_itself_or_hides_is_refused(
    tmp_path: Path, name: str
) -> None:
    folder = put(laid(tmp_path / "s"), {name: "x = 1"})
    with pytest.raises(BadInput, match="take it out of") as refused:
        artifact_from(folder, "scout", Check())
    assert "\n" not in str(refused.value)


def test_hard_case_08_links_and_devices_are_refused(tmp_path: Path) -> None:
    outside = put(tmp_path / "elsewhere", {"secret.py": "x = 1"})
    linked = laid(tmp_path / "a")
    (linked / "code" / "more.py").symlink_to(outside / "secret.py")
    with pytest.raises(BadInput, match="is a link"):
        files_in(linked)
    folder = laid(tmp_path / "b")
    (folder / "code" / "more").symlink_to(outside, target_is_directory=True)
    with pytest.raises(BadInput, match="is a link"):
        files_in(folder)
    pipe = laid(tmp_path / "c")
    os.mkfifo(pipe / "code" / "pipe.py")
    with pytest.raises(BadInput, match="no plain file"):
        files_in(pipe)


def test_hard_case_08_case_twins_are_refused(house: JudgedHouse, tmp_path: Path) -> None:
    folder = laid(tmp_path / "s", **{"code/Transform.py": "x = 1"})
    with pytest.raises(BadInput, match="differ in case only"):
        house.store.draft(artifact_from(folder, "scout", Check()), None, PERSON)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"capabilities": ["Everything"]}, "capabilities.0"),
        ({"capabilities": [], "gates": "none"}, "Extra inputs"),
        ([], "spec/agent.json"),
        ({"calls": ["a"] * 21}, "at most 20"),
    ],
)
def test_a_spec_in_another_form_is_refused(tmp_path: Path, spec: object, word: str) -> None:
    folder = laid(tmp_path / "s", **{"spec/agent.json": json.dumps(spec)})
    with pytest.raises(BadInput, match=word):
        artifact_from(folder, "scout", Check())


def test_a_folder_without_a_spec_or_without_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no spec"):
        artifact_from(put(tmp_path / "s", {"code/transform.py": "x = 1"}), "scout", Check())
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="is empty"):
        artifact_from(tmp_path / "empty", "scout", Check())
    with pytest.raises(BadInput, match="is no folder"):
        artifact_from(tmp_path / "nowhere", "scout", Check())
    with pytest.raises(BadInput, match="no agent id"):
        artifact_from(tmp_path / "s", "../x", Check())


def test_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="split it"):
        files_in(laid(tmp_path / "a", **{"code/data.py": b"#" * 1_000_001}))
    many: dict[str, str | bytes] = {f"code/m{number}.py": "" for number in range(201)}
    with pytest.raises(BadInput, match="200 files"):
        files_in(put(tmp_path / "b", many))


def test_what_the_code_uses_and_nobody_declared_is_refused(
    house: JudgedHouse, tmp_path: Path
) -> None:
    check = Check(Report(inferred=frozenset({Capability.READ})))
    made = artifact_from(laid(tmp_path / "s"), "scout", check)
    with pytest.raises(BadInput, match="uses ReadAccess, which its spec does not declare"):
        house.store.draft(made, None, PERSON)


def test_what_nobody_may_have_is_refused(house: JudgedHouse, tmp_path: Path) -> None:
    spec = json.dumps({"capabilities": ["NetworkAccess"]})
    made = artifact_from(laid(tmp_path / "s", **{"spec/agent.json": spec}), "scout", Check())
    with pytest.raises(Refused, match="never granted"):
        house.store.draft(made, None, PERSON)
