"""The template engine with nearly everything taken out of it.

What a template holds is checked against a short list before it is compiled, and then rendered in
Jinja's sandbox, in which `a.b` looks up a key and never an attribute. What loops and filters may
cost is counted while rendering: no template can take long, whatever its values. Only this module
and its grammar import Jinja, and only what reads prompts imports them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from roboinvest.core.errors import BadInput
from roboinvest.runtime.prompts.form import Piece, PromptText
from roboinvest.runtime.prompts.grammar import (
    LOOP,
    MAX_DEPTH,
    TESTS,
    check_names,
    checked,
    say,
)

MAX_RENDERED: Final = 256 * 1024  # characters of one message
MAX_STEPS: Final = 100_000  # nodes visited by loops, and text handled by filters; well below 1 s
_STEPS: Final = "_steps"
_EACH: Final = "_each"
_CHARACTERS_PER_STEP: Final = 64
_MAX_DIGITS: Final = 12


class Steps:
    """What one rendering may still cost."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Take steps; more than there are end the rendering."""
        self.left -= steps
        if self.left < 0:
            raise SecurityError(f"it takes more than {MAX_STEPS} steps; loop over less")


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """An environment that knows keys and indices, and no object's attributes."""

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 Jinja's signature
        """Return the value of a key, or what the loop knows of itself."""
        if isinstance(obj, LoopContext) and attribute in LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 Jinja's signature
        """Return the value of a key or an index; text has neither."""
        _there(obj)
        if isinstance(obj, dict) and isinstance(argument, str):
            if argument in obj:
                return obj[argument]
            return self.undefined(f"there is no key {argument!r}")
        if isinstance(obj, list) and type(argument) is int:
            if -len(obj) <= argument < len(obj):
                return obj[argument]
            return self.undefined(f"there is no item {argument} in a list of {len(obj)}")
        return self.undefined(f"{_noun(obj)} has no {argument!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The pieces of a message, ready to be rendered any number of times."""

    pieces: tuple[str | Callable[[Mapping[str, object]], Iterator[str]], ...]

    def render(self, values: Mapping[str, object]) -> str:
        """Return the message for values of JSON types, without blank lines around it.

        Raises:
            BadInput: a key is missing, or it grows too long or takes too much.
        """
        steps, size, parts = Steps(), 0, list[str]()
        for piece in self.pieces:
            run = (piece,) if isinstance(piece, str) else piece({**values, _STEPS: steps})
            if parts:
                parts.append("\n")
            try:
                for part in run:
                    size += len(part)
                    if size > MAX_RENDERED:
                        raise BadInput(f"it is longer than {MAX_RENDERED} characters; show less")
                    parts.append(part)
            except TemplateError as error:
                raise BadInput(" ".join(str(error).split()) or type(error).__name__) from error
            except (TypeError, ValueError) as error:  # such as text compared with a number
                raise BadInput(" ".join(str(error).split())) from error
        return "".join(parts).strip()


def check_templates(prompt: PromptText, where: str) -> None:
    """Refuse templates with anything in them that is not on the list.

    Raises:
        BadInput: with the line, and what to write.
    """
    used = set[str]()
    environment = _environment()
    for pieces in (prompt.system, prompt.user):
        for piece in (piece for piece in pieces if not piece.is_literal):
            tree = _parsed(environment, piece, where)
            lines = checked(tree, prompt.placeholders, where, offset=piece.line - 1)
            names = find_undeclared_variables(tree)
            check_names(names, lines, prompt, where, is_user=pieces is prompt.user)
            used |= names
            _template(environment, tree, where)
    unused = sorted(prompt.placeholders.keys() - used)
    if unused:
        raise BadInput(
            f"{where}, line 1: the placeholder {unused[0]} is declared and not used; "
            f"write {{{{ {unused[0]} }}}} in a section, or take it out of the head"
        )


def compile_pieces(pieces: tuple[Piece, ...], where: str) -> Compiled:
    """Return pieces that `check_templates` has passed, compiled."""
    environment = _environment()
    made = list[str | Callable[[Mapping[str, object]], Iterator[str]]]()
    for piece in pieces:
        if piece.is_literal:
            made.append(piece.text)
        else:
            tree = _parsed(environment, piece, where)
            checked(tree, None, where, offset=piece.line - 1)
            made.append(_template(environment, tree, where))
    return Compiled(pieces=tuple(made))


def canonical(value: object) -> str:
    """Return the one JSON text of a value of JSON types: sorted keys, no spaces."""
    return _encoder().encode(value)


@functools.cache
def _encoder() -> json.JSONEncoder:
    return json.JSONEncoder(
        sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _environment() -> PromptEnvironment:
    environment = PromptEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # a prompt is no web page: untrusted values are fenced as data instead
        loader=None,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_written,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {
        "join": _join,
        "length": _length,
        "round": _round,
        "tojson": _tojson,
        _EACH: _each,
    }
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def _parsed(environment: PromptEnvironment, piece: Piece, where: str) -> nodes.Template:
    try:
        return environment.parse(piece.text)
    except ValueError:
        say(where, piece.line, "a number in it has too many digits; write a shorter one")
    except TemplateSyntaxError as error:
        what = " ".join((error.message or "it cannot be read").split())
        say(where, piece.line - 1 + error.lineno, what)
    except RecursionError:
        say(where, piece.line, f"brackets nest deeper than {MAX_DEPTH}; write it flat")


def _template(
    environment: PromptEnvironment, tree: nodes.Template, where: str
) -> Callable[[Mapping[str, object]], Iterator[str]]:
    """Compile a checked tree, each of its loops counted."""
    for loop in tree.find_all(nodes.For):
        weight = nodes.Const(1 + sum(1 for _ in loop.find_all(nodes.Node)))
        loop.iter = nodes.Filter(loop.iter, _EACH, [weight], [], None, None)
    tree.set_environment(environment)
    try:
        code = environment.compile(tree, where, where)
    except (TemplateSyntaxError, SyntaxError, RecursionError, MemoryError) as error:
        raise BadInput(f"{where} cannot be compiled ({type(error).__name__})") from error
    template = environment.template_class.from_code(environment, code, {}, None)
    return lambda values: template.generate(values)


def _written(value: object) -> str:
    """Return a value as it is put into the text; nothing is written by accident."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return canonical(value)
    if isinstance(value, StrictUndefined):
        return str(value)  # raises, with what is missing
    raise UndefinedError(f"{_noun(value)} is not text; write {{{{ value|tojson }}}}")


@pass_context
def _each(context: Context, values: object, weight: int) -> Iterator[object]:
    _there(values)
    if not isinstance(values, list):
        raise UndefinedError(f"a loop goes over a list, and this is {_noun(values)}")
    steps: Steps = context[_STEPS]
    return _counted(values, steps, weight)


def _counted(values: Iterable[object], steps: Steps, weight: int) -> Iterator[object]:
    for value in values:
        steps.spend(weight)
        yield value


@pass_context
def _tojson(context: Context, value: object) -> str:
    return _paid(context, canonical(_there(value)))


@pass_context
def _join(context: Context, values: object, separator: object = "") -> str:
    _there(values)
    if not isinstance(values, list):
        raise UndefinedError(f"join takes a list, and this is {_noun(values)}")
    context[_STEPS].spend(len(values))
    return _paid(context, str(separator).join(_written(value) for value in values))


def _length(value: object) -> int:
    _there(value)
    if not isinstance(value, list | dict | str):
        raise UndefinedError(f"{_noun(value)} has no length")
    return len(value)


def _round(value: object, digits: object = 0) -> float | int:
    if isinstance(_there(value), bool) or not isinstance(value, int | float):
        raise UndefinedError(f"round takes a number, and this is {_noun(value)}")
    if type(digits) is not int or not 0 <= digits <= _MAX_DIGITS:
        raise UndefinedError(f"round takes 0 to {_MAX_DIGITS} digits, not {digits!r}")
    rounded = round(value, digits) + 0.0  # one zero
    return int(rounded) if rounded.is_integer() else rounded


def _there(value: object) -> object:
    if isinstance(value, StrictUndefined):
        str(value)  # raises, with what is missing
    return value


def _paid(context: Context, text: str) -> str:
    steps: Steps = context[_STEPS]
    steps.spend(len(text) // _CHARACTERS_PER_STEP)
    return text


def _noun(value: object) -> str:
    """Return what a value is, in a person's words."""
    nouns = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    known = {**nouns, int: "a number", float: "a number", type(None): "nothing (null)"}
    return known.get(type(value), "nothing that can be written")
