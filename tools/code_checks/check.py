"""Static checks of an artifact: one call, one report, within a deadline.

The checks run in a child. Parsers of hostile text may recurse, hang, eat memory or crash, and then
the child is gone and the report says that the code could not be judged, which is no pass.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.artifact import MAX_BYTES, MAX_FILES
from tools.code_checks import wire
from tools.code_checks.children import Runner, python_command
from tools.code_checks.findings import CodeFinding, CodeReport, error, unable

_CPU_S: Final = 15  # of a child; the runner's deadline is wall time
_MODULE: Final = "tools.code_checks.child"


def check_code(
    files: Mapping[str, bytes],
    declared: frozenset[Capability],
    before: Mapping[str, bytes] | None = None,
    *,
    runner: Runner,
) -> CodeReport:
    """Return what speaks against an artifact's files; blocks for about half a second.

    Args:
        files: by path, as in `Artifact.files`: "code/strategy.py", "evals/...", "spec/...".
        declared: what its spec asks for.
        before: the files of the version that it was made from; None: there is none.
        runner: starts the child, and ends it when it is late.

    Whatever is in the files, this returns; what could not be judged has the rule ROBO-unable.
    """
    fault = _too_much(files) or _too_much(before or {})
    if fault is not None:
        return _alone(fault)
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    command = python_command(_MODULE, str(_CPU_S), str(ruff))
    try:
        ran = runner.run(command, wire.asked(files, declared, before))
    except OSError as cause:
        return _alone(unable("", f"the checks cannot be started: {cause.strerror}; try again"))
    if ran.code is None:
        return _alone(unable("", "the checks did not end in time; write smaller files"))
    if ran.code != 0:
        text = f"the checks ended with {ran.code}; the code breaks those who read it"
        return _alone(unable("", text))
    try:
        return wire.report_of(ran.answer)
    except BadInput as cause:
        return _alone(unable("", str(cause)))


def _too_much(files: Mapping[str, bytes]) -> CodeFinding | None:
    total = sum(map(len, files.values()))
    if len(files) > MAX_FILES or total > MAX_BYTES:
        text = (
            f"{len(files)} files of {total} bytes; at most {MAX_FILES} files and {MAX_BYTES} bytes"
        )
        return error("ROBO-size", "", 0, text)
    return None


def _alone(finding: CodeFinding) -> CodeReport:
    return CodeReport(findings=(finding,), inferred=frozenset(), complexity={})
