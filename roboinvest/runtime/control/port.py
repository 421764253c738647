"""The control port: what the command line may ask a running daemon, and how it asks.

A unix socket in the data folder, one JSON object a line, one request a connection. Whoever may
open the folder may ask; there is no other key. The client is plain blocking code with few
imports, because a person waits for it, and it tells a daemon that is not there from one that is
there and does not answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from roboinvest.core.errors import (
    BadInput,
    BadReply,
    NeedsApproval,
    Refused,
    RoboInvestError,
    TryLater,
)
from roboinvest.runtime.halt import HaltLevel

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
_SUN_PATH_BYTES: Final = 100  # a socket's path is limited to 107 bytes and a terminator
_KINDS: Final[dict[str, type[RoboInvestError]]] = {
    "bad_input": BadInput,
    "needs_approval": NeedsApproval,
    "refused": Refused,
    "try_later": TryLater,
}

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2_000)]


class NoDaemon(TryLater):
    """Nobody listens in this data folder."""


class Message(BaseModel):
    """Anything on the wire: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ping(Message):
    """Ask whether the loop turns."""

    ask: Literal["ping"] = "ping"


class GetStatus(Message):
    """Ask for the state of the house."""

    ask: Literal["status"] = "status"


class SetHalt(Message):
    """Ask for a halt."""

    ask: Literal["halt"] = "halt"
    level: HaltLevel = HaltLevel.NEW
    reason: Text
    by: Name


class Resume(Message):
    """Lift the halt, for a person."""

    ask: Literal["resume"] = "resume"
    by: Name


class RestartService(Message):
    """Ask for a restart of one service."""

    ask: Literal["restart_service"] = "restart_service"
    name: Name


class ClearLocks(Message):
    """Ask for the end of one lock, or of each that a person may lift."""

    ask: Literal["clear_locks"] = "clear_locks"
    name: Name | None = None
    by: Name


class AckAlert(Message):
    """Say that somebody looks after an open alert."""

    ask: Literal["ack_alert"] = "ack_alert"
    name: Name
    by: Name


class SnoozeAlert(Message):
    """Ask for silence about an open alert."""

    ask: Literal["snooze_alert"] = "snooze_alert"
    name: Name
    span_s: Annotated[float, Field(gt=0, le=30 * 86_400)]
    by: Name


class Stop(Message):
    """Ask for an orderly stop."""

    ask: Literal["stop"] = "stop"
    by: Name


Request = (
    Ping
    | GetStatus
    | SetHalt
    | Resume
    | RestartService
    | ClearLocks
    | AckAlert
    | SnoozeAlert
    | Stop
)


class Pong(Message):
    """The loop turns."""

    reply: Literal["pong"] = "pong"
    pid: int


class StatusReply(Message):
    """The state of the house, in the form of `system_status.json`."""

    reply: Literal["status"] = "status"
    status: dict[str, Any]


class Done(Message):
    """It was done, or begun; `text` says what."""

    reply: Literal["done"] = "done"
    text: str


class Failed(Message):
    """It was not done."""

    reply: Literal["failed"] = "failed"
    kind: Literal["bad_input", "needs_approval", "refused", "try_later"]
    text: str


Reply = Pong | StatusReply | Done | Failed


def parse_request(line: bytes) -> Request:
    """Return the request on one line.

    Raises:
        BadInput: it is none.
    """
    try:
        return _REQUESTS.validate_json(line)
    except ValidationError as error:
        raise BadInput(f"the request cannot be read: {_first_problem(error)}") from None


def failure_of(error: RoboInvestError) -> Failed:
    """Return the reply that makes the client raise the same kind of error."""
    for kind, error_type in _KINDS.items():
        if isinstance(error, error_type):
            return Failed.model_validate({"kind": kind, "text": str(error)})
    return Failed(kind="try_later", text=str(error))


def to_line(message: Message) -> bytes:
    """Return a message as one line."""
    return message.model_dump_json().encode() + b"\n"


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address of `path` that fits a socket's limit however deep the folder lies."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES:
        yield str(path)
        return
    folder_fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder_fd}/{path.name}"
    finally:
        os.close(folder_fd)


class ControlClient:
    """Asks the daemon of one data folder. Blocking; for the command line."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def ask(self, request: Request) -> Reply:
        """Send a request and return its reply.

        Raises:
            NoDaemon: nobody listens.
            TryLater: the daemon does not answer in time, or not in full.
            RoboInvestError: it was not done; the kind of error is the daemon's.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(self._timeout_s)
            self._connect(line)
            try:
                line.sendall(to_line(request))
                answer = _read_line(line)
            except TimeoutError:
                raise TryLater(
                    f"the daemon on {self._path} did not answer within {self._timeout_s:g} s; "
                    "its loop may be busy or wedged: look at the log, or try again"
                ) from None
            except OSError as error:
                raise TryLater(
                    f"the daemon on {self._path} hung up ({error.strerror}); try again"
                ) from error
        try:
            reply = _REPLIES.validate_json(answer)
        except ValidationError as error:
            raise BadReply(
                f"the daemon's reply cannot be read ({_first_problem(error)}); "
                "is it of another version?"
            ) from None
        if isinstance(reply, Failed):
            raise _KINDS[reply.kind](reply.text)
        return reply

    def _connect(self, line: socket.socket) -> None:
        try:
            with socket_address(self._path) as address:
                line.connect(address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise NoDaemon(
                f"no daemon runs on {self._path.parent}; start one with: roboinvest run"
            ) from None
        except (TimeoutError, BlockingIOError):
            raise TryLater(
                f"the daemon on {self._path} takes no connection within {self._timeout_s:g} s; "
                "its loop may be wedged: look at the log, or try again"
            ) from None
        except PermissionError as error:
            raise Refused(
                f"{self._path} belongs to another user; run this command as that user"
            ) from error


def _read_line(line: socket.socket) -> bytes:
    answer = bytearray()
    while not answer.endswith(b"\n"):
        part = line.recv(64 * 1024)
        if not part:
            raise TryLater("the daemon closed the connection without an answer; look at its log")
        answer += part
        if len(answer) > MAX_REPLY_BYTES:
            raise BadReply(f"the daemon's reply is longer than {MAX_REPLY_BYTES} bytes")
    return bytes(answer)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


_REQUESTS: Final[TypeAdapter[Request]] = TypeAdapter(Annotated[Request, Field(discriminator="ask")])
_REPLIES: Final[TypeAdapter[Reply]] = TypeAdapter(Annotated[Reply, Field(discriminator="reply")])
