"""Every declared task has its words, and they are what the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.prompts.files import PromptFiles, default_folder
from roboinvest.runtime.prompts.form import MAX_BYTES
from roboinvest.trading.strategy_task import STRATEGY_TASK
from tests.fakes.prompts import a_prompt


def folder_with(tmp_path: Path, content: bytes) -> PromptFiles:
    (tmp_path / "strategy").mkdir(exist_ok=True)
    (tmp_path / "strategy" / "decide.md").write_bytes(content)
    return PromptFiles(tmp_path)


def test_the_strategy_task_has_its_prompt_in_the_tree() -> None:
    prompt = PromptFiles(default_folder()).read(STRATEGY_TASK.prompt)
    assert "HOLD" in prompt.text


def test_every_prompt_in_the_tree_is_in_good_form() -> None:
    files = PromptFiles(default_folder())
    assert "strategy/decide" in files.names()
    assert set(files.read_all(files.names())) == set(files.names())


def test_a_changed_word_is_another_digest(tmp_path: Path) -> None:
    before = folder_with(tmp_path, a_prompt(system="Buy low.").encode()).read("strategy/decide")
    after = folder_with(tmp_path, a_prompt(system="Buy high.").encode()).read("strategy/decide")
    assert before.digest != after.digest


@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"\xff\xfe\x00", b"x" * (MAX_BYTES + 1)], ids=lambda c: str(len(c))
)
def test_a_file_that_is_no_prompt_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadSettings, match=r"decide\.md"):
        folder_with(tmp_path, content).read("strategy/decide")


@pytest.mark.parametrize("name", ["strategy/absent", "../secrets", "strategy", "a/b/c", "A/b"])
def test_a_name_that_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSettings):
        folder_with(tmp_path, b"text").read_all([name])


def test_only_prompts_are_listed(tmp_path: Path) -> None:
    files = folder_with(tmp_path, b"anything")
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "strategy" / "Draft-2.md").write_text("words")
    assert files.names() == ("strategy/decide",)
