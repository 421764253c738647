"""Attempts on the network and on odd corners of the kernel."""

from __future__ import annotations

from typing import Final

from tests.hostile_code.payload import Held, Payload, attempt

_S, _M = Held.SECCOMP, Held.SEVERAL

NETWORK: Final[tuple[Payload, ...]] = (
    attempt(
        "tcp",
        "send to a port",
        _M,
        """
import socket
socket.create_connection(('127.0.0.1', $tcp), 1).sendall(b'x')
""",
    ),
    attempt(
        "udp",
        "send a datagram",
        _S,
        """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', $udp))
""",
    ),
    attempt(
        "unix",
        "talk to a socket with a path",
        _S,
        """
import socket
socket.socket(socket.AF_UNIX).connect(FOLDER + '/socket')
""",
    ),
    attempt(
        "abstract",
        "talk to a socket without a path",
        _M,
        """
import socket
socket.socket(socket.AF_UNIX).connect('\\0$unique')
""",
    ),
    attempt(
        "listen",
        "open a port",
        _M,
        """
import socket
socket.socket().bind(('127.0.0.1', 0))
return DONE
""",
    ),
    attempt(
        "raw_socket",
        "make a socket past Python",
        _S,
        """
call(41, 2, 2, 0)
return DONE
""",
    ),
    attempt(
        "socketpair",
        "make a pair of sockets",
        _S,
        "import socket\nsocket.socketpair()\nreturn DONE",
    ),
    attempt(
        "netlink",
        "ask the kernel for its routes",
        _S,
        """
import socket
socket.socket(16, socket.SOCK_RAW, 0)
return DONE
""",
    ),
    attempt(
        "dns",
        "look a name up",
        _S,
        """
import socket
try:
    socket.getaddrinfo('example.invalid', 80)
except socket.gaierror:
    pass
call(41, 2, 2, 17)
return DONE
""",
    ),
    attempt(
        "io_uring",
        "do it all by a ring",
        _M,
        """
call(425, 4, ctypes.create_string_buffer(256))
return DONE
""",
    ),
    attempt(
        "x32",
        "use the numbers of x32",
        _S,
        """
ctypes.set_errno(0)
libc.syscall(ctypes.c_long(0x40000000 + 41), 2, 2, 0)
return DONE
""",
    ),
)

KERNEL: Final[tuple[Payload, ...]] = (
    attempt(
        "memfd",
        "make a file of memory to run",
        _S,
        """
call(319, b'x', 0)
return DONE
""",
    ),
    attempt(
        "mmap_exec",
        "bring machine code of its own",
        _S,
        """
import mmap
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
return DONE
""",
    ),
    attempt(
        "mprotect_exec",
        "make its memory run",
        _S,
        """
page = call(9, 0, 4096, 3, 0x22, -1, 0)
call(10, page, 4096, 7)
return DONE
""",
    ),
    attempt(
        "namespaces",
        "be root of a namespace of its own",
        _S,
        """
call(272, 0x10000000)
return DONE
""",
    ),
    attempt(
        "shmget",
        "share memory the old way",
        _S,
        """
call(29, 0, 4096, 0o1600)
return DONE
""",
    ),
    attempt(
        "keys",
        "keep a secret in the kernel",
        _S,
        """
call(250, 0, -3, 1)
return DONE
""",
    ),
    attempt(
        "prlimit",
        "read and set its limits",
        _S,
        """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
return DONE
""",
    ),
    attempt(
        "no_limit",
        "raise its CPU limit",
        _M,
        """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (900, 900))
return DONE
""",
    ),
    attempt(
        "dumpable",
        "let others look in, and dump core",
        _S,
        """
call(157, 4, 1, 0, 0, 0)
return DONE
""",
    ),
    attempt("hostname", "learn where it runs", _S, "return DONE if os.uname().nodename else None"),
    attempt("users", "learn who it is", _S, "return DONE if os.getuid() >= 0 else None"),
    attempt(
        "sleep",
        "sit the time out",
        _S,
        """
import time
time.sleep(0.01)
return DONE
""",
    ),
    attempt(
        "alarm",
        "set itself a timer",
        _S,
        """
import signal
signal.setitimer(signal.ITIMER_REAL, 9)
return DONE
""",
    ),
    attempt(
        "pipes",
        "use up descriptors",
        _M,
        """
for _ in range(100):
    os.pipe()
return DONE
""",
    ),
)

OUTSIDE: Final = (*NETWORK, *KERNEL)
