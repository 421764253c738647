"""The life of a vendor's server in a thread of its own: start, stop, away, back, and waiting."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pydantic_core import to_jsonable_python

from tests.fakes.vendors.http_faults import Request, Response, json_response
from tests.fakes.vendors.loop_thread import LoopThread


class ThreadedServer(ABC):
    """Whoever inherits says how it goes down and comes back, and tells `_changed` what happens."""

    def __init__(self, name: str) -> None:
        self._thread = LoopThread(name)
        self._changed = threading.Condition()

    def start(self) -> None:
        """Open the ports."""
        self._thread.start()
        self.come_back()

    def stop(self) -> None:
        """Close everything; what the server's own code or a callback raised is raised here."""
        if not self._thread.is_running:
            return
        self.go_down()
        self._thread.stop()
        if self._thread.crashes:
            raise self._thread.crashes[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def go_down(self) -> None:
        """Close the ports and break all connections."""

    @abstractmethod
    def come_back(self) -> None:
        """Open the ports again, at the same numbers."""

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until a condition on this server holds; it is looked at after each happening.

        Raises:
            TimeoutError: it does not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            with self._changed:
                self._changed.wait(0.02)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the condition did not hold within {timeout_s} s")

    def _controlled(self, request: Request, names: frozenset[str]) -> Response:
        """Call a method, or look at an attribute, for a test in another process."""
        name = request.path.removeprefix("/control/")
        if name not in names:
            return json_response({"message": f"no control {name!r}"}, 404)
        found = getattr(self, name)
        try:
            value = found(**(request.parsed or {})) if callable(found) else found
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return json_response({"message": f"{type(error).__name__}: {error}"}, 400)
        return json_response(to_jsonable_python(value, bytes_mode="utf8"))
