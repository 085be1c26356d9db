"""Refuse passwords known from breaches, by a local copy of Have I Been Pwned's list. Nothing leaves here."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.translation import gettext as _

HASH_CHARACTERS = 40


class NotBreached:
    """Django's password validator: a password on the list of `BREACHED_PASSWORDS_FILE` is refused."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises `ValidationError` for a password on the list; without a list every password passes."""
        if settings.BREACHED_PASSWORDS_FILE and is_listed(password, Path(settings.BREACHED_PASSWORDS_FILE)):
            raise ValidationError(
                _("This password is known from a data breach. Choose another one."), code="password_breached"
            )

    def get_help_text(self) -> str:
        """What is asked of a password, for the form."""
        return _("Your password cannot be one that is known from a data breach.")


def is_listed(password: str, path: Path) -> bool:
    """Whether the list has the password: a bisection of about 35 reads in the file as it lies on the disk.

    The file has a line `SHA1:count` for each password, the hashes in capitals and in order, as
    haveibeenpwned.com publishes it. Raises `OSError` where it cannot be read.
    """
    # SHA-1 is the list's key, not a protection.
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    low, high = 0, path.stat().st_size
    with path.open("rb") as file:
        while low < high:
            middle = (low + high) // 2
            start = _line_from(file, middle)
            if start >= high:
                high = middle
                continue
            found = file.readline()[:HASH_CHARACTERS].upper()
            if found == wanted:
                return True
            if found < wanted:
                low = file.tell()
            else:
                high = middle
    return False


def _line_from(file: Any, offset: int) -> int:
    """Go to the first line that begins at the offset or behind it; answers where that is."""
    file.seek(max(offset - 1, 0))
    if offset:
        file.readline()
    position: int = file.tell()
    return position


def require_readable(path: Path) -> None:
    """Stop the start over a list that is not there or is no such list. Raises `ImproperlyConfigured`."""
    try:
        with path.open("rb") as file:
            first = file.readline(HASH_CHARACTERS + 20)
    except OSError as fault:
        raise ImproperlyConfigured(f"BREACHED_PASSWORDS_FILE: {path} cannot be read: {fault}.") from None
    head, _colon, _count = first.partition(b":")
    if len(head) != HASH_CHARACTERS or head.translate(None, b"0123456789ABCDEFabcdef"):
        raise ImproperlyConfigured(
            f"BREACHED_PASSWORDS_FILE: {path} must have lines 'SHA1:count' in the order of their hashes."
        )
