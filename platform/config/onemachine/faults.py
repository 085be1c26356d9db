"""Why the one-machine platform cannot start, each in one sentence for the person at the terminal."""

import errno


class CannotStart(Exception):
    """The platform cannot start; the message is one sentence that says why and what to do."""


class AlreadyRuns(CannotStart):
    """Another supervisor holds this folder."""


class StopRequested(Exception):
    """Someone asked to stop while the processes were still starting."""


def sentence_for(fault: OSError) -> str:
    """One sentence for what the operating system refused."""
    place = f" ({fault.filename})" if fault.filename else ""
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full{place}: free some space and start again."
    if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Permission denied{place}: choose a folder you may write to with LOOMWORKS_HOME."
    return f"The operating system refused{place}: {fault.strerror or fault}."
