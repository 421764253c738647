"""Prompts: see the words in force and their history, put others in force, go back.

It works beside a daemon, which follows within two seconds, and without one. Before the first start
with a model there is no registry yet; then the files are shown, and the answer says so.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import print_facts, print_json, print_table
from roboinvest.cli.settings import folder_of, person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roboinvest.runtime.prompts.book import PromptBook
    from roboinvest.runtime.prompts.files import PromptFiles
    from roboinvest.runtime.prompts.labels import Cause
    from roboinvest.runtime.prompts.versions import Move, PromptVersion

app = typer.Typer(
    help="What tasks say to models: list, compare, promote, roll back.", no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(help="As `prompts ls` has it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="For the record.")]
NOT_YET: Final = "no daemon with a model has started here yet: this is what the files say"


@app.command()
def ls(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List the prompts, with the versions that are in force and those that may come to be."""
    path = _path(config, data_dir)
    rows = _rows(path) if path.exists() else _rows_of_files(_files())
    if as_json:
        print_json({"registry": path.exists(), "prompts": rows})
        return
    print_table(
        "Prompts",
        ("prompt", "current", "since", "by", "candidate", "asked"),
        [[row[key] for key in ("name", "current", "since", "by", "candidate", "asked")]
         for row in rows],
        empty="No prompt is known.",
    )  # fmt: skip
    if not path.exists():
        _say(NOT_YET)


