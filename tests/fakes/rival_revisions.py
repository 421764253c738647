"""A process that changes an agent while another one does; `python -m tests.fakes.rival_revisions`.

It says that it is ready, waits for a line, and then promotes revision after revision of its own,
each made from what was active when it looked.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.revisions.governor import GovernorLimits
from tests.fakes.revisions import AGENT, MACHINE, agent_house, an_artifact


def main(data: Path, start: int, count: int) -> None:
    """Promote `count` times, or be refused, and say which."""
    with agent_house(data) as opened:
        house = opened.with_(limits=GovernorLimits(promotions=1_000, rising=1_000))
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(start, start + count):
            seen, base = house.sequence(AGENT), house.active(AGENT)
            try:
                revision = house.installed(an_artifact(number), base)
                house.activate(revision, MACHINE, expected=seen)
            except RoboInvestError as error:
                print(f"refused {error}", flush=True)
            else:
                print(f"moved {revision.revision_id}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
