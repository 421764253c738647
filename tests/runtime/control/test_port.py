from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput, BadReply, NeedsApproval, Refused, TryLater
from roboinvest.runtime.control.port import (
    MAX_REQUEST_BYTES,
    AckAlert,
    ClearLocks,
    ControlClient,
    Done,
    GetStatus,
    NoDaemon,
    Ping,
    Pong,
    Reply,
    Request,
    RestartService,
    Resume,
    SetHalt,
    SnoozeAlert,
    StatusReply,
    Stop,
    parse_request,
    socket_address,
    to_line,
)
from roboinvest.runtime.control.server import ControlServer
from roboinvest.runtime.halt import HaltLevel
from roboinvest.runtime.supervision.service import ServiceContext


class Butler:
    """Answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.gate = asyncio.Event()

    async def status(self) -> StatusReply:
        return StatusReply(status={"state": "READY", "note": "é" * 200_000})

    async def halt(self, request: SetHalt) -> Done:
        self.asked.append(request)
        return Done(text=f"halted: {request.level}")

    async def resume(self, request: Resume) -> Done:
        raise NeedsApproval(f"{request.by} may not resume")

    async def restart_service(self, request: RestartService) -> Done:
        raise BadInput(f"no service is called {request.name}; did you mean feed?")

    async def clear_locks(self, request: ClearLocks) -> Done:
        self.asked.append(request)
        return Done(text=f"cleared {request.name} for {request.by}")

    async def ack_alert(self, request: AckAlert) -> Done:
        self.asked.append(request)
        return Done(text=f"{request.by} looks after {request.name}")

    async def snooze_alert(self, request: SnoozeAlert) -> Done:
        self.asked.append(request)
        return Done(text=f"{request.name} is silent for {request.span_s:g} s")

    async def stop(self, request: Stop) -> Done:
        await self.gate.wait()
        return Done(text=request.by)


@asynccontextmanager
async def serving(path: Path, butler: Butler, **terms: float) -> AsyncIterator[ControlServer]:
    """Run a server beside the test, in real time."""
    server = ControlServer(
        path,
        butler,
        deadline_s=terms.get("deadline_s", 5.0),
        max_connections=int(terms.get("max_connections", 16)),
    )
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    ctx = ServiceContext(
        "control", patience_s=60, ready_within_s=30, loop_time=loop.time, changed=ready.set
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run(ctx))
        await ready.wait()
        yield server
        task.cancel()


async def ask(path: Path, request: Request, timeout_s: float = 5.0) -> Reply:
    return await asyncio.to_thread(ControlClient(path, timeout_s=timeout_s).ask, request)


async def say(path: Path, raw: bytes, *, hang_up: bool = True) -> bytes:
    """Send bytes as they are and return what comes back."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(raw)
    if hang_up:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


async def test_requests_are_answered_by_type_and_refusals_are_raised_as_their_kind(
    path: Path,
) -> None:
    butler = Butler()
    async with serving(path, butler):
        assert await ask(path, Ping()) == Pong(pid=os.getpid())
        status = await ask(path, GetStatus())
        assert isinstance(status, StatusReply)
        assert status.status["state"] == "READY"
        halt = SetHalt(level=HaltLevel.FLATTEN, reason="storm", by="ann")
        assert await ask(path, halt) == Done(text="halted: flatten")
        clear = ClearLocks(name="drawdown:all", by="ann")
        assert await ask(path, clear) == Done(text="cleared drawdown:all for ann")
        assert butler.asked == [halt, clear]
        with pytest.raises(NeedsApproval, match="bob may not resume"):
            await ask(path, Resume(by="bob"))
        with pytest.raises(BadInput, match="did you mean feed"):
            await ask(path, RestartService(name="fed"))


async def test_only_our_user_may_open_the_socket_and_it_is_gone_afterwards(path: Path) -> None:
    async with serving(path, Butler()):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_folder_with_a_very_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)
    deep.mkdir(parents=True)
    path = deep / "control.sock"
    assert len(os.fsencode(path)) > 107
    async with serving(path, Butler()):
        assert await ask(path, Ping()) == Pong(pid=os.getpid())
    assert not path.exists()


