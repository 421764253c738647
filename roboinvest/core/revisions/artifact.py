"""An artifact: the files that somebody wrote, and the names that are made of their content.

Two digests, because two questions are asked. The artifact's digest covers every byte, what the
artifact asks for and whom it calls: evidence is bound to it, so that one changed byte means all
gates again. The revision's id is the digest of its manifest, which names the agent and the parent
as well: the same files with another past are another revision. Gate records are not in the manifest
(they are bound to the artifact and come later); each is a file named by its own digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import Capability
from roboinvest.core.records import plain_json
from roboinvest.core.revisions.fingerprint import fingerprint_of

SECTIONS: Final = ("spec", "code", "evals", "dependencies")  # folders; "gates" is the store's
MANIFEST: Final = "manifest.json"
MANIFEST_SCHEMA: Final = 1
MAX_FILES: Final = 200
MAX_FILE_BYTES: Final = 1_000_000
MAX_BYTES: Final = 8_000_000  # of one artifact
MAX_PATH: Final = 200  # characters
MAX_DEPTH: Final = 8  # names in one path
MAX_CALLS: Final = 20  # agents that one agent calls

_AGENT_ID: Final = re.compile(r"(?=.{1,64}\Z)[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# Python takes these up by itself, wherever they lie on its way.
_SELF_STARTING: Final = frozenset({"conftest.py", "sitecustomize.py", "usercustomize.py"})
_NOT_SOURCE: Final = (".pth", ".pyc", ".pyo", ".so", ".pyd", ".dll", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What somebody wrote for one agent, before it has a place in the store."""

    agent_id: str
    files: Mapping[str, bytes]  # by path: "code/strategy.py"; the first name is a section
    declared: frozenset[Capability]  # what its spec asks for
    inferred: frozenset[Capability]  # what its code was seen to use
    calls: tuple[str, ...] = ()  # agents that it may call, whose capabilities it thereby reaches

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what counts: declared united with inferred."""
        return self.declared | self.inferred

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 that evidence is bound to: every byte, every wish."""
        return _artifact_digest(_entries(self.files), self.declared, self.inferred, self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a revision."""

    path: str
    sha256: str  # hex
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a revision consists of."""

    agent_id: str
    parent: str | None  # the revision that it was made from
    files: tuple[FileEntry, ...]  # by path
    declared: frozenset[Capability]
    inferred: frozenset[Capability]
    calls: tuple[str, ...]
    fingerprint: str  # the same for the same code with other names in it

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what counts: declared united with inferred."""
        return self.declared | self.inferred

    @property
    def artifact_digest(self) -> str:
        """Return the digest that evidence is bound to."""
        return _artifact_digest(self.files, self.declared, self.inferred, self.calls)

    @property
    def text(self) -> str:
        """Return the one JSON text of it."""
        return plain_json(
            {
                "schema": MANIFEST_SCHEMA,
                "agent_id": self.agent_id,
                "parent": self.parent,
                "files": [[file.path, file.sha256, file.size] for file in self.files],
                "declared": sorted(self.declared),
                "inferred": sorted(self.inferred),
                "calls": list(self.calls),
                "fingerprint": self.fingerprint,
            }
        )

    @property
    def revision_id(self) -> str:
        """Return the hex SHA-256 of the text."""
        return sha256_of(self.text.encode())


def sha256_of(content: bytes) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def manifest_for(artifact: Artifact, parent: str | None) -> Manifest:
    """Return the manifest of an artifact that was made from `parent`.

    Raises:
        BadInput: a name, a path, a size or a wish is not allowed; the sentence names it.
    """
    require_agent_id(artifact.agent_id)
    if parent is not None and not is_digest(parent):
        raise BadInput(f"the parent {parent!r} is no revision id; give its 64 hex digits")
    _require_files(artifact.files)
    _require_calls(artifact)
    undeclared = artifact.inferred - artifact.declared
    if undeclared:
        raise BadInput(
            f"the code of {artifact.agent_id} uses {names_of(undeclared)}, which its spec does not "
            "declare; declare it, or write the code without it"
        )
    return Manifest(
        agent_id=artifact.agent_id,
        parent=parent,
        files=_entries(artifact.files),
        declared=artifact.declared,
        inferred=artifact.inferred,
        calls=tuple(sorted(artifact.calls)),
        fingerprint=fingerprint_of(artifact.files, sorted(artifact.declared)),
    )


def manifest_of(text: bytes) -> Manifest:
    """Return the manifest that a text is.

    Raises:
        BadInput: it is none, or of a newer program.
    """
    try:
        found: Any = json.loads(text)
        if found["schema"] != MANIFEST_SCHEMA:
            raise BadInput(
                f"the manifest has schema {found['schema']!r}, and this program reads "
                f"{MANIFEST_SCHEMA}; install the program that wrote it"
            )
        return Manifest(
            agent_id=require_agent_id(found["agent_id"]),
            parent=found["parent"],
            files=tuple(
                FileEntry(path=_safe(path), sha256=str(digest), size=int(size))
                for path, digest, size in found["files"]
            ),
            declared=frozenset(Capability(name) for name in found["declared"]),
            inferred=frozenset(Capability(name) for name in found["inferred"]),
            calls=tuple(require_agent_id(name) for name in found["calls"]),
            fingerprint=str(found["fingerprint"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"the manifest is none: {error!r}") from error


def require_agent_id(name: object) -> str:
    """Return an agent's id.

    Raises:
        BadInput: it is none.
    """
    if isinstance(name, str) and _AGENT_ID.fullmatch(name):
        return name
    raise BadInput(
        f"{name!r} is no agent id; write 1 to 64 lower-case letters and digits, parted by "
        "one of - _ ."
    )


def is_digest(text: str) -> bool:
    """Return whether a text is a whole SHA-256 in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


def names_of(capabilities: Iterable[Capability]) -> str:
    """Return capabilities as a sentence has them."""
    return ", ".join(sorted(capability.value for capability in capabilities)) or "nothing"


def path_fault(path: str) -> str | None:
    """Return why a path may not be in an artifact; None: it may."""
    names = path.split("/")
    fault: str | None = None
    if not path.isascii() or not path.isprintable():
        fault = "holds characters other than plain ASCII"
    elif len(path) > MAX_PATH or len(names) > MAX_DEPTH:
        fault = f"is longer than {MAX_PATH} characters or {MAX_DEPTH} names"
    elif path.startswith("/") or ".." in names or "\\" in path:
        fault = "leads out of its folder"
    elif not all(_NAME.fullmatch(name) and not name.endswith(".") for name in names):
        fault = "has a name that is empty, hidden or holds other signs than letters, digits, _ - ."
    elif names[0] not in SECTIONS or len(names) < 2:
        fault = f"does not lie in one of {', '.join(SECTIONS)}"
    elif names[-1].casefold() in _SELF_STARTING or path.casefold().endswith(_NOT_SOURCE):
        fault = "is taken up by Python on its own, or is no source"
    return fault


def _require_files(files: Mapping[str, bytes]) -> None:
    if not files:
        raise BadInput("an artifact has no file; give at least one in code or spec")
    if len(files) > MAX_FILES:
        raise BadInput(f"an artifact has {len(files)} files, and {MAX_FILES} are allowed")
    total = 0
    folded: dict[str, str] = {}
    for path, content in files.items():
        _safe(path)
        total += len(content)
        if len(content) > MAX_FILE_BYTES:
            raise BadInput(
                f"{path} has {len(content)} bytes, and {MAX_FILE_BYTES} are allowed; split it"
            )
        twin = folded.setdefault(path.casefold(), path)
        if twin != path:
            raise BadInput(f"{path} and {twin} differ in case only; rename one")
    if total > MAX_BYTES:
        raise BadInput(f"an artifact has {total} bytes, and {MAX_BYTES} are allowed")
    for path in folded:
        above = path.rpartition("/")[0]
        while above:
            if above in folded:
                raise BadInput(f"{folded[above]} is a file, and {folded[path]} lies in it")
            above = above.rpartition("/")[0]


def _require_calls(artifact: Artifact) -> None:
    if len(artifact.calls) > MAX_CALLS or len(set(artifact.calls)) < len(artifact.calls):
        raise BadInput(
            f"{artifact.agent_id} calls {len(artifact.calls)} agents; at most {MAX_CALLS} are "
            "allowed, each once"
        )
    for name in artifact.calls:
        require_agent_id(name)


def _safe(path: object) -> str:
    fault = path_fault(path) if isinstance(path, str) else "is no text"
    if fault is not None:
        raise BadInput(f"the path {path!r} {fault}; nothing was written")
    return str(path)


def _entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(path=path, sha256=sha256_of(files[path]), size=len(files[path]))
        for path in sorted(files)
    )


def _artifact_digest(
    files: Iterable[FileEntry],
    declared: frozenset[Capability],
    inferred: frozenset[Capability],
    calls: Iterable[str],
) -> str:
    content = {
        "files": [[file.path, file.sha256] for file in files],
        "declared": sorted(declared),
        "inferred": sorted(inferred),
        "calls": sorted(calls),
    }
    return sha256_of(plain_json(content).encode())
