"""Deadlines for a vendor's client that is built on requests, and what its headers say of limits.

The clients offer no timeout of their own, so the adapter is mounted on their session. It never
sends anything twice, and it passes on what the vendor said about its limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from roboinvest.runtime.vendors.deadline_pools import SocketLimits, deadline_pools
from roboinvest.runtime.vendors.endpoints import is_loopback

_TOO_MANY: Final = 429
_UNSAID_S: Final = 10.0
_LEAST_S: Final = 1.0
_MOST_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateNote:
    """What one reply said about the vendor's limits; None where it said nothing readable."""

    status: int
    remaining: int | None  # calls left
    reset_epoch_s: float | None  # Unix time at which they are new
    retry_after_s: float | None
    server_epoch_s: float | None = None  # Unix time by the vendor's clock


class DeadlineAdapter(HTTPAdapter):
    """A transport whose every exchange ends in time, once sent."""

    def __init__(
        self,
        limits: SocketLimits,
        *,
        monotonic: Callable[[], float],
        on_note: Callable[[RateNote], None],
        connections: int = 8,
    ) -> None:
        """Make a transport.

        Args:
            limits: of every exchange.
            monotonic: real seconds; called in worker threads.
            on_note: called in a worker thread after every reply.
            connections: how many may be kept open.
        """
        self._limits = limits
        self._pools = deadline_pools(limits, monotonic)
        self._on_note = on_note
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,
        **pool_kwargs: Any,  # noqa: ANN401 requests' own
    ) -> None:
        """Make the pools, with our connections."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:  # noqa: ANN401 requests'
        """Make the pools behind a proxy, with our connections."""
        made = super().proxy_manager_for(proxy, **proxy_kwargs)
        made.pool_classes_by_scheme = self._pools
        return made

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002 none of theirs is long or short enough
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401 requests' own
        proxies: dict[str, str] | None = None,
    ) -> Response:
        """Send once, with our timeouts."""
        ours = (self._limits.connect_s, self._limits.read_s)
        response = super().send(request, stream, ours, verify, cert, proxies)
        self._on_note(rate_note(response.status_code, response.headers))
        return response


def mount(session: Session, adapter: DeadlineAdapter, url: str) -> None:
    """Send everything of a session through the adapter.

    A proxy or a netrc of the environment is not asked about addresses of this machine.
    """
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.trust_env = not is_loopback(url)


def rate_note(status: int, headers: Mapping[str, str]) -> RateNote:
    """Return what headers say about limits; a header that cannot be read says nothing."""
    remaining = _number(headers.get("x-ratelimit-remaining"))
    return RateNote(
        status=status,
        remaining=None if remaining is None else int(remaining),
        reset_epoch_s=_number(headers.get("x-ratelimit-reset")),
        retry_after_s=_number(headers.get("retry-after")),
        server_epoch_s=_date(headers.get("date")),
    )


def wait_asked_for(note: RateNote, now_epoch_s: float) -> float | None:
    """Return for how many seconds the vendor wants to be left alone; None: it does not.

    Only a refusal, or an allowance that is used up, asks for anything. A refusal without a figure
    asks for a minute's sixth; no figure is believed beyond two minutes. A reset is counted by the
    vendor's own clock where it gives one, so that ours may be wrong.
    """
    if note.status != _TOO_MANY and note.remaining != 0:
        return None
    asked = note.retry_after_s
    if asked is None and note.reset_epoch_s is not None:
        clock = now_epoch_s if note.server_epoch_s is None else note.server_epoch_s
        asked = note.reset_epoch_s - clock
    if asked is None:
        return _UNSAID_S if note.status == _TOO_MANY else None
    return min(max(asked, _LEAST_S), _MOST_S)


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