async def test_a_socket_left_by_a_killed_daemon_is_replaced(path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with pytest.raises(NoDaemon, match="no daemon runs"):
        await ask(path, Ping())
    async with serving(path, Butler()):
        assert await ask(path, Ping()) == Pong(pid=os.getpid())


HOSTILE = [
    b"\n",
    b"not json\n",
    b"\xff\xfe\x00\n",
    b"null\n",
    b"[]\n",
    b'{"ask": "format_disk"}\n',
    b'{"ask": "ping", "extra": 1}\n',
    b'{"ask": "halt", "level": "new"}\n',
    b'{"ask": "halt", "level": "louder", "reason": "x", "by": "y"}\n',
    b'{"ask": "resume", "by": ""}\n',
    b'{"ask": ["ping"]}\n',
    b"[" * 50_000 + b"\n",
    b'{"ask": "ping"',
    b'{"ask": "ping"}',
    b"",
    b"x" * (MAX_REQUEST_BYTES + 10) + b"\n",
]


async def test_hostile_and_torn_requests_get_one_sentence_and_the_next_one_works(
    path: Path,
) -> None:
    butler = Butler()
    async with serving(path, butler):
        for raw in HOSTILE:
            answer = await say(path, raw)
            assert b'"kind":"bad_input"' in answer, raw[:40]
            assert answer.count(b"\n") == 1
            assert len(answer) < 500
        assert await ask(path, Ping()) == Pong(pid=os.getpid())
    assert butler.asked == []


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_request_or_bad_input(raw: bytes) -> None:
    try:
        request = parse_request(raw)
    except BadInput:
        return
    assert parse_request(to_line(request)) == request


async def test_a_client_that_says_nothing_is_shown_the_door_and_blocks_nobody(path: Path) -> None:
    async with serving(path, Butler(), deadline_s=0.2):
        told, pong = await asyncio.gather(
            say(path, b'{"ask": ', hang_up=False), ask(path, Ping(), timeout_s=0.2)
        )
    assert b"not done within 0.2 s" in told
    assert pong == Pong(pid=os.getpid())


async def test_a_client_that_leaves_in_the_middle_hurts_nobody(path: Path) -> None:
    def ask_and_leave() -> None:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(str(path))
                line.sendall(b'{"ask": "status"}\n')

    async with serving(path, Butler()):
        await asyncio.to_thread(ask_and_leave)
        assert await ask(path, Ping()) == Pong(pid=os.getpid())


async def test_more_connections_than_places_wait_for_their_turn(path: Path) -> None:
    async with serving(path, Butler(), max_connections=2, deadline_s=0.2):
        replies = await asyncio.gather(
            *(say(path, b'{"ask": ', hang_up=False) for _ in range(4)), ask(path, Ping())
        )
    assert replies[-1] == Pong(pid=os.getpid())


async def test_work_that_takes_too_long_is_answered_with_try_later(path: Path) -> None:
    async with serving(path, Butler(), deadline_s=0.1):
        with pytest.raises(TryLater, match=r"not done within 0\.1 s"):
            await ask(path, Stop(by="ann"))


async def test_a_bug_in_a_handler_ends_the_service_for_the_supervisor_to_see(path: Path) -> None:
    class Buggy(Butler):
        async def status(self) -> StatusReply:
            raise KeyError("a bug")

    async def ask_for_status() -> None:
        async with serving(path, Buggy()):
            with pytest.raises(TryLater, match="closed the connection without an answer"):
                await ask(path, GetStatus())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await ask_for_status()
    assert raised.group_contains(KeyError)


def test_no_folder_no_socket_and_no_listener_are_all_no_daemon(path: Path) -> None:
    with pytest.raises(NoDaemon, match="start one with: roboinvest run"):
        ControlClient(path).ask(Ping())
    with pytest.raises(NoDaemon):
        ControlClient(path.parent / "none" / "control.sock").ask(Ping())
    with pytest.raises(NoDaemon):
        ControlClient(Path("/" + "x" * 90) / ("y" * 20)).ask(Ping())


@contextmanager
def peer(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """Listen as a daemon that misbehaves."""
    listener = socket.socket(socket.AF_UNIX)
    with socket_address(path) as address:
        listener.bind(address)
    listener.listen(1)

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            behave(line)

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join()
    listener.close()


def test_a_wedged_daemon_is_told_from_none_at_all(path: Path) -> None:
    done = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        done.wait(5)

    with peer(path, say_nothing):
        with pytest.raises(TryLater, match="did not answer within") as raised:
            ControlClient(path, timeout_s=0.1).ask(Ping())
        done.set()
    assert not isinstance(raised.value, NoDaemon)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"", TryLater, "without an answer"),
        (b'{"reply": "po', TryLater, "without an answer"),
        (b"rubbish\n", BadReply, "of another version"),
        (b'{"reply": "from the future"}\n', BadReply, "of another version"),
        (b'{"reply": "failed", "kind": "refused", "text": "no"}\n', Refused, "no"),
    ],
)
def test_an_answer_that_is_none_is_told(
    path: Path, answer: bytes, error: type[Exception], words: str
) -> None:
    def behave(line: socket.socket) -> None:
        line.recv(1_000)
        line.sendall(answer)

    with peer(path, behave), pytest.raises(error, match=words):
        ControlClient(path).ask(Ping())
