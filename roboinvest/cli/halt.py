"""The kill switch from the command line. It works without a daemon, and without a store."""

from __future__ import annotations

from typing import Annotated

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import folder_of, person


def halt(
    level: Annotated[
        str,
        typer.Option(
            help="new: nothing is sent; cancel: and entries are cancelled; flatten: and "
            "positions are closed."
        ),
    ] = "new",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "halted by hand",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop trading now; only `resume` starts it again."""
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.clock import SystemClock
    from roboinvest.runtime.control.port import ControlClient, Done, NoDaemon, SetHalt
    from roboinvest.runtime.halt import HaltFile, HaltLevel

    if level not in {wanted.value for wanted in HaltLevel}:
        raise BadInput(f"--level {level} is unknown; use new, cancel or flatten")
    folder = folder_of(config, data_dir)
    folder.create()
    # The file first: it halts whatever state the daemon is in.
    halted = HaltFile(folder.halt).set(
        HaltLevel(level), reason=reason, by=person(), at=SystemClock().now()
    )
    text = f"HALT is set at level {halted.level.value}; no daemon runs, the next one starts HALTED"
    try:
        request = SetHalt(level=HaltLevel(level), reason=reason, by=person())
        reply = ControlClient(folder.control_socket).ask(request)
        text = reply.text if isinstance(reply, Done) else text
    except NoDaemon:
        pass
    _answer(as_json, {"halted": True, "level": halted.level.value, "text": text})


def resume(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Lift a halt."""
    from roboinvest.runtime.control.port import ControlClient, Done, NoDaemon, Resume
    from roboinvest.runtime.halt import HaltFile

    folder = folder_of(config, data_dir)
    try:
        reply = ControlClient(folder.control_socket).ask(Resume(by=person()))
        text = reply.text if isinstance(reply, Done) else "resumed"
    except NoDaemon:
        halt_file = HaltFile(folder.halt)
        was_halted = halt_file.read() is not None
        halt_file.clear()
        text = "the halt is lifted" if was_halted else "trading was not halted"
        text += "; no daemon runs"
    _answer(as_json, {"halted": False, "text": text})


def _answer(as_json: bool, answer: dict[str, object]) -> None:
    if as_json:
        print_json(answer)
    else:
        console().print(str(answer["text"]), markup=False)
