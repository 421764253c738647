"""Attempts on files: reading what is secret, changing or leaving anything behind."""

from __future__ import annotations

from typing import Final

from tests.hostile_code.payload import Held, Payload, attempt

_L, _S, _M = Held.LANDLOCK, Held.SECCOMP, Held.SEVERAL

READS: Final[tuple[Payload, ...]] = (
    attempt("open", "read a file", _L, "return open(FOLDER + '/canary.txt', 'rb').read()"),
    attempt(
        "home", "read the secrets at home", _L, "return open(FOLDER + '/home/.env', 'rb').read()"
    ),
    attempt(
        "libc_open",
        "read a file past Python",
        _L,
        """
handle = call(257, -100, (FOLDER + '/canary.txt').encode(), 0, 0)
return os.read(handle, 64)
""",
    ),
    attempt(
        "old_open",
        "read a file by the old number of open",
        _M,
        "return os.read(call(2, (FOLDER + '/canary.txt').encode(), 0, 0), 64)",
    ),
    attempt(
        "openat2",
        "read a file by a newer call",
        _M,
        """
how = ctypes.create_string_buffer(24)
handle = call(437, -100, (FOLDER + '/canary.txt').encode(), how, 24)
return os.read(handle, 64)
""",
    ),
    attempt(
        "dir_fd",
        "read relative to an open folder",
        _L,
        """
folder = os.open(FOLDER, os.O_RDONLY)
return os.read(os.open('canary.txt', os.O_RDONLY, dir_fd=folder), 64)
""",
    ),
    attempt(
        "dots",
        "read through ..",
        _L,
        "return open('/usr/../..' + FOLDER + '/home/../canary.txt', 'rb').read()",
    ),
    attempt(
        "symlink",
        "read through a link that stands there",
        _L,
        "return open(FOLDER + '/link', 'rb').read()",
    ),
    attempt(
        "fromfile",
        "read with numpy",
        _M,
        """
import numpy as np
return np.fromfile(FOLDER + '/canary.txt', dtype='u1').tobytes()
""",
    ),
    attempt("listing", "list a folder", _M, "return DONE if os.listdir(FOLDER) else None"),
    attempt("root_listing", "list the root", _M, "return DONE if os.listdir('/') else None"),
    attempt(
        "stat",
        "learn a file's size",
        _S,
        "return DONE if os.stat(FOLDER + '/canary.txt').st_size else None",
    ),
    attempt(
        "o_path",
        "hold a file without reading it",
        _S,
        "os.open(FOLDER + '/canary.txt', os.O_PATH)\nreturn DONE",
    ),
    attempt(
        "readlink",
        "learn where a link leads",
        _S,
        "return DONE if os.readlink(FOLDER + '/link') else None",
    ),
    attempt("getcwd", "learn the folder", _S, "return DONE if os.getcwd() else None"),
    attempt(
        "late_import",
        "import a module that lies about",
        _M,
        """
import sys
sys.path.insert(0, FOLDER)
import evil
return evil.SECRET
""",
    ),
    attempt(
        "cdll",
        "load a library from the disk",
        _M,
        """
ctypes.CDLL('$library')
return DONE
""",
    ),
    attempt(
        "urandom", "draw chance that no seed fixes", _S, "return DONE if os.urandom(8) else None"
    ),
)

PROC: Final[tuple[Payload, ...]] = (
    attempt(
        "proc_self",
        "read its own first environment",
        Held.PROTOCOL,
        "return DONE if open('/proc/self/environ', 'rb').read() else None",
    ),
    attempt(
        "proc_other",
        "read another process's environment",
        _L,
        "return open('/proc/$decoy/environ', 'rb').read()",
    ),
    attempt(
        "proc_maps",
        "read the addresses of its parent",
        _L,
        "return DONE if open(f'/proc/{os.getpid()}/maps', 'rb').read() else None",
    ),
    attempt(
        "proc_fds",
        "list its descriptors",
        _M,
        "return DONE if os.listdir('/proc/self/fd') else None",
    ),
    attempt(
        "environment",
        "find a secret in the environment",
        Held.CLEAN_ENVIRONMENT,
        "return os.environ.get('ROBOINVEST_CANARY', '').encode()",
    ),
    attempt(
        "environ_memory",
        "find a secret in the C library's environment",
        Held.CLEAN_ENVIRONMENT,
        """
libc.getenv.restype = ctypes.c_char_p
return libc.getenv(b'ROBOINVEST_CANARY') or b''
""",
    ),
    attempt(
        "descriptors",
        "use a descriptor that it inherited",
        Held.PROTOCOL,
        """
for handle in range(5, 4096):
    try:
        os.fstat(handle)
        return DONE
    except OSError:
        pass
""",
    ),
)

