"""API key secrets: `lw_`, 32 random base-62 characters, and a checksum that secret scanners can verify."""

import hashlib
import hmac
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX = "lw_"
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6


def new_secret() -> str:
    """A fresh secret with 190 bits of randomness."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return PREFIX + body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Whether the text has the form and the checksum of a secret; says nothing of its being valid."""
    body = secret[len(PREFIX) : -CHECKSUM_CHARACTERS]
    return secret.startswith(PREFIX) and len(body) == RANDOM_CHARACTERS and secret.endswith(_checksum(body))


def keyed_hash(secret: str, pepper: bytes) -> str:
    """What is stored of a secret: HMAC-SHA-256 under the pepper, in hexadecimal."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
