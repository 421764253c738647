"""A change that comes back with other names in it is known again."""

from __future__ import annotations

import pytest

from roboinvest.core.revisions.fingerprint import fingerprint_of

ONE = '''"""About it."""
import numpy as np

def scan(bars, p):
    """Look."""
    fast = np.mean(bars[-p:])
    return fast > bars[-1]
'''
RENAMED = """import numpy as np
# another word

def look(prices, count):
    quick = np.mean(
        prices[-count:]
    )
    return quick > prices[-1]
"""


def mark(code: str, wishes: tuple[str, ...] = (), name: str = "code/a.py") -> str:
    return fingerprint_of({name: code.encode()}, wishes)


def test_names_comments_and_layout_do_not_count() -> None:
    assert mark(ONE) == mark(RENAMED) == mark(ONE, name="code/b.py")


@pytest.mark.parametrize(
    "code",
    [
        ONE.replace("> bars", "< bars"),
        ONE.replace("[-1]", "[-2]"),
        ONE.replace("np.mean", "np.max"),
        ONE.replace("import numpy", "import scipy"),
        ONE + "\nX = 1\n",
        ONE.replace("return fast > bars[-1]", "return bars > fast[-1]"),
    ],
)
def test_what_the_code_does_counts(code: str) -> None:
    assert code != ONE
    assert mark(code) != mark(ONE)


def test_arguments_of_others_keep_their_names() -> None:
    own = "def f(n):\n    return n\n\nx = f(n=1)\n"
    other = "def g(m):\n    return m\n\ny = g(m=1)\n"
    assert mark(own) == mark(other)
    assert mark("x = sma(n=1)\n") != mark("x = sma(m=1)\n")


def test_wishes_and_other_files_count() -> None:
    assert mark(ONE) != mark(ONE, ("MarketData",))
    spec = {"code/a.py": ONE.encode(), "spec/a.toml": b"x"}
    assert fingerprint_of(spec, ()) != fingerprint_of({**spec, "spec/a.toml": b"y"}, ())


@pytest.mark.parametrize("code", ["def (", "x = \0", "(" * 5_000, "x = " + "-" * 50_000 + "1"])
def test_what_does_not_parse_counts_by_its_bytes(code: str) -> None:
    assert mark(code) == mark(code)
    assert mark(code) != mark(code + " ")
