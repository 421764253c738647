"""What generated changes may never touch, listed once, and which spellings of a path are taken.

A path is judged by its text first, folded in case, and only plain spellings are taken at all:
letters, digits, dots, dashes and underscores of ASCII, from the root downwards. So a look-alike
letter, a step upwards, a second separator or a trailing dot is not compared with the list but
refused. What lies on the disk there (links, folders of another repository) is looked at by
`roboinvest.runtime.governance.paths`, which has a disk.

Everything is protected, for a person, or free, and free is the short list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import Refused

MAX_PATH: Final = 240  # characters
_PART: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
_AFTER: Final = "/._-"  # what may follow a listed path: what is in it, and what is named after it


class Zone(StrEnum):
    """Who may change what lies there."""

    FREE = "free"  # gates, and no person
    PERSON = "person"
    PROTECTED = "protected"  # nothing that was generated, whoever approves


ROOMS: Final[Mapping[str, tuple[str, ...]]] = {
    "risk": (
        *("roboinvest/core/risk", "roboinvest/core/mandate", "roboinvest/core/protections"),
        *("roboinvest/core/budget", "roboinvest/core/intent_form", "roboinvest/trading/locks"),
        *("roboinvest/trading/gate", "roboinvest/trading/order_guard", "roboinvest/core/news/gate"),
        *("roboinvest/trading/risk_lines", "roboinvest/cli/locks", "roboinvest/cli/mandate"),
        "roboinvest/runtime/llm/spend",
    ),
    "brokers": (
        *("roboinvest/brokers", "roboinvest/core/venue", "roboinvest/core/orders"),
        *("roboinvest/trading/trade_executor", "roboinvest/runtime/vendors"),
    ),
    "journal": (
        *("roboinvest/runtime/journal", "roboinvest/core/journal", "roboinvest/core/ledger"),
        "roboinvest/runtime/lanes",
    ),
    "fills": ("roboinvest/core/fills",),
    "gates": ("meta_agents/evolution", "tools/code_checks", "tools/boxed_strategies"),
    "sandbox": ("tools/sandbox", "roboinvest/runtime/prompts"),
    "evaluator": (
        *("tools/backtester", "roboinvest/core/statistics", "roboinvest/core/performance"),
        *("roboinvest/core/signals", "roboinvest/core/signal_levels", "roboinvest/core/strategy"),
        *("roboinvest/core/quant", "roboinvest/core/market", "roboinvest/cli/backtest"),
    ),
    "evaluator data": ("tools/bars", "tools/feeds", "tools/data_fetcher", "data/bars"),
    "inbox": (
        *("roboinvest/core/proposals", "roboinvest/core/proposal", "roboinvest/core/approvals"),
        *("roboinvest/core/change_outcomes", "roboinvest/core/protected_paths"),
        "roboinvest/core/code_skeletons",
        *("roboinvest/runtime/governance", "roboinvest/cli/approvals", "roboinvest/cli/approval"),
    ),
    "audit": ("roboinvest/core/audit", "roboinvest/cli/audit", "data/governance", "data/logs"),
    "revisions": (
        *("roboinvest/core/revisions", "roboinvest/runtime/revisions", "roboinvest/cli/agents"),
    ),
    "supervisor": (
        *("roboinvest/runtime/supervision", "roboinvest/runtime/control", "roboinvest/app"),
        *("roboinvest/__main__", "roboinvest/cli/main", "roboinvest/cli/run"),
    ),
    "kill switch": (
        *("roboinvest/runtime/halt", "roboinvest/cli/halt", "data/halt"),
        *("roboinvest/runtime/folder", "roboinvest/runtime/clock"),
    ),
    "self-edit": ("meta_agents/code_editor", "meta_agents/governance"),
    "settings and secrets": (
        *("roboinvest/runtime/configuration", "roboinvest/runtime/redaction"),
        *("config/roboinvest", "config/mandate", "config/models", "config/systemd"),
    ),
    "strangers' text": ("roboinvest/core/text", "roboinvest/core/news"),
    "tests": ("tests", "benchmarks"),
    "CI": (".ci", ".github", "makefile"),
    "locks": ("requirements", "requirements-dev", "browser-assets"),
    "packaging": (
        *("pyproject", "hatch_build", "setup", "dockerfile", ".dockerignore", "compose"),
        *(".venv", "manifest", "tox", "pytest", "mypy", "ruff", "uv"),
    ),
    "git": (".git", ".gitignore", ".gitattributes", ".gitmodules"),
    "data": ("data",),  # but for what `FREE` names in it
}
FREE: Final = ("config/prompts", "data/agents", "data/prompts", "data/strategies")
PLANTED: Final = re.compile(  # names that run, or change what runs, wherever they lie
    r"conftest\.py|(site|user)customize(\.py|/.*)?|.*\.pth|.*\.egg-link|.*\.py[cdoiw]|.*\.so(\..*)?"
    r"|.*\.(dll|dylib|lock|whl|egg|egg-info|dist-info|ini|cfg)|__pycache__|__main__\.py"
    r"|setup\.py|noxfile\.py|tasks\.py|makefile|gnumakefile|dockerfile|pyproject\.toml"
    r"|entry_points\.txt|\..*"
)


def plain_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path that is spelled plainly, folded in case.

    Raises:
        Refused: it could be read in another way than it looks, or leads elsewhere.
    """
    if not 0 < len(path) <= MAX_PATH:
        raise Refused(f"a path has 1 to {MAX_PATH} characters, and this one {len(path)}")
    parts = path.split("/")
    for part in parts:
        if not _PART.fullmatch(part) and not _is_hidden_name(part):
            raise Refused(
                f"the path {path!a} is not spelled plainly at {part!a}: from the root "
                "downwards, in ASCII letters, digits and . _ -, without . or .. as a step"
            )
    return tuple(part.casefold() for part in parts)


def zone_of(path: str) -> Zone:
    """Return who may change what lies at a path below the repository.

    Raises:
        Refused: it is not spelled plainly.
    """
    return Zone.PROTECTED if room_of(path) else _free_or_not("/".join(plain_parts(path)))


def room_of(path: str) -> str | None:
    """Return the name of the room that protects a path; None where nothing does.

    Raises:
        Refused: the path is not spelled plainly.
    """
    parts = plain_parts(path)
    for part in parts:
        if PLANTED.fullmatch(part):
            return f"files like {part}"
    folded = "/".join(parts)
    if _free_or_not(folded) is Zone.FREE:
        return None
    for room, listed in ROOMS.items():
        if any(_covers(each, folded) for each in listed):
            return room
    return None


def require_unprotected(path: str) -> Zone:
    """Return who may change what lies at a path.

    Raises:
        Refused: nobody who generates, or it is not spelled plainly.
    """
    room = room_of(path)
    if room is not None:
        raise Refused(
            f"{path} is protected ({room}); no generated change may touch it, and no approval "
            "allows it: a person edits it"
        )
    return zone_of(path)


def _free_or_not(folded: str) -> Zone:
    is_free = any(folded.startswith(f"{each}/") for each in FREE)
    return Zone.FREE if is_free else Zone.PERSON


def _covers(listed: str, folded: str) -> bool:
    """Return whether a path is the listed one, lies in it, or is named after it."""
    rest = folded.removeprefix(listed)
    return rest != folded and (not rest or rest[0] in _AFTER)


def _is_hidden_name(part: str) -> bool:
    """Return whether a part is a plain name after one dot; those are all protected."""
    return part.startswith(".") and _PART.fullmatch(part[1:]) is not None
