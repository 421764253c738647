"""Which revisions are active can be asked whatever becomes of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import TryLater
from roboinvest.runtime.revisions.in_force import RevisionsInForce


def test_a_folder_that_cannot_be_entered_now_is_asked_again_later(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    in_force = RevisionsInForce(folder)
    assert in_force.look() == ()
    folder.symlink_to(folder)  # nobody can enter it, root included
    with pytest.raises(TryLater, match="cannot be looked at now"):
        in_force.look()
    folder.unlink()
    assert in_force.look() == ()
