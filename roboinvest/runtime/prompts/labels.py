"""When a label moves: a person's file, an optimiser's proposal, a promotion, a step back.

Each of these is one transaction. A changed file always wins, because a person wrote it; a file that
stayed as it was never undoes a rollback or a promotion. An optimiser reaches the label `candidate`
and nothing else, and only with words that keep the protected block and the placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.prompts.book import PromptBook
from roboinvest.runtime.prompts.files import Prompt
from roboinvest.runtime.prompts.form import PromptText
from roboinvest.runtime.prompts.reading import read_prompt
from roboinvest.runtime.prompts.versions import (
    Label,
    Move,
    MoveKind,
    PromptTerms,
    PromptVersion,
    trail_of,
)

DAEMON: Final = "daemon"  # who moves a label at a start


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a label is moved, and who says so."""

    reason: str
    by: str
    at: datetime  # UTC
    evidence: Mapping[str, Any] = field(default_factory=dict)  # JSON types


def take_in(book: PromptBook, file: Prompt, terms: PromptTerms, at: datetime) -> tuple[Move, ...]:
    """See that a prompt has a version in force, for its file and its terms as they are now.

    Raises:
        TryLater: the registry cannot be written.
    """
    with book.writing():
        before = book.moves(file.name)[-1:]
        _place_current(book, file, terms, at)
        _place_candidate(book, file.name, at)
        if book.file_seen(file.name) != file.digest:
            book.saw_file(file.name, file.digest)
        last = before[0].seq if before else 0
        return tuple(move for move in book.moves(file.name) if move.seq > last)


def propose(book: PromptBook, name: str, text: str, cause: Cause) -> PromptVersion:
    """Make a text the candidate of a prompt.

    Raises:
        BadInput: the text breaks a rule of the form, or the reason or the evidence is too long.
        Refused: it changes the protected block or the placeholders, or changes nothing.
        TryLater: the registry cannot be written.
    """
    proposed = read_prompt(text, where=f"the proposal for {name}")
    with book.writing():
        current = _current(book, name)
        _require_fit(proposed, current.prompt, f"the proposal for {name}")
        if proposed.text == current.prompt.text:
            raise Refused(f"the proposal for {name} is the version in force, {current.short}")
        version = book.keep(name, text, current.terms, cause.at)
        if book.labelled(name, Label.CANDIDATE) != version:
            _move(book, name, Label.CANDIDATE, MoveKind.PROPOSED, version, cause)
        return book.version(version)


def promote(book: PromptBook, name: str, cause: Cause) -> Move:
    """Put the candidate in force.

    Raises:
        Refused: there is none, or it no longer fits the version in force.
        TryLater: the registry cannot be written.
    """
    with book.writing():
        current = _current(book, name)
        candidate = book.labelled(name, Label.CANDIDATE)
        if candidate is None:
            raise Refused(f"the prompt {name} has no candidate; `roboinvest prompts ls` lists them")
        prompt = book.version(candidate).prompt
        _require_fit(prompt, current.prompt, f"the candidate {candidate[:12]} of {name}")
        after = book.keep(name, prompt.text, current.terms, cause.at)
        _move(book, name, Label.CANDIDATE, MoveKind.PROMOTED, None, cause)
        return _move(book, name, Label.CURRENT, MoveKind.PROMOTED, after, cause)


def roll_back(book: PromptBook, name: str, cause: Cause) -> Move:
    """Put the words in force that were in force before, asked with the terms of today.

    Raises:
        Refused: there is nothing to go back to, or its placeholders are not those of today.
        TryLater: the registry cannot be written.
    """
    with book.writing():
        current = _current(book, name)
        trail = trail_of(book.moves(name))
        if len(trail) < 2:
            raise Refused(
                f"the prompt {name} has nothing to go back to: {current.short} is its first version"
            )
        earlier = book.version(trail[-2])
        if earlier.prompt.placeholders != current.prompt.placeholders:
            raise Refused(
                f"the prompt {name} cannot go back to {earlier.short}: its placeholders are not "
                "those that the task fills in today; change the file instead"
            )
        after = book.keep(name, earlier.prompt.text, current.terms, cause.at)
        return _move(book, name, Label.CURRENT, MoveKind.ROLLED_BACK, after, cause)


