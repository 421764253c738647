"""The log: one JSON object a line in data/logs/roboinvest.jsonl, and the same for a person's eyes.

A log call never waits and never raises. The caller's thread redacts and queues; another thread
writes. A full queue loses lines and counts them, a full disk does the same. Lines of libraries
take the same way from WARNING up, so that a vendor's debug output cannot show a key.

Event names are constant phrases one can grep ("order_filled"); what changes stands in fields.
What a whole tick has in common is bound once, with structlog's contextvars.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterable
from io import TextIOWrapper
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from roboinvest.core.ports import Clock
from roboinvest.runtime.redaction import Redactor

LOG_NAME: Final = "roboinvest.jsonl"
_MIB: Final = 1024 * 1024
_QUEUE_LINES: Final = 10_000
_CLOSE_S: Final = 5.0
_OURS: Final = "roboinvest_event"


class Telemetry:
    """Owns the log from `start` to `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        level: str = "info",
        max_mb: float = 20.0,
        backups: int = 5,
        secrets: Iterable[str] = (),
        console: TextIO | None = None,
        queue_lines: int = _QUEUE_LINES,
    ) -> None:
        """Take what to write where; `console` gets the same lines for a person's eyes."""
        self._clock = clock
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._redactor = Redactor(secrets)
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(queue_lines)
        self._entry = _Entry(self._queue, self._redactor, clock)
        self._file = _LogFile(folder / LOG_NAME, max_bytes=int(max_mb * _MIB), backups=backups)
        self._outputs: list[logging.Handler] = [self._file]
        if console is not None:
            self._outputs.append(_Console(console))
        self._writer = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self._root_level_before = logging.WARNING

    @property
    def dropped(self) -> int:
        """Return the lines lost because the queue was full."""
        return self._entry.dropped

    @property
    def failed(self) -> int:
        """Return the lines that the disk did not take."""
        return self._file.failed

    def start(self) -> None:
        """Take over structlog and the standard library's root logger."""
        root = logging.getLogger()
        self._root_level_before = root.level
        root.setLevel(logging.WARNING)
        root.addHandler(self._entry)
        logging.captureWarnings(capture=True)
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                _to_record,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
            logger_factory=_logger_named,
            cache_logger_on_first_use=False,
        )
        self._writer.start()

    def close(self) -> None:
        """Write what waits, within five seconds, and let go of the loggers."""
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        root = logging.getLogger()
        root.removeHandler(self._entry)
        root.setLevel(self._root_level_before)
        try:
            self._queue.put(None, timeout=_CLOSE_S)
        except queue.Full:  # the writer hangs on a pipe that nobody reads
            return
        self._writer.join(_CLOSE_S)
        self._file.close()

    def _write(self) -> None:
        reported = 0
        while (record := self._queue.get()) is not None:
            self._emit(record)
            reported = self._report_dropped(reported)
        self._report_dropped(reported)

    def _report_dropped(self, reported: int) -> int:
        """Say how many lines were lost, once there is room again; return what was said last."""
        total = self.dropped
        if total > reported and self._queue.empty():
            self._emit(self._entry.about_dropped(total))
            return total
        return reported

    def _emit(self, record: logging.LogRecord) -> None:
        for output in self._outputs:
            output.handle(record)


class _Entry(QueueHandler):
    """Redacts in the caller's thread and queues without waiting."""

    def __init__(
        self, lines: queue.Queue[logging.LogRecord | None], redactor: Redactor, clock: Clock
    ) -> None:
        super().__init__(lines)
        self._redactor = redactor
        self._clock = clock
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record with the event, plain and redacted, as its message."""
        event = getattr(record, _OURS, None)
        if event is None:
            event = {"event": record.getMessage(), "level": record.levelname.lower()}
        event = dict(event)
        error = _error_of(event.pop("exc_info", None) or record.exc_info)
        if error is not None:
            event["exception"] = "".join(traceback.format_exception(error))
        head = {
            "ts": self._clock.now().isoformat(timespec="milliseconds"),
            "level": event.pop("level", record.levelname.lower()),
            "event": event.pop("event", ""),
            "logger": record.name,
        }
        return _record(record.name, record.levelno, self._redactor.event({**head, **event}))

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue, or count the loss."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 logging's name
        """Count an event that could not be made plain; logging must not hurt the caller."""
        self.dropped += 1

    def about_dropped(self, count: int) -> logging.LogRecord:
        """Return the line that tells of lost lines."""
        return _record(
            "roboinvest.telemetry",
            logging.WARNING,
            {
                "ts": self._clock.now().isoformat(timespec="milliseconds"),
                "level": "warning",
                "event": "log_lines_dropped",
                "logger": "roboinvest.telemetry",
                "total": count,
            },
        )


class _LogFile(RotatingFileHandler):
    """A rotated file that a full disk cannot make raise."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        super().__init__(
            path,
            maxBytes=max_bytes,
            backupCount=backups,
            encoding="utf-8",
            errors="backslashreplace",  # a lone surrogate must not cost the line
            delay=True,
        )
        self.failed = 0
        self._is_torn = False  # the last line may have been cut by a full disk

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        return json.dumps(record.msg, ensure_ascii=False, default=str)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, into a new file where somebody took the old one away."""
        if self.stream is not None and not self._is_ours(self.stream):
            self._let_go()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 logging's name
        """Count the line, and open the file afresh for the next one."""
        self.failed += 1
        self._is_torn = True
        self._let_go()

    def close(self) -> None:
        """Close the file; a disk that is full to the end loses the last lines."""
        self._let_go()
        super().close()

    def _open(self) -> TextIOWrapper:
        """Open the file; half a line that stands in it is ended, so that the next one is whole."""
        stream = super()._open()
        if self._is_torn and not _ends_whole(Path(self.baseFilename)):
            stream.write("\n")
        self._is_torn = False
        return stream

    def _is_ours(self, stream: TextIO) -> bool:
        """Return whether the file under our name is the one that is open."""
        try:
            there = os.stat(self.baseFilename)  # noqa: PTH116 called for every line
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(stream.fileno()))

    def _let_go(self) -> None:
        stream, self.stream = self.stream, None  # reopened when None
        if stream is not None:
            try:
                stream.close()
            except OSError:
                pass  # what it had buffered does not fit on the disk


def _ends_whole(path: Path) -> bool:
    """Return whether the last line of a file has an end, or there is none."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


class _Console(logging.StreamHandler[TextIO]):
    """The same lines for a person's eyes."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._render = structlog.dev.ConsoleRenderer(colors=stream.isatty())
        self.failed = 0  # lines that nobody at the other end took; the file has them

    def format(self, record: logging.LogRecord) -> str:
        """Return the event as aligned text."""
        event = dict(_fields(record))
        event["timestamp"] = event.pop("ts", "")
        return str(self._render(None, record.levelname.lower(), event))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 logging owns the name
        """Count a line that nobody reads."""
        self.failed += 1


def _to_record(_logger: WrappedLogger, _method: str, event: EventDict) -> tuple[tuple[str], Any]:
    """Hand an event to the standard library's logger of the same name."""
    return (str(event.get("event", "")),), {"extra": {_OURS: event}}


def _logger_named(*names: str) -> logging.Logger:
    logger = logging.getLogger(names[0] if names else "roboinvest")
    logger.setLevel(logging.DEBUG)  # structlog's own filter has already decided
    return logger


def _error_of(
    exc_info: BaseException
    | bool
    | tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
    | None,
) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1]
    return sys.exc_info()[1] if exc_info else None


def _record(name: str, level: int, event: dict[str, object]) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": name,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": event,
        }
    )


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return record.msg if isinstance(record.msg, dict) else {"event": record.msg}
