"""The whole, with the real child, the real linters and faults of the child."""

from __future__ import annotations

import os
import random
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import Severity
from roboinvest.runtime.in_flight import InFlight
from tests.tools.code_checks.honest import TRANSFORMS, honest_files
from tools.code_checks.check import check_code
from tools.code_checks.children import Children, Ran
from tools.code_checks.findings import UNABLE, CodeReport

DECLARED = frozenset({Capability.MARKET_DATA, Capability.PROPOSE_ORDERS})
SEED = 20261121


def checked(files: dict[str, str | bytes]) -> CodeReport:
    content = {
        path: text.encode() if isinstance(text, str) else text for path, text in files.items()
    }
    return check_code(content, DECLARED, runner=Children(InFlight(), deadline_s=60))


@dataclass
class Broken:
    """A runner whose child does not do what it should."""

    ran: Ran | OSError

    def run(self, command: Sequence[str], given: bytes) -> Ran:
        if isinstance(self.ran, OSError):
            raise self.ran
        return self.ran


def test_nothing_speaks_against_honest_files_and_others_read_them_as_we_do() -> None:
    report = checked({f"code/{name}.py": text for name, text in honest_files().items()})
    assert [each for each in report.findings if each.severity is Severity.ERROR] == []
    assert report.inferred == DECLARED
    assert report.complexity["code/strategy_pullback.py:scan"] == 4


def test_the_linters_findings_are_taken_with_rule_and_line() -> None:
    code = """import pickle
import math

def f(x):
    assert x
    y = undefined_name
    exec(x)  # noqa  # nosec
    return hash_of(x)

def hash_of(x):
    import hashlib
    password = "a1b2c3d4"
    return hashlib.md5(x)
"""
    report = checked({"code/a.py": code, "evals/test_a.py": "def test_a():\n    assert 1 + 1\n"})
    found = {(each.rule, each.line): each.severity for each in report.findings if each.line}
    assert found["F401", 2] is Severity.WARNING
    assert found["F821", 6] is Severity.ERROR
    assert found["S102", 7] is Severity.WARNING
    assert found["B102", 7] is Severity.WARNING  # medium: a person looks
    assert found["B324", 13] is Severity.ERROR  # high
    assert found["S101", 5] is Severity.WARNING
    assert not any(
        each.rule in ("S101", "B101") for each in report.findings if "evals" in each.path
    )
    assert not any("a1b2c3d4" in each.text for each in report.findings)


def test_an_artifact_of_all_kinds_of_bytes_is_judged_and_none_breaks_the_child() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    files: dict[str, str | bytes] = {}
    names = sorted(TRANSFORMS)
    for number in range(60):
        text = bytearray(TRANSFORMS[names[number % len(names)]].encode())
        for _ in range(rng.randrange(1, 5)):
            place = rng.randrange(len(text))
            text[place : place + rng.randrange(8)] = rng.randbytes(rng.randrange(6))
        files[f"code/a{number}.py"] = bytes(text)
        files[f"evals/b{number}.json"] = rng.randbytes(50)
    report = checked(files)
    assert not [each for each in report.findings if not each.path and each.rule == UNABLE]
    assert not report.is_clean


@pytest.mark.parametrize(
    "hostile",
    [
        "x = " + "(" * 20_000,
        "x = " + "-" * 50_000 + "1",
        "x = " + "[" * 95 + "]" * 95,
        "x = 1" + "+1" * 90,
        "x = '" + "eyJ" * 60_000 + "'",
        "# " + "a." * 90_000,
        "# " + "ignore " * 25_000,
        "x = '" + "1." * 90_000 + "'",
        "x = '" + "ab:" * 60_000 + "'",
        "if 1:\n x = 1\n" + "elif 1:\n x = 1\n" * 2_000,
        "x = 9**9**9**9\n",
        "x = 'a' * 10**12\n",
        "\n".join(f"a{n} = a{n + 1} = a{n}.b" for n in range(2_000)),
        "f'{" * 200,
    ],
    ids=range(14),
)
def test_hostile_text_ends_the_check_soon_and_with_a_report(hostile: str) -> None:
    report = checked({"code/a.py": hostile})
    assert not [each for each in report.findings if "in time" in each.text]


@pytest.mark.parametrize(
    "ran",
    [
        Ran(code=None, answer=b""),
        Ran(code=-11, answer=b""),
        Ran(code=1, answer=b'{"findings": [], "inferred": [], "complexity": {}}'),
        Ran(code=0, answer=b""),
        Ran(code=0, answer=b"no JSON"),
        Ran(code=0, answer=b'{"findings": [["fine", "r", "p", 1, "t"]]}'),
        Ran(code=0, answer=b"[]"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_child_that_fails_is_never_a_pass(ran: Ran | OSError) -> None:
    report = check_code({"code/a.py": b"x = 1\n"}, frozenset(), runner=Broken(ran))
    assert [each.rule for each in report.findings] == [UNABLE]
    assert not report.is_clean


def test_more_than_an_artifact_may_hold_is_not_even_read() -> None:
    many = {f"code/a{number}.py": b"" for number in range(201)}
    for files in (many, {"evals/a.json": b" " * 8_000_001}):
        report = check_code(files, frozenset(), runner=Broken(OSError("not asked")))
        assert [each.rule for each in report.findings] == ["ROBO-size"]


def test_a_late_child_is_ended_with_what_it_started() -> None:
    program = (
        "import os, signal, sys\n"
        "child = os.fork()\n"
        "if child: os.write(int(sys.argv[1]), str(child).encode() + b'\\n')\n"
        "signal.pause()\n"
    )
    reading, writing = os.pipe()
    in_flight = InFlight()
    try:
        os.set_inheritable(writing, True)
        path = f"/proc/{os.getpid()}/fd/{writing}"
        opened = program.replace("int(sys.argv[1])", f"os.open({path!r}, os.O_WRONLY)")
        runner = Children(in_flight, deadline_s=2)
        assert runner.run([sys.executable, "-I", "-c", opened], b"") == Ran(code=None, answer=b"")
        grandchild = int(os.read(reading, 100))
    finally:
        os.close(reading)
        os.close(writing)
    assert in_flight.count == 0
    assert is_gone(grandchild)


def is_gone(pid: int) -> bool:
    """Return whether a process ends; one that was sent a deadly signal needs a moment for it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10.0)[0])
    finally:
        os.close(handle)


def test_a_program_that_is_not_there_is_told_and_no_pass() -> None:
    with pytest.raises(OSError, match="No such file"):
        Children(InFlight()).run(["/nowhere/python"], b"")
