"""What can go wrong with keys and ciphertext."""

from kernel.errors import DomainError, Unavailable


class KeyringRefused(RuntimeError):
    """A key file cannot be used as it is: the process must not start. The text says how to mend it."""


class KeyUnavailable(Unavailable):
    """The keeper of the master keys does not answer, or refuses."""

    code = "key_unavailable"
    message = "The organization's encryption key cannot be reached at the moment; try again in a few seconds."


class KeyDestroyed(DomainError):
    """The key was destroyed on purpose; what it protected cannot be read again by anybody."""

    code, status = "key_destroyed", 410
    message = "The encryption key of this content was destroyed; the content cannot be recovered."


class CiphertextAltered(DomainError):
    """Stored bytes are not those that were written, or not at the place where they were written."""

    code, status = "ciphertext_altered", 500
    message = "The stored content failed its integrity check and was not used; restore it from a backup."
