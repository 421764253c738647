"""One look at Polygon's stream of minute bars, with the vendor's client, as the daemon does it.

A plan has one connection, and a second one pushes the first one out, so that nobody may look while
a daemon listens; who calls sees to that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from websockets.exceptions import InvalidHandshake, WebSocketException

from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.vendors.endpoints import is_loopback
from tools.data_fetcher.polygon.client import KEY_REFUSED, vendor_stream
from tools.live_doctor.findings import Patience, StreamSeen

_EXPECTED: Final = frozenset({"connected", "auth_success"})  # on the way to a subscription
_SHOWN: Final = 120  # characters of a vendor's message that are repeated


class _Told(Exception):
    """The vendor said how it stands; raised because its client listens until something is."""

    def __init__(self, text: str, *, is_up: bool) -> None:
        super().__init__(text)
        self.is_up = is_up  # whether it took our subscription


async def look_at_polygon_stream(
    key: Secret, url: str, *, symbol: str, in_flight: InFlight, patience: Patience
) -> StreamSeen:
    """Connect, give the key, ask for the minutes of a symbol, and leave.

    Args:
        key: of the account.
        url: checked address, without a path.
        symbol: whose bars are subscribed to.
        in_flight: counts the connection.
        patience: see there.
    """
    client = vendor_stream(key, url, [f"AM.{symbol}"])
    more: dict[str, Any] = {"open_timeout": patience.stream_step_s}
    if is_loopback(url):
        more["proxy"] = None  # what the environment names is not asked about this machine
    try:
        async with asyncio.timeout(patience.stream_s):
            with in_flight:
                await client.connect(_hear, **more)
    except _Told as told:
        return StreamSeen(is_up=told.is_up, is_refused=not told.is_up, reason=_clean(told, key))
    except KEY_REFUSED as error:
        return StreamSeen(is_refused=True, reason=_clean(error, key))
    except TimeoutError:
        return StreamSeen(reason=f"no subscription within {patience.stream_s:g} s")
    except (WebSocketException, InvalidHandshake, OSError, EOFError) as error:
        return StreamSeen(reason=f"the connection broke ({type(error).__name__})")
    except (ValueError, LookupError, TypeError) as error:
        return StreamSeen(reason=f"it talks nonsense ({type(error).__name__})")
    finally:
        if client.websocket is not None:
            client.websocket.transport.abort()  # a mute server would not close politely
    return StreamSeen(reason="it said goodbye")


async def _hear(text: str | bytes) -> None:
    """Take one message; end the look with what the vendor decided."""
    events = json.loads(text)
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping) and event.get("ev") == "status":
            _judge(event)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # the client lost it to this message


def _judge(event: Mapping[str, Any]) -> None:
    status = event.get("status")
    if status not in _EXPECTED:
        raise _Told(f"{status}: {event.get('message')}", is_up=status == "success")


def _clean(error: Exception, key: Secret) -> str:
    """Return a vendor's words on one line and without our key, and only then cut short."""
    return " ".join(str(error).replace(key.reveal(), "****").split())[:_SHOWN]
