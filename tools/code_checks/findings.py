"""What a check came to: findings that name path, line and rule, in one fixed order.

Nothing in here lowers a finding. Where there are more than a record may hold, the worst stay, and
one finding says how many were left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import MAX_FINDINGS, Severity

LONGEST: Final = 300  # characters of one finding's text
UNABLE: Final = "ROBO-unable"  # the rule of what could not be judged; never a pass
_WORST_FIRST: Final = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO)
_BAD: Final = frozenset({Severity.ERROR, Severity.CRITICAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFinding:
    """One thing that a check noticed."""

    severity: Severity
    rule: str  # "ROBO-eval", "S102", "B307"
    path: str  # in the artifact; "": the artifact as a whole
    line: int  # from 1; 0: the file as a whole
    text: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReport:
    """What the checks say about one artifact."""

    findings: tuple[CodeFinding, ...]  # by path, line, rule and text
    inferred: frozenset[Capability]  # what the code was seen to use
    complexity: Mapping[str, int]  # McCabe, by "code/strategy.py:scan"

    @property
    def is_clean(self) -> bool:
        """Return whether nothing speaks against the code; what could not be judged does."""
        return not any(each.severity in _BAD for each in self.findings)


def error(rule: str, path: str, line: int, text: str) -> CodeFinding:
    """Return a finding that speaks against the code."""
    return _made(Severity.ERROR, rule, path, line, text)


def warning(rule: str, path: str, line: int, text: str) -> CodeFinding:
    """Return a finding that a person should look at."""
    return _made(Severity.WARNING, rule, path, line, text)


def note(rule: str, path: str, line: int, text: str) -> CodeFinding:
    """Return a finding that is only told."""
    return _made(Severity.INFO, rule, path, line, text)


def unable(path: str, text: str) -> CodeFinding:
    """Return the finding that something could not be judged."""
    return _made(Severity.ERROR, UNABLE, path, 0, text)


def in_order(findings: Iterable[CodeFinding]) -> tuple[CodeFinding, ...]:
    """Return findings once each, at most as many as a gate's record holds, in their order."""
    once = sorted(set(findings), key=_place)
    if len(once) > MAX_FINDINGS:
        worst = sorted(once, key=lambda each: _WORST_FIRST.index(each.severity))
        kept, left = worst[: MAX_FINDINGS - 1], worst[MAX_FINDINGS - 1 :]
        text = f"{len(left)} more findings are not shown, the worst of them: {left[0].severity}"
        once = [*kept, _made(left[0].severity, "ROBO-more", "", 0, text)]
    return tuple(sorted(once, key=_place))


def shown(text: str, limit: int = 60) -> str:
    """Return foreign text as a finding quotes it: plain ASCII, and short."""
    return ascii(text if len(text) <= limit else f"{text[:limit]}...")


def _made(severity: Severity, rule: str, path: str, line: int, text: str) -> CodeFinding:
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return CodeFinding(severity=severity, rule=rule, path=path, line=max(line, 0), text=cut)


def _place(each: CodeFinding) -> tuple[str, int, str, str, str]:
    return each.path, each.line, each.rule, each.text, each.severity
