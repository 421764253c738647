"""Turns the database's errors into ours, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from roboinvest.core.errors import BadInput, TryLater


@contextlib.contextmanager
def store_errors(what: str, timeout_s: float) -> Iterator[None]:
    """Translate what the block raises; `what` completes "the store could not ...".

    Raises:
        TryLater: the database did not answer in time, is locked, full or away.
        BadInput: it was given a value that it must not hold, or a key that it already has.
    """
    try:
        yield
    except TimeoutError as error:
        raise TryLater(f"the store did not {what} within {timeout_s:.0f} s; try later") from error
    except sa.exc.IntegrityError as error:
        raise BadInput(f"the store refused to {what}: {error.orig}; nothing was stored") from error
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        reason = getattr(error, "orig", None) or error
        raise TryLater(f"the store could not {what}: {reason}; nothing was stored") from error
    except sa.exc.StatementError as error:
        raise BadInput(f"the store refused to {what}: {error.orig}; nothing was stored") from error