@app.command()
def show(
    name: NameArgument,
    version: Annotated[
        str | None, typer.Option("--version", help="Its first digits, or `candidate`.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version: its words, what it is asked with, its figures and how it came to be."""
    path = _path(config, data_dir)
    if not path.exists():
        facts, text, moves = _shown_file(name, version), _files().read(name).text, []
    else:
        with _read(path) as book:
            found = book.version(_version(book, name, "current" if version is None else version))
            facts, text = _facts(book, found), found.prompt.text
            moves = [_plain(move) for move in book.moves(name)]
    if as_json:
        print_json({**facts, "registry": path.exists(), "text": text, "moves": moves})
        return
    print_facts(
        {
            **{key: value for key, value in facts.items() if isinstance(value, str | float)},
            "labels": ", ".join(facts["labels"]) or None,
            "placeholders": ", ".join(f"{k} ({v})" for k, v in facts["placeholders"].items()),
            "figures": ", ".join(f"{k} {v}" for k, v in facts["figures"].items()) or None,
        }
    )
    _say(f"\n{text.rstrip()}\n")
    for move in moves:
        _say(_in_words(move))
    if not path.exists():
        _say(NOT_YET)


@app.command()
def diff(
    name: NameArgument,
    first: Annotated[str | None, typer.Argument(metavar="V1", help="First digits.")] = None,
    second: Annotated[str | None, typer.Argument(metavar="V2", help="First digits.")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: by default the candidate, or the one before, with the one in force."""
    import difflib

    path = _path(config, data_dir)
    with _read(path) as book:
        old, new = _pair(book, name, first, second)
    lines = difflib.unified_diff(
        old.prompt.text.splitlines(),
        new.prompt.text.splitlines(),
        f"{name} {old.short}",
        f"{name} {new.short}",
        lineterm="",
    )
    text = "\n".join(lines)
    terms = _terms_that_differ(old, new)
    if as_json:
        print_json({"before": old.version, "after": new.version, "diff": text, "terms": terms})
        return
    if not text:
        text = f"{old.short} and {new.short} have the same words"
    _say(text)
    for what, (before, after) in terms.items():
        _say(f"{what}: {before} -> {after}")


@app.command()
def rollback(
    name: NameArgument,
    reason: ReasonOption,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the words in force that were in force before."""
    from roboinvest.runtime.prompts.labels import roll_back

    _moved(roll_back, name, reason, _path(config, data_dir), as_json=as_json)


@app.command()
def promote(
    name: NameArgument,
    reason: ReasonOption,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the candidate in force."""
    from roboinvest.runtime.prompts.labels import promote as put_in_force

    _moved(put_in_force, name, reason, _path(config, data_dir), as_json=as_json)


def _moved(
    change: Callable[[PromptBook, str, Cause], Move],
    name: str,
    reason: str,
    path: Path,
    *,
    as_json: bool,
) -> None:
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.lanes.file import connect, open_writer
    from roboinvest.runtime.prompts.book import PromptBook
    from roboinvest.runtime.prompts.labels import Cause
    from roboinvest.runtime.prompts.schema import REGISTRY

    _require(path)
    with contextlib.closing(PromptBook(open_writer(path, REGISTRY, connect))) as book:
        move = change(book, name, Cause(reason=reason, by=person(), at=SystemClock().now()))
    if as_json:
        print_json(_plain(move))
    else:
        _say(f"{name}: {(move.before or '-')[:12]} -> {(move.after or '-')[:12]}")


def _say(text: str) -> None:
    """Write a line as it is: rich would see markup and emoji in the words of a prompt."""
    sys.stdout.write(f"{text}\n")


def _path(config: Path | None, data_dir: Path | None) -> Path:
    from roboinvest.runtime.prompts.schema import registry_file

    return registry_file(folder_of(config, data_dir).root)


def _files() -> PromptFiles:
    from roboinvest.runtime.prompts.files import PromptFiles, default_folder

    return PromptFiles(default_folder())


def _require(path: Path) -> None:
    from roboinvest.core.errors import TryLater

    if not path.exists():
        raise TryLater(
            f"{path} does not exist yet: `roboinvest run` makes it when a model is configured"
        )


@contextlib.contextmanager
def _read(path: Path) -> Iterator[PromptBook]:
    """Hold one state of the registry, and write nothing."""
    from roboinvest.runtime.lanes.file import open_reader
    from roboinvest.runtime.prompts.book import PromptBook
    from roboinvest.runtime.prompts.schema import REGISTRY

    _require(path)
    with contextlib.closing(PromptBook(open_reader(path, REGISTRY))) as book, book.reading():
        yield book


def _rows(path: Path) -> list[dict[str, Any]]:
    from roboinvest.runtime.prompts.versions import SHORT, Label

    rows = []
    with _read(path) as book:
        for name in book.names():
            current = book.labelled(name, Label.CURRENT)
            candidate = book.labelled(name, Label.CANDIDATE)
            last = [move for move in book.moves(name) if move.label is Label.CURRENT][-1:]
            rows.append(
                {
                    "name": name,
                    "current": current[:SHORT] if current else None,
                    "since": f"{last[0].at:%Y-%m-%d %H:%M}" if last else None,
                    "by": last[0].by if last else None,
                    "candidate": candidate[:SHORT] if candidate else None,
                    "asked": book.counts(current).get("asked", 0) if current else 0,
                }
            )
    return rows


def _rows_of_files(files: PromptFiles) -> list[dict[str, Any]]:
    return [
        {"name": files.read(name).name, **dict.fromkeys(("current", "since", "by", "candidate"))}
        | {"asked": 0}
        for name in files.names()
    ]


def _shown_file(name: str, version: str | None) -> dict[str, Any]:
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.prompts.reading import read_prompt

    files = _files()
    if name not in files.names():
        raise BadInput(f"there is no prompt {name!r}; there are {', '.join(files.names())}")
    if version not in (None, "current"):
        raise BadInput(f"there is no version {version!r}; {NOT_YET}")
    prompt = read_prompt(files.read(name).text, where=name)
    return {
        "name": name,
        "version": None,
        "labels": [],
        "temperature": prompt.temperature,
        "placeholders": {k: kind.value for k, kind in prompt.placeholders.items()},
        "figures": {},
    }


def _facts(book: PromptBook, found: PromptVersion) -> dict[str, Any]:
    from roboinvest.runtime.prompts.versions import Label

    return {
        "name": found.name,
        "version": found.version,
        "labels": [
            label.value for label in Label if book.labelled(found.name, label) == found.version
        ],
        "made_at": found.made_at.isoformat(),
        "model": found.terms.model,
        "temperature": found.temperature,
        "placeholders": {k: kind.value for k, kind in found.prompt.placeholders.items()},
        "parameters": dict(found.terms.parameters),
        "form": dict(found.terms.form),
        "figures": book.counts(found.version),
    }


def _version(book: PromptBook, name: str, wanted: str) -> str:
    """Return the one version that a label or first digits mean."""
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.prompts.versions import SHORT, Label

    known = [version for version, _ in book.versions(name)]
    if not known:
        raise BadInput(
            f"there is no prompt {name!r}; there are {', '.join(book.names()) or 'none'}"
        )
    if wanted in {label.value for label in Label}:
        labelled = book.labelled(name, Label(wanted))
        if labelled is None:
            raise BadInput(f"the prompt {name} has no {wanted}")
        return labelled
    found = [version for version in known if version.startswith(wanted.lower())]
    if len(found) != 1:
        short = ", ".join(version[:SHORT] for version in known[-10:])
        raise BadInput(f"{wanted!r} means {len(found)} versions of {name}; there are {short}")
    return found[0]


def _pair(
    book: PromptBook, name: str, first: str | None, second: str | None
) -> tuple[PromptVersion, PromptVersion]:
    """Return what is compared: the older one first where nothing was named."""
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.prompts.versions import Label, trail_of

    current = _version(book, name, "current")
    if first is not None:
        one, two = _version(book, name, first), _version(book, name, second or "current")
    elif candidate := book.labelled(name, Label.CANDIDATE):
        one, two = current, candidate
    else:
        trail = trail_of(book.moves(name))
        if len(trail) < 2:
            raise BadInput(f"the prompt {name} has one version so far; there is nothing to compare")
        one, two = trail[-2], current
    return book.version(one), book.version(two)


def _terms_that_differ(old: PromptVersion, new: PromptVersion) -> dict[str, tuple[Any, Any]]:
    before = {"model": old.terms.model, "parameters": dict(old.terms.parameters)}
    after = {"model": new.terms.model, "parameters": dict(new.terms.parameters)}
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def _plain(move: Move) -> dict[str, Any]:
    from roboinvest.core.records import to_plain

    plain: dict[str, Any] = to_plain(move)
    return plain


def _in_words(move: dict[str, Any]) -> str:
    before, after = (move["before"] or "-")[:12], (move["after"] or "-")[:12]
    return (
        f"{move['at'][:16].replace('T', ' ')}: {move['by']} moved {move['label']} "
        f"{before} -> {after} ({move['kind']}): {move['reason']}"
    )
