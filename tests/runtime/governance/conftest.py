"""A governance file with its inbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.governance import Bureau, bureau


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Bureau]:
    """Return an open governance file, its inbox, and a clock that the test moves."""
    with bureau(tmp_path) as opened:
        yield opened
