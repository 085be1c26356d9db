"""Typed reading of environment variables: a missing or wrong one stops the start and says which."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, *, default: str | None = None) -> str:
    """A text; required without a default."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"The environment variable {name} is not set; see docs/settings.md.")
    return value


def secret(name: str, *, at_least: int) -> str:
    """A required secret of at least so many characters."""
    value = text(name)
    if len(value) < at_least:
        raise ImproperlyConfigured(f"{name} is too short: it needs at least {at_least} characters.")
    return value


def boolean(name: str, *, default: bool) -> bool:
    """`true` or `false`."""
    value = text(name, default=str(default)).lower()
    if value not in {"true", "false"}:
        raise ImproperlyConfigured(f"{name} must be 'true' or 'false', not '{value}'.")
    return value == "true"


def whole_number(name: str, *, default: int, within: range | None = None) -> int:
    """A whole number, zero or more."""
    value = os.environ.get(name, "")
    if not value:
        return default
    if not value.isdecimal():
        raise ImproperlyConfigured(f"{name} must be a whole number, not '{value}'.")
    if within is not None and int(value) not in within:
        raise ImproperlyConfigured(f"{name} must be from {within[0]} to {within[-1]}, not {value}.")
    return int(value)


def one_of(name: str, choices: list[str], *, default: str) -> str:
    """One of these words."""
    value = text(name, default=default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not '{value}'.")
    return value


def matching(name: str, pattern: str, what: str) -> str:
    """A text of this form, or none."""
    value = text(name, default="")
    if value and not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name} must be {what}, not '{value}'.")
    return value


def words(name: str, *, default: list[str]) -> list[str]:
    """Words separated by commas."""
    return [word.strip() for word in text(name, default=",".join(default)).split(",") if word.strip()]


def whole_numbers(name: str, *, default: list[int]) -> list[int]:
    """Whole numbers separated by commas."""
    found = words(name, default=[str(number) for number in default])
    if not all(word.isdecimal() for word in found):
        raise ImproperlyConfigured(f"{name} must be whole numbers separated by commas, not '{found}'.")
    return [int(word) for word in found]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Networks like `10.1.0.0/16`, separated by commas; none unless they are named."""
    try:
        return [ip_network(word) for word in words(name, default=[])]
    except ValueError as fault:
        raise ImproperlyConfigured(f"{name} must be networks like 10.1.0.0/16: {fault}.") from None


def url(name: str, *, default: str) -> str:
    """An address with a scheme and a host, without a trailing slash."""
    value = text(name, default=default).rstrip("/")
    parts = urlsplit(value)
    if not parts.scheme or not parts.hostname:
        raise ImproperlyConfigured(f"{name} must be an address like 'scheme://host:port'.")
    return value


def optional_url(name: str, *, required: bool = False) -> str:
    """An address as `url` reads it, or none."""
    return url(name, default="") if required or os.environ.get(name) else ""


def folder(name: str, *, default: Path) -> Path:
    """A path, made absolute."""
    return Path(text(name, default=str(default))).expanduser().resolve()


def private_folder(name: str, *, default: Path) -> Path:
    """A folder for our eyes only, made when it is not there."""
    path = folder(name, default=default)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        raise ImproperlyConfigured(f"{name}: the folder {path} cannot be made: {fault.strerror}.") from None
    return path


def hexadecimal(name: str, *, length_bytes: int) -> bytes:
    """A required secret in hexadecimal digits."""
    value = text(name)
    try:
        decoded = bytes.fromhex(value)
    except ValueError:
        decoded = b""
    if len(decoded) != length_bytes:
        raise ImproperlyConfigured(f"{name} must be {length_bytes * 2} hexadecimal digits.")
    return decoded


def database(name: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name` as Django's settings."""
    parts = urlsplit(text(name))
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or len(parts.path) < 2:
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:port/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
    }
