"""From files to an installed revision: draft, record what gates say, gate, install.

Whatever a machine wrote is stored before anybody judges it, so that what was judged is what is
installed: a revision is read from its folder, verified, at every step. Nothing here makes anything
active; `aliases` does. Every change is one transaction of the governance file with its audit row,
and a refusal changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.revisions.artifact import MAX_FILE_BYTES, Artifact, Manifest, manifest_for
from roboinvest.core.revisions.gates import (
    GateRecord,
    Judge,
    Standard,
    Verdict,
    capability_digest,
    fault_of,
    require_grantable,
)
from roboinvest.core.revisions.lifecycle import (
    Actor,
    Revision,
    State,
    require_move,
    require_person,
)
from roboinvest.core.revisions.record_text import digest_of, text_of
from roboinvest.runtime.governance.file import GovernanceFile, Transaction
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.entries import entry, stands
from roboinvest.runtime.revisions.folders import RevisionFolders, Stored
from roboinvest.runtime.revisions.judging import Judging, require_evidence

MAX_DRAFTS: Final = 50  # of one agent that nobody has judged or retired
ResultT = TypeVar("ResultT")


class RevisionStore:
    """Keeps revisions of agents; blocking, for commands and threads of the daemon alike."""

    def __init__(self, file: GovernanceFile, folders: RevisionFolders) -> None:
        self._file = file
        self._folders = folders

    def draft(self, artifact: Artifact, parent: str | None, actor: Actor) -> Revision:
        """Store an artifact as a revision and return it; the same one again is the one there.

        Raises:
            BadInput: a path, a size, a name, the parent or an undeclared capability is wrong.
            Refused: no gate gives an agent what it asks for, or too many drafts lie there.
            TryLater: the disk does not take it.
        """
        manifest = manifest_for(artifact, parent)
        require_grantable(artifact.agent_id, artifact.capabilities)
        if (known := self.read_book(lambda book: _checked(book, manifest))) is not None:
            self._folders.read(known)
            return known
        with self._folders.staged(manifest, artifact.files) as staged:

            def make_known(transaction: Transaction) -> Revision:
                book = RevisionBook(transaction.connection)
                found = _checked(book, manifest)
                if found is not None:
                    return found
                # Renamed within the transaction: no sweep takes it for an orphan meanwhile.
                self._folders.put_in_place(staged, manifest)
                made = book.add_revision(manifest, actor.name, transaction.now)
                facts = {**stands(made), "parent": parent, "artifact": made.artifact_digest}
                undo = f"roboinvest agents retire {made.agent_id} {made.short}"
                transaction.audit(
                    entry("drafted", made.agent_id, actor, transaction.now,
                          before=None, after=facts, undo=undo)
                )  # fmt: skip
                return made

            return self._file.write(make_known)

    def record(self, revision: Revision, record: GateRecord, actor: Actor) -> str:
        """Keep what a gate came to, and return the record's digest; a failure counts as a reject.

        Raises:
            BadInput: it is about something else, or the revision is unknown.
            Refused: this very record is there already, or the revision was changed on the disk.
            TryLater: the disk does not take it.
        """
        digest, text = digest_of(record), text_of(record).encode()
        if len(text) > MAX_FILE_BYTES:
            raise BadInput(
                f"the record of {record.gate} has {len(text)} bytes, and {MAX_FILE_BYTES} are "
                "kept; say less in its findings"
            )

        def keep(transaction: Transaction, book: RevisionBook, found: Revision) -> None:
            self._folders.read(found)
            _require_about(found, record)
            if digest in book.records(found.revision_id):
                raise Refused(f"the record {digest[:12]} of {record.gate} is there already")
            self._folders.add_record(found, text)
            book.add_record(found, record.gate, digest, transaction.now)
            if record.judge is Judge.COMPUTED and record.verdict is Verdict.FAILED:
                book.add_reject(found, actor, transaction.now)
            facts = {"revision": found.revision_id, "gate": record.gate, "record": digest}
            transaction.audit(
                entry("gate_recorded", found.agent_id, actor, transaction.now,
                      before=None, after={**facts, "fault": fault_of(record)}, undo=None)
            )  # fmt: skip

        self._change(revision.agent_id, revision.revision_id, keep)
        return digest

    def set_standard(self, standard: Standard, actor: Actor) -> bool:
        """Say what a gate is from now on; return whether that is another than before."""

        def set_it(transaction: Transaction) -> bool:
            book = RevisionBook(transaction.connection)
            before = book.standards().get(standard.gate)
            if before == standard:
                return False
            book.add_standard(standard, actor.name, transaction.now)
            transaction.audit(
                entry("gate_standard_set", standard.gate, actor, transaction.now,
                      before=None if before is None else {"standard": before},
                      after={"standard": standard}, undo=None)
            )  # fmt: skip
            return True

        return self._file.write(set_it)

    def gate(self, agent_id: str, revision_id: str, actor: Actor) -> Revision:
        """Say that a draft passed what it can pass before it is installed.

        Raises:
            BadInput: there is no such revision.
            Refused: a record is missing, failed, expired or about something else.
        """
        return self._advance(agent_id, revision_id, actor, (State.DRAFT, State.GATED))

    def install(self, agent_id: str, revision_id: str, actor: Actor) -> Revision:
        """Put a gated revision where it may be run beside the active one; it stays inactive.

        Raises:
            BadInput: there is no such revision.
            Refused: as for `gate`, which is judged again.
        """
        return self._advance(agent_id, revision_id, actor, (State.GATED, State.INSTALLED))

    def reject(self, agent_id: str, revision_id: str, actor: Actor) -> int:
        """Count a rejection of a change, and return how many there are now."""
        return self._counted(agent_id, revision_id, actor, acknowledged=False)

    def acknowledge(self, agent_id: str, revision_id: str, actor: Actor) -> int:
        """Note that a person saw how often a change was rejected; it may be tried again.

        Raises:
            Refused: no person asks.
        """
        require_person(actor, "acknowledge rejections")
        return self._counted(agent_id, revision_id, actor, acknowledged=True)

    def read(self, agent_id: str, revision_id: str) -> Stored:
        """Return the content of a revision, verified to the byte.

        Raises:
            BadInput: there is no such revision.
            Refused: a file of it was changed; the sentence names it.
        """
        found = self.read_book(lambda book: book.revision(agent_id, revision_id))
        return self._folders.read(found)

    def active(self, agent_id: str) -> tuple[Revision, Stored] | None:
        """Return what is active, with its content verified; None where nothing is.

        Raises:
            Refused: a file of it was changed; the sentence names it.
        """

        def find(book: RevisionBook) -> Revision | None:
            stands_at = book.alias(agent_id).revision_id
            return None if stands_at is None else book.revision(agent_id, stands_at)

        found = self.read_book(find)
        return None if found is None else (found, self._folders.read(found))

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed processes left, and return it; what is known is never touched."""

        def remove(transaction: Transaction) -> tuple[str, ...]:
            return self._folders.sweep(RevisionBook(transaction.connection).known())

        return self._file.write(remove)  # a write, so that nobody is putting a folder in place

    def read_book(self, work: Callable[[RevisionBook], ResultT]) -> ResultT:
        """Return what `work` reads of the books at one moment."""
        return self._file.read(lambda connection: work(RevisionBook(connection)))

    def _advance(
        self, agent_id: str, revision_id: str, actor: Actor, step: tuple[State, State]
    ) -> Revision:
        start, to = step

        def advance(transaction: Transaction, book: RevisionBook, found: Revision) -> Revision:
            if found.state is not start:  # the table leads there from elsewhere too
                raise Refused(
                    f"revision {found.short} of {agent_id} is {found.state}, and only from "
                    f"{start} does it become {to} this way; nothing was changed"
                )
            require_move(found, to, actor)
            self._folders.read(found)
            judging = Judging(book, self._folders, transaction.now)
            require_evidence(found, judging.faults_before_install(found), to)
            book.set_state(found, to)
            after = book.revision(agent_id, revision_id)
            undo = f"roboinvest agents retire {agent_id} {found.short}"
            transaction.audit(
                entry(to, agent_id, actor, transaction.now,
                      before=stands(found), after=stands(after), undo=undo)
            )  # fmt: skip
            return after

        return self._change(agent_id, revision_id, advance)

    def _counted(self, agent_id: str, revision_id: str, actor: Actor, *, acknowledged: bool) -> int:
        def count(transaction: Transaction, book: RevisionBook, found: Revision) -> int:
            before = book.rejects(agent_id, found.fingerprint)
            book.add_reject(found, actor, transaction.now, acknowledged=acknowledged)
            after = book.rejects(agent_id, found.fingerprint)
            what = "rejects_acknowledged" if acknowledged else "rejected"
            transaction.audit(
                entry(what, agent_id, actor, transaction.now,
                      before={"rejects": before},
                      after={"rejects": after, "revision": revision_id}, undo=None)
            )  # fmt: skip
            return after

        return self._change(agent_id, revision_id, count)

    def _change(
        self,
        agent_id: str,
        revision_id: str,
        work: Callable[[Transaction, RevisionBook, Revision], ResultT],
    ) -> ResultT:
        def change(transaction: Transaction) -> ResultT:
            book = RevisionBook(transaction.connection)
            return work(transaction, book, book.revision(agent_id, revision_id))

        return self._file.write(change)


def _checked(book: RevisionBook, manifest: Manifest) -> Revision | None:
    """Return the revision of a manifest if it is known; else see that it may become so."""
    found = book.find(manifest.revision_id)
    if found is not None:
        return found
    if manifest.parent is not None:
        book.revision(manifest.agent_id, manifest.parent)
    own = book.revisions(manifest.agent_id)
    drafts = sum(revision.state is State.DRAFT for revision in own)
    if drafts >= MAX_DRAFTS:
        raise Refused(
            f"{manifest.agent_id} has {drafts} drafts, and {MAX_DRAFTS} are kept; retire some"
        )
    return None


def _require_about(revision: Revision, record: GateRecord) -> None:
    own = (revision.artifact_digest, capability_digest(revision.capabilities))
    if (record.artifact_digest, record.capability_digest) != own:
        raise BadInput(
            f"the record of {record.gate} is about artifact {record.artifact_digest[:12]} with "
            f"capabilities {record.capability_digest[:12]}, and revision {revision.short} is "
            f"{own[0][:12]} with {own[1][:12]}; run the gate on this revision"
        )
