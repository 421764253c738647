"""Keys of vendors: from the environment, or from files that the environment names.

A key is held as `Secret`, whose text appears only where somebody asks for it by `reveal`, so that
a repr, a log line or a traceback cannot show it. `NAME_FILE` is how docker and systemd hand
secrets over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from roboinvest.core.errors import BadSettings


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What vendors know us by; the variable is the field's name in capitals."""

    polygon_api_key: Secret | None = None
    alpaca_api_key: Secret | None = None
    alpaca_secret_key: Secret | None = None
    openai_api_key: Secret | None = None

    def texts(self) -> tuple[str, ...]:
        """Return the texts that must never be logged."""
        held = (getattr(self, field.name) for field in fields(self))
        return tuple(secret.reveal() for secret in held if secret is not None)


def load_secrets(environ: Mapping[str, str]) -> Secrets:
    """Return the keys that are set, as NAME or as NAME_FILE.

    Raises:
        BadSettings: a key is given both ways, or its file cannot be read.
    """
    found = {}
    for field in fields(Secrets):
        text = _secret(field.name.upper(), environ)
        if text:
            found[field.name] = Secret(text)
    return Secrets(**found)


def _secret(name: str, environ: Mapping[str, str]) -> str:
    text = environ.get(name, "").strip()
    file_name = environ.get(f"{name}_FILE", "").strip()
    if not file_name:
        return text
    if text:
        raise BadSettings(f"{name} and {name}_FILE are both set; unset one of them")
    try:
        return Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"{name}_FILE names {file_name}, which cannot be read ({error}); correct the path"
        ) from error
