"""New lines of the log since a bookmark, whatever rotation did to the file meanwhile.

A bookmark names a file by its inode and the digest of its first bytes, because a deleted file's
inode is soon used again, and the offset up to which it was read. Rotation renames; so the file that
was being read is looked for under its later names, finished first, and then come the newer ones.
Every complete line is given exactly once. A half line at the end waits, as long as it can still be
completed: it is given up when the writer has gone on to the next file.
Deliberately absent: state, threads, waiting. The caller keeps the bookmark and calls again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from roboinvest.core.errors import BadInput, TryLater

CHUNK: Final = 1 << 20  # bytes read at once
LONGEST_LINE: Final = 1 << 20  # bytes; a longer one is skipped
MAX_RECORDS: Final = 10_000  # of one call
MAX_BYTES: Final = 64 << 20  # of one call
_HEAD: Final = 256  # bytes by which a file is known again
_MAX_FILES: Final = 100  # rotated ones that are looked at
_LISTINGS: Final = 5  # while somebody rotates under our eyes

_OUR_HEAD: Final = re.compile(rb'\{"ts": "[^"\\]*", "level": "(\w+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """What a file is known by, whatever it is called."""

    inode: int
    head_bytes: int  # how much of its beginning the digest covers
    head: str  # digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """How far a log was read."""

    file: FileName | None = None  # None: nothing was there yet
    offset: int = 0  # bytes of it that are done with
    inside_long_line: bool = (
        False  # what follows, up to a line's end, belongs to one that is skipped
    )
    older: tuple[FileName, ...] = ()  # rotated files that are done with

    def to_json(self) -> str:
        """Return it as text, for the caller to keep."""
        return json.dumps(
            {
                "file": _plain(self.file) if self.file else None,
                "offset": self.offset,
                "inside_long_line": self.inside_long_line,
                "older": [_plain(one) for one in self.older],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Bookmark:
        """Return what `to_json` wrote.

        Raises:
            BadInput: it is none.
        """
        try:
            raw = json.loads(text)
            return cls(
                file=_named(raw["file"]) if raw["file"] else None,
                offset=max(0, int(raw["offset"])),
                inside_long_line=bool(raw["inside_long_line"]),
                older=tuple(_named(one) for one in raw["older"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"a bookmark cannot be read ({error!r}); begin without one") from error


@dataclass(slots=True, kw_only=True)
class TailCounts:
    """What one call came across."""

    lines: int = 0  # complete ones, of any level
    corrupt: int = 0  # no JSON object, or cut off by a rotation
    too_long: int = 0
    truncated: int = 0  # times that the file was emptied, replaced, or rotated away unread


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPart:
    """New records, oldest first, and where to go on."""

    records: tuple[Mapping[str, Any], ...]
    bookmark: Bookmark
    counts: TailCounts
    is_done: bool  # False: there is more to read at once


class LogTail:
    """Reads one log with its rotated files: PATH, PATH.1 (younger), PATH.2 (older) and so on."""

    def __init__(self, path: Path, levels: Collection[str] | None = None) -> None:
        """Take the log; `levels` are those of lines that are wanted, such as "error"; None: all."""
        self._path = path
        self._levels = None if levels is None else frozenset(map(str.encode, levels))
        self._level_texts = frozenset(levels or ())
        wanted = b"|".join(re.escape(level.encode()) for level in levels or ())
        self._any = re.compile(rb'"level"\s*:\s*"(' + wanted + rb')"')

    def end(self) -> Bookmark:
        """Return a bookmark behind everything that is there now."""
        with ExitStack() as opened:
            files = self._open_all(opened)
            if not files:
                return Bookmark()
            newest = files[-1]
            return replace(_begin(files, newest), offset=newest.size)

    def read(
        self,
        bookmark: Bookmark | None = None,
        *,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
    ) -> TailPart:
        """Return what is new since `bookmark`; without one, everything. Blocking.

        A call ends early after about `max_records` or `max_bytes`, so that its memory is bounded.

        Raises:
            TryLater: a file cannot be read, or somebody rotates without a pause.
        """
        mark, counts = bookmark or Bookmark(), TailCounts()
        found: list[Mapping[str, Any]] = []
        try:
            with ExitStack() as opened:
                files = self._open_all(opened)
                mark, unread = _unread(files, mark, counts)
                left = max(max_bytes, 2 * CHUNK + 1)  # less might not reach the end of one line
                for number, file in enumerate(unread):
                    has_newer = any(newer.size for newer in unread[number + 1 :])
                    scan = _Scan(file, mark, counts, self._take, found)
                    mark = scan.run(left, max_records, is_rotated=has_newer)
                    left -= scan.used
                    if not scan.at_end:
                        return TailPart(
                            records=tuple(found), bookmark=mark, counts=counts, is_done=False
                        )
                    if not has_newer:
                        break  # the writer is still here, or has not begun the next one
                    mark = _begin(files, unread[number + 1])
        except OSError as error:
            raise TryLater(f"{self._path} cannot be read ({error.strerror}); try later") from error
        return TailPart(records=tuple(found), bookmark=mark, counts=counts, is_done=True)

    def _open_all(self, opened: ExitStack) -> list[_File]:
        """Open what is there, oldest first; the list is of one instant."""
        for _ in range(_LISTINGS):
            files: list[_File] = []
            for path in self._names():
                file = _opened(path, opened)
                if file is not None:
                    files.append(file)
            if all(_inode(file.path) == file.name.inode for file in files) and len(
                {file.name.inode for file in files}
            ) == len(files):
                return files[::-1]
        raise TryLater(f"{self._path} is being rotated without a pause; try later")

    def _names(self) -> list[Path]:
        """Return names that exist, the newest first."""
        names = [self._path]
        for number in range(1, _MAX_FILES + 1):
            path = self._path.with_name(f"{self._path.name}.{number}")
            if not path.exists():
                break
            names.append(path)
        return names

    def _take(self, line: bytes, found: list[Mapping[str, Any]]) -> bool:
        """Keep the record on a line if it is wanted; return whether the line is well-formed."""
        if self._levels is not None:
            level = _OUR_HEAD.match(line) or self._any.search(line)
            is_whole = line[:1] == b"{" and line[-1:] == b"}"
            if is_whole and (level is None or level[1] not in self._levels):
                return True  # what such a line holds beside is not looked at
        try:
            record = json.loads(line.decode())
        except (ValueError, RecursionError):
            return False
        if not isinstance(record, dict):
            return False
        if self._levels is None or record.get("level") in self._level_texts:
            found.append(record)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file that is held open, so that its inode cannot be used again."""

    path: Path
    stream: BinaryIO
    name: FileName
    size: int  # when it was opened


