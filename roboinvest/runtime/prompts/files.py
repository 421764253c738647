"""Prompt files: what a task says to a language model, kept as text that people can read and change.

A prompt is named `<agent>/<name>` and lives in `config/prompts/<agent>/<name>.md`. Every task that
is declared must have its file, also while rules answer: the day a model is configured is too late
to find it missing, or to find that it cannot be written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from roboinvest.core.errors import BadInput, BadSettings
from roboinvest.runtime.prompts.form import MAX_BYTES, NAME
from roboinvest.runtime.prompts.reading import read_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt file that keeps every rule of the form."""

    name: str  # "<agent>/<name>"
    text: str
    digest: str  # hex SHA-256 of the text


class PromptFiles:
    """Reads the prompts below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """Return the names of the files that are there, in order; other files are left alone."""
        found = (path.relative_to(self._folder).with_suffix("") for path in self._found())
        return tuple(sorted(name for path in found if NAME.fullmatch(name := path.as_posix())))

    def read(self, name: str) -> Prompt:
        """Return one prompt.

        Raises:
            BadSettings: there is no such file, it is empty, too long or not text, or it breaks a
                rule of the form; the sentence names the file and the line.
        """
        if not NAME.fullmatch(name):
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
        try:
            read_prompt(text, where=str(path))
        except BadInput as error:
            raise BadSettings(str(error)) from error
        return Prompt(name=name, text=text, digest=hashlib.sha256(raw).hexdigest())

    def read_all(self, names: Iterable[str]) -> dict[str, Prompt]:
        """Return several prompts by name; the first that is missing stops it."""
        return {name: self.read(name) for name in names}

    def _found(self) -> Iterable[Path]:
        return self._folder.glob("*/*.md")


def default_folder() -> Path:
    """Return the prompts that came with the program: in the wheel, or in the source tree."""
    package = Path(__file__).resolve().parents[2]
    packaged = package / "config" / "prompts"
    return packaged if packaged.is_dir() else package.parent / "config" / "prompts"
