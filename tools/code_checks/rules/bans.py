"""What generated code may not name, by full name, and which capability its use shows.

A longer name beats a shorter one: `io` may be imported and `io.open` not used. A capability is
inferred also where the name is forbidden anyway, because gates follow capabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import Severity

_C = Capability
_READ: Final = frozenset({_C.READ})
_FILES: Final = frozenset({_C.READ, _C.WRITE})
_WRITE: Final = frozenset({_C.WRITE})
_NET: Final = frozenset({_C.NETWORK})
_RUN: Final = frozenset({_C.EXECUTE})
_KEYS: Final = frozenset({_C.CREDENTIALS})
_NONE: Final[frozenset[Capability]] = frozenset()


@dataclass(frozen=True, slots=True)
class Ban:
    """Why a name may not be used."""

    rule: str
    text: str  # what stands after the name in a sentence
    shows: frozenset[Capability] = _NONE
    severity: Severity = Severity.ERROR
    is_ban: bool = True  # False: it only shows a capability


_DYNAMIC: Final = "runs text as code"
_REACH: Final = "reaches the network, and the box has none"
_DISK: Final = "reads or writes files, and the box has none"
_PROCESS: Final = "starts programs, and the box refuses it"
_THREADS: Final = "starts or steers threads and processes, and a job is one"
_FRAME: Final = "looks into the frames or the objects of whoever calls"
_CLOCK: Final = "asks the machine's time; take the bar's"
_WHERE: Final = "asks where it runs; code is the same everywhere"
_NAMESPACE: Final = "reads or writes names by text; use a dict of your own"
_BYTES: Final = "makes objects, and runs code, out of bytes"
_STOPS: Final = "stops or asks whoever runs it; return a value or raise"
_MEMORY: Final = frozenset({_C.MEMORY})

_GROUPS: Final[tuple[tuple[str, str, frozenset[Capability], str], ...]] = (
    (
        "ROBO-eval",
        _DYNAMIC,
        _RUN,
        "builtins.eval typing.get_type_hints typing.ForwardRef",
    ),
    (
        "ROBO-exec",
        _DYNAMIC,
        _RUN,
        "builtins.exec code codeop runpy timeit pdb doctest cProfile profile "
        "dataclasses.make_dataclass",
    ),
    (
        "ROBO-compile",
        _DYNAMIC,
        _RUN,
        "builtins.compile types.FunctionType types.CodeType types.LambdaType types.ModuleType "
        "types.new_class",
    ),
    (
        "ROBO-import-hook",
        _DYNAMIC,
        _RUN,
        "builtins.__import__ importlib imp pkgutil zipimport pkg_resources site "
        "builtins.__loader__",
    ),
    (
        "ROBO-ctypes",
        "calls into C",
        _RUN,
        "ctypes _ctypes cffi numpy.ctypeslib numba numpy.f2py numpy.distutils mmap "
        "numpy.ndarray.ctypes",
    ),
    (
        "ROBO-open",
        _DISK,
        _FILES,
        "builtins.open io.open io.FileIO io.open_code io.file pathlib shutil tempfile sqlite3 "
        "dbm zipfile tarfile gzip bz2 lzma fileinput logging pandas numpy.memmap "
        "numpy.lib.format numpy.lib.npyio numpy.DataSource",
    ),
    (
        "ROBO-open",
        _DISK,
        _READ,
        "glob fnmatch linecache configparser tomllib filecmp numpy.load numpy.loadtxt "
        "numpy.genfromtxt numpy.fromfile numpy.lib.load numpy.fromregex numpy.lib.DataSource",
    ),
    (
        "ROBO-open",
        _DISK,
        _WRITE,
        "numpy.save numpy.savez numpy.savez_compressed numpy.savetxt numpy.ndarray.tofile "
        "numpy.ndarray.dump",
    ),
    (
        "ROBO-network",
        _REACH,
        _NET,
        "socket _socket ssl http urllib urllib3 requests httpx httpx2 aiohttp websockets "
        "websocket ftplib smtplib imaplib poplib nntplib telnetlib xmlrpc socketserver "
        "paramiko grpc webbrowser nturl2path wsgiref openai anthropic langchain",
    ),
    (
        "ROBO-network",
        _REACH,
        _NET | {_C.MARKET_DATA},
        "yfinance polygon ccxt pandas_datareader",
    ),
    (
        "ROBO-network",
        _REACH,
        _NET | {_C.MARKET_DATA, _C.LIVE_ORDERS},
        "alpaca alpaca_trade_api ib_insync",
    ),
    (
        "ROBO-network",
        _REACH,
        _NET | {_C.UNTRUSTED_TEXT},
        "feedparser bs4 scrapy newspaper praw tweepy",
    ),
    (
        "ROBO-process",
        _PROCESS,
        _RUN,
        "subprocess pty _posixsubprocess pexpect sh commands os.system os.popen os.fork "
        "os.kill os.posix_spawn os.execv os.execve os.execl os.execlp os.execvp os.spawnl "
        "os.spawnv os.spawnlp os.startfile posix",
    ),
    (
        "ROBO-environment",
        _WHERE,
        _KEYS,
        "os.environ os.environb os.getenv os.putenv dotenv keyring getpass netrc hvac boto3",
    ),
    (
        "ROBO-environment",
        _WHERE,
        _NONE,
        "platform sysconfig uuid locale pwd grp psutil resource sys.argv sys.flags "
        "sys.platform builtins.__file__ builtins.__spec__ pytest unittest",
    ),
    (
        "ROBO-os",
        _DISK,
        _FILES,
        "os nt ntpath posixpath",
    ),
    (
        "ROBO-sys",
        _FRAME,
        _NONE,
        "sys builtins.__builtins__ builtins.__dict__ builtins.builtins",
    ),
    (
        "ROBO-frames",
        _FRAME,
        _NONE,
        "sys._getframe sys._current_frames sys.settrace inspect sys.modules sys.setprofile gc "
        "weakref tracemalloc dis traceback types.FrameType types.TracebackType faulthandler "
        "types.GetSetDescriptorType types.CellType types.MethodType",
    ),
    (
        "ROBO-namespace",
        _NAMESPACE,
        _NONE,
        "builtins.globals builtins.locals builtins.vars builtins.dir builtins.delattr "
        "builtins.__build_class__",
    ),
    (
        "ROBO-pickle",
        _BYTES,
        _RUN,
        "pickle _pickle cPickle marshal shelve copyreg dill cloudpickle joblib numpy.ndarray.dumps",
    ),
    (
        "ROBO-threads",
        _THREADS,
        _RUN,
        "threading _thread multiprocessing concurrent queue",
    ),
    (
        "ROBO-threads",
        _THREADS,
        _NONE,
        "signal select selectors atexit contextvars fcntl",
    ),
    (
        "ROBO-async",
        "waits, and a job answers at once",
        _NONE,
        "asyncio trio anyio gevent",
    ),
    (
        "ROBO-threads",
        _THREADS,
        frozenset({_C.SCHEDULE}),
        "sched schedule apscheduler croniter",
    ),
    (
        "ROBO-clock",
        _CLOCK,
        _NONE,
        "time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter "
        "time.perf_counter_ns time.process_time time.process_time_ns time.thread_time "
        "time.thread_time_ns time.sleep time.localtime time.gmtime time.ctime time.asctime "
        "time.clock_gettime time.clock_gettime_ns time.tzname time.timezone "
        "datetime.datetime.now datetime.datetime.utcnow time.pthread_getcpuclockid "
        "datetime.datetime.today datetime.date.today time.strftime",
    ),
    (
        "ROBO-stops",
        _STOPS,
        _NONE,
        "builtins.input builtins.breakpoint builtins.exit builtins.quit builtins.help "
        "builtins.license builtins.credits builtins.copyright builtins.SystemExit",
    ),
    (
        "ROBO-chance",
        "draws chance from the machine; the job's seed must decide",
        _NONE,
        "secrets random.SystemRandom random._urandom random._inst",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        frozenset({_C.LIVE_ORDERS}),
        "roboinvest.brokers roboinvest.trading roboinvest.core.orders",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        frozenset({_C.SPAWN}),
        "meta_agents roboinvest.runtime.supervision roboinvest.runtime.revisions",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        _MEMORY,
        "roboinvest.runtime.recall chromadb roboinvest.core.knowledge",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        frozenset({_C.UNTRUSTED_TEXT}),
        "roboinvest.core.news roboinvest.core.text tools.news",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        frozenset({_C.MARKET_DATA}),
        "roboinvest.core.market tools.bars tools.feeds tools.data_fetcher tools.markets",
    ),
    (
        "ROBO-house",
        "is the house's own, and not the box's",
        _READ,
        "roboinvest tools research tests benchmarks",
    ),
)
_MARKET: Final = ("roboinvest.core.strategy", "roboinvest.core.quant.conditions")
_SHOWN: Final = (*_MARKET, "roboinvest.core.quant.calculators")  # allowed; what they show, a file's
BANS: Final[Mapping[str, Ban]] = {
    name: Ban(rule, text, shows) for rule, text, shows, names in _GROUPS for name in names.split()
} | {name: Ban("", "", is_ban=False) for name in _SHOWN}

_ATTRIBUTE_GROUPS: Final[tuple[tuple[str, str, frozenset[Capability], str], ...]] = (
    (
        "ROBO-frames",
        _FRAME,
        _NONE,
        "f_back f_locals f_globals f_builtins f_code tb_frame tb_next gi_frame gi_code "
        "cr_frame cr_code ag_frame cell_contents co_code co_consts func_globals mro _getframe "
        "currentframe with_traceback",
    ),
    (
        "ROBO-ctypes",
        "calls into C",
        _RUN,
        "ctypes ctypeslib data_as from_address",
    ),
    (
        "ROBO-open",
        _DISK,
        _FILES,
        "tofile loadtxt genfromtxt fromfile memmap savetxt savez read_csv read_parquet "
        "read_pickle to_csv to_pickle read_text write_text read_bytes write_bytes",
    ),
    (
        "ROBO-process",
        _PROCESS,
        _RUN,
        "popen Popen check_output fork",
    ),
    (
        "ROBO-network",
        _REACH,
        _NET,
        "urlopen gethostname getaddrinfo create_connection",
    ),
    (
        "ROBO-environment",
        _WHERE,
        _KEYS,
        "environ getenv",
    ),
)
# What an attribute gives away whatever it is asked of: no honest object has it under this name.
ATTRIBUTES: Final[Mapping[str, Ban]] = {
    name: Ban(rule, text, shows)
    for rule, text, shows, names in _ATTRIBUTE_GROUPS
    for name in names.split()
}
# Handed on they cannot be judged; called as they are, with a constant name, they can.
BY_NAME: Final = frozenset(
    {"builtins.getattr", "builtins.setattr", "builtins.hasattr"}
    | {"operator.attrgetter", "operator.methodcaller"}
)


def ban_of(path: str) -> Ban | None:
    """Return what speaks against a full name, the longest that is listed first."""
    for name in _prefixes(path):
        if name in BANS:
            if BANS[name].is_ban:
                return BANS[name]
            break
    return _far_ban(path)


def _far_ban(path: str) -> Ban | None:
    """Return what speaks against a name that is reached by a way round: `calendar.datetime...`."""
    parts = path.split(".")
    if parts[0] == "numpy" and f"numpy.{parts[-1]}" in BANS:
        return BANS[f"numpy.{parts[-1]}"]
    for start in range(1, len(parts) - 1):
        for name in _prefixes(".".join(parts[start:])):
            if name in BANS and BANS[name].is_ban:
                return BANS[name]
    return None


def _prefixes(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]
