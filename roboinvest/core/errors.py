"""One tree of errors, named by what the caller should do.

    RoboInvestError
        TryLater            a dependency is away; the same call may succeed later
        Refused             a rule said no; repeating the call will not help
            OrderRejected   the broker declined the intent
            FolderInUse     another daemon holds the data folder
            OtherRun        the data folder belongs to a run with other arguments
        BadInput            an argument, a file, a symbol or a range is wrong
            StrategyFailed  the code of a strategy raised, or answered out of form
            NotRecorded     a replay asks what was not answered; starting again does not help
        BadSettings         the settings file, the environment or a folder is wrong
        BadReply            a model answered in a form we cannot read
        NeedsApproval       allowed only after a person says so

Every message is one sentence: the fact, the value, the limit, and what to do next.
"""

from __future__ import annotations


class RoboInvestError(Exception):
    """The root of everything this program raises on purpose."""


class TryLater(RoboInvestError):
    """A dependency is away; the same call may succeed later."""


class Refused(RoboInvestError):
    """A rule said no; repeating the call will not help."""


class OrderRejected(Refused):
    """The broker declined the intent; nothing was booked."""


class FolderInUse(Refused):
    """Another daemon holds the lock of this data folder."""


class OtherRun(Refused):
    """The data folder was stamped by a run with other arguments."""


class BadInput(RoboInvestError):
    """An argument, or the file, symbol or range it names, is wrong."""


class StrategyFailed(BadInput):
    """The code of a strategy failed where it was asked, which its text alone does not say."""

    line: str = ""  # by which it is counted, as `oversight.fingerprints` has it


class NotRecorded(BadInput):
    """A replay of answers asks what has no recorded answer; to start again does not help."""


class BadSettings(RoboInvestError):
    """The settings file or the environment is wrong, or a folder cannot be written."""


class BadReply(RoboInvestError):
    """A model answered in a form we cannot read."""


class NeedsApproval(RoboInvestError):
    """Allowed only after a person says so."""
