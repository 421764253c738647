"""The house keeps its rules, and each rule finds the fault that it is there for.

A rule that cannot fail proves nothing, so every one is also tried on a small house with the fault
planted, and on one without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.house_rules import (
    FLOORS,
    PACKAGES,
    RULES,
    House,
    Rule,
    core_needs_no_outside,
    files_are_short,
    functions_are_short,
    house_of,
    imports_do_no_work,
    imports_go_down,
    no_import_circles,
    packages_hold_a_docstring,
    sides_of_a_bar_stay_apart,
    tasks_have_an_owner,
    time_and_chance_are_handed_in,
)

REPOSITORY: Final = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def our_house() -> House:
    return house_of(
        {
            path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
            for package in PACKAGES
            for path in sorted((REPOSITORY / package).rglob("*.py"))
        }
    )


def test_the_whole_house_is_read(our_house: House) -> None:
    assert {*PACKAGES, "roboinvest.core.risk", "roboinvest.runtime.configuration.settings"} <= set(
        our_house
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule, our_house: House) -> None:
    assert rule(our_house) == []


CORE, RUNTIME, TRADING = (
    "roboinvest/core/a.py",
    "roboinvest/runtime/b.py",
    "roboinvest/trading/c.py",
)
UPWARDS = {
    CORE: "def f():\n    from roboinvest.runtime import b\n",
    RUNTIME: "from roboinvest.runtime import other\n",
}
HIDDEN_CIRCLE = {
    CORE: "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import roboinvest.core.z\n",
    "roboinvest/core/z.py": "from .a import x\n",
}
IMPORTS_APP = {"meta_agents/x.py": "import roboinvest.app as app\n", "roboinvest/app.py": ""}
BROKER = {"roboinvest/brokers/p.py": "x = 1\n", TRADING: "from roboinvest.brokers.p import x\n"}
WINGS = {"research/r.py": "from meta_agents import m\n", "meta_agents/m.py": ""}
STORE = "class Store:\n    pass\n"
DOES_IO = {RUNTIME: "def load():\n    return open('x')\n\n\nCONTENT = load()\n"}


def planted(rule: Rule, files: Mapping[str, str] | str, named: str) -> object:
    """A fault, and the text that must name it; a lone text is a module of the runtime."""
    files = {RUNTIME: files} if isinstance(files, str) else files
    return pytest.param(rule, files, named, id=f"{rule.__name__}: {named}")


@pytest.mark.parametrize(
    ("rule", "files", "named"),
    [
        planted(imports_go_down, UPWARDS, f"{CORE} -> {RUNTIME}"),
        planted(imports_go_down, IMPORTS_APP, "meta_agents/x.py -> roboinvest/app.py"),
        planted(sides_of_a_bar_stay_apart, BROKER, f"{TRADING} -> roboinvest/brokers/p.py"),
        planted(sides_of_a_bar_stay_apart, WINGS, "research/r.py -> meta_agents/m.py"),
        planted(no_import_circles, HIDDEN_CIRCLE, f"{CORE} -> roboinvest/core/z.py -> {CORE}"),
        planted(core_needs_no_outside, {CORE: "import asyncio\n"}, f"{CORE} -> asyncio"),
        planted(core_needs_no_outside, {CORE: "import sqlalchemy as sa\n"}, "-> sqlalchemy"),
        planted(files_are_short, "x = 1\n" * 401, f"{RUNTIME}: 401 lines"),
        planted(functions_are_short, "def f():\n" + "    x = 1\n" * 41, "f: 41 lines"),
        planted(
            packages_hold_a_docstring,
            {"roboinvest/core/__init__.py": '"""Core."""\nfrom roboinvest.core import a\n'},
            "roboinvest/core/__init__.py",
        ),
        planted(tasks_have_an_owner, "import asyncio\nasyncio.create_task(f())\n", "create_task"),
        planted(
            tasks_have_an_owner, "def f(loop):\n    loop.create_task(g())\n", "loop.create_task"
        ),
        planted(
            time_and_chance_are_handed_in,
            "from datetime import datetime as dt\nfactory = dt.now\n",
            "datetime.datetime.now",
        ),
        planted(time_and_chance_are_handed_in, "from time import time\nx = time()\n", "time.time"),
        planted(time_and_chance_are_handed_in, "import random\nrandom.random()\n", "random.random"),
        planted(time_and_chance_are_handed_in, "import uuid\nuuid.uuid4()\n", "uuid.uuid4"),
        planted(imports_do_no_work, f"{STORE}store = Store()\n", "Store"),
        planted(imports_do_no_work, "from roboinvest.core.a import g\ng.load()\n", "g.load()"),
        planted(imports_do_no_work, "import os\nHOME = os.getenv('HOME')\n", "os.getenv"),
        planted(
            imports_do_no_work, "from pathlib import Path\nX = Path('x').read_text()\n", "read"
        ),
        planted(imports_do_no_work, "import socket\ndef f(s=socket.socket()): ...\n", "socket"),
        planted(imports_do_no_work, "class C:\n    lock = open('lock')\n", "open"),
        planted(imports_do_no_work, "for x in ():\n    pass\n", "for x in ()"),
        planted(imports_do_no_work, DOES_IO, "load"),
    ],
)
def test_a_planted_fault_is_named(rule: Rule, files: dict[str, str], named: str) -> None:
    assert [line for line in rule(house_of(files)) if named in line]


FAULTLESS = """
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from roboinvest.core import a

@dataclass(frozen=True)
class Value:
    x: int
    def now(self):
        return self.clock.now()

DEFAULT: Final = Value(x=max(1, 2))
PRICES = frozenset({Decimal("1.5")})
def twice(x):
    return Value(x=x * 2)
DOUBLED = twice(4)
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_faultless_house_is_left_alone(rule: Rule) -> None:
    full_length = 'def f():\n    """Docstring."""\n' + "    x = 1\n" * 40
    files = {CORE: full_length, RUNTIME: FAULTLESS, TRADING: "from roboinvest.runtime import b\n"}
    assert rule(house_of(files)) == []


HEAVY: Final = frozenset(
    {"langgraph", "langchain_openai", "alpaca", "polygon", "chromadb"}
    | {"sqlalchemy", "numpy", "pandas", "pyarrow"}
)
IMPORTED_BY = """
import json, sys
from roboinvest.cli.main import run_program
code = run_program(sys.argv[1:])
modules = sorted({name.partition(".")[0] for name in sys.modules})
json.dump({"code": code, "modules": modules}, sys.stderr)
"""


@pytest.mark.parametrize("command", [["--help"], ["--data-dir", "nowhere"], ["--check"]])
def test_asking_for_the_status_loads_no_heavy_library(command: list[str], tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", IMPORTED_BY, "status", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    answer = json.loads(asked.stderr)
    assert answer["code"] == (1 if command == ["--check"] else 0)
    assert asked.stdout
    assert {"roboinvest", "typer"} <= set(answer["modules"])
    assert HEAVY & set(answer["modules"]) == set()


def test_the_architecture_document_names_every_floor() -> None:
    document = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = document.partition("## Floors")[2].partition("## ")[0]
    missing = [
        room
        for room in FLOORS.keys() - {"roboinvest", "roboinvest.__main__"}
        if room.replace(".", "/") not in table
    ]
    assert missing == []
