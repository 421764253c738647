"""Which tier is found, and that it fails closed."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.sandboxes import lacking, needs
from tools.sandbox.inside.confinement import Layers
from tools.sandbox.pool import SandboxPool
from tools.sandbox.scripts import scripts_missing
from tools.sandbox.tier import Tier
from tools.sandbox.tiers import detect, hole_in, why_not
from tools.sandbox.worker import Worker

REPOSITORY = Path(__file__).resolve().parents[3]


def found_where_refused(*what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.sandbox_denials", *what],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def without_scripts(tier: Tier) -> Tier:
    return Tier.C if tier is Tier.D and scripts_missing() is None else tier


@pytest.mark.parametrize("tier", [Tier.A, Tier.B])
def test_a_tier_holds_wherever_the_machine_gives_what_it_needs(tier: Tier) -> None:
    needs(tier)
    assert why_not(tier) is None


def test_the_best_tier_is_found_with_its_reason() -> None:
    found = detect()
    assert found.tier is (Tier.A if why_not(Tier.A) is None else Tier.B)
    assert "hold" in found.reason
    assert found.tier not in found.refused


@pytest.mark.parametrize("tier", [Tier.A, Tier.B])
@pytest.mark.parametrize(
    ("layer", "hole"),
    [
        ("landlock", "a directory opens"),
        ("seccomp", "a socket opens"),
        ("rlimits", "memory has no limit"),
        ("clean_environment", "an environment is in it"),
    ],
)
def test_a_box_that_lacks_a_layer_is_found_out(tier: Tier, layer: str, hole: str) -> None:
    needs(tier)
    with lacking(Layers(**{layer: False}), tier) as worker:
        assert hole in str(hole_in(worker))


@pytest.mark.parametrize("what", ["bwrap", "namespaces"])
def test_without_namespaces_tier_b_is_found_and_says_why(what: str) -> None:
    found = found_where_refused(what)
    assert found["tier"] == "B"
    assert found["refused"]["A"]


@pytest.mark.parametrize("what", ["landlock", "seccomp"])
def test_hard_case_22_without_landlock_or_seccomp_generated_code_stays_off(what: str) -> None:
    found = found_where_refused(what)
    assert found["tier"] == without_scripts(Tier.D)
    assert what in found["reason"].lower()
    assert "\n" not in found["reason"]


def test_only_boxes_run_jobs() -> None:
    assert [tier for tier in Tier if tier.runs_jobs] == [Tier.A, Tier.B]


def test_no_layer_can_be_taken_away_by_what_production_calls() -> None:
    for call in (Worker, SandboxPool, detect, why_not):
        assert "layers" not in inspect.signature(call).parameters
    makers = [
        path.relative_to(REPOSITORY).as_posix()
        for package in ("roboinvest", "tools", "research", "meta_agents")
        for path in (REPOSITORY / package).rglob("*.py")
        if "inside.confinement" in (text := path.read_text()) and "Layers(" in text
    ]
    assert sorted(makers) == ["tools/sandbox/inside/zygote.py", "tools/sandbox/worker.py"]
    assert "Layers())" in (REPOSITORY / "tools/sandbox/worker.py").read_text()
