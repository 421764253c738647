"""Files to a child, and its report back: JSON, checked on arrival."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import Severity
from tools.code_checks.findings import CodeFinding, CodeReport

Files = Mapping[str, bytes]


def asked(files: Files, declared: frozenset[Capability], before: Files | None) -> bytes:
    """Return what a child is asked, as bytes."""
    said = {
        "files": _plain(files),
        "declared": sorted(declared),
        "before": None if before is None else _plain(before),
    }
    return json.dumps(said).encode()


def question_of(raw: bytes) -> tuple[dict[str, bytes], frozenset[Capability], Files | None]:
    """Return what was asked."""
    said: Any = json.loads(raw)
    before = said["before"]
    return (
        _files(said["files"]),
        frozenset(map(Capability, said["declared"])),
        None if before is None else _files(before),
    )


def answered(report: CodeReport) -> bytes:
    """Return a report as bytes."""
    said = {
        "findings": [
            [each.severity, each.rule, each.path, each.line, each.text] for each in report.findings
        ],
        "inferred": sorted(report.inferred),
        "complexity": dict(report.complexity),
    }
    return json.dumps(said).encode()


def report_of(raw: bytes) -> CodeReport:
    """Return the report that a child answered.

    Raises:
        BadInput: it is none.
    """
    try:
        said: Any = json.loads(raw)
        return CodeReport(
            findings=tuple(
                CodeFinding(
                    severity=Severity(severity),
                    rule=str(rule),
                    path=str(path),
                    line=int(line),
                    text=str(text),
                )
                for severity, rule, path, line, text in said["findings"]
            ),
            inferred=frozenset(map(Capability, said["inferred"])),
            complexity={str(name): int(number) for name, number in said["complexity"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise BadInput(f"the answer of the checks is none: {fault!r}") from fault


def _plain(files: Files) -> dict[str, str]:
    return {path: base64.b64encode(content).decode() for path, content in files.items()}


def _files(said: Mapping[str, str]) -> dict[str, bytes]:
    return {path: base64.b64decode(content) for path, content in said.items()}
