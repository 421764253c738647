"""One way to people: a URL that apprise understands, and a message with a deadline.

The URL is a secret. It is never shown but as its scheme, and whatever a library says about a
failure is shown without any part of it. A send is blocking code of somebody else, so it has a
thread that nobody waits for at the end of the process, and a channel has one at a time: a server
that never answers costs one thread, and later messages wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote

from roboinvest.core.errors import BadSettings
from roboinvest.core.events import Severity
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.notifications.notice import Message
from roboinvest.runtime.vendors.endpoints import is_loopback

if TYPE_CHECKING:
    from apprise import NotifyBase

_MASK: Final = "****"
_SHORTEST_PART: Final = 4  # characters of a URL that are worth hiding
_REASON: Final = 300  # characters
_SELF_HOSTED: Final = frozenset({"json", "jsons", "ntfy", "ntfys", "form", "xml", "mailto"})
_ADDRESS: Final = re.compile(r"(\w+://)\S+")
_APPRISE: Final = "apprise"
# What a channel of a library may raise: its own mistakes about answers, sockets, TLS and texts.
_FAILURES: Final = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a message."""

    channel: str
    ok: bool
    text: str  # in words, without secrets
    took_s: float


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Return what settings call it."""

    async def send(self, message: Message) -> Sent:
        """Send, within a deadline; a failure is a result."""


class AppriseChannel:
    """A channel behind a URL."""

    def __init__(
        self,
        name: str,
        url: Secret,
        *,
        deadline_s: float,
        in_flight: InFlight,
        monotonic: Callable[[], float],
        loopback_only: bool = False,
    ) -> None:
        """Take the URL; nothing is opened.

        Args:
            name: as settings have it.
            url: as apprise documents it, such as ntfys://HOST/TOPIC.
            deadline_s: of one message.
            in_flight: counts messages under way.
            monotonic: real seconds.
            loopback_only: whether the channel must be on this machine.
        """
        self.name = name
        self._url = url
        self._deadline_s = deadline_s
        self._in_flight = in_flight
        self._monotonic = monotonic
        self._loopback_only = loopback_only
        self._thread: threading.Thread | None = None

    @property
    def shown(self) -> str:
        """Return what may be shown of the URL."""
        scheme, found, _ = self._url.reveal().partition("://")
        known = bool(found) and re.fullmatch(r"[a-z][a-z0-9+]{0,19}", scheme.lower()) is not None
        return f"{scheme.lower() if known else _MASK}://{_MASK}"

    async def send(self, message: Message) -> Sent:
        """Send within the deadline; a thread that is still with the last one is not joined."""
        began = self._monotonic()
        if self._thread is not None and self._thread.is_alive():
            ok, text = False, "the message before it has not come back from its server"
        else:
            try:
                async with asyncio.timeout(self._deadline_s):
                    with self._in_flight:
                        ok, text = await self._in_thread(message)
            except TimeoutError:
                ok, text = False, f"no answer within {self._deadline_s:g} s"
        took_s = self._monotonic() - began
        return Sent(channel=self.name, ok=ok, text=self._harmless(text), took_s=took_s)

    async def _in_thread(self, message: Message) -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[bool, str]] = loop.create_future()

        def settle(result: tuple[bool, str]) -> None:
            if not done.done():
                done.set_result(result)

        def work() -> None:
            result = (False, "the channel's library failed in a way it does not document")
            try:
                result = self._notify(message)
            except _FAILURES as error:
                result = (False, f"{type(error).__name__}: {error}")
            except BadSettings as error:
                result = (False, str(error))
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is gone, and so is who waited
                    loop.call_soon_threadsafe(settle, result)

        self._thread = threading.Thread(target=work, name=f"notify-{self.name}", daemon=True)
        self._thread.start()
        return await done

    def _notify(self, message: Message) -> tuple[bool, str]:
        """Send by apprise, in this thread."""
        from apprise import NotifyFormat, NotifyType

        plugin = self._plugin()
        kinds = {Severity.CRITICAL: NotifyType.FAILURE, Severity.HIGH: NotifyType.FAILURE}
        kind = kinds.get(message.severity, NotifyType.WARNING)
        with _overheard() as said:
            ok = plugin.notify(
                body=message.body,
                title=message.title,
                notify_type=NotifyType.SUCCESS if message.is_end else kind,
                body_format=NotifyFormat.TEXT,
            )
        if ok:
            return True, "sent"
        return False, " ".join(said) or "the server did not take it"

    def _plugin(self) -> NotifyBase:
        from apprise import Apprise, AppriseAsset
        from apprise.plugins import NotifyBase as Base

        url = self._url.reveal()
        with _overheard() as said:
            made = Apprise.instantiate(url, asset=AppriseAsset(app_id="RoboInvest"))
        if not isinstance(made, Base):
            raise BadSettings(
                f"the URL of {self.name} is not one that apprise knows "
                f"({' '.join(said) or 'malformed'}); correct it"
            )
        if self._loopback_only and not _stays_here(made, url):
            raise BadSettings(
                f"{self.name} is not on this machine, and testing.loopback_only is on; "
                "name a server on 127.0.0.1, or turn it off"
            )
        made.request_rate_per_sec = 0  # we pace messages ourselves
        made.socket_connect_timeout = min(made.socket_connect_timeout, self._deadline_s)
        made.socket_read_timeout = min(made.socket_read_timeout, self._deadline_s)
        return made

    def _harmless(self, text: str) -> str:
        """Return what a library said, on one line and without any part of the URL."""
        url = self._url.reveal()
        parts = {url, *re.split(r"[:/@?&=#,+]+", url.partition("://")[2])}
        parts |= {unquote(part) for part in parts}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _SHORTEST_PART:
                text = text.replace(part, _MASK)
        return clean(_ADDRESS.sub(rf"\1{_MASK}", text), _REASON)


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what apprise says in this thread; it is not passed on, for it may name the URL."""
    said: list[str] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and record.levelno >= logging.WARNING:
                said.append(record.getMessage())

    logger = logging.getLogger(_APPRISE)
    logger.propagate = False
    listener = Listener()
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)


def _stays_here(plugin: NotifyBase, url: str) -> bool:
    """Return whether a channel speaks with this machine alone."""
    if url.partition("://")[0].lower() not in _SELF_HOSTED:
        return False
    host = getattr(plugin, "smtp_host", None) or plugin.host
    try:
        return is_loopback(f"http://{host}")
    except BadSettings:
        return False
