"""A file that is broken, locked, full, read-only or gone: told, tried again; nothing changes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roboinvest.core.approvals import ProposalState
from roboinvest.core.errors import Refused
from roboinvest.core.events import Severity
from roboinvest.core.proposals import ProposalKind
from roboinvest.runtime.governance.anchors import anchors_beside
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.governance.inbox import Inbox
from roboinvest.runtime.governance.verify import verify
from roboinvest.runtime.upkeep.standing import UpkeepState
from tests.fakes.clocks import ManualClock
from tests.fakes.governance import a_proposal
from tests.fakes.revisions import AGENT, MACHINE, PERSON, AgentHouse, an_artifact
from tests.fakes.tampering import rewritten
from tests.fakes.upkeep import KeptHouse, a_schedule, file_of, kept, lived_in

HOUR_S = 3600.0
SHORT_S = 0.05  # of patience with other writers
Lives = tuple[AgentHouse, Inbox]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lives(tmp_path: Path, clock: ManualClock) -> Iterator[Lives]:
    with lived_in(tmp_path, clock) as opened:
        yield opened


def hasty(path: Path, clock: ManualClock, **more: object) -> GovernanceFile:
    """Open a file without patience for others."""
    return GovernanceFile.open(path, clock, **{**more, "patience_s": SHORT_S})  # type: ignore[arg-type]


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[KeptHouse]:
    with kept(tmp_path, clock, opens=hasty) as opened:
        yield opened


def edited(path: Path, number: int) -> None:
    """Change who did what a row tells, behind everybody's back."""

    def edit(rows: list[list[object]]) -> list[list[object]]:
        rows[number - 1][3] = "nobody"
        return rows

    rewritten(path, edit)


# A broken log


