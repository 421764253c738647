"""What protects the house exists, is on the list, and no spelling of it gets past the list."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roboinvest.core.errors import Refused
from roboinvest.core.protected_paths import (
    FREE,
    ROOMS,
    Zone,
    plain_parts,
    require_unprotected,
    room_of,
    zone_of,
)
from tests.fakes.processes import REPOSITORY

NAMED: Final = {  # every room that has to be there, by files or folders of it that stand today
    "risk": ("roboinvest/core/risk.py", "roboinvest/core/protections.py"),
    "brokers": ("roboinvest/brokers/paper.py", "roboinvest/brokers/desk/sending.py"),
    "journal": ("roboinvest/runtime/journal/order_journal.py", "roboinvest/core/journal.py"),
    "fills": ("roboinvest/core/fills.py",),
    "sandbox": ("tools/sandbox", "roboinvest/runtime/prompts/sandbox.py"),
    "evaluator": ("tools/backtester/contract.py", "roboinvest/core/statistics/sharpe.py"),
    "evaluator data": ("tools/bars/store.py", "data/bars"),
    "inbox": (
        "roboinvest/core/proposals.py",
        "roboinvest/core/protected_paths.py",
        "roboinvest/core/proposal_forms.py",
        "roboinvest/core/approvals.py",
        "roboinvest/core/change_outcomes.py",
        "roboinvest/core/code_skeletons.py",
        "roboinvest/runtime/governance/inbox.py",
        "roboinvest/cli/approvals.py",
        "roboinvest/cli/approval_words.py",
    ),
    "audit": ("roboinvest/core/audit.py", "roboinvest/cli/audit.py"),
    "supervisor": ("roboinvest/runtime/supervision/supervisor.py", "roboinvest/app/house.py"),
    "kill switch": (
        "roboinvest/runtime/halt.py",
        "roboinvest/runtime/halt_guard.py",
        "roboinvest/cli/halt.py",
        "roboinvest/cli/halt_hands.py",
    ),
    "tests": ("tests/test_architecture.py", "tests/house_rules.py", "benchmarks"),
    "CI": (".ci/run", "Makefile"),
    "locks": ("requirements.lock", "requirements-dev.lock"),
    "packaging": ("pyproject.toml", "Dockerfile", "compose.yaml"),
    "git": (".gitignore",),
}
PLANTED: Final = (
    *("conftest.py", "sitecustomize.py", "usercustomize.py", "x.pth", "a.so", "m.cpython-311.so"),
    *("__pycache__/a.pyc", "a.pyc", ".git", ".git/config", ".gitmodules", "pytest.ini", "tox.ini"),
    *(
        "setup.cfg",
        "setup.py",
        ".env",
        "poetry.lock",
        "pyproject.toml",
        "x.egg-info/entry_points.txt",
    ),
    *("__main__.py", "sitecustomize/__init__.py"),
)


@pytest.mark.parametrize("room", NAMED)
def test_a_named_room_stands_in_the_tree_and_is_covered(room: str) -> None:
    assert room in ROOMS
    for path in NAMED[room]:
        assert path == "data/bars" or (REPOSITORY / path).exists(), path
        assert room_of(path) is not None
        for spelling in {path, path.upper(), path.title()}:
            assert zone_of(spelling) is Zone.PROTECTED, spelling


def test_gates_are_covered_before_they_stand() -> None:
    for path in ("meta_agents/evolution/gates.py", "roboinvest/core/revisions/gates.py"):
        assert zone_of(path) is Zone.PROTECTED


def test_each_listed_room_has_a_test_of_its_own_or_none_to_stand_in() -> None:
    later = {"gates", "self-edit", "revisions", "data", "settings and secrets", "strangers' text"}
    assert set(ROOMS) == set(NAMED) | later


def test_every_file_of_the_house_is_protected_or_a_persons() -> None:
    free = [
        path
        for folder in ("roboinvest", "tools", "tests", "meta_agents", "research", "benchmarks")
        for path in (REPOSITORY / folder).rglob("*.py")
        if zone_of(path.relative_to(REPOSITORY).as_posix()) is Zone.FREE
    ]
    assert free == []


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("folder", ["", *(f"{free}/a1/r1/" for free in FREE), "research/"])
def test_names_that_run_by_themselves_are_protected_wherever_they_lie(
    folder: str, name: str
) -> None:
    assert zone_of(f"{folder}{name}") is Zone.PROTECTED


def test_what_is_free_is_free_and_the_rest_is_a_persons() -> None:
    assert zone_of("data/agents/a1/r1/code.py") is Zone.FREE
    assert zone_of("config/prompts/strategy/decide.md") is Zone.FREE
    assert zone_of("tools/strategies/library/crossing.py") is Zone.PERSON
    assert zone_of("research/lab/notes.py") is Zone.PERSON
    assert zone_of("roboinvest/core/risky.py") is Zone.PERSON  # another word
    assert zone_of("data/HALT") is Zone.PROTECTED
    assert zone_of("data/agents") is Zone.PROTECTED  # the folder is no file of an agent


HOSTILE: Final = (
    *("", "/", "/etc/passwd", "..", ".", "../x", "data/agents/../../roboinvest/core/risk.py"),
    *("data/agents/./x.py", "data//agents/x.py", "data/agents/x.py/", " data/agents/x.py"),
    *("data/agents/x.py ", "data/agents/x.py\n", "data\\agents\\x.py", "C:/x", "data/agents/x.py."),
    *("data/agents/x.py::$DATA", "~/x", "data/agents/\0", "data/agents/RO~1.PY", "data/agents/-rf"),
    *("roboinvest/core/r\u0456sk.py", "roboinvest/core/ri\u017fk.py", "data/agents/\u202ex.py"),
    *("data/agents/\uff52isk.py", "data/agents/ri\u200bsk.py", "data/agents/a\u0301.py", "x" * 241),
    *("data/agents/%2e%2e/x", "data/agents/$HOME", "data/agents/*.py", "data/agents/a b.py"),
    *("data/agents/..py/../x", "data/agents/...", "\u2025/x", "data\uff0fagents\uff0fx.py"),
)


@pytest.mark.parametrize("path", HOSTILE)
def test_hard_case_8_a_spelling_that_hides_where_it_leads_is_refused(path: str) -> None:
    with pytest.raises(Refused, match=r"plainly|characters"):
        plain_parts(path)
    with pytest.raises(Refused):
        require_unprotected(path)


@given(st.text(max_size=60))
@example("conftest.py")
def test_what_is_taken_is_plain_ascii_and_leads_downwards(path: str) -> None:
    try:
        parts = plain_parts(path)
    except Refused:
        return
    assert path.isascii()
    assert path.isprintable()
    assert not {"", ".", ".."} & set(parts)
    assert not Path(path).is_absolute()
    assert "/".join(parts) == path.casefold()


SPELLINGS: Final = st.sampled_from(sorted({path for paths in NAMED.values() for path in paths}))
LOOKALIKES: Final = {
    "i": "\u0456",
    "s": "\u017f",
    "k": "\u212a",
    "a": "\u0430",
    "/": "\uff0f",
    ".": "\uff0e",
}


@given(SPELLINGS, st.randoms(use_true_random=False))
def test_no_spelling_of_a_protected_path_gets_past_the_list(path: str, chance: object) -> None:
    letters = []
    for letter in path:
        how = chance.randrange(12)  # type: ignore[attr-defined]
        if how == 0:
            letter = LOOKALIKES.get(letter, letter)
        elif how == 1:
            letter = letter.swapcase()
        elif how == 2 and letter == "/":
            letter = chance.choice(["//", "/./", "/x/../", "\\", "/ "])  # type: ignore[attr-defined]
        elif how == 3:
            letter += chance.choice(["", "\u200b", "\u0301", "\ufe0f", "\u00ad"])  # type: ignore[attr-defined]
        letters.append(letter)
    with pytest.raises(Refused):
        require_unprotected("".join(letters))


def test_hard_case_33_the_house_cannot_edit_what_edits_it() -> None:
    for path in (
        *("meta_agents/code_editor.py", "meta_agents/evolution/deployer.py"),
        *("roboinvest/runtime/supervision/restarts.py", "roboinvest/core/proposals.py"),
        *("roboinvest/runtime/revisions/aliases.py", "roboinvest/cli/approvals.py"),
        "meta_agents/governance.py",
    ):
        with pytest.raises(Refused, match="no approval allows it"):
            require_unprotected(path)
