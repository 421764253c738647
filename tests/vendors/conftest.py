"""The vendors' real clients, imported once and quietly.

alpaca-py stands on `websockets.legacy`, whose import warns; warnings are errors in these tests, and
this one is the library's to mend.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
    import alpaca.trading  # noqa: F401 the import is the point
