"""What a file names that is not its own: imports, builtins, and what hangs on them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from roboinvest.core.proposals import Capability
from tools.code_checks.findings import CodeFinding, error, shown, warning
from tools.code_checks.library import Library, import_fault
from tools.code_checks.names import Mention, Names
from tools.code_checks.rules.bans import ATTRIBUTES, BANS, BY_NAME, Ban, ban_of
from tools.code_checks.source import Source, line_of


@dataclass(frozen=True, slots=True)
class Use:
    """A capability that a line shows."""

    capability: Capability
    path: str
    line: int
    why: str  # what was seen: "socket.socket"


def mention_findings(source: Source, names: Names) -> tuple[list[CodeFinding], list[Use]]:
    """Return what speaks against a file's names, and the capabilities that they show."""
    library = Library()
    found: list[CodeFinding] = []
    uses: list[Use] = []
    for mention in names.mentions():
        judged = _judged(source, names, mention, library)
        if isinstance(judged, Ban):
            found.append(_banned(source.path, mention, judged))
            seen = shown(mention.path)
            uses += [Use(each, source.path, mention.line, seen) for each in judged.shows]
        elif judged is not None:
            found.append(judged)
    if names.lost:
        text = f"{shown(names.lost)} is renamed too often to be followed; call things by one name"
        found.append(error("ROBO-renamed", source.path, 1, text))
    for node in source.walk():
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            ban = ATTRIBUTES[node.attr]
            text = f".{node.attr} {ban.text}"
            found.append(error(ban.rule, source.path, line_of(node), text))
            uses += [Use(each, source.path, line_of(node), f".{node.attr}") for each in ban.shows]
    return found, uses


def _judged(
    source: Source, names: Names, mention: Mention, library: Library
) -> Ban | CodeFinding | None:
    ban = ban_of(mention.path)
    if ban is not None:
        return ban
    if mention.by_import:
        return _import(source.path, names, mention, library)
    if mention.path in BY_NAME or mention.path == "builtins.type":
        return _by_name(source.path, names, mention)
    if mention.path == "builtins.print":
        return warning("ROBO-print", source.path, mention.line, "nobody sees what a job prints")
    return _through(source.path, names, mention, library)


def _import(path: str, names: Names, mention: Mention, library: Library) -> CodeFinding | None:
    node, allowed = mention.node, library.modules
    if isinstance(names.parents.get(node), ast.ClassDef):
        text = "an import in a class makes a module an attribute, where it cannot be followed"
        return error("ROBO-module-value", path, mention.line, text)
    if isinstance(node, ast.Import):
        return import_fault(mention.path, path, mention.line, allowed)
    module, _, name = mention.path.rpartition(".")
    if name == "*":
        text = f"* of {shown(module)} cannot be followed; import names"
        return error("ROBO-star-import", path, mention.line, text)
    fault = import_fault(module or ".", path, mention.line, allowed)
    if fault is not None and mention.path in allowed:
        return None  # `from roboinvest.core.quant import conditions`
    if fault is None and library.is_inner(mention.path):
        text = f"{shown(name)} is reached through {shown(module)} and is not what that is for"
        return error("ROBO-inner", path, mention.line, text)
    return fault


def _through(path: str, names: Names, mention: Mention, library: Library) -> CodeFinding | None:
    """Judge what is reached through a module that may be imported."""
    node = mention.node
    is_part = isinstance(node, ast.Attribute) and not mention.path.startswith("builtins.")
    if is_part and library.is_inner(mention.path):
        text = f"{shown(mention.path)} reaches into what is not the module's own"
        return error("ROBO-inner", path, mention.line, text)
    if mention.path in library.modules and _is_handed_on(names, node):
        text = f"{shown(mention.path)} is handed on as a value, where it cannot be followed"
        return error("ROBO-module-value", path, mention.line, text)
    return None


def _is_handed_on(names: Names, node: ast.AST) -> bool:
    """Return whether a module is used otherwise than to take a name from it, or to name it anew."""
    above = names.parents.get(node)
    match above:
        case ast.Attribute() | ast.Import() | ast.ImportFrom():
            return False
        case ast.Assign() if isinstance(names.parents.get(above), ast.ClassDef):
            return True
        case ast.Assign(targets=targets, value=value):
            return value is node and not all(isinstance(each, ast.Name) for each in targets)
        case ast.AnnAssign(annotation=annotation, target=target, value=value):
            return node is not annotation and not (
                node is target or (value is node and isinstance(target, ast.Name))
            )
        case ast.Call(func=func, args=[first, ast.Constant(value=str()), *_]) if first is node:
            return not names.paths(func) & BY_NAME
    return not isinstance(getattr(node, "ctx", ast.Load()), ast.Store | ast.Del)


def _by_name(path: str, names: Names, mention: Mention) -> CodeFinding | None:
    """Judge getattr and its kin: fine where the name that they ask for stands there."""
    call, name = names.parents.get(mention.node), mention.path.rpartition(".")[2]
    is_call = isinstance(call, ast.Call) and call.func is mention.node
    if mention.path == "builtins.type":
        several = isinstance(call, ast.Call) and len(call.args) + len(call.keywords) > 1
        text = "type() with several arguments makes a class out of text; write the class"
        is_class = is_call and several
        return error("ROBO-built-class", path, mention.line, text) if is_class else None
    rule = f"ROBO-{name}"
    if not is_call or not isinstance(call, ast.Call):
        return error(rule, path, mention.line, f"{name} is handed on, where its use is not seen")
    asked = call.args if mention.path.startswith("operator.") else call.args[1:2]
    if call.keywords or not asked or not all(_is_plain_name(each) for each in asked[:1]):
        text = f"{name} asks for a name that does not stand there as plain text; write x.name"
        return error(rule, path, mention.line, text)
    asked_for = [str(each.value) for each in asked if isinstance(each, ast.Constant)]
    attrs = [part for each in asked_for for part in each.split(".")]
    for ban in (ATTRIBUTES[each] for each in attrs if each in ATTRIBUTES):
        return error(ban.rule, path, mention.line, f"{name} asks for what {ban.text}")
    return None


def _is_plain_name(node: ast.expr) -> bool:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return False
    parts = node.value.split(".")
    return all(part.isidentifier() and not part.startswith("_") for part in parts)


def _banned(path: str, mention: Mention, ban: Ban) -> CodeFinding:
    name = mention.path.removeprefix("builtins.")
    known = "" if mention.path in BANS else f" (of {name.partition('.')[0]})"
    return error(ban.rule, path, mention.line, f"{shown(name)}{known} {ban.text}")
