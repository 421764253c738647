"""`roboinvest notify test` says what happened on each channel, and shows no URL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.listeners import Listener, Postman
from tests.fakes.processes import Ended, roboinvest
from tests.fakes.vendors.http_faults import Fault, FaultKind

TOKEN = "hunter2secret"  # noqa: S105 of no channel


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        yield server


def notify(place: Path, *command: str, **urls: str) -> Ended:
    names = ",".join(name for name in urls)
    env = {f"NOTIFY_{name.upper()}_URL": url for name, url in urls.items()}
    env["ROBOINVEST_NOTIFY__CHANNELS"] = names
    return roboinvest("notify", *command, cwd=place, env=env)


def test_each_channel_gets_the_message_and_is_told_apart(
    listener: Listener, tmp_path: Path
) -> None:
    with Postman() as postman:
        ended = notify(
            tmp_path,
            "test",
            "--json",
            phone=f"ntfy://{listener.address}/{TOKEN}",
            hook=f"json://{listener.address}/{TOKEN}",
            mail=f"mailto://127.0.0.1:{postman.port}?from=a@example.com&to=b@example.com"
            "&mode=insecure",
        )
        assert ended.code == 0, ended.out
        sent = ended.value()["sent"]
        assert [(one["channel"], one["ok"]) for one in sent] == [
            ("phone", True),
            ("hook", True),
            ("mail", True),
        ]
        assert len(listener.requests) == 2
        assert len(postman.letters) == 1


def test_one_that_fails_is_named_with_its_reason_and_the_code_is_1(
    listener: Listener, tmp_path: Path
) -> None:
    listener.faults.add(Fault(kind=FaultKind.STATUS, status=403, path=TOKEN))
    ended = notify(
        tmp_path,
        "test",
        bad=f"json://ann:{TOKEN}@{listener.address}/{TOKEN}",
        good=f"json://{listener.address}/other",
    )
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert any("bad" in line and "FAILED" in line and "403" in line for line in lines)
    assert any("good" in line and "sent" in line for line in lines)
    assert TOKEN not in ended.out + ended.err


def test_one_channel_alone_is_tried(listener: Listener, tmp_path: Path) -> None:
    urls = {"a": f"json://{listener.address}/a", "b": f"json://{listener.address}/b"}
    assert notify(tmp_path, "test", "b", **urls).code == 0
    assert [request.path for request in listener.requests] == ["/b"]
    refused = notify(tmp_path, "test", "c", **urls)
    assert refused.code == 2
    assert "a, b" in refused.refusal()


def test_channels_are_listed_by_scheme(tmp_path: Path) -> None:
    ended = notify(tmp_path, "ls", "--json", phone=f"tgram://{TOKEN}/1")
    assert ended.value() == {"channels": [{"name": "phone", "url": "tgram://****"}]}
    none = roboinvest("notify", "test", cwd=tmp_path)
    assert (none.code, "No channel is configured" in none.out) == (1, True)


def test_a_channel_without_a_url_is_said_before_a_daemon_starts(tmp_path: Path) -> None:
    env = {"ROBOINVEST_NOTIFY__CHANNELS": "phone"}
    for command in (("notify", "test"), ("once",)):
        ended = roboinvest(*command, cwd=tmp_path, env=env)
        assert ended.code == 3
        assert "NOTIFY_PHONE_URL" in ended.refusal()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", f"http://example.com/{TOKEN}"])
def test_a_heartbeat_address_that_is_none_is_refused_without_showing_it(
    tmp_path: Path, url: str
) -> None:
    ended = roboinvest("once", cwd=tmp_path, env={"ROBOINVEST_NOTIFY__HEARTBEAT_URL": url})
    assert ended.code == 3
    assert "notify.heartbeat_url" in ended.refusal()
    assert TOKEN not in ended.err
