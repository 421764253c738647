"""All checks of one artifact, in this process: no file is opened, nothing of it runs.

`check_code` calls it in a child, which may be ended; tests call it where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roboinvest.core.proposals import Capability
from tools.code_checks.findings import CodeFinding, CodeReport, error, in_order, note
from tools.code_checks.linters import Linter
from tools.code_checks.names import Names
from tools.code_checks.rules.capabilities import shown_by_form, undeclared
from tools.code_checks.rules.constructs import construct_findings
from tools.code_checks.rules.evals import FOLDER, eval_findings, lost_findings
from tools.code_checks.rules.foresight import foresight_findings
from tools.code_checks.rules.judges import judge_findings
from tools.code_checks.rules.mentions import Use, mention_findings
from tools.code_checks.rules.pieces import pieces_of
from tools.code_checks.rules.size import complexity_of, size_findings
from tools.code_checks.rules.texts import character_findings, text_findings
from tools.code_checks.source import Source, read, text_of


def judged(
    files: Mapping[str, bytes],
    declared: frozenset[Capability],
    before: Mapping[str, bytes] | None = None,
    *,
    linters: Sequence[Linter] = (),
) -> CodeReport:
    """Return what speaks against files, what they use, and how branched they are."""
    found: list[CodeFinding] = []
    uses: list[Use] = []
    complexity: dict[str, int] = {}
    earlier = before or {}
    for path in sorted(files):
        source, texts = _read(path, files[path])
        found += texts
        old = _earlier(path, earlier)
        if source is not None:
            branches = {} if old is None or old[1] is None else complexity_of(old[1])
            complexity |= complexity_of(source)
            found += size_findings(source, branches)
            found += _of_code(source, files[path], uses, linters)
        if path.startswith(FOLDER):
            text = text_of(path, files[path])
            if isinstance(text, str):
                found += eval_findings(path, text, source, old)
    found += _of_the_whole(files, before)
    inferred = frozenset(use.capability for use in uses)
    found += undeclared(uses, declared)
    found += _unused(declared - inferred)
    return CodeReport(findings=in_order(found), inferred=inferred, complexity=complexity)


def _read(path: str, content: bytes) -> tuple[Source | None, list[CodeFinding]]:
    """Return a file's syntax, where it is Python, and what its texts give away."""
    is_code = path.casefold().endswith((".py", ".pyi", ".pyw"))
    found: list[CodeFinding] = []
    source: Source | None = None
    if is_code:
        got = read(path, content)
        if isinstance(got, Source):
            source = got
        else:
            found.append(got)
    text = text_of(path, content)
    if isinstance(text, CodeFinding):
        return None, [*found, text]
    pieces = pieces_of(path, text, source)
    found += character_findings(path, text, is_code=is_code)
    found += text_findings(path, pieces)
    found += judge_findings(path, pieces)
    return source, found


def _of_code(
    source: Source, content: bytes, uses: list[Use], linters: Iterable[Linter]
) -> list[CodeFinding]:
    names = Names(source.tree)
    found, seen = mention_findings(source, names)
    uses += seen
    uses += shown_by_form(source, names)
    found += construct_findings(source, names)
    found += foresight_findings(source, names)
    for linter in linters:
        found += linter.findings(source, content)
    return found


def _earlier(path: str, before: Mapping[str, bytes]) -> tuple[str, Source | None] | None:
    """Return the text and the syntax of an earlier version of a file."""
    if path not in before:
        return None
    text = text_of(path, before[path])
    if isinstance(text, CodeFinding):
        return None
    got = read(path, before[path]) if path.casefold().endswith(".py") else None
    return text, got if isinstance(got, Source) else None


def _of_the_whole(
    files: Mapping[str, bytes], before: Mapping[str, bytes] | None
) -> Iterable[CodeFinding]:
    if before is None:
        return
    yield from lost_findings(files, before)
    if dict(files) == dict(before):
        text = "the files are those of the earlier version, byte for byte; hand in the change"
        yield error("ROBO-unchanged", "", 0, text)


def _unused(capabilities: Iterable[Capability]) -> Iterable[CodeFinding]:
    for each in sorted(capabilities):
        yield note("ROBO-unused", "", 0, f"declares {each}, and is not seen to use it")
