"""A path that a generated change may write to: judged by its text, then looked at on the disk.

Whoever writes there opens without following links all the same (O_NOFOLLOW): between the look and
the writing somebody else may act.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from roboinvest.core.errors import Refused
from roboinvest.core.protected_paths import plain_parts, require_unprotected


def check_path(path: str | Path, root: Path) -> Path:
    """Return where a path below the repository lies, absolute and free of links.

    Args:
        path: relative to the root, with `/`.
        root: of the repository.

    Raises:
        Refused: it is protected, not spelled plainly, or leads over a link, a file with a second
            name, or another repository.
    """
    text = os.fspath(path)
    require_unprotected(text)
    plain_parts(text)
    place = root.resolve(strict=True)
    for depth, part in enumerate(parts := text.split("/"), 1):
        place = place / part
        _look_at(place, text, is_last=depth == len(parts))
    if place.resolve() != place:
        raise Refused(f"{text} leads to {place.resolve()}; name that place, without links")
    return place


def _look_at(place: Path, text: str, *, is_last: bool) -> None:
    """Look at one step of the way; what is not there yet is no danger."""
    _require_one_spelling(place, text)
    try:
        found = place.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{text} cannot be looked at ({error.strerror}); choose another") from error
    if stat.S_ISLNK(found.st_mode):
        raise Refused(f"{text} leads over the link {place}; name the place itself")
    if stat.S_ISDIR(found.st_mode):
        if is_last:
            raise Refused(f"{text} is a folder; name a file")
        if (place / ".git").exists():
            raise Refused(f"{text} lies in another repository, {place}; it is changed there")
    elif not is_last or not stat.S_ISREG(found.st_mode):
        raise Refused(f"{text} leads over {place}, which is no folder, or is no plain file")
    elif found.st_nlink > 1:
        raise Refused(f"{text} is one of {found.st_nlink} names of one file; it stays as it is")


def _require_one_spelling(place: Path, text: str) -> None:
    """Refuse a name that stands there in other letters: on some disks both are one file."""
    try:
        names = os.listdir(place.parent)  # noqa: PTH208 names alone are wanted
    except OSError:
        return
    folded = place.name.casefold()
    for name in names:
        if name != place.name and name.casefold() == folded:
            raise Refused(f"{text} differs from {name} by its letters' case alone; name that one")
