"""Where settings are written, and how a mistake in them is told.

Layers are merged key by key, and each key remembers the place it was written in, so that every
complaint names the file, the variable or the option that a person has to change. Nothing here
knows which settings exist.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from roboinvest.core.errors import BadSettings

PREFIX: Final = "ROBOINVEST_"
_SECRET_NAME: Final = re.compile(
    r"(^|_)(secret|password|passwd|passphrase|token|credentials?|key|apikey)(_|$)",
    re.IGNORECASE,
)
_TOML_PLACE: Final = re.compile(r"^(?P<what>.*?) \(at line (?P<line>\d+), column \d+\)$", re.S)
_RULE_OF_OURS: Final = "value_error"
_NOT_A_SECTION: Final = "model_type"
_UNKNOWN: Final = "extra_forbidden"


class Layers:
    """Settings from several places; a later place wins, key by key."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self._places: dict[tuple[str, ...], str] = {}

    def add_file(self, path: Path) -> None:
        """Read a TOML file.

        Raises:
            BadSettings: it cannot be read, is not TOML, or holds a secret.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadSettings(
                f"{path}: the settings file cannot be read ({error.strerror}); "
                "correct --config, or leave it out to use the defaults"
            ) from error
        except UnicodeDecodeError as error:
            raise BadSettings(
                f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise BadSettings(_toml_problem(path, str(error))) from error
        for key in _leaves(content):
            if any(_SECRET_NAME.search(part) for part in key):
                name = ".".join(key)
                raise BadSettings(
                    f"{path}: {name} looks like a secret, and secrets do not belong in this file; "
                    "set it in the environment, or put it in a file of its own and set NAME_FILE"
                )
        self._merge(content, str(path))

    def add_environment(self, environ: Mapping[str, str], known: Iterable[str]) -> None:
        """Take ROBOINVEST_SECTION__KEY, and ROBOINVEST_KEY for a key without a section.

        Other single names with the prefix belong to somebody else, unless one nearly spells ours.

        Raises:
            BadSettings: a name is almost one of ours.
        """
        top = tuple(known)
        for variable in sorted(environ):
            if not variable.startswith(PREFIX):
                continue
            key = tuple(variable.removeprefix(PREFIX).lower().split("__"))
            if len(key) == 1 and key[0] not in top:
                near = difflib.get_close_matches(key[0], top, n=1, cutoff=0.8)
                if near:
                    raise BadSettings(
                        f"{variable} is not a setting; did you mean {PREFIX}{near[0].upper()}?"
                    )
                continue
            self._put(key, environ[variable], f"the environment ({variable})")

    def add_command_line(self, overrides: Mapping[str, Any]) -> None:
        """Take dotted keys with their values; None means that the option was not given."""
        for key, value in overrides.items():
            if value is not None:
                self._put(tuple(key.split(".")), value, "the command line")

    def place_of(self, name: str) -> str:
        """Return where a dotted key, or the section around it, was written."""
        key = tuple(name.split("."))
        for length in range(len(key), 0, -1):
            place = self._places.get(key[:length])
            if place is not None:
                return place
        inside = [place for other, place in self._places.items() if other[: len(key)] == key]
        return inside[-1] if inside else "the settings"

    def _merge(self, content: Mapping[str, Any], place: str) -> None:
        for key, value in _leaves(content).items():
            self._put(key, value, place)

    def _put(self, key: tuple[str, ...], value: object, place: str) -> None:
        node = self.tree
        for part in key[:-1]:
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        node[key[-1]] = value
        self._places[key] = place


def bad_settings(
    problems: Sequence[Mapping[str, Any]], layers: Layers, known: Sequence[str]
) -> BadSettings:
    """Return the first problem in words, and how many more there are."""
    text = _in_words(problems[0], layers, known)
    more = len(problems) - 1
    return BadSettings(f"{text} (and {more} more)" if more else text)


def _in_words(problem: Mapping[str, Any], layers: Layers, known: Sequence[str]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    rule = str(problem["msg"])
    if problem["type"] == _UNKNOWN:
        return f"{layers.place_of(name)}: {name} is not a setting; {_nearest(name, known)}"
    if problem["type"] == _RULE_OF_OURS:
        rule = rule.removeprefix("Value error, ")
        subject = _known_part(name, known)
        if subject not in known:  # a rule between keys begins with the key to change
            subject = f"{subject}.{rule.split()[0].rstrip(':')}".lstrip(".")
            rule = f"{name}.{rule}".lstrip(".")
        else:
            rule = f"{subject}: {rule}"
        return f"{layers.place_of(subject)}: {rule}"
    subject = _known_part(name, known)
    if problem["type"] == _NOT_A_SECTION:
        rule = "it is a section with keys of its own"
    rule = rule.replace("Input should be", "it should be", 1)
    place = layers.place_of(subject)
    return f"{place}: {subject} is {problem['input']!r}; {rule[:1].lower()}{rule[1:]}"


def _known_part(name: str, known: Sequence[str]) -> str:
    """Return the key itself, without the position inside a list."""
    while name and name not in known and any(name.startswith(f"{key}.") for key in known):
        name = name.rpartition(".")[0]
    return name


def _nearest(name: str, known: Sequence[str]) -> str:
    sections = tuple(dict.fromkeys(key.partition(".")[0] for key in known))
    elsewhere = {key.rpartition(".")[2]: key for key in reversed(known)}
    last = name.rpartition(".")[2]
    near = [elsewhere[last]] if last in elsewhere else []  # the right key in the wrong section
    near = near or difflib.get_close_matches(name, (*known, *sections), n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    inside = [key for key in known if key.startswith(f"{name.partition('.')[0]}.")]
    return f"known are {', '.join(inside or sections)}"


def _leaves(content: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found.update({(key, *rest): leaf for rest, leaf in _leaves(value).items()})
        else:
            found[(key,)] = value
    return found


def _toml_problem(path: Path, text: str) -> str:
    match = _TOML_PLACE.match(text)
    if match is None:
        return f"{path}: {text}; correct the file"
    what = match["what"]
    return f"{path}, line {match['line']}: {what[:1].lower()}{what[1:]}; correct that line"
