"""The kill switch: the file HALT in the data folder.

It is a file so that it works with the loop wedged, the model away or the database read-only, and
so that `touch data/HALT` is enough. Its existence halts; its content only says how far. What
cannot be read is therefore a halt as well. Only a person clears it, and setting it again never
lowers its level.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.folder import replace_file


class HaltLevel(StrEnum):
    """How far a halt goes; each level includes the one before."""

    NEW = "new"  # no new risk
    CANCEL = "cancel"  # and open entry orders are cancelled
    FLATTEN = "flatten"  # and positions are closed


_RANK: Final = {level: rank for rank, level in enumerate(HaltLevel)}
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt in force."""

    level: HaltLevel
    reason: str
    by: str  # who asked; "unknown" for a file made by hand
    at: datetime | None  # UTC; None for a file made by hand
    all_positions: bool = False  # to flatten means everything, a person's own trades too


class HaltFile:
    """Reads, sets and clears the kill switch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None  # what a stat showed when `_halt` was read
        self._halt: Halt | None = None

    def read(self) -> Halt | None:
        """Return the halt in force, or None. Costs one stat while the file does not change."""
        try:
            stat = os.stat(self._path)  # noqa: PTH116 called for every tick: no Path on the way
        except FileNotFoundError:
            self._seen, self._halt = None, None
            return None
        except OSError as error:
            return _by_hand(f"HALT cannot be looked at: {error.strerror}")
        seen = (stat.st_ino, stat.st_size, stat.st_ctime_ns)  # ctime: nobody can set it back
        if self._halt is None or seen != self._seen:
            self._seen, self._halt = seen, self._parsed()
        return self._halt

    def set(
        self,
        level: HaltLevel,
        *,
        reason: str,
        by: str,
        at: datetime,
        all_positions: bool = False,
    ) -> Halt:
        """Put a halt in force, and return it; a stronger one that is already there keeps its level.

        A full disk takes the reason away, not the halt.

        Raises:
            BadSettings: the folder takes no file at all.
        """
        before = self.read()
        if before is not None and _RANK[before.level] > _RANK[level]:
            level = before.level
        everything = all_positions or (before is not None and before.all_positions)
        halt = Halt(level=level, reason=reason, by=by, at=at, all_positions=everything)
        body: dict[str, object] = {
            "level": level.value,
            "reason": reason,
            "by": by,
            "at": at.isoformat(),
        }
        if everything:
            body["all_positions"] = True
        try:
            replace_file(self._path, (json.dumps(body) + "\n").encode())
        except OSError as error:
            self._touch(error)
        return self.read() or halt

    def at_least(self, level: HaltLevel) -> bool:
        """Return whether a halt of this level, or a stronger one, is in force."""
        halt = self.read()
        return halt is not None and _RANK[halt.level] >= _RANK[level]

    def clear(self) -> None:
        """Lift the halt. Called for a person, by name, and by nothing else."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise BadSettings(
                f"{self._path} cannot be removed ({error.strerror}); remove it by hand"
            ) from error

    def _touch(self, first: OSError) -> None:
        try:
            self._path.touch(mode=0o600)
        except OSError as error:
            raise BadSettings(
                f"{self._path} cannot be written ({first.strerror}); "
                "stop the daemon instead: roboinvest stop, or kill it"
            ) from error

    def _parsed(self) -> Halt:
        try:
            with self._path.open("rb") as file:
                text = file.read(_MAX_BYTES).strip()
        except OSError as error:
            return _by_hand(f"HALT cannot be read: {error.strerror}")
        if not text:
            return _by_hand("the file HALT exists")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return _by_hand("the file HALT exists; its content is not JSON")
        if not isinstance(body, dict):
            return _by_hand("the file HALT exists; its content is not a JSON object")
        return replace(
            _by_hand(_printable(str(body.get("reason") or "the file HALT exists"))),
            level=_level(body.get("level")),
            by=_printable(str(body.get("by") or "unknown")),
            at=_instant(body.get("at")),
            all_positions=body.get("all_positions") is True,
        )


def _printable(text: str) -> str:
    """Return a text that every file and every log takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _by_hand(reason: str) -> Halt:
    return Halt(level=HaltLevel.NEW, reason=reason, by="unknown", at=None)


def _level(value: object) -> HaltLevel:
    try:
        return HaltLevel(str(value).strip().lower())
    except ValueError:
        return HaltLevel.NEW


def _instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(value))
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