async def test_a_broken_log_is_a_critical_alert_that_names_the_row_until_it_is_whole_again(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    for number in range(3):
        lives[1].propose(a_proposal(number, subject=f"agent-{number}"))
    row = lives[0].file.head()[0] - 1
    lives[0].file.close()
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    edited(file_of(tmp_path), row)
    await house.keeper.look(whole=True)
    alert = house.alerts()["audit.broken"]
    assert (alert.severity, alert.kind) == (Severity.CRITICAL, "security")
    assert f"row {row} was edited" in alert.message
    assert house.keeper.standing().is_whole is False
    assert str(row) in (house.keeper.standing().fault or "")
    shutil.rmtree(tmp_path)
    shutil.copytree(tmp_path.with_name("copy"), tmp_path)
    await house.keeper.look(whole=False)  # a copy was put in its place: it is another file
    assert "audit.broken" not in house.alerts()
    assert house.keeper.standing().is_whole is True


async def test_an_edit_of_old_rows_is_found_by_the_next_whole_verification(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    lives[1].propose(a_proposal())
    await house.keeper.look(whole=True)
    edited(file_of(tmp_path), 2)
    await house.keeper.look(whole=True)
    assert "row 2 was edited" in house.alerts()["audit.broken"].message


async def test_new_rows_are_verified_at_every_look(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    await house.keeper.look(whole=True)
    lives[1].propose(a_proposal())
    row = lives[0].file.head()[0]
    edited(file_of(tmp_path), row)
    await house.keeper.look(whole=False)
    assert f"row {row} was edited" in house.alerts()["audit.broken"].message


async def test_while_the_log_is_broken_time_agrees_to_nothing(
    house: KeptHouse, lives: Lives, tmp_path: Path, clock: ManualClock
) -> None:
    lives[1].propose(a_schedule())
    edited(file_of(tmp_path), 1)
    clock.advance(HOUR_S)
    await house.keeper.look(whole=True)
    rows = lives[0].file.read(
        lambda db: db.execute("SELECT state FROM proposals WHERE proposal_id = 'p0'").fetchall()
    )
    assert rows == [("open",)]


def test_while_the_log_is_broken_nothing_is_promoted_approved_or_used_and_risk_goes_down(
    lives: Lives, tmp_path: Path
) -> None:
    agents, inbox = lives
    first = agents.installed(an_artifact(1))
    agents.activate(first)
    second = agents.installed(an_artifact(2), first.revision_id)
    agents.activate(second)
    third = agents.installed(an_artifact(3), second.revision_id)
    asked, other = inbox.propose(a_proposal(0)), inbox.propose(a_proposal(1))
    inbox.approve("p1", other.proposal.digest, by="ada")
    less = inbox.propose(
        a_proposal(2, kind=ProposalKind.UNIVERSE, before='["A", "B"]', after='["A"]')
    )
    edited(file_of(tmp_path), 5)
    sequence = agents.sequence()
    refused: list[Callable[[], object]] = [
        lambda: agents.activate(third, PERSON, force=True),
        lambda: agents.activate(third, MACHINE),
        lambda: agents.desk.rollback(AGENT, sequence, PERSON),
        lambda: inbox.approve("p0", asked.proposal.digest, by="ada"),
        lambda: agents.file.write(lambda tx: inbox.consume(tx, "p1", other.proposal.digest)),
    ]
    before = agents.everything()
    for way in refused:
        with pytest.raises(Refused, match="row 5 was edited"):
            way()
    assert agents.everything() == before
    assert inbox.approve("p2", less.proposal.digest, by="ada").state is ProposalState.APPROVED
    assert inbox.reject("p0", by="ada", reason="no").state is ProposalState.REJECTED
    agents.desk.quarantine(AGENT, second.revision_id, MACHINE)
    assert agents.active() is None


async def test_a_file_that_is_gone_while_its_rows_are_anchored_is_a_broken_log(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    lives[1].propose(a_proposal())
    await house.keeper.look(whole=True)
    lives[0].file.close()
    for path in tmp_path.glob("governance.db*"):
        path.unlink()
    await house.keeper.look(whole=False)
    assert "governance.db is gone" in house.alerts()["audit.broken"].message


async def test_rows_without_an_anchor_are_told_and_anchored_as_soon_as_that_works(
    house: KeptHouse, tmp_path: Path, clock: ManualClock
) -> None:
    with hasty(file_of(tmp_path), clock) as file, contextlib.ExitStack() as held:
        handle = os.open(anchors_beside(file.path), os.O_RDWR)
        held.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX)
        Inbox(file, house.rounds._rules, clock).propose(a_proposal())
        await house.keeper.look(whole=True)
        alert = house.alerts()["anchors.behind"]
        assert alert.severity is Severity.MEDIUM
        assert "cannot be written" in alert.message
        assert house.keeper.standing().is_whole is True
        held.close()
        await house.keeper.look(whole=False)
    assert house.alerts().keys() == {"question.p0"}
    assert verify(file_of(tmp_path)).anchors == 2


# A file that cannot be used


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes, and does not end."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def garbage(path: Path) -> Iterator[None]:
    """Pages of the file are overwritten, as a failing disk does; then a copy is put there."""
    copy = path.with_name("copy.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, copy)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xa5" * 40_000)
    yield
    copy.rename(path)
    for beside in path.parent.glob("governance.db-*"):
        beside.unlink()


@contextlib.contextmanager
def a_folder(path: Path) -> Iterator[None]:
    """Something else lies there."""
    away = path.with_name("away.db")
    path.rename(away)
    path.mkdir()
    yield
    path.rmdir()
    away.rename(path)


@pytest.mark.parametrize("fault", [locked, garbage, a_folder])
async def test_a_file_that_cannot_be_used_is_told_and_tried_again(
    house: KeptHouse,
    tmp_path: Path,
    clock: ManualClock,
    fault: Callable[[Path], contextlib.AbstractContextManager[None]],
) -> None:
    with lived_in(tmp_path, clock) as (_, inbox):
        inbox.propose(a_schedule())
    await house.keeper.look(whole=True)
    clock.advance(HOUR_S)  # time has something to agree to, so that a look has to write
    if fault is not locked:
        house.rounds.close()
    with fault(file_of(tmp_path)):
        for _ in range(2):
            await house.keeper.look(whole=False)
            found = house.keeper.standing()
            assert found.state is UpkeepState.DEGRADED
            assert found.reason
            told = [alert for key, alert in house.alerts().items() if key.startswith("upkeep.")]
            assert told
            assert all(alert.severity is Severity.HIGH for alert in told)
            assert found.waiting in ({"L1": 1}, {})  # as it was known, or by time alone
    await house.keeper.look(whole=False)
    assert house.keeper.standing().state is UpkeepState.KEPT
    assert house.alerts() == {}
    with lived_in(tmp_path, clock) as (agents, inbox):
        assert inbox.get("p0").state is ProposalState.APPROVED
        kinds = [row.entry.kind for row in agents.file.rows()]
    assert kinds.count("proposal.approved") == 1


def full(path: Path, clock: ManualClock, **more: object) -> GovernanceFile:
    """Open a file on a disk that has no room for one page more."""
    file = hasty(path, clock, **more)

    def fill(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    file.write(lambda transaction: fill(transaction.connection))
    return file


def read_only(path: Path, clock: ManualClock, **more: object) -> GovernanceFile:
    """Open a file that nothing can be written to."""
    file = hasty(path, clock, **more)
    file.write(lambda transaction: transaction.connection.execute("PRAGMA query_only = ON"))
    return file


@pytest.mark.parametrize(("opens", "words"), [(full, "full"), (read_only, "readonly")])
async def test_a_full_or_read_only_file_is_told_and_what_waits_is_still_shown(
    tmp_path: Path, clock: ManualClock, opens: Callable[..., GovernanceFile], words: str
) -> None:
    with lived_in(tmp_path, clock) as (_, inbox):
        inbox.propose(a_proposal(0))
        for number in range(1, 60):
            who = f"agent-{number}"
            expires_at = clock.now().replace(hour=15)
            inbox.propose(a_proposal(number, who=who, expires_at=expires_at))
    clock.advance(HOUR_S)
    with kept(tmp_path, clock, opens=opens) as house:
        await house.keeper.look(whole=True)
        found = house.keeper.standing()
        assert found.state is UpkeepState.DEGRADED
        assert words in found.reason
        assert found.waiting == {"L3": 1}
        assert found.is_whole is True
        assert verify(file_of(tmp_path)).is_whole
    with kept(tmp_path, clock) as house:
        await house.keeper.look(whole=True)
        assert house.keeper.standing().state is UpkeepState.KEPT


async def test_after_trouble_the_file_is_opened_anew(tmp_path: Path, clock: ManualClock) -> None:
    with lived_in(tmp_path, clock) as (_, inbox):
        inbox.propose(a_schedule())
    clock.advance(HOUR_S)
    ways = iter((read_only, hasty))
    with kept(tmp_path, clock, opens=lambda *names, **more: next(ways)(*names, **more)) as house:
        await house.keeper.look(whole=True)
        assert house.keeper.standing().state is UpkeepState.DEGRADED
        await house.keeper.look(whole=False)
        assert house.keeper.standing().state is UpkeepState.KEPT


async def test_a_file_that_takes_the_place_of_another_is_the_one_that_counts(
    house: KeptHouse, tmp_path: Path, clock: ManualClock
) -> None:
    other = tmp_path.with_name("other")
    for folder, number in ((tmp_path, 1), (other, 2)):
        with lived_in(folder, clock) as (_, inbox):
            inbox.propose(a_proposal(number))
    await house.keeper.look(whole=True)
    assert house.alerts().keys() == {"question.p1"}
    for path in tmp_path.glob("governance.db-*"):
        path.unlink()
    for name in ("governance.db", "audit_anchors.jsonl"):
        (other / name).rename(tmp_path / name)
    await house.keeper.look(whole=True)
    assert house.alerts().keys() == {"question.p2"}


async def test_a_broken_log_stays_told_while_nobody_can_look(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    lives[1].propose(a_proposal())
    lives[0].file.close()
    edited(file_of(tmp_path), 2)
    await house.keeper.look(whole=True)
    assert "audit.broken" in house.alerts()
    house.rounds.close()
    with a_folder(file_of(tmp_path)):
        await house.keeper.look(whole=True)
    assert {"audit.broken", "upkeep.file"} <= house.alerts().keys()
    assert house.keeper.standing().is_whole is False


async def test_a_proposal_that_was_changed_in_the_file_is_told_and_the_others_go_on(
    house: KeptHouse, lives: Lives, tmp_path: Path
) -> None:
    for number in range(2):
        lives[1].propose(a_proposal(number))
    with contextlib.closing(sqlite3.connect(file_of(tmp_path))) as connection:
        connection.execute("UPDATE proposals SET state = 'open', digest = 'x' WHERE rowid = 1")
        connection.commit()
    await house.keeper.look(whole=True)
    assert "p0" in house.alerts()["audit.broken"].message
    assert "p0" in house.alerts()["upkeep.unreadable"].message
    assert "question.p1" in house.alerts()


async def test_too_many_orphans_are_told_and_left_and_the_inbox_is_swept_all_the_same(
    house: KeptHouse, lives: Lives, tmp_path: Path, clock: ManualClock
) -> None:
    for number in range(60):
        (tmp_path / "agents" / AGENT / f"{number:064x}").mkdir(parents=True)
    lives[1].propose(a_schedule())
    clock.advance(HOUR_S)
    await house.keeper.look(whole=True)
    assert "60 things" in house.alerts()["upkeep.folders"].message
    assert len(list((tmp_path / "agents" / AGENT).iterdir())) == 60
    assert lives[0].file.rows()[-1].entry.kind == "proposal.approved"
