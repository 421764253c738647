"""Prompt files: what a task says to a language model, kept as text that people can read and change.

A prompt is named `<agent>/<name>` and lives in `config/prompts/<agent>/<name>.md`. Its digest is
noted at the start of a run, so that a record can say which words were in force. Every task that is
declared must have its file, also while rules answer: the day a model is configured is too late to
find it missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadSettings

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt file."""

    name: str  # "<agent>/<name>"
    text: str
    digest: str  # hex SHA-256 of the text


class PromptFiles:
    """Reads the prompts below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Prompt:
        """Return one prompt.

        Raises:
            BadSettings: there is no such file, or it is empty, too long or not text.
        """
        if not _NAME.fullmatch(name):
            raise BadSettings(f"{name!r} is no name of a prompt; write <agent>/<name>")
        path = self._folder / f"{name}.md"
        try:
            raw = path.read_bytes()
            text = raw.decode()
        except OSError as error:
            raise BadSettings(f"the prompt {path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise BadSettings(f"the prompt {path} is not UTF-8 text; save it as such") from error
        if not text.strip() or len(raw) > MAX_BYTES:
            raise BadSettings(f"the prompt {path} has {len(raw)} bytes; 1 to {MAX_BYTES} are read")
        return Prompt(name=name, text=text, digest=hashlib.sha256(raw).hexdigest())

    def read_all(self, names: Iterable[str]) -> dict[str, Prompt]:
        """Return several prompts by name; the first that is missing stops it."""
        return {name: self.read(name) for name in names}


def default_folder() -> Path:
    """Return the prompts that came with the program: in the wheel, or in the source tree."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "config" / "prompts"
    return packaged if packaged.is_dir() else package.parent / "config" / "prompts"
