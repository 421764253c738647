"""Revisions on disk: `agents/<agent_id>/<revision_id>/`, immutable, and verified at every read.

A folder is written beside its place, made durable and then renamed, so that its name exists with
all of its content or not at all. Whether it counts is said by the governance file alone: a folder
that no row knows is an orphan of a killed process, harms nobody and is swept. Bytes are returned
only after they were compared with the manifest, and the manifest with the revision's id, so what
was verified is what the caller gets. Gate records are files of their own, named by their digest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.revisions.artifact import (
    MANIFEST,
    MAX_FILE_BYTES,
    Manifest,
    manifest_of,
    sha256_of,
)
from roboinvest.core.revisions.gates import GateRecord
from roboinvest.core.revisions.lifecycle import SHORT, Revision
from roboinvest.core.revisions.record_text import record_of
from roboinvest.runtime.revisions.disk import Disk

GATES: Final = "gates"
MOST_ORPHANS: Final = 50  # that a sweep believes in
_UNFINISHED: Final = ".new-"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a revision consists of, verified to the byte."""

    manifest: Manifest
    files: Mapping[str, bytes]  # by path


class RevisionFolders:
    """Writes and reads the folders of revisions below one root."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self._disk = disk

    def place_of(self, agent_id: str, revision_id: str) -> Path:
        """Return where a revision lies."""
        return self.root / agent_id / revision_id

    @contextlib.contextmanager
    def staged(self, manifest: Manifest, files: Mapping[str, bytes]) -> Iterator[Path]:
        """Yield a folder with all content, durable, that has no name yet; it is gone afterwards.

        Raises:
            TryLater: the disk does not take it.
        """
        name = f"{_UNFINISHED}{manifest.revision_id[:SHORT]}-{os.getpid()}-{threading.get_ident()}"
        folder = self.root / name
        with contextlib.ExitStack() as cleaning:
            with self._writing(folder):
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._disk.remove(folder)
                self._disk.make_folder(folder)
                cleaning.callback(self._remove_quietly, folder)
                cleaning.enter_context(_held(folder))
                self._fill(folder, manifest, files)
            yield folder

    def put_in_place(self, staged: Path, manifest: Manifest) -> None:
        """Give a staged folder its name; what lay there was known to nobody.

        Raises:
            TryLater: the disk does not take it.
        """
        place = self.place_of(manifest.agent_id, manifest.revision_id)
        with self._writing(place):
            place.parent.mkdir(mode=0o700, exist_ok=True)
            self._disk.remove(place)
            self._disk.rename(staged, place)
            self._disk.sync(place.parent)
            self._disk.sync(self.root)

    def read(self, revision: Revision) -> Stored:
        """Return a revision's content once every byte of it was verified.

        Raises:
            Refused: a file is missing, changed, added or no plain file; the sentence names it.
        """
        place = self.place_of(revision.agent_id, revision.revision_id)
        text = self._content(place, MANIFEST, revision)
        if sha256_of(text) != revision.revision_id:
            raise _tampered(revision, MANIFEST, "was changed")
        manifest = manifest_of(text)
        if manifest.agent_id != revision.agent_id:
            raise _tampered(revision, MANIFEST, f"is of {manifest.agent_id}")
        known = {file.path for file in manifest.files}
        for path in self._paths(place, revision):
            if path not in known and path != MANIFEST:
                raise _tampered(revision, path, "was added")
        files = {}
        for file in manifest.files:
            content = self._content(place, file.path, revision)
            if sha256_of(content) != file.sha256:
                raise _tampered(revision, file.path, "was changed")
            files[file.path] = content
        told = (manifest.artifact_digest, manifest.capabilities, manifest.calls)
        if told != (revision.artifact_digest, revision.capabilities, revision.calls):
            raise _tampered(revision, MANIFEST, "does not say what the books say")
        return Stored(manifest=manifest, files=files)

    def add_record(self, revision: Revision, text: bytes) -> None:
        """Store a gate record under its digest; one that lies there already is verified.

        Raises:
            TryLater: the disk does not take it.
        """
        folder = self.place_of(revision.agent_id, revision.revision_id) / GATES
        path = folder / f"{sha256_of(text)}.json"
        part = folder / f"{_UNFINISHED}{path.name}"
        with self._writing(path):
            self._disk.remove(part)
            self._disk.write_new(part, text)
            self._disk.rename(part, path)
            self._disk.sync(folder)

    def read_record(self, revision: Revision, digest: str) -> GateRecord:
        """Return a gate record once it was verified.

        Raises:
            Refused: it is missing or was changed.
        """
        place = self.place_of(revision.agent_id, revision.revision_id)
        path = f"{GATES}/{digest}.json"
        text = self._content(place, path, revision)
        if sha256_of(text) != digest:
            raise _tampered(revision, path, "was changed")
        return record_of(text)

    def sweep(self, known: Mapping[str, Collection[str]]) -> tuple[str, ...]:
        """Remove what killed processes left, and return it, relative to the root.

        Args:
            known: names of the gate records of every revision that counts, by
                "<agent_id>/<revision_id>". What is not in it is an orphan.

        Raises:
            Refused: there are so many that it is rather the books that are wrong.
            TryLater: the disk does not let go of one.
        """
        swept = []
        orphans = list(self._orphans(known))
        if len(orphans) > MOST_ORPHANS:
            raise Refused(
                f"{len(orphans)} things in {self.root} are in no book, and a kill leaves one or "
                f"two; none was removed: see whether governance.db is the one of this folder"
            )
        for path in orphans:
            with self._writing(path):
                self._disk.remove(path)
            swept.append(path.relative_to(self.root).as_posix())
        return tuple(swept)

    def _orphans(self, known: Mapping[str, Collection[str]]) -> Iterator[Path]:
        for agent in _entries(self.root):
            if agent.name.startswith(_UNFINISHED):
                if not _is_held(agent):
                    yield agent
                continue
            for place in _entries(agent):
                records = known.get(f"{agent.name}/{place.name}")
                if records is None:
                    yield place
                    continue
                for record in _entries(place / GATES):
                    if record.name.removesuffix(".json") not in records:
                        yield record

    def _fill(self, folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        folders = {folder / GATES}
        for path in files:
            folders |= {folder / above for above in Path(path).parents if above != Path()}
        for each in sorted(folders):
            self._disk.make_folder(each)
        for path, content in files.items():
            self._disk.write_new(folder / path, content)
        self._disk.write_new(folder / MANIFEST, manifest.text.encode())
        for each in (*sorted(folders), folder):
            self._disk.sync(each)

    def _paths(self, place: Path, revision: Revision) -> Iterator[str]:
        """Yield every file below a revision's folder but its gate records."""
        for entry in _walk(place):
            path = entry.relative_to(place).as_posix()
            if path.partition("/")[0] != GATES:
                yield path
            elif entry.is_symlink():
                raise _tampered(revision, path, "is a symbolic link")

    def _content(self, place: Path, path: str, revision: Revision) -> bytes:
        """Return the bytes of one plain file, whose folders are no links."""
        above = [self.root / revision.agent_id, place, *_folders(place, path)]
        try:
            for folder in above:
                if not stat.S_ISDIR(os.lstat(folder).st_mode):
                    raise _tampered(revision, path, f"lies in {folder.name}, which is no folder")
            handle = os.open(place / path, _READ)
        except OSError as error:
            raise _tampered(revision, path, f"cannot be read ({error.strerror})") from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _tampered(revision, path, "is no plain file")
            with os.fdopen(handle, "rb", closefd=False) as file:
                return file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _tampered(revision, path, f"cannot be read ({error.strerror})") from error
        finally:
            os.close(handle)

    def _remove_quietly(self, folder: Path) -> None:
        try:
            self._disk.remove(folder)
        except OSError:
            pass  # the next sweep removes it; what failed before is what the caller is told

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TryLater(
                f"{path.parent} cannot be written ({error.strerror or error}); nothing was "
                "changed: make room there, and try again"
            ) from error


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Show that somebody works in a folder; a kill ends that as well."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_held(folder: Path) -> bool:
    try:
        with _held(folder):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False  # gone, or no folder


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name; nothing where it is none."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(folder.iterdir())


def _walk(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        else:
            yield entry


def _folders(place: Path, path: str) -> list[Path]:
    names = path.split("/")[:-1]
    return [place.joinpath(*names[: count + 1]) for count in range(len(names))]


def _tampered(revision: Revision, path: str, fact: str) -> Refused:
    return Refused(
        f"{path} of revision {revision.short} of {revision.agent_id} {fact} since it was stored; "
        "the revision is not used: quarantine it, and find out who wrote there"
    )
