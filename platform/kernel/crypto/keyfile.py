"""Files that hold secrets: readable by their owner only, published whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

from kernel.crypto.errors import KeyringRefused

PRIVATE_MODE = 0o600
MAX_BYTES = 1 << 20


def random_key(size_bytes: int) -> bytes:
    """Fresh key bytes from the operating system."""
    return secrets.token_bytes(size_bytes)


def read_private(path: Path) -> bytes:
    """The file's content. Raises `KeyringRefused` unless it is a file of this user's with mode 0600."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyringRefused(
            f"There is no key file at {path}. Set KEYRING_FILE and SIGNING_KEY_FILE, restore the file from a "
            f"backup, or create one for a new installation."
        ) from None
    except OSError as fault:
        raise KeyringRefused(f"The key file {path} cannot be opened: {fault.strerror}.") from None
    try:
        _refuse_unless_private(path, os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def _refuse_unless_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyringRefused(f"The key file {path} is not a regular file.")
    user = os.geteuid()
    if status.st_uid != user:
        raise KeyringRefused(
            f"The key file {path} belongs to user {status.st_uid}, this process runs as {user}. "
            f"Run: chown {user} {path}"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode != PRIVATE_MODE:
        raise KeyringRefused(f"The key file {path} has mode {mode:04o}, not 0600. Run: chmod 600 {path}")


def publish_private(path: Path, content: bytes, *, replace: bool) -> None:
    """Write the file with mode 0600, synced, in one step.

    Raises `FileExistsError` if it exists and `replace` is false.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, PRIVATE_MODE)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            draft.replace(path)
        else:
            # A hard link fails if the name is taken; a rename would overwrite.
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
