"""A revision is stored whole or not at all, and read only as it was stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, Refused, TryLater
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import MANIFEST
from roboinvest.core.revisions.gates import Gate, GateRecord, Verdict, capability_digest
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.revisions.folders import MOST_ORPHANS
from roboinvest.runtime.revisions.store import MAX_DRAFTS
from tests.fakes.revisions import (
    AGENT,
    MACHINE,
    PERSON,
    AgentHouse,
    FullDisk,
    a_digest,
    a_record,
    a_standard,
    an_artifact,
    unchanged,
)


def place(house: AgentHouse, revision: Revision) -> Path:
    return house.folders.place_of(revision.agent_id, revision.revision_id)


def test_a_draft_lies_under_its_id_read_only_with_all_of_its_parts(house: AgentHouse) -> None:
    artifact = an_artifact(1)
    made = house.store.draft(artifact, None, MACHINE)
    lies = place(house, made)
    assert lies.relative_to(house.data).as_posix() == f"agents/{AGENT}/{made.revision_id}"
    files = {path.relative_to(lies).as_posix() for path in lies.rglob("*") if path.is_file()}
    assert files == {*artifact.files, MANIFEST}
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in lies.rglob("*") if path.is_file())
    assert made.state is State.DRAFT
    assert house.store.read(AGENT, made.revision_id).files == artifact.files
    assert [row.entry.kind for row in house.file.rows(subject=AGENT)] == ["revision.drafted"]
    assert [path.name for path in house.folders.root.iterdir()] == [AGENT]


def test_the_same_artifact_again_is_the_revision_that_is_there(house: AgentHouse) -> None:
    made = house.store.draft(an_artifact(1), None, MACHINE)
    before = house.everything()
    assert house.store.draft(an_artifact(1), None, PERSON) == made
    assert house.everything() == before


def test_gates_then_install_and_each_step_is_in_the_audit(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    assert revision.state is State.INSTALLED
    assert house.active() is None
    kinds = [row.entry.kind for row in house.file.rows(subject=AGENT)]
    assert kinds == [
        "revision.drafted",
        "revision.gate_recorded",
        "revision.gate_recorded",
        "revision.gated",
        "revision.installed",
    ]
    assert verify(house.file.path).is_whole


@pytest.mark.parametrize("step", ["gate", "install", "activate"])
def test_no_step_is_left_out(house: AgentHouse, step: str) -> None:
    draft = house.store.draft(an_artifact(1), None, MACHINE)
    house.judged(draft)
    if step == "gate":
        house.store.gate(AGENT, draft.revision_id, MACHINE)
        with unchanged(house, Refused, "is gated, and only from draft"):
            house.store.gate(AGENT, draft.revision_id, MACHINE)
    elif step == "install":
        with unchanged(house, Refused, "is draft, and only from gated"):
            house.store.install(AGENT, draft.revision_id, MACHINE)
    else:
        with unchanged(house, Refused, "is draft, and from there"):
            house.activate(draft)


def test_what_is_active_is_not_installed_again_under_its_alias(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    house.activate(revision)
    with unchanged(house, Refused, "is active, and only from gated"):
        house.store.install(AGENT, revision.revision_id, MACHINE)


def test_an_unknown_revision_and_one_of_another_agent_are_refused(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    steps: list[Callable[[str, str], object]] = [
        lambda agent, id_: house.store.gate(agent, id_, MACHINE),
        lambda agent, id_: house.store.install(agent, id_, MACHINE),
        lambda agent, id_: house.store.reject(agent, id_, MACHINE),
        lambda agent, id_: house.activate(replace(revision, agent_id=agent, revision_id=id_)),
        lambda agent, id_: house.desk.quarantine(agent, id_, PERSON),
        lambda agent, id_: house.desk.retire(agent, id_, PERSON),
        lambda agent, id_: house.store.read(agent, id_),
    ]
    for step in steps:
        for agent, id_ in ((AGENT, a_digest("no such")), ("other", revision.revision_id)):
            with unchanged(house, BadInput, "has no revision"):
                step(agent, id_)


def test_a_parent_is_a_revision_of_the_same_agent(house: AgentHouse) -> None:
    other = house.store.draft(an_artifact(1, agent="other"), None, MACHINE)
    for parent in (other.revision_id, a_digest("nobody")):
        with unchanged(house, BadInput, "has no revision"):
            house.store.draft(an_artifact(2), parent, MACHINE)


def test_what_no_gate_can_give_is_refused_at_the_door(house: AgentHouse) -> None:
    for capability in (Capability.NETWORK, Capability.CREDENTIALS, Capability.EXECUTE):
        with unchanged(house, Refused, "never granted"):
            house.store.draft(an_artifact(1, capability), None, MACHINE)
    lethal = (Capability.UNTRUSTED_TEXT, Capability.PROPOSE_ORDERS, Capability.READ)
    with unchanged(house, Refused, "never held together"):
        house.store.draft(an_artifact(1, *lethal), None, MACHINE)


def test_an_artifact_with_a_path_outside_changes_nothing(house: AgentHouse) -> None:
    for path in ("../code/a.py", "/etc/a.py", "code/../../../a.py", "code/conftest.py"):
        with unchanged(house, BadInput, "nothing was written"):
            house.store.draft(an_artifact(files={path: b"x"}), None, MACHINE)


def test_an_undeclared_capability_changes_nothing(house: AgentHouse) -> None:
    with unchanged(house, BadInput, "does not declare"):
        house.store.draft(an_artifact(1, inferred=[Capability.MEMORY]), None, MACHINE)


def test_drafts_do_not_pile_up(house: AgentHouse) -> None:
    for number in range(MAX_DRAFTS):
        house.store.draft(an_artifact(number), None, MACHINE)
    with unchanged(house, Refused, f"{MAX_DRAFTS} are kept"):
        house.store.draft(an_artifact(MAX_DRAFTS), None, MACHINE)
    house.store.draft(an_artifact(0), None, MACHINE)


def test_a_record_about_something_else_is_refused(house: AgentHouse) -> None:
    draft = house.store.draft(an_artifact(1), None, MACHINE)
    good = a_record(draft, Gate.STATIC, house.clock)
    wrong = capability_digest([Capability.MEMORY])
    for record in (
        replace(good, artifact_digest=a_digest("swapped")),
        replace(good, capability_digest=wrong),
    ):
        with unchanged(house, BadInput, "is about artifact"):
            house.store.record(draft, record, MACHINE)
    house.store.record(draft, good, MACHINE)
    with unchanged(house, Refused, "is there already"):
        house.store.record(draft, good, MACHINE)


def test_missing_failed_and_expired_evidence_does_not_gate(house: AgentHouse) -> None:
    draft = house.store.draft(an_artifact(1), None, MACHINE)

    def gate() -> None:
        house.store.gate(AGENT, draft.revision_id, MACHINE)

    def keep(record: GateRecord) -> None:
        house.store.record(draft, record, MACHINE)

    with unchanged(house, Refused, "evaluator has no record; static has no record"):
        gate()
    keep(a_record(draft, Gate.STATIC, house.clock))
    keep(a_record(draft, Gate.EVALUATOR, house.clock, verdict=Verdict.FAILED))
    with unchanged(house, Refused, "evaluator says failed"):
        gate()
    keep(a_record(draft, Gate.EVALUATOR, house.clock))
    house.clock.advance(31 * 86_400)
    with unchanged(house, Refused, "evaluator expired at"):
        gate()


def test_another_evaluator_in_the_house_means_all_gates_again(house: AgentHouse) -> None:
    revision = house.installed(an_artifact(1))
    new = replace(a_standard(Gate.EVALUATOR), evaluator_digest=a_digest("a better judge"))
    assert house.store.set_standard(new, PERSON)
    assert not house.store.set_standard(new, PERSON)
    with unchanged(house, Refused, "was judged by another evaluator than today's"):
        house.activate(revision)


def test_failures_count_as_rejections_and_what_could_not_be_judged_does_not(
    house: AgentHouse,
) -> None:
    draft = house.store.draft(an_artifact(1), None, MACHINE)
    for warnings, verdict in enumerate((Verdict.FAILED, Verdict.UNABLE, Verdict.FAILED)):
        record = a_record(draft, Gate.STATIC, house.clock, verdict=verdict, warnings=warnings)
        house.store.record(draft, record, MACHINE)
    assert house.store.reject(AGENT, draft.revision_id, PERSON) == 3
    with unchanged(house, Refused, "may not acknowledge"):
        house.store.acknowledge(AGENT, draft.revision_id, MACHINE)
    assert house.store.acknowledge(AGENT, draft.revision_id, PERSON) == 0
    assert house.store.reject(AGENT, draft.revision_id, PERSON) == 1


def test_hard_case_27_a_full_disk_at_any_step_of_a_draft_leaves_nothing(house: AgentHouse) -> None:
    house.store.draft(an_artifact(1), None, MACHINE)
    counting = FullDisk(0)
    house.with_(disk=counting).store.draft(an_artifact(2), None, MACHINE)
    assert counting.calls > 15
    for step in range(1, counting.calls + 1):
        full = house.with_(disk=FullDisk(step))
        books = house.everything()[0]
        with pytest.raises(TryLater, match=r"cannot be written \(No space left on device\)"):
            full.store.draft(an_artifact(3), None, MACHINE)
        assert house.everything()[0] == books
        house.store.sweep()
    left = [path.name for path in house.folders.root.iterdir()]
    assert left == [AGENT]
    assert len(list((house.folders.root / AGENT).iterdir())) == 2
    assert house.store.draft(an_artifact(3), None, MACHINE).state is State.DRAFT


def test_a_full_disk_at_any_step_of_a_record_leaves_the_books_alone(house: AgentHouse) -> None:
    draft = house.store.draft(an_artifact(1), None, MACHINE)
    for step in (1, 2, 3):
        with pytest.raises(TryLater, match="nothing was changed"):
            house.with_(disk=FullDisk(step)).store.record(
                draft, a_record(draft, Gate.STATIC, house.clock), MACHINE
            )
        assert house.store.read_book(lambda book: book.records(draft.revision_id)) == ()
    assert len(house.store.sweep()) <= 1
    assert list((place(house, draft) / "gates").iterdir()) == []
    house.store.record(draft, a_record(draft, Gate.STATIC, house.clock), MACHINE)


def test_orphans_are_swept_and_what_is_known_stays(house: AgentHouse) -> None:
    known = house.installed(an_artifact(1))
    root = house.folders.root
    (root / ".new-abc-1-1" / "code").mkdir(parents=True)
    (root / AGENT / a_digest("orphan") / "code").mkdir(parents=True)
    (root / "nobody" / "x").mkdir(parents=True)
    (place(house, known) / "gates" / f"{a_digest('orphan')}.json").write_bytes(b"{}")
    swept = house.store.sweep()
    assert len(swept) == 4
    assert house.store.sweep() == ()
    assert house.store.read(AGENT, known.revision_id).files == an_artifact(1).files


def test_an_orphan_in_the_way_of_a_draft_is_replaced(house: AgentHouse) -> None:
    made = house.store.draft(an_artifact(1), None, MACHINE)
    other = AgentHouse(house.file, house.data / "copy", house.clock)
    orphan = other.folders.place_of(AGENT, made.revision_id)
    orphan.mkdir(parents=True)
    (orphan / "half").write_bytes(b"")
    assert made.parent is None
    with other.folders.staged(
        house.store.read(AGENT, made.revision_id).manifest, an_artifact(1).files
    ) as staged:
        other.folders.put_in_place(staged, house.store.read(AGENT, made.revision_id).manifest)
    assert other.folders.read(made).files == an_artifact(1).files


def test_a_sweep_does_not_believe_that_everything_is_an_orphan(house: AgentHouse) -> None:
    for number in range(MOST_ORPHANS + 1):
        (house.folders.root / AGENT / f"r{number}").mkdir(parents=True)
    with unchanged(house, Refused, "none was removed"):
        house.store.sweep()


def test_a_folder_that_somebody_writes_is_not_swept(house: AgentHouse) -> None:
    manifest = house.store.read(
        AGENT, house.store.draft(an_artifact(1), None, MACHINE).revision_id
    ).manifest
    with house.folders.staged(manifest, an_artifact(1).files) as staged:
        assert house.store.sweep() == ()
        assert staged.is_dir()
    assert not staged.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM revisions",
        "UPDATE revisions SET artifact_digest = 'x'",
        "INSERT OR REPLACE INTO revisions SELECT * FROM revisions",
        "DELETE FROM alias_moves",
        "UPDATE alias_moves SET by = 'nobody'",
        "INSERT OR REPLACE INTO alias_moves SELECT * FROM alias_moves",
        "INSERT INTO alias_moves SELECT alias, sequence + 2, kind, after, before, 0, 0, by, "
        "reason, at FROM alias_moves",
        "INSERT INTO alias_moves SELECT alias, sequence + 1, kind, after, 'nothing', 0, 0, by, "
        "reason, at FROM alias_moves",
        "INSERT INTO alias_moves SELECT alias, sequence + 1, kind, 'another', NULL, 0, 0, by, "
        "reason, at FROM alias_moves",
        "DELETE FROM gate_records",
        "UPDATE gate_records SET digest = 'x'",
        "INSERT OR REPLACE INTO gate_records SELECT * FROM gate_records",
        "DELETE FROM gate_standards",
        "UPDATE gate_standards SET version = 9",
        "DELETE FROM rejects",
        "UPDATE rejects SET acknowledged = 1",
        "UPDATE revisions SET state = 'active'",
    ],
)
def test_history_is_not_rewritten_in_the_file_either(house: AgentHouse, statement: str) -> None:
    revision = house.installed(an_artifact(1))
    house.store.reject(AGENT, revision.revision_id, PERSON)
    house.activate(revision)
    house.store.draft(an_artifact(2), None, MACHINE)
    with sqlite3.connect(house.file.path) as outside, pytest.raises(sqlite3.IntegrityError):
        outside.execute(statement)
    outside.close()
