"""Traces lie under their digest; standards change with the code that judges."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from meta_agents.evolution.standards import JUDGED_HERE, NO_DATA, Standards
from meta_agents.evolution.traces import MAX_TRACE, TraceShelf
from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.revisions.artifact import sha256_of
from roboinvest.core.revisions.gates import Gate
from roboinvest.runtime.revisions.disk import LocalDisk
from tests.fakes.revisions import FullDisk


def test_a_trace_comes_back_word_for_word_and_is_kept_once(tmp_path: Path) -> None:
    shelf = TraceShelf(tmp_path / "traces", LocalDisk())
    digest = shelf.put('{"a":1}')
    assert digest == sha256_of(b'{"a":1}') == shelf.put('{"a":1}')
    assert shelf.read(digest) == '{"a":1}'
    assert [path.name for path in shelf.root.iterdir()] == [f"{digest}.json"]


def test_a_trace_that_is_gone_changed_or_a_link_is_refused(tmp_path: Path) -> None:
    shelf = TraceShelf(tmp_path / "traces", LocalDisk())
    digest = shelf.put("text")
    path = shelf.root / f"{digest}.json"
    os.chmod(path, 0o600)  # noqa: PTH101 as somebody would
    path.write_text("texT")
    with pytest.raises(Refused, match="was changed"):
        shelf.read(digest)
    path.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        shelf.read(digest)
    (tmp_path / "same").write_text("text")
    path.symlink_to(tmp_path / "same")
    with pytest.raises(Refused, match="cannot be read"):
        shelf.read(digest)
    with pytest.raises(BadInput, match="no SHA-256"):
        shelf.read("../../etc/passwd")


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_says_so_and_leaves_no_trace(tmp_path: Path, call: int) -> None:
    shelf = TraceShelf(tmp_path / "traces", FullDisk(call))
    with pytest.raises(TryLater, match=os.strerror(errno.ENOSPC)):
        shelf.put("text")
    whole = TraceShelf(tmp_path / "traces", LocalDisk())
    assert whole.read(whole.put("text")) == "text"


def test_a_trace_has_a_bound(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="are kept"):
        TraceShelf(tmp_path, LocalDisk()).put("x" * (MAX_TRACE + 1))


def made(root: Path, evolution: str = "x = 1\n") -> Standards:
    for path, text in (
        ("meta_agents/evolution/evaluator.py", evolution),
        ("tools/backtester/engine.py", "y = 1\n"),
        ("tools/code_checks/check.py", "z = 1\n"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Standards(root)


def test_another_byte_in_the_code_that_judges_is_another_standard(tmp_path: Path) -> None:
    before = {gate: made(tmp_path).standard(gate) for gate in JUDGED_HERE}
    assert before == {gate: made(tmp_path).standard(gate) for gate in JUDGED_HERE}
    after = {gate: made(tmp_path, "x = 2\n").standard(gate) for gate in JUDGED_HERE}
    assert all(before[gate] != after[gate] for gate in JUDGED_HERE)
    (tmp_path / "tools/backtester/engine.py").write_text("y = 2\n")
    last = {gate: Standards(tmp_path).standard(gate) for gate in JUDGED_HERE}
    changed = {gate for gate in JUDGED_HERE if last[gate] != after[gate]}
    assert changed == {Gate.EVALUATOR, Gate.BACKTEST, Gate.WALK_FORWARD}


def test_the_gates_of_this_house_have_standards_and_others_have_none() -> None:
    standards = Standards()
    assert {standards.standard(gate).gate for gate in JUDGED_HERE} == set(JUDGED_HERE)
    assert Gate.INJECTION not in JUDGED_HERE
    assert Gate.SHADOW not in JUDGED_HERE
    one = standards.standard(Gate.BACKTEST, sha256_of(b"bars"))
    assert one.data_digest != standards.standard(Gate.EVALUATOR).data_digest == NO_DATA
