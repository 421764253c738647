"""The kill switch from the command line. It works without a daemon, and without a store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from roboinvest.cli.options import ConfigOption, DataDirOption, ExitCode, JsonOption
from roboinvest.cli.output import console, print_json
from roboinvest.cli.settings import folder_of, person, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from roboinvest.runtime.configuration.settings import Settings
    from roboinvest.runtime.folder import DataFolder
    from roboinvest.runtime.halt import Halt, HaltLevel

ANSWER_S: Final = 1.0  # for the daemon's answer to a halt
RESUME_S: Final = 60.0  # to resume, orders and positions are compared with the broker first


def halt(
    level: Annotated[
        str,
        typer.Option(
            help="new: nothing is sent; cancel: and entries are cancelled; flatten: and "
            "positions are closed."
        ),
    ] = "new",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "halted by hand",
    all_positions: Annotated[
        bool,
        typer.Option(
            "--all-positions",
            help="With flatten at a real broker: your own trades by hand are closed as well.",
        ),
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop trading now; only `resume` starts it again."""
    from roboinvest.core.errors import BadInput
    from roboinvest.runtime.halt import HaltLevel

    if level not in {wanted.value for wanted in HaltLevel}:
        raise BadInput(f"--level {level} is unknown; use new, cancel or flatten")
    if all_positions and level != HaltLevel.FLATTEN:
        raise BadInput(f"--all-positions goes with --level flatten, not with {level}")
    settings = settings_of(config, data_dir)
    halting = _Halting(settings, HaltLevel(level), reason, all_positions=all_positions)
    answer, clean = halting.done(quiet=as_json)
    if as_json:
        print_json(answer)
    if not clean:
        raise typer.Exit(ExitCode.FOUND)


def _made(root: Path) -> None:
    """Make the folder that HALT lies in; nothing else of it has to be there, or to be whole."""
    from roboinvest.core.errors import BadSettings

    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"data_dir {root} cannot be written ({error.strerror}); give --data-dir another folder"
        ) from error


class _Halting:
    """One halt from the command line: the file first, the daemon next, the broker last."""

    def __init__(
        self, settings: Settings, level: HaltLevel, reason: str, *, all_positions: bool
    ) -> None:
        from roboinvest.runtime.configuration.policies import clock_of
        from roboinvest.runtime.folder import DataFolder
        from roboinvest.runtime.halt import HaltFile

        self._settings, self._all_positions = settings, all_positions
        self._folder = DataFolder(settings.data_dir)
        _made(self._folder.root)
        # The file first: it halts whatever state the daemon is in.
        self._halt = HaltFile(self._folder.halt).set(
            level,
            reason=reason,
            by=person(),
            at=clock_of(settings).now(),
            all_positions=all_positions,
        )
        self._halted_s = time.monotonic()

    def done(self, *, quiet: bool) -> tuple[dict[str, object], bool]:
        """Return what is to be told, and whether everything that was asked for was done."""
        from roboinvest.cli.halt_hands import carry_out, trades_at_alpaca
        from roboinvest.runtime.halt import HaltLevel

        level = self._halt.level
        text, daemon_runs = _told_daemon(self._folder, self._halt)
        answer: dict[str, object] = {"halted": True, "level": level.value, "text": text}
        lines = list[str]()

        def tell(line: str) -> None:
            lines.append(line)
            if not quiet:
                console().print(line, markup=False)

        tell(text)
        if level is HaltLevel.NEW:
            return answer, True
        if not daemon_runs and not self._folder.stamped():
            tell(f"nothing ever ran in {self._folder.root}: is it the right --data-dir?")
            return {**answer, "results": lines[1:], "clean": False}, False
        if not trades_at_alpaca(self._settings, self._folder):
            return answer, True
        clean = carry_out(
            self._settings,
            self._halt,
            tell,
            daemon_runs=daemon_runs,
            halted_s=self._halted_s,
            all_positions=self._all_positions,
        )
        return {**answer, "results": lines[1:], "clean": clean}, clean


def resume(
    config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Lift a halt; at a real broker, orders and positions are compared first."""
    from roboinvest.core.errors import Refused
    from roboinvest.runtime.control.port import ControlClient, Done, NoDaemon, Resume
    from roboinvest.runtime.halt import HaltFile

    folder = folder_of(config, data_dir)
    try:
        reply = ControlClient(folder.control_socket, timeout_s=RESUME_S).ask(Resume(by=person()))
        text = reply.text if isinstance(reply, Done) else "resumed"
    except NoDaemon:
        if folder.holder() is not None:
            raise Refused(
                f"a daemon holds {folder.root} and does not answer; look at its log, or stop it"
            ) from None
        halt_file = HaltFile(folder.halt)
        was_halted = halt_file.read() is not None
        halt_file.clear()
        text = "the halt is lifted" if was_halted else "trading was not halted"
        text += "; no daemon runs"
    _answer(as_json, {"halted": False, "text": text})


def _told_daemon(folder: DataFolder, halted: Halt) -> tuple[str, bool]:
    """Return what is known of the halt, and whether a daemon is there, answering or not."""
    from roboinvest.core.errors import TryLater
    from roboinvest.runtime.control.port import ControlClient, Done, NoDaemon, SetHalt

    level = halted.level
    request = SetHalt(level=level, reason=halted.reason, by=halted.by)
    try:
        reply = ControlClient(folder.control_socket, timeout_s=ANSWER_S).ask(request)
    except NoDaemon:
        return f"HALT is set at level {level.value}; no daemon runs, the next one starts HALTED", (
            folder.holder() is not None
        )
    except TryLater:
        return f"HALT is set at level {level.value}; the daemon has not answered", True
    return (reply.text if isinstance(reply, Done) else "HALT is set"), True


def _answer(as_json: bool, answer: dict[str, object]) -> None:
    if as_json:
        print_json(answer)
    else:
        console().print(str(answer["text"]), markup=False)