class _Scan:
    """Reads one file from a bookmark on."""

    def __init__(
        self,
        file: _File,
        mark: Bookmark,
        counts: TailCounts,
        take: Callable[[bytes, list[Mapping[str, Any]]], bool],
        found: list[Mapping[str, Any]],
    ) -> None:
        self.at_end = False
        self.used = 0  # bytes looked at
        self._file = file
        self._mark = mark
        self._counts = counts
        self._take = take
        self._found = found

    def run(self, max_bytes: int, max_records: int, *, is_rotated: bool) -> Bookmark:
        """Read complete lines; return where they end."""
        stream, offset, skipping = self._file.stream, self._mark.offset, self._mark.inside_long_line
        rest = b""
        stream.seek(offset)
        while self.used < max_bytes and len(self._found) < max_records:
            chunk = stream.read(CHUNK)
            if not chunk:
                self.at_end = True
                break
            self.used += len(chunk)
            data = rest + chunk
            if skipping:
                skipped, newline, data = data.partition(b"\n")
                offset += len(skipped) + len(newline)
                skipping = not newline
            whole, newline, rest = data.rpartition(b"\n")
            if newline:
                offset += len(whole) + 1
                self._lines(whole)
            if len(rest) > LONGEST_LINE:
                self._counts.too_long += 1
                offset, rest, skipping = offset + len(rest), b"", True
        if self.at_end and is_rotated:  # nobody will complete what stands there
            self._counts.corrupt += bool(rest)
            offset, skipping = offset + len(rest), False
        return replace(self._mark, file=self._file.name, offset=offset, inside_long_line=skipping)

    def _lines(self, whole: bytes) -> None:
        counts, take, found = self._counts, self._take, self._found
        for line in whole.split(b"\n"):
            if not line or line == b"\r":
                continue
            counts.lines += 1
            if len(line) > LONGEST_LINE:
                counts.too_long += 1
            elif not take(line, found):
                counts.corrupt += 1


def _unread(files: list[_File], mark: Bookmark, counts: TailCounts) -> tuple[Bookmark, list[_File]]:
    """Return where to begin, and the files that are not done with, oldest first."""
    was = mark.file
    if was is not None and was.head_bytes:  # one that was empty is known by nothing
        for number, file in enumerate(files):
            if _is(file, was) and file.size >= mark.offset:
                return mark, files[number:]
    done = [file for file in files if any(_is(file, one) for one in mark.older)]
    new = [file for file in files if file not in done]
    if not new:
        return mark, []
    counts.truncated += was is not None and was.head_bytes > 0
    return _begin(files, new[0]), new


def _begin(files: list[_File], file: _File) -> Bookmark:
    """Return the bookmark at the beginning of a file; those before it are done with."""
    before = files[: files.index(file)]
    return Bookmark(file=file.name, older=tuple(one.name for one in before if one.size))


def _opened(path: Path, opened: ExitStack) -> _File | None:
    try:
        stream = opened.enter_context(path.open("rb", buffering=0))
    except FileNotFoundError:
        return None
    head = stream.read(_HEAD)
    facts = os.fstat(stream.fileno())
    name = FileName(inode=facts.st_ino, head_bytes=len(head), head=_digest(head))
    return _File(path=path, stream=stream, name=name, size=facts.st_size)


def _is(file: _File, name: FileName) -> bool:
    """Return whether a file is the one that a bookmark names."""
    if file.name.inode != name.inode or file.name.head_bytes < name.head_bytes:
        return False
    file.stream.seek(0)
    return _digest(file.stream.read(name.head_bytes)) == name.head


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _digest(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=8).hexdigest()


def _plain(name: FileName) -> list[int | str]:
    return [name.inode, name.head_bytes, name.head]


def _named(raw: Any) -> FileName:  # noqa: ANN401 JSON has no narrower type
    inode, head_bytes, head = raw
    return FileName(inode=int(inode), head_bytes=int(head_bytes), head=str(head))
