"""The books of agents, opened for a command; and the revision that a person means."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from roboinvest.cli.settings import folder_of, person, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roboinvest.core.revisions.lifecycle import Actor, Revision, State
    from roboinvest.runtime.revisions.book import RevisionBook
    from roboinvest.runtime.revisions.opening import Revisions


@contextlib.contextmanager
def opened(config: Path | None, data_dir: Path | None) -> Iterator[Revisions | None]:
    """Open the revisions; None where this folder has no governance file yet, and none is made."""
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.policies import governor_limits
    from roboinvest.runtime.governance.file import FILE_NAME
    from roboinvest.runtime.revisions.opening import open_revisions

    root = folder_of(config, data_dir).root
    if not (root / FILE_NAME).exists():
        yield None
        return
    limits = governor_limits(settings_of(config, data_dir))
    with open_revisions(root, SystemClock(), limits) as house:
        yield house


@contextlib.contextmanager
def needed(config: Path | None, data_dir: Path | None) -> Iterator[Revisions]:
    from roboinvest.core.errors import BadInput

    with opened(config, data_dir) as house:
        if house is None:
            raise BadInput("no agent has a revision here yet; `roboinvest agents ls` lists them")
        yield house


def actor(reason: str) -> Actor:
    from roboinvest.core.revisions.lifecycle import Actor

    return Actor(name=person(), reason=reason, is_person=True)


def known(book: RevisionBook, agent: str) -> str:
    from roboinvest.core.errors import BadInput

    names = sorted({revision.agent_id for revision in book.revisions()})
    if agent not in names:
        raise BadInput(f"there is no agent {agent!r}; there are {', '.join(names) or 'none'}")
    return agent


def found_in(
    book: RevisionBook,
    agent: str,
    wanted: str | None,
    *,
    default: State | None = None,
    shown: bool = False,
) -> Revision:
    """Return the one revision that first digits mean, or the one that stands there by default."""
    from roboinvest.core.errors import BadInput
    from roboinvest.core.revisions.lifecycle import SHORT, State

    own = book.revisions(known(book, agent))
    if wanted is not None:
        found = [each for each in own if wanted and each.revision_id.startswith(wanted.lower())]
        what = repr(wanted)
    else:
        found = [each for each in own if each.state is (default or State.ACTIVE)]
        found = found or (list(own[-1:]) if shown else [])  # to look is free: the newest one
        what = f"{default or State.ACTIVE}"
    if len(found) != 1:
        listed = ", ".join(each.revision_id[:SHORT] for each in own[-10:])
        raise BadInput(f"{what} means {len(found)} revisions of {agent}; there are {listed}")
    return found[0]
