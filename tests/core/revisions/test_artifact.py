"""An artifact is named by its content, and holds nothing that could lie outside of its folder."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import (
    MAX_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    manifest_for,
    manifest_of,
    path_fault,
    require_agent_id,
)
from tests.fakes.revisions import a_digest, an_artifact

OUTSIDE = (
    "/code/a.py", "../code/a.py", "code/../../a.py", "code/..", "code//a.py", "code/./a.py",
    "code\\..\\a.py", "code/a.py/", "C:/code/a.py", "code/a:b", "~/code/a.py", "code/~a.py",
)  # fmt: skip
FOREIGN = (
    "a.py", "code", "", "gates/static.json", "manifest.json", "Code/a.py", "other/a.py",
    "code/.hidden", "code/-rf", "code/a b.py", "code/a\n.py", "code/a\0.py", "code/\u0430.py",
    "code/a\u200b.py", "\uff43ode/a.py", "code/a.", "code/" + "a" * 200, "code/" + "a/" * 9 + "b",
)  # fmt: skip
SELF_STARTING = (
    "code/conftest.py", "evals/conftest.py", "code/ConfTest.py", "code/sitecustomize.py",
    "code/usercustomize.py", "code/x.pth", "code/a.pyc", "code/a.so", "evals/a.pkl",
)  # fmt: skip


@pytest.mark.parametrize("path", [*OUTSIDE, *FOREIGN, *SELF_STARTING])
def test_a_path_that_is_not_plainly_inside_is_refused_by_its_name(path: str) -> None:
    artifact = an_artifact(files={"code/good.py": b"", path: b"x"})
    with pytest.raises(BadInput, match="nothing was written") as refused:
        manifest_for(artifact, None)
    assert repr(path) in str(refused.value)


@given(path=st.text(alphabet=string.printable + "é\u202e", max_size=30))
def test_a_path_that_is_let_through_stays_inside(path: str) -> None:
    for candidate in (path, f"code/{path}"):
        if path_fault(candidate) is None:
            names = candidate.split("/")
            assert names[0] in ("spec", "code", "evals", "dependencies")
            assert all(name and name[0] not in ".-~" for name in names)
            assert candidate.isascii()
            assert not set(candidate) & set('\\:*?"<>|\0 ')


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "no file"),
        ({f"code/f{number}.py": b"" for number in range(MAX_FILES + 1)}, "201 files"),
        ({"code/a.py": b"x" * (MAX_FILE_BYTES + 1)}, "1000001 bytes"),
        ({f"code/f{n}.py": b"x" * MAX_FILE_BYTES for n in range(9)}, f"{MAX_BYTES} are allowed"),
        ({"code/a.py": b"", "code/A.py": b""}, "differ in case only"),
        ({"code/a": b"", "code/a/b.py": b""}, "is a file"),
        ({"code/A": b"", "code/a/b/c.py": b""}, "is a file"),
    ],
)
def test_too_much_and_what_no_disk_can_hold_is_refused(files: dict[str, bytes], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        manifest_for(an_artifact(files=files), None)


def test_what_the_code_uses_and_the_spec_does_not_declare_is_refused() -> None:
    artifact = an_artifact(1, Capability.MARKET_DATA, inferred=[Capability.UNTRUSTED_TEXT])
    with pytest.raises(BadInput, match="uses UntrustedText, which its spec does not declare"):
        manifest_for(artifact, None)


@pytest.mark.parametrize("calls", [("a", "a"), tuple(f"a{n}" for n in range(21)), ("../x",)])
def test_calls_are_few_and_each_is_named_once(calls: tuple[str, ...]) -> None:
    with pytest.raises(BadInput):
        manifest_for(an_artifact(calls=calls), None)


@pytest.mark.parametrize(
    "name", ["", "A", "a/b", "..", "a..b", "-a", "a-", "a" * 65, "a\n", "é", 7, None, "a_", "a b"]
)
def test_an_agent_id_is_a_plain_name(name: object) -> None:
    with pytest.raises(BadInput, match="is no agent id"):
        require_agent_id(name)


@pytest.mark.parametrize("name", ["a", "scout", "agent-factory.default", "a1_b2", "a" * 64])
def test_plain_names_are_agent_ids(name: str) -> None:
    assert require_agent_id(name) == name


def test_every_part_is_in_the_digest_that_evidence_is_bound_to() -> None:
    wide = (Capability.MARKET_DATA, Capability.MEMORY)
    artifacts = [
        an_artifact(1),
        an_artifact(2),
        an_artifact(1, Capability.MARKET_DATA),
        an_artifact(1, Capability.MARKET_DATA, inferred=[Capability.MARKET_DATA]),
        an_artifact(1, *wide),
        an_artifact(1, calls=("other",)),
        an_artifact(files={**an_artifact(1).files, "evals/cases/second.json": b""}),
        an_artifact(files={**an_artifact(1).files, "dependencies/requirements.txt": b"x"}),
    ]
    assert len({artifact.digest for artifact in artifacts}) == len(artifacts)
    assert an_artifact(1, *wide).digest == an_artifact(1, *reversed(wide)).digest


def test_agent_and_parent_are_in_the_id_and_not_in_what_evidence_is_bound_to() -> None:
    one = manifest_for(an_artifact(1), None)
    child = manifest_for(an_artifact(1), a_digest("parent"))
    other = manifest_for(an_artifact(1, agent="other"), None)
    assert len({one.revision_id, child.revision_id, other.revision_id}) == 3
    assert one.artifact_digest == child.artifact_digest == an_artifact(1).digest


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    artifact = an_artifact(1, Capability.MARKET_DATA, calls=("b", "a"))
    manifest = manifest_for(artifact, a_digest("parent"))
    assert manifest_of(manifest.text.encode()) == manifest
    assert manifest.calls == ("a", "b")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema":1', '"schema":2'),
        ('"agent_id":"scout"', '"agent_id":"../x"'),
        ("code/strategy.py", "../strategy.py"),
        ('"declared":[]', '"declared":["Everything"]'),
        ('"calls":[]', '"calls":null'),
        ("{", "["),
    ],
)
def test_a_text_that_is_no_manifest_is_refused(old: str, new: str) -> None:
    text = manifest_for(an_artifact(1), None).text
    assert old in text
    with pytest.raises(BadInput):
        manifest_of(text.replace(old, new).encode())


def test_a_parent_is_a_whole_revision_id() -> None:
    with pytest.raises(BadInput, match="is no revision id"):
        manifest_for(an_artifact(1), "abc")
