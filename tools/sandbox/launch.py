"""How a zygote is started: its command line, what it sees of the disk, its environment.

Without namespaces (tier B) it is a plain child with a clean environment, and its jobs confine
themselves. With bubblewrap (tier A) it also lives in a file tree of its own, made of the
interpreter, the C library and the packages that jobs may import, all read-only and under /box;
there is no /proc, no network but its own, no other process, and nothing of the host's tree.

The environment is handed to bubblewrap itself: `--clearenv` would hide a secret from the program
and leave it readable in /proc/1/environ. There is no `--as-pid-1`, because RLIMIT_CPU does not
kill process 1.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from roboinvest.core.errors import BadInput
from tools.sandbox.inside.confinement import Layers

ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # threads cost address space, and a job has one processor
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}
_START: Final = (
    "import sys; sys.path[:0] = {paths!r}; import tools.sandbox.inside.zygote as z; z.main()"
)
_ALONE: Final = ("-S", "-s", "-P", "-B", "-X", "utf8")  # no site, no .pth, no bytecode written
_HERE: Final = Path(__file__).resolve().parent  # tools/sandbox
_BOX: Final = Path("/box")


def plain_command(control: int, preload: Sequence[str], layers: Layers) -> list[str]:
    """Return what starts a zygote as a plain child."""
    paths = sorted({str(_HERE.parent.parent), *(str(each.parent) for each in packages(preload))})
    return [str(_interpreter()), *_ALONE, *_program(paths, control, preload, layers)]


def wrapped_command(control: int, preload: Sequence[str], layers: Layers) -> list[str]:
    """Return what starts a zygote in namespaces of its own.

    Raises:
        BadInput: bubblewrap is not installed.
    """
    wrap = shutil.which("bwrap")
    if wrap is None:
        raise BadInput("bwrap is not installed; install the package bubblewrap")
    interpreter = _BOX / "bin" / _interpreter().name
    # fmt: off
    command = [
        wrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--uid", "65534", "--gid", "65534", "--hostname", "box",
    ]
    # fmt: on
    for inside, outside in _mounts(preload).items():
        command += ["--ro-bind", str(outside), str(inside)]
    for each in ("/lib", "/lib64", "/usr/lib"):  # the C library and its loader
        command += ["--ro-bind-try", each, each]
    command += [
        "--setenv",
        "PYTHONHOME",
        str(_BOX),
        "--setenv",
        "LD_LIBRARY_PATH",
        str(_BOX / "lib"),
    ]
    command += ["--remount-ro", "/", "--chdir", "/", "--", str(interpreter), *_ALONE]
    return command + _program([str(_BOX / "site")], control, preload, layers)


def packages(preload: Sequence[str]) -> list[Path]:
    """Return the folders of the packages that jobs import, this one's left out.

    Raises:
        BadInput: one is not installed.
    """
    found = []
    for name in sorted({"numpy", *(each.partition(".")[0] for each in preload)}):
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise BadInput(f"{name} is not installed, so no job can import it; install it")
        places = list(spec.submodule_search_locations or ())
        if places and name != "tools":
            found.append(Path(places[0]).resolve())
    return found


def _mounts(preload: Sequence[str]) -> dict[Path, Path]:
    """Return what a box's tree is made of: path in it -> path of the host."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = {
        _BOX / "bin" / _interpreter().name: _interpreter(),
        _BOX / "lib" / version: Path(sysconfig.get_path("stdlib")).resolve(),
        _BOX / "site" / "tools" / "__init__.py": _HERE.parent / "__init__.py",
        _BOX / "site" / "tools" / "sandbox": _HERE,
    }
    for library in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
        found[_BOX / "lib" / library.name] = library.resolve()
    for package in packages(preload):
        found[_BOX / "site" / package.name] = package
        for libraries in package.parent.glob(f"{package.name}.libs"):
            found[_BOX / "site" / libraries.name] = libraries
    if any(name.partition(".")[0] == "tools" for name in preload):
        found.pop(_BOX / "site" / "tools" / "__init__.py")
        found.pop(_BOX / "site" / "tools" / "sandbox")
        found[_BOX / "site" / "tools"] = _HERE.parent
    return found


def _interpreter() -> Path:
    """Return the interpreter itself: that of a virtual environment is a link with settings."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()


def _program(
    paths: Sequence[str], control: int, preload: Sequence[str], layers: Layers
) -> list[str]:
    said = {"control": control, "preload": list(preload), "layers": asdict(layers)}
    return ["-c", _START.format(paths=list(paths)), json.dumps(said)]
