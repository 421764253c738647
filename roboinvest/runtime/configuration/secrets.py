"""Keys of vendors: from the environment, or from files that the environment names.

A key is held as `Secret`, whose text appears only where somebody asks for it by `reveal`, so that
a repr, a log line or a traceback cannot show it. `NAME_FILE` is how docker and systemd hand
secrets over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
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
    others: Mapping[str, Secret] = field(default_factory=dict)  # by variable, as settings name them

    def named(self, variable: str) -> Secret | None:
        """Return the key of an environment variable; None where it is not set."""
        found = self.others.get(variable)
        return found if found is not None else getattr(self, variable.lower(), None)

    def texts(self) -> tuple[str, ...]:
        """Return the texts that must never be logged."""
        held = [getattr(self, name) for name in _names()]
        every = (*held, *self.others.values())
        return tuple(secret.reveal() for secret in every if secret is not None)


def load_secrets(environ: Mapping[str, str], others: Iterable[str] = ()) -> Secrets:
    """Return the keys that are set, as NAME or as NAME_FILE; `others` are further variables.

    Raises:
        BadSettings: a key is given both ways, or its file cannot be read.
    """
    known = {name: _secret(name.upper(), environ) for name in _names()}
    named = {name: _secret(name, environ) for name in others if name.lower() not in known}
    return Secrets(
        **{name: Secret(text) for name, text in known.items() if text},
        others={name: Secret(text) for name, text in named.items() if text},
    )


def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(Secrets) if each.name != "others")


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
