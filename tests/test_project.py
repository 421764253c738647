"""What the outside of the project promises: packaging, container, service and documents."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.core import TyperGroup
from typer.main import get_command

from roboinvest.cli.main import app, run_and_exit
from roboinvest.cli.options import ExitCode
from roboinvest.runtime.configuration.secrets import load_secrets
from roboinvest.runtime.configuration.settings import Settings, known_keys, load_settings

REPOSITORY: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")
PACKAGES: Final = ["roboinvest", "meta_agents", "research", "tools"]
FORCED_EXIT_S: Final = Settings().supervisor.forced_exit_s
NOT_AGAIN: Final = {ExitCode.ARGUMENTS, ExitCode.SETTINGS, ExitCode.REFUSED}


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    return tomllib.loads(text_of("pyproject.toml"))


def requirements_of(lock: str) -> list[str]:
    """Return one joined line per requirement."""
    lines = [line for line in text_of(lock).splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s+", "", "\n".join(lines)).splitlines()


def pins_of(lock: str) -> dict[str, set[str]]:
    """Return {name: versions}; a universal lock may hold several, for several Pythons."""
    pins = defaultdict[str, set[str]](set)
    for line in requirements_of(lock):
        name, _, rest = line.partition("==")
        pins[canonicalize_name(name.partition("[")[0])].add(rest.split()[0])
    return pins


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    paths = (REPOSITORY / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


# Packaging


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_one_version_with_hashes(lock: str) -> None:
    name, marker = r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?", "[a-zA-Z0-9_.'=<>!* ]+"
    line = re.compile(rf"{name}==[^ ]+( ; {marker})?( --hash=sha256:[0-9a-f]{{64}})+")
    requirements = [" ".join(text.split()) for text in requirements_of(lock)]
    assert len(requirements) > 100
    assert [text for text in requirements if not line.fullmatch(text)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    assert not re.search(r"://|file:|^-", text_of(lock), re.MULTILINE)


def test_the_dev_lock_holds_the_runtime_lock_at_the_same_versions() -> None:
    runtime, dev = (pins_of(lock) for lock in LOCKS)
    assert {name: dev.get(name) for name in runtime} == dict(runtime)


def test_the_locks_satisfy_what_the_project_asks_for() -> None:
    project = pyproject()
    build = project["dependency-groups"]["build"]
    dev = [line for line in project["dependency-groups"]["dev"] if isinstance(line, str)]
    for lock, lines in zip(
        LOCKS, ([*project["project"]["dependencies"], *build], dev), strict=True
    ):
        pins = pins_of(lock)
        for requirement in map(Requirement, lines):
            versions = pins[canonicalize_name(requirement.name)]
            assert versions, f"{lock} lacks {requirement}"
            assert all(requirement.specifier.contains(version) for version in versions)


def test_the_wheel_carries_the_four_packages_and_the_defaults(tmp_path: Path) -> None:
    assert pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == PACKAGES
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, capture_output=True, check=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"{package}/__init__.py" for package in PACKAGES} <= set(names)
    assert "roboinvest/config/roboinvest.toml" in names
    assert not [name for name in names if name.startswith(("tests/", "data/", "config/"))]


def test_no_file_names_a_registry_or_a_machine() -> None:
    registries = "|".join(("pypi" + r"\.org", "python" + r"hosted\.org", "npm" + r"js\.(org|com)"))
    machine = r"(?<![\w.])/(?:" + "|".join(("work", "farm", "root")) + ")/"
    unwanted = re.compile(f"{registries}|deb\\.deb" + f"ian\\.org|{machine}")
    files = tracked_files()
    assert REPOSITORY / "pyproject.toml" in files
    named = {
        str(path.relative_to(REPOSITORY)): match.group()
        for path in files
        if (match := unwanted.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert named == {}


# Container and service


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: (word, rest)."""
    lines = [line for line in text_of("Dockerfile").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def last_stage() -> dict[str, str]:
    steps = instructions()
    start = max(i for i, (word, _) in enumerate(steps) if word == "FROM")
    return dict(steps[start:])


def test_the_image_runs_as_nobody_special() -> None:
    user = last_stage()["USER"]
    assert user.partition(":")[0] not in {"", "0", "root"}
    assert last_stage()["VOLUME"] == "/data"


def test_the_image_passes_signals_and_reports_its_health() -> None:
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["roboinvest"]
    assert json.loads(stage["CMD"]) == ["run"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    check = json.loads(stage["HEALTHCHECK"].partition(" CMD ")[2])
    assert check == ["roboinvest", "status", "--check", "--data-dir", "/data"]


def test_the_image_is_installed_by_hash_and_from_what_is_sent() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert any("--require-hashes -r requirements.lock" in rest for rest in runs)
    copies = [rest.split() for word, rest in instructions() if word == "COPY"]
    sources = {name for words in copies if not words[0].startswith("--") for name in words[:-1]}
    sent = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    assert sources == sent
    assert {*PACKAGES, "config"} < sources
    assert all((REPOSITORY / name).exists() for name in sources)


def test_compose_confines_the_daemon_and_gives_it_time_to_stop() -> None:
    daemon = yaml.safe_load(text_of("compose.yaml"))["services"]["roboinvest"]
    assert daemon["init"] is True
    assert daemon["read_only"] is True
    assert daemon["cap_drop"] == ["ALL"]
    assert daemon["security_opt"] == ["no-new-privileges:true"]
    assert daemon["restart"] == "unless-stopped"
    assert int(daemon["stop_grace_period"].removesuffix("s")) > FORCED_EXIT_S
    assert "/tmp" in daemon["tmpfs"]  # noqa: S108 a path inside the container
    assert "mem_limit" in daemon
    assert "data:/data" in daemon["volumes"]
    assert "ports" not in daemon


def unit() -> dict[str, list[str]]:
    """Return the settings of the systemd unit: {key: values}."""
    found = defaultdict[str, list[str]](list)
    for line in text_of("config/systemd/roboinvest.service").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def test_the_service_is_watched_and_comes_back() -> None:
    service = unit()
    assert service["Type"] == ["notify"]
    assert service["NotifyAccess"] == ["main"]
    assert service["WatchdogSec"] == ["60"]
    assert service["Restart"] == ["on-failure"]
    assert service["StartLimitIntervalSec"] == ["0"]
    assert service["KillMode"] == ["mixed"]
    assert float(service["TimeoutStopSec"][0]) > FORCED_EXIT_S


def test_the_service_does_not_come_back_from_what_only_a_person_can_mend() -> None:
    service = unit()
    assert {int(code) for code in service["RestartPreventExitStatus"][0].split()} == NOT_AGAIN
    forced = {int(code) for code in service["RestartForceExitStatus"][0].split()}
    assert forced == {ExitCode.ESCALATED, ExitCode.FORCED}


def test_the_service_is_confined_but_may_confine_its_children() -> None:
    service = unit()
    assert service["User"] != ["root"]
    assert service["StateDirectory"] == ["roboinvest"]
    allowed = service["SystemCallFilter"][0].split()
    assert allowed[0] == "@system-service"
    assert {"seccomp", "landlock_create_ruleset", "landlock_restrict_self"} < set(allowed)
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "MemoryDenyWriteExecute" not in service


# Settings and documents


def test_the_settings_file_as_it_comes_changes_nothing() -> None:
    settings = load_settings(REPOSITORY / "config" / "roboinvest.toml", {}, {})
    assert settings == Settings()


def test_the_settings_file_documents_each_key_with_its_default(tmp_path: Path) -> None:
    lines = text_of("config/roboinvest.toml").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#\w+ = ", line):
            assert lines[number - 1].startswith("# "), f"nothing is said about {line}"
    all_set = tmp_path / "all.toml"
    all_set.write_text("\n".join(re.sub(r"^#(\w+ = )", r"\1", line) for line in lines))
    written = tomllib.loads(all_set.read_text(encoding="utf-8"))
    defaults, settings = Settings(), load_settings(all_set, {}, {})
    for key in known_keys():
        section, _, name = key.rpartition(".")
        assert name in (written[section] if section else written), f"{key} is not documented"
        of_defaults = getattr(defaults, section) if section else defaults
        of_file = getattr(settings, section) if section else settings
        if getattr(of_defaults, name) is not None:  # TOML has no word for "none": an example then
            assert getattr(of_file, name) == getattr(of_defaults, name), key


def test_the_example_environment_names_keys_and_settings_that_exist() -> None:
    lines = [line.lstrip("#") for line in text_of(".env.example").splitlines()]
    pairs = [line.split("=", 1) for line in lines if re.match(r"[A-Z][A-Z_]+=", line)]
    environ = {name: value or "a-key" for name, value in pairs}
    assert load_settings(None, environ, {}) != Settings()
    keys = [name for name in environ if not name.startswith("ROBOINVEST_")]
    assert len(keys) == len(load_secrets(environ).texts())


def rows_under(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, its two head lines left out."""
    body = text_of(document).partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_readme_explains_each_exit_code() -> None:
    assert [int(row[0]) for row in rows_under("README.md", "## Exit codes")] == sorted(ExitCode)


def test_the_readme_lists_the_commands_that_exist() -> None:
    program = get_command(app)
    assert isinstance(program, TyperGroup)
    commands = set[str]()
    for name, command in program.commands.items():
        below = getattr(command, "commands", None)
        commands |= {f"{name} {part}" for part in below} if below else {name}
    cells = [row[0] for row in rows_under("README.md", "## Commands")]
    assert {cell.strip("`").removeprefix("roboinvest ") for cell in cells} == commands


def test_the_console_script_leads_to_the_program() -> None:
    module, _, function = pyproject()["project"]["scripts"]["roboinvest"].partition(":")
    assert getattr(importlib.import_module(module), function) is run_and_exit


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == pyproject()["project"]["version"]


def test_the_decisions_are_numbered_once_each() -> None:
    body = text_of("ARCHITECTURE.md").partition("## Decisions")[2]
    numbers = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", body, re.MULTILINE)]
    assert numbers == sorted(set(numbers))
    assert set(range(21, 29)) <= set(numbers)


def test_links_between_documents_lead_somewhere() -> None:
    for document in REPOSITORY.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name} -> {link}"