def _place_current(book: PromptBook, file: Prompt, terms: PromptTerms, at: datetime) -> None:
    name, changed = file.name, book.file_seen(file.name) != file.digest
    in_force = book.labelled(name, Label.CURRENT)
    text, kind, reason = file.text, MoveKind.FILE, "the file was changed"
    if in_force is None:
        reason = "the file was taken in"
    else:
        try:
            current = book.version(in_force)
        except BadInput as error:
            reason = f"the version in force cannot be read by this program: {error}"[:1_000]
        else:
            if not changed or current.prompt.digest == file.digest:
                if current.terms.text() == terms.text():
                    return
                text, kind = current.prompt.text, MoveKind.TERMS
                reason = _changed_terms(current.terms, terms)
    after = book.keep(name, text, terms, at)
    evidence = {"file": file.digest}
    cause = Cause(reason=reason, by=DAEMON, at=at, evidence=evidence)
    _move(book, name, Label.CURRENT, kind, after, cause)


def _place_candidate(book: PromptBook, name: str, at: datetime) -> None:
    """Take the label off a candidate that no longer fits, or follow the terms in force."""
    labelled = book.labelled(name, Label.CANDIDATE)
    if labelled is None:
        return
    current = _current(book, name)
    try:
        candidate = book.version(labelled)
        misfit = _misfit(candidate.prompt, current.prompt)
    except BadInput as error:
        misfit = f"this program cannot read it: {error}"[:1_000]
    if misfit is None and candidate.prompt.text == current.prompt.text:
        misfit = "it is the version in force"
    if misfit is not None:
        cause = Cause(reason=misfit, by=DAEMON, at=at)
        _move(book, name, Label.CANDIDATE, MoveKind.WITHDRAWN, None, cause)
    elif candidate.terms.text() != current.terms.text():
        after = book.keep(name, candidate.prompt.text, current.terms, at)
        reason = _changed_terms(candidate.terms, current.terms)
        cause = Cause(reason=reason, by=DAEMON, at=at)
        _move(book, name, Label.CANDIDATE, MoveKind.TERMS, after, cause)


def _current(book: PromptBook, name: str) -> PromptVersion:
    version = book.labelled(name, Label.CURRENT)
    if version is None:
        known = ", ".join(book.names()) or "none yet"
        raise BadInput(f"the registry has no prompt {name!r}; it has {known}")
    return book.version(version)


def _move(
    book: PromptBook, name: str, label: Label, kind: MoveKind, after: str | None, cause: Cause
) -> Move:
    return book.move(
        name,
        label,
        kind,
        after,
        reason=cause.reason,
        evidence=cause.evidence,
        by=cause.by,
        at=cause.at,
    )


def _require_fit(prompt: PromptText, current: PromptText, what: str) -> None:
    misfit = _misfit(prompt, current)
    if misfit is not None:
        raise Refused(f"{what} is refused: {misfit}")


def _misfit(prompt: PromptText, current: PromptText) -> str | None:
    """Return why words may not take the place of others without a person's hand, or None."""
    if dict(prompt.placeholders) != dict(current.placeholders):
        return "its placeholders are not those of the version in force"
    if prompt.protected != current.protected:
        return "its protected block is not that of the version in force to the byte"
    return None


def _changed_terms(before: PromptTerms, after: PromptTerms) -> str:
    changed = [
        name
        for name, old, new in (
            ("the model", before.model, after.model),
            ("the parameters", dict(before.parameters), dict(after.parameters)),
            ("the form of the answer", dict(before.form), dict(after.form)),
        )
        if old != new
    ]
    return f"{' and '.join(changed) or 'what it is asked with'} changed"
