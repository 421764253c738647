"""Commands typed in this process, before or beside the program that they will be part of."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from roboinvest.cli.options import exit_code_of
from roboinvest.core.errors import RoboInvestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What a command answered."""

    code: int
    out: str
    err: str

    def value(self) -> Any:
        """Return the one JSON value on stdout."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A keyboard that says it is one."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@contextlib.contextmanager
def _keyboard(answers: str | None) -> Iterator[None]:
    """Put what is typed in the place of stdin; None: there is no terminal."""
    before = sys.stdin
    sys.stdin = io.StringIO() if answers is None else Terminal(answers)
    try:
        yield
    finally:
        sys.stdin = before


def typed(app: typer.Typer, *arguments: object, answers: str | None = None) -> Typed:
    """Run a command as the program does; return what it answered."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _keyboard(answers):
        try:
            app(args=[str(each) for each in arguments], standalone_mode=True)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except RoboInvestError as error:
            err.write(f"roboinvest: {error}\n")
            code = int(exit_code_of(error))
    return Typed(code=code, out=out.getvalue(), err=err.getvalue())
