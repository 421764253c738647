"""The owner's mandate: draft it, look at it, sign it."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roboinvest.cli.options import ConfigOption, JsonOption
from roboinvest.cli.output import console, print_facts, print_json
from roboinvest.cli.settings import person, settings_of

if TYPE_CHECKING:
    from roboinvest.core.mandate import Mandate

app = typer.Typer(
    help="What the owner allows: draft it, look at it, sign it.", no_args_is_help=True
)


@app.command()
def init(
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days from now to its end.")] = 90,
    force: Annotated[bool, typer.Option("--force", help="Replace a mandate, and who signed.")] = (
        False
    ),
    config: ConfigOption = None,
) -> None:
    """Write a commented mandate that allows what the settings allow now. It is not signed."""
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.mandate_file import MandateFile
    from roboinvest.runtime.configuration.policies import mandate_terms

    settings = settings_of(config, None)
    file = MandateFile(settings.mandate.path)
    ends = (SystemClock().now() + timedelta(days=days)).replace(second=0, microsecond=0)
    file.write_draft(mandate_terms(settings, ends), replace=force)
    text = f"wrote {file.path}; edit it, then sign it: roboinvest mandate sign"
    console().print(text, markup=False)


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say what the mandate allows, and what it is worth now."""
    from roboinvest.core.mandate import in_words, standing
    from roboinvest.core.records import to_plain
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.mandate_file import MandateFile
    from roboinvest.runtime.configuration.policies import is_live

    settings = settings_of(config, None)
    file = MandateFile(settings.mandate.path)
    mandate, live = file.read(), is_live(settings)
    under = standing(mandate, live, SystemClock().now())
    if as_json:
        body = {"path": str(file.path), "live": live, **to_plain(under)}
        print_json(body | _plain(mandate))
        return
    facts = {
        "file": str(file.path),
        "account": "real money" if live else "paper",
        "state": under.state.value,
        "entries": "allowed" if under.entries_allowed else "not allowed",
        "why": under.reason,
    }
    if mandate is not None and mandate.signature is not None:
        facts["hash"] = mandate.signature.consent_hash
    print_facts(facts)
    for line in in_words(mandate.terms) if mandate else ():
        console().print(line, markup=False)


@app.command()
def sign(
    yes_i_am: Annotated[
        str | None,
        typer.Option("--yes-i-am", metavar="NAME", help="Agree in this name without being asked."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Agree to the mandate as it stands. The daemon reads it when it starts."""
    from roboinvest.core.errors import BadInput
    from roboinvest.core.mandate import in_words
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.configuration.mandate_file import MandateFile

    file = MandateFile(settings_of(config, None).mandate.path)
    mandate = file.read()
    if mandate is None:
        raise BadInput(f"{file.path} does not exist; write one with: roboinvest mandate init")
    for line in in_words(mandate.terms):
        console().print(line, markup=False)
    name = yes_i_am if yes_i_am is not None else _asked()
    done = file.sign(mandate.terms, by=name, at=SystemClock().now()).signature
    digest = done.consent_hash if done else ""
    text = f"signed by {name}, consent hash {digest}; the daemon reads it when it starts"
    console().print(text, markup=False)


def _asked() -> str:
    """Return the name of the person at the terminal who agrees."""
    from roboinvest.core.errors import NeedsApproval

    if not sys.stdin.isatty():
        raise NeedsApproval(
            "a mandate is signed by a person, and there is no terminal to ask at; "
            "sign with --yes-i-am NAME"
        )
    name: str = typer.prompt("Your name", default=person())
    if typer.prompt('Type "I agree" to sign') != "I agree":
        raise NeedsApproval("the mandate was not signed; nothing changed")
    return name


def _plain(mandate: Mandate | None) -> dict[str, Any]:
    """Return the terms and the signature as JSON types."""
    from roboinvest.core.records import to_plain

    if mandate is None:
        return {"terms": None, "signature": None}
    terms = mandate.terms
    names = ("entries_from", "entries_until")
    plain = {n: getattr(terms, n) for n in terms.__dataclass_fields__ if n not in names}
    hours = {name: getattr(terms, name).isoformat() for name in names}
    return {"terms": {**to_plain(plain), **hours}, "signature": to_plain(mandate.signature)}
