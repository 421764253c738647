"""Addresses of vendors: what is let through, and what is refused without repeating a password."""

from __future__ import annotations

import pytest

from roboinvest.core.errors import BadSettings
from roboinvest.runtime.vendors.endpoints import checked_host, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8123",
        "ws://127.0.0.1:8123/stream",
        "http://localhost:1",
        "http://[::1]:80/x",
        "http://127.8.8.8:80",
    ],
)
def test_an_address_of_this_machine_is_taken_as_it_is(url: str) -> None:
    assert checked_host(url, loopback_only=True) == url
    assert is_loopback(url)


def test_a_slash_at_the_end_and_space_around_it_are_cut() -> None:
    assert checked_host(" http://127.0.0.1:8123/ ", loopback_only=True) == "http://127.0.0.1:8123"


def test_the_vendor_is_reached_unless_only_this_machine_is_allowed() -> None:
    url = "https://paper-api.alpaca.markets"
    assert checked_host(url, loopback_only=False) == url
    with pytest.raises(BadSettings, match=r"paper-api\.alpaca\.markets is not this machine"):
        checked_host(url, loopback_only=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1.example.com",
        "https://localhost.example.com",
        "https://10.0.0.1",
        "wss://192.168.0.7/stream",
        "https://0.0.0.0:1",
    ],
)
def test_a_host_that_only_looks_like_this_machine_is_refused(url: str) -> None:
    assert not is_loopback(url)
    with pytest.raises(BadSettings, match="loopback_only"):
        checked_host(url, loopback_only=True)


@pytest.mark.parametrize("url", ["http://example.com", "ws://10.0.0.1:80/stream"])
def test_keys_never_leave_this_machine_in_clear_text(url: str) -> None:
    with pytest.raises(BadSettings, match="clear text"):
        checked_host(url, loopback_only=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://127.0.0.1:80/a b",
        "http://127.0.0.1/?x=1",
        "//127.0.0.1",
    ],
)
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(BadSettings):
        checked_host(url, loopback_only=False)


@pytest.mark.parametrize("url", ["https://me:hunter2@example.com", "x://me:hunter2@example.com"])
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadSettings) as refusal:
        checked_host(url, loopback_only=False)
    assert "hunter2" not in str(refusal.value)
