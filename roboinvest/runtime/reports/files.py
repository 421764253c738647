"""Report files: written whole or not at all, read back with a clear error.

A reader beside the daemon sees the old file or the new one, never a part of it. Nothing heavy is
imported here, because a command that only reads a file must be quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.folder import replace_file
from roboinvest.runtime.reports.fields import Report

ReportT = TypeVar("ReportT", bound=Report)


def write_json_atomically(path: Path, report: Report, *, is_snapshot: bool = False) -> None:
    """Write a report so that a reader, or a crash, finds the old file or the whole new one.

    Blocking. The folder is made if it is missing. Of a snapshot a power cut may cost the newest.

    Raises:
        OSError: the folder cannot be written; the old file is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = report.model_dump_json(indent=2) + "\n"
    replace_file(path, text.encode(), is_snapshot=is_snapshot)


def read_report(path: Path, model: type[ReportT]) -> ReportT:
    """Return the report in a file.

    Raises:
        TryLater: there is no such file yet.
        BadInput: it cannot be read, or is not such a report of this version.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise TryLater(f"{path} is not there yet; start the daemon: roboinvest run") from error
    except NotADirectoryError as error:
        raise BadInput(
            f"{path.parent} is a file where a folder belongs; move it away, and the daemon "
            "makes the folder again"
        ) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); look at its owner") from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise BadInput(
            f"{path} is not a {model.__name__} report of this version ({where}: {first['msg']}); "
            "let this version's daemon write it again"
        ) from error
