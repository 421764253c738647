"""From a folder to an artifact: what somebody, or something, wrote and wants to have judged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from meta_agents.evolution.static import SPEC, CodeCheck, nature_of, spec_of
from roboinvest.core.errors import BadInput
from roboinvest.core.revisions.artifact import (
    MAX_BYTES,
    MAX_FILE_BYTES,
    MAX_FILES,
    SECTIONS,
    Artifact,
    path_fault,
    require_agent_id,
)

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def artifact_from(folder: Path, agent_id: str, check: CodeCheck) -> Artifact:
    """Return what a folder holds, as an artifact for an agent; nothing of it is run.

    Capabilities are declared in `spec/agent.json`; what the code was seen to use is inferred.

    Raises:
        BadInput: the folder, a path, a file or the spec is wrong; the sentence names it.
        TryLater: a checker of code is away.
    """
    require_agent_id(agent_id)
    files = files_in(folder)
    spec = spec_of(files)
    if spec is None:
        raise BadInput(
            f'{folder} has no {SPEC}; write {{"capabilities": []}} there, with what it asks for: '
            "MarketData, OrderProposal, ..."
        )
    declared = frozenset(spec.capabilities)
    report = check(files, declared, None)
    return Artifact(
        agent_id=agent_id,
        files=files,
        declared=declared,
        inferred=report.inferred | nature_of(files),
        calls=spec.calls,
    )


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by path; links, devices and odd names are refused.

    Raises:
        BadInput: one of them, or there are too many or too large ones.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give one that has {', '.join(SECTIONS)}")
    found, total = dict[str, bytes](), 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        fault = path_fault(name)
        if fault is not None:
            raise BadInput(f"{name!r} {fault}; take it out of {folder}")
        found[name] = _content(path, name)
        total += len(found[name])
        if len(found) > MAX_FILES or total > MAX_BYTES:
            raise BadInput(
                f"{folder} has more than {MAX_FILES} files or {MAX_BYTES} bytes; make it smaller"
            )
    if not found:
        raise BadInput(f"{folder} is empty; put files in {', '.join(SECTIONS)}")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror}); look at its rights") from error
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _content(path: Path, name: str) -> bytes:
    try:
        handle = os.open(path, _READ)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise BadInput(f"{name!r} {what}; give plain files only") from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadInput(f"{name!r} is no plain file; give plain files only")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise BadInput(f"{name!r} has more than {MAX_FILE_BYTES} bytes; split it")
    return content
