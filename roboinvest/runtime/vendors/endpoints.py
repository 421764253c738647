"""Where a vendor may be: the one check that every configured address passes.

Keys travel to these addresses, so an address in clear text must be on this machine, and one that
carries a password is refused and not repeated. With `testing.loopback_only` nothing else than this
machine is allowed, which is what keeps a test away from the real vendors.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from roboinvest.core.errors import BadSettings

_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_CLEAR: Final = frozenset({"http", "ws"})


def checked_host(url: str, *, loopback_only: bool) -> str:
    """Return the address as clients take it: without white space around and a slash at its end.

    Raises:
        BadSettings: it is malformed, not on this machine where it has to be, or carries a password.
    """
    text = url.strip()
    parts = _parts(text)
    local = is_loopback(text)
    if loopback_only and not local:
        raise BadSettings(
            f"{parts.hostname} is not this machine, and testing.loopback_only is on; "
            "name an address such as http://127.0.0.1:PORT, or turn it off"
        )
    if parts.scheme in _CLEAR and not local:
        raise BadSettings(
            f"{parts.scheme}://{parts.hostname} would send the keys in clear text; "
            f"use {parts.scheme}s, or an address of this machine"
        )
    return text.rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine, by its name; nothing is looked up."""
    host = (_parts(url).hostname or "").rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadSettings(f"an address cannot be read ({error}); correct it") from error
    if parts.scheme not in _SCHEMES or not parts.hostname or port == 0:
        raise BadSettings(
            f"{_shown(parts)!r} is not an address; write one such as https://HOST or ws://HOST:PORT"
        )
    if parts.username is not None or parts.password is not None:
        raise BadSettings(
            f"the address of {parts.hostname} carries a name or a password; "
            "keys belong into the environment"
        )
    if parts.query or parts.fragment or any(character.isspace() for character in text):
        raise BadSettings(
            f"the address of {parts.hostname} has a query, a fragment or a space; "
            "give scheme, host, port and path alone"
        )
    return parts


def _shown(parts: SplitResult) -> str:
    """Return what may be repeated of a malformed address: nothing before an @."""
    return parts.geturl().rpartition("@")[2][:80]