WRITES: Final[tuple[Payload, ...]] = (
    attempt("write", "leave a file", _M, "open(FOLDER + '/marker', 'w').close()"),
    attempt(
        "raw_write",
        "leave a file past Python",
        _M,
        "call(257, -100, (FOLDER + '/marker').encode(), 0o101, 0o644)",
    ),
    attempt(
        "creat", "leave a file by an old call", _M, "call(85, (FOLDER + '/marker').encode(), 0o644)"
    ),
    attempt(
        "append",
        "add to a file",
        _M,
        "os.write(os.open(FOLDER + '/owned.txt', os.O_WRONLY | os.O_APPEND), b'x')",
    ),
    attempt(
        "truncate",
        "empty a file that it opens for reading",
        _M,
        "os.open(FOLDER + '/owned.txt', os.O_RDONLY | os.O_TRUNC)",
    ),
    attempt(
        "truncate_path", "empty a file by its path", _M, "os.truncate(FOLDER + '/owned.txt', 0)"
    ),
    attempt("unlink", "delete a file", _M, "os.unlink(FOLDER + '/owned.txt')"),
    attempt("rename", "move a file", _M, "os.rename(FOLDER + '/owned.txt', FOLDER + '/moved')"),
    attempt("chmod", "change a file's mode", _S, "os.chmod(FOLDER + '/owned.txt', 0o777)"),
    attempt(
        "mtime",
        "tell by a file's time, a timing channel",
        _S,
        "os.utime(FOLDER + '/owned.txt', (1, 1))",
    ),
    attempt("mkdir", "leave a folder", _M, "os.mkdir(FOLDER + '/marker')"),
    attempt(
        "make_symlink",
        "leave a link to the secret and follow it",
        _M,
        """
os.symlink(FOLDER + '/canary.txt', FOLDER + '/marker')
return open(FOLDER + '/marker', 'rb').read()
""",
    ),
    attempt(
        "make_link", "leave a second name", _M, "os.link(FOLDER + '/owned.txt', FOLDER + '/marker')"
    ),
    attempt("fifo", "leave a pipe with a name", _M, "os.mkfifo(FOLDER + '/marker')"),
    attempt(
        "inodes",
        "fill a disk with small files",
        _M,
        """
for number in range(500):
    open(FOLDER + f'/small{number}', 'w').close()
""",
    ),
    attempt(
        "fill",
        "fill a disk with one file",
        _M,
        "open(FOLDER + '/marker', 'wb').write(bytes(8 << 20))",
    ),
    attempt(
        "shm",
        "leave a file in memory",
        _M,
        """
open('/dev/shm/$unique', 'w').close()
return DONE
""",
    ),
    attempt(
        "sitecustomize",
        "have the next interpreter run it",
        _M,
        """
for name in ('sitecustomize.py', 'conftest.py', 'a.pth'):
    open(FOLDER + '/' + name, 'w').write('import os')
""",
    ),
    attempt(
        "np_save",
        "leave a file with numpy",
        _M,
        """
import numpy as np
np.save(FOLDER + '/marker.npy', np.ones(3))
""",
    ),
    attempt(
        "pickle",
        "hide the writing in a pickle",
        _M,
        """
import pickle
class Bomb:
    def __reduce__(self):
        return open, (FOLDER + '/marker', 'w')
pickle.loads(pickle.dumps(Bomb()))
""",
    ),
    attempt(
        "lock",
        "hold a lock that others see",
        _L,
        """
import fcntl
handle = os.open(FOLDER + '/owned.txt', os.O_RDONLY)
return DONE
""",
    ),
)

FILES: Final = (*READS, *PROC, *WRITES)
