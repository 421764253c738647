"""Something that happens again and again in a thread of its own, as long as a `with` lasts."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Background(ABC):
    """Whoever inherits says in `happen` what happens, and how often."""

    def __init__(self, name: str, *, pause_s: Callable[[], float]) -> None:
        """Take the thread's name, and what draws each pause in seconds."""
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join(timeout=5.0)

    @abstractmethod
    def happen(self) -> None:
        """Be called in the thread."""

    def _run(self) -> None:
        while not self._ending.wait(self._pause_s()):
            self.happen()
