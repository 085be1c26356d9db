"""Which system user a process runs as, and what it needs to reach its files.

PostgreSQL refuses to run as root. Started by root, it runs as an unprivileged user; where the
folders above its files are closed to that user (a home folder of root's, say), it keeps the one
capability that lets it pass through them.
"""

import ctypes
import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from config.onemachine.faults import CannotStart

PREFERRED_USERS = ("postgres", "nobody")

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522

LIBC = ctypes.CDLL(None, use_errno=True)
ON_LINUX = sys.platform == "linux"


class CapabilityHeader(ctypes.Structure):
    """`__user_cap_header_struct` of capset(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapabilitySets(ctypes.Structure):
    """Two `__user_cap_data_struct` of capset(2): the lower and upper 32 capabilities."""

    _fields_ = [
        (f"{name}_{half}", ctypes.c_uint32)
        for half in ("low", "high")
        for name in ("effective", "permitted", "inheritable")
    ]


@dataclass(frozen=True)
class Account:
    """A system user to run a process as; `capability` is kept where paths are closed to them."""

    uid: int
    gid: int
    capability: int | None = None


def unprivileged(*paths: Path) -> Account | None:
    """The user for a process that refuses root: None where we are not root ourselves.

    `paths` are what the process must reach. Raises `CannotStart` where no user would do.
    """
    if os.geteuid() != 0:
        return None
    for name in PREFERRED_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        reachable = all(is_reachable(path, found.pw_uid, found.pw_gid) for path in paths)
        return Account(found.pw_uid, found.pw_gid, None if reachable else passing_capability())
    raise CannotStart(
        "PostgreSQL refuses to run as root and this machine has no user named postgres or nobody: "
        "add one, or start as an ordinary user."
    )


def is_reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether every folder above the path lets that user pass."""
    for folder in path.absolute().parents:
        if not folder.exists():
            continue
        status = folder.stat()
        needed = stat.S_IXOTH
        if status.st_uid == uid:
            needed = stat.S_IXUSR
        elif status.st_gid == gid:
            needed = stat.S_IXGRP
        if not status.st_mode & needed:
            return False
    return True


def passing_capability() -> int:
    """A capability that we hold and that lets a process pass through folders closed to it."""
    held = 0
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("CapEff:"))
        held = int(line.split()[1], 16)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held & (1 << capability):
            return capability
    raise CannotStart(
        "PostgreSQL refuses to run as root, and no other user can reach this folder: "
        "move it to one that everyone may pass through, or start as an ordinary user."
    )


def become(account: Account) -> None:
    """Turn this process into the account's user. Called in a child, between fork and exec."""
    if account.capability is not None:
        # Keeps what root holds until `keep_only` drops it, and lets access(2), with which PostgreSQL looks
        # for its own programs, count the one that is left.
        control(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.capability is not None:
        keep_only(account.capability)


def keep_only(capability: int) -> None:
    """Hold that one capability, across exec too."""
    header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    sets = CapabilitySets(bit, bit, bit, 0, 0, 0)
    if LIBC.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel to send this process the signal when its parent dies (Linux only)."""
    if ON_LINUX:
        control(PR_SET_PDEATHSIG, signal_number)


def control(option: int, *values: int) -> None:
    """prctl(2); raises `OSError` where the kernel refuses."""
    padded = [*values, 0, 0, 0, 0][:4]
    if LIBC.prctl(option, *(ctypes.c_ulong(value) for value in padded)) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
