"""A file of a revision that is not what was stored is named, and the revision is not used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roboinvest.core.errors import Refused
from roboinvest.core.revisions.artifact import MANIFEST
from roboinvest.core.revisions.gates import Gate
from roboinvest.core.revisions.lifecycle import Revision
from tests.fakes.revisions import AGENT, MACHINE, AgentHouse, a_record, an_artifact, unchanged


def place(house: AgentHouse, revision: Revision) -> Path:
    return house.folders.place_of(revision.agent_id, revision.revision_id)


def swap_byte(path: Path) -> None:
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")


def link_to_twin(path: Path) -> None:
    twin = next(each for each in path.parents if each.name == "agents").with_name("twin")
    twin.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(twin)


def cut(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 0)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "changed": swap_byte,
    "removed": lambda path: path.unlink(),
    "cut": cut,
    "linked": link_to_twin,
    "a pipe": fifo,
    "added": lambda path: (path.parent / "extra.py").write_bytes(b""),
    "a folder": put_folder,
}


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize("name", ["code/strategy.py", "evals/cases/first.json", MANIFEST])
def test_a_tampered_file_is_named_and_the_revision_is_not_used(
    house: AgentHouse, how: str, name: str
) -> None:
    first = house.installed(an_artifact(1))
    house.activate(first)
    revision = house.installed(an_artifact(2), first.revision_id)
    TAMPERINGS[how](place(house, revision) / name)
    word = "extra.py" if how == "added" else Path(name).name
    uses: list[Callable[[], object]] = [
        lambda: house.store.read(AGENT, revision.revision_id),
        lambda: house.activate(revision),
        lambda: house.store.draft(an_artifact(2), first.revision_id, MACHINE),
        lambda: house.store.record(
            revision, a_record(revision, Gate.STATIC, house.clock, warnings=1), MACHINE
        ),
    ]
    for use in uses:
        with unchanged(house, Refused, f"{word} of revision {revision.short} of {AGENT} "):
            use()
    assert house.active() == first.revision_id


def test_hard_case_8_a_folder_of_a_revision_that_is_a_link_is_refused(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    lies = place(house, revision)
    moved = house.data / "elsewhere"
    lies.rename(moved)
    lies.symlink_to(moved)
    with pytest.raises(Refused, match="is no folder"):
        house.store.read(AGENT, revision.revision_id)
    lies.unlink()
    moved.rename(lies)
    (lies / "code").rename(house.data / "code")
    (lies / "code").symlink_to(house.data / "code")
    with pytest.raises(Refused, match="of revision"):
        house.store.read(AGENT, revision.revision_id)


def test_a_whole_revision_in_the_place_of_another_is_refused(house: AgentHouse) -> None:
    good, evil = house.installed(an_artifact(1)), house.store.draft(an_artifact(2), None, MACHINE)
    place(house, good).rename(house.data / "good")
    place(house, evil).rename(place(house, good))
    with pytest.raises(Refused, match=f"{MANIFEST} of revision {good.short} of {AGENT} was change"):
        house.store.read(AGENT, good.revision_id)


@pytest.mark.parametrize("how", ["changed", "removed", "linked"])
def test_hard_case_36_a_tampered_gate_record_is_no_evidence(house: AgentHouse, how: str) -> None:
    revision = house.installed(an_artifact(1))
    record = sorted((place(house, revision) / "gates").iterdir())[0]
    TAMPERINGS[how](record)
    with unchanged(house, Refused, f"gates/{record.name} of revision"):
        house.activate(revision)
