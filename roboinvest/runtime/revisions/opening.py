"""Revisions of one data folder, ready for use: by a command, or by the daemon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roboinvest.core.ports import Clock
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.runtime.governance.file import FILE_NAME, GovernanceFile
from roboinvest.runtime.revisions.aliases import AliasDesk
from roboinvest.runtime.revisions.approvals import Approvals, NoInbox
from roboinvest.runtime.revisions.disk import LocalDisk
from roboinvest.runtime.revisions.folders import RevisionFolders
from roboinvest.runtime.revisions.schema import SCHEMAS
from roboinvest.runtime.revisions.store import RevisionStore

AGENTS: Final = "agents"  # the folder of revisions, in the data folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """What works on the revisions of one data folder."""

    file: GovernanceFile
    folders: RevisionFolders
    store: RevisionStore
    desk: AliasDesk


def revisions_on(
    file: GovernanceFile, data: Path, *, approvals: Approvals, limits: GovernorLimits
) -> Revisions:
    """Return what works on a governance file that was opened with `SCHEMAS`."""
    folders = RevisionFolders(data / AGENTS, LocalDisk())
    return Revisions(
        file=file,
        folders=folders,
        store=RevisionStore(file, folders),
        desk=AliasDesk(file, folders, approvals, limits),
    )


@contextlib.contextmanager
def open_revisions(
    data: Path, clock: Clock, limits: GovernorLimits | None = None
) -> Iterator[Revisions]:
    """Open the revisions of a data folder for a person at the command line.

    Without limits the governor holds to its own figures, which are those of the settings unless
    somebody changed them.
    """
    with GovernanceFile.open(data / FILE_NAME, clock, schemas=SCHEMAS) as file:
        yield revisions_on(file, data, approvals=NoInbox(), limits=limits or GovernorLimits())
