"""What was seen of an agent in trouble: facts only, gathered by whoever can look.

An error has a nature, read off its class, its number and its text. Texts come from logs and from
vendors, so they decide only between natures that are mended alike, and are cut before they are
shown.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.health import Status
from roboinvest.core.text.cleaning import clean

DISK_SILENT: Final = "DiskSilent"  # the kind of error of a disk that does not answer
TOO_SLOW: Final = "TooSlow"  # the kind of error of a strategy that did not answer in time
SILENCE: Final = "silence"  # the kind of error of a vendor who answers late or not, without one
_MAX_TEXT: Final = 160  # characters


class Origin(StrEnum):
    """Whose code an exception came from: the innermost frame that is anybody's."""

    OWN = "own"
    VENDOR = "vendor"
    UNKNOWN = "unknown"


class Nature(StrEnum):
    """What sort of error it is; in a tie the first one counts."""

    RESOURCE = "resource"
    SETTINGS = "settings"
    BUDGET = "budget"
    TIMEOUT = "timeout"
    GAP = "gap"  # data is missing or too old
    AWAY = "away"  # nobody answers
    REPLY = "reply"  # what a model said cannot be read
    HUNGRY = "hungry"  # own code; missing input can explain it
    OWN = "own"  # own code, whatever the input
    VENDOR = "vendor"  # raised in a library, of no other nature
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSeen:
    """Exceptions of one fingerprint."""

    kind: str  # name of the class: "KeyError"
    family: str = ""  # name of a class above it that says more: "TryLater"
    count: int  # of the last minutes
    origin: Origin = Origin.UNKNOWN
    where: str = ""  # "strategy.py:88"
    number: int | None = None  # errno, of an OSError
    text: str = ""

    def __post_init__(self) -> None:
        """Clean what comes from logs; raise BadInput for a count that is none."""
        if self.count < 1:
            raise BadInput(f"{self.kind} was seen {self.count} times; leave it out")
        for name in ("kind", "family", "where", "text"):
            object.__setattr__(self, name, clean(getattr(self, name), _MAX_TEXT))

    @property
    def is_of_vendor(self) -> bool:
        """Return whether a library raised it."""
        return self.origin is Origin.VENDOR


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSeen:
    """Answers of one provider with one status."""

    provider: str
    status: int
    count: int
    code: str = ""  # the provider's own


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencySeen:
    """Something that the agent needs."""

    name: str
    status: Status
    is_slow: bool = False
    is_outside: bool = False  # somebody else runs it


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSeen:
    """How old something is that the agent reads."""

    name: str
    age_s: float
    limit_s: float  # above 0
    is_expected: bool = True  # False: there is nothing new to come, as when the market is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSeen:
    """A gauge of the machine or of the process."""

    name: str
    value: float
    limit: float  # above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepliesSeen:
    """What a model said to one prompt in the last minutes."""

    asked: int
    unreadable: int
    prompt: str = ""  # with its version


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of an agent in trouble."""

    agent: str
    errors: tuple[ErrorSeen, ...] = ()
    http: tuple[HttpSeen, ...] = ()  # other than 2xx and 3xx
    dependencies: tuple[DependencySeen, ...] = ()
    data: tuple[DataSeen, ...] = ()
    resources: tuple[ResourceSeen, ...] = ()
    replies: RepliesSeen | None = None
    configuration: tuple[str, ...] = ()  # what is wrong with it, in sentences
    budget_refusals: int = 0
    silent_s: float = 0.0  # without progress, if that is why it is in trouble
    has_returned: bool = False  # a loop that ended without being told
    is_slow: bool = False


_KINDS: Final[dict[Nature, frozenset[str]]] = {
    Nature.RESOURCE: frozenset({"MemoryError", DISK_SILENT}),
    Nature.SETTINGS: frozenset({"BadSettings", "PermissionError", "AuthenticationError"}),
    Nature.BUDGET: frozenset({"BudgetExceeded", "BudgetSpent"}),
    Nature.GAP: frozenset({"Incomplete"}),  # before its family, which is AWAY
    Nature.TIMEOUT: frozenset(
        {"TimeoutError", "TimeoutException", "APITimeoutError"}
        | {"ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"}
    ),
    Nature.AWAY: frozenset(
        {"TryLater", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError"}
        | {"BrokenPipeError", "ConnectError", "APIConnectionError", "InternalServerError"}
        | {"RateLimitError", "RemoteProtocolError", "gaierror", "ConnectionClosedError"}
    ),
    Nature.REPLY: frozenset({"BadReply", "OutputParserException"}),
}
_HUNGRY: Final = frozenset(
    {"KeyError", "IndexError", "ZeroDivisionError", "ValueError", "StopIteration", "LookupError"}
    | {"StatisticsError", "BadInput", "InvalidOperation", "JSONDecodeError", "ValidationError"}
    | {TOO_SLOW}
)
_NUMBERS: Final[dict[Nature, frozenset[int]]] = {
    Nature.RESOURCE: frozenset(
        {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
        | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
    ),
    Nature.SETTINGS: frozenset({errno.EACCES, errno.EPERM}),
    Nature.TIMEOUT: frozenset({errno.ETIMEDOUT}),
    Nature.AWAY: frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE}),
}
_FULL: Final = (
    *("no space left", "disk is full", "disk i/o error", "readonly database"),
    *("read-only file system", "too many open files", "cannot allocate memory"),
)
_NOTHING: Final = "nonetype"  # of what was not there


def nature_of(seen: ErrorSeen) -> Nature:
    """Return what sort of error it is."""
    text = seen.text.casefold()
    # The texts are those of the system and of SQLite; a model's words reach no OSError.
    if seen.kind in {"OSError", "OperationalError"} and any(words in text for words in _FULL):
        return Nature.RESOURCE
    for nature, numbers in _NUMBERS.items():
        if seen.number in numbers:
            return nature
    for nature, kinds in _KINDS.items():
        if seen.kind in kinds or seen.family in kinds:
            return nature
    if seen.origin is Origin.OWN:
        is_hungry = seen.kind in _HUNGRY or _NOTHING in text
        return Nature.HUNGRY if is_hungry else Nature.OWN
    return Nature.VENDOR if seen.origin is Origin.VENDOR else Nature.OTHER


def counts(errors: Iterable[ErrorSeen]) -> dict[Nature, int]:
    """Return how many errors there are of each nature, in the order of `Nature`."""
    found = dict.fromkeys(Nature, 0)
    for seen in errors:
        found[nature_of(seen)] += seen.count
    return {nature: count for nature, count in found.items() if count}
