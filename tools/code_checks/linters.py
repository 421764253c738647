"""What other people's readers say: libcst, ruff and bandit.

ruff is a program of its own and reads from a pipe; no settings of this house or of the code reach
it, and what the code tells it to overlook it does not. What cannot be asked is a finding, never
silence.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import subprocess
from typing import Any, Final, Protocol

from tools.code_checks.findings import CodeFinding, error, note, unable, warning
from tools.code_checks.rules.evals import FOLDER
from tools.code_checks.source import Source

RULES: Final = "F,E9,B,S,ASYNC"
TARGET: Final = "py311"
MAX_ANSWER: Final = 1_000_000  # bytes of ruff's answer that are read
_GIVEN: Final = "builtins=['PARAMS','FIELDS']"  # what a transform finds in its file
_ERRORS: Final = ("E9", "F5", "F6", "F7", "F82", "ASYNC", "invalid-syntax")
_PASSWORDS: Final = frozenset({"S105", "S106", "S107", "B105", "B106", "B107"})
_HARMLESS: Final = frozenset({"S311", "B311"})  # chance for prices, not for keys
_IN_EVALS: Final = frozenset({"S101", "B101"})  # an assert is how an eval speaks
_SAID: Final = "a password stands in the code"  # theirs would quote it


class Linter(Protocol):
    """Somebody else's reader of one file; never raises for what is in it."""

    def findings(self, source: Source, content: bytes) -> list[CodeFinding]:
        """Return what it says."""
        ...


class RoundTrip:
    """libcst: what it writes back is what it read."""

    def __init__(self) -> None:
        """Load it."""
        import libcst  # slow to load, and only a child needs it

        self._libcst = libcst

    def findings(self, source: Source, content: bytes) -> list[CodeFinding]:
        """Return where text or tree do not survive."""
        libcst = self._libcst
        try:
            module = libcst.parse_module(content)
            same = module.bytes == content
            tree = ast.dump(ast.parse(module.code)) == ast.dump(ast.parse(source.text))
        except (libcst.ParserSyntaxError, ValueError, SyntaxError, LookupError) as fault:
            text = f"libcst reads no Python here: {type(fault).__name__}"
            return [error("ROBO-round-trip", source.path, 1, text)]
        except (RecursionError, MemoryError):
            return [unable(source.path, "libcst ran out of depth; write smaller expressions")]
        if same and tree:
            return []
        text = "the code does not survive being read and written; write it plainly"
        return [error("ROBO-round-trip", source.path, 1, text)]


class Bandit:
    """Bandit, by its library: no settings, and no comment of the code is heeded."""

    def __init__(self) -> None:
        """Load it."""
        from bandit.core import (  # type: ignore[import-untyped]
            config,
            meta_ast,
            metrics,
            node_visitor,
            test_set,
        )

        self._tests = test_set.BanditTestSet(config.BanditConfig(), {})
        self._visitor = node_visitor.BanditNodeVisitor
        self._meta, self._metrics = meta_ast.BanditMetaAst, metrics.Metrics
        self._faults = _Faults()
        logging.getLogger("bandit").addHandler(self._faults)
        logging.getLogger("bandit").propagate = False

    def findings(self, source: Source, content: bytes) -> list[CodeFinding]:
        """Return its issues: high is an error, medium needs a person."""
        self._faults.seen = 0
        metrics = self._metrics()
        metrics.begin(source.path)
        visitor = self._visitor(
            source.path, io.BytesIO(content), self._meta(), self._tests, False, {}, metrics
        )
        try:
            visitor.process(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError, KeyError, TypeError) as fault:
            return [unable(source.path, f"bandit could not read it: {type(fault).__name__}")]
        if self._faults.seen:
            return [unable(source.path, f"bandit failed {self._faults.seen} times on it")]
        say = {"HIGH": error, "MEDIUM": warning}
        return [
            say.get(each.severity, note)(
                each.test_id,
                source.path,
                int(each.lineno or 0),
                _SAID if each.test_id in _PASSWORDS else str(each.text),
            )
            for each in visitor.tester.results
            if not _is_how_evals_speak(source.path, each.test_id)
        ]


class Ruff:
    """The program ruff: one short run a file."""

    def __init__(self, program: str) -> None:
        """Take the path of the program."""
        self._command = [
            *(program, "check", "--isolated", "--no-cache", "--quiet", "--exit-zero"),
            *("--ignore-noqa", "--target-version", TARGET, "--select", RULES),
            *("--config", _GIVEN, "--output-format", "json-lines", "--stdin-filename"),
        ]

    def findings(self, source: Source, content: bytes) -> list[CodeFinding]:
        """Return its diagnostics."""
        command = [*self._command, "candidate.py", "-"]
        try:
            with subprocess.Popen(  # noqa: S603 our own program, and the code goes by a pipe
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            ) as child:
                if child.stdin is None or child.stdout is None:
                    raise OSError("no pipes")
                child.stdin.write(content)
                child.stdin.close()
                answer = child.stdout.read(MAX_ANSWER)
                child.kill()
                ended = child.wait()
        except OSError as fault:
            return [unable(source.path, f"ruff cannot be asked: {fault.strerror}; install it")]
        if len(answer) < MAX_ANSWER and ended not in (0, -9):
            return [unable(source.path, f"ruff ended with {ended}")]
        return _diagnostics(source.path, answer)


class _Faults(logging.Handler):
    """Counts what bandit logs and goes on without."""

    seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += record.levelno >= logging.ERROR


def _diagnostics(path: str, answer: bytes) -> list[CodeFinding]:
    found: list[CodeFinding] = []
    for line in answer.splitlines():
        try:
            said: Any = json.loads(line)
            rule, row = str(said["code"]), int(said["location"]["row"])
            text = _SAID if rule in _PASSWORDS else str(said["message"])
        except (ValueError, KeyError, TypeError):
            found.append(unable(path, "ruff answered with more than is read"))
            break
        if not _is_how_evals_speak(path, rule):
            say = error if rule.startswith(_ERRORS) else note if rule in _HARMLESS else warning
            found.append(say(rule, path, row, text))
    return found


def _is_how_evals_speak(path: str, rule: str) -> bool:
    return rule in _IN_EVALS and path.startswith(FOLDER)
