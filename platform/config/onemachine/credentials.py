"""The platform's own secrets: made once at random, kept in files that only their owner can read."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.onemachine.layout import write_private


@dataclass(frozen=True)
class Credentials:
    """Every secret that the processes of one machine share."""

    secret_key: str
    api_key_pepper: str
    pod_key: str
    postgres_superuser: str
    postgres_owner: str
    postgres_app: str
    valkey: str
    s3_admin_secret: str
    s3_secret: str


S3_ADMIN_KEY_ID = "loomworks-admin"
S3_KEY_ID = "loomworks"


def kept(folder: Path, name: str, make: Callable[[], str]) -> str:
    """The secret of that name, made on first use."""
    path = folder / name
    if not path.exists():
        write_private(path, make())
    return path.read_text(encoding="utf-8").strip()


def load(folder: Path) -> Credentials:
    """Read the secrets in the folder, making those that are not there yet."""

    def password(name: str) -> str:
        return kept(folder, name, lambda: secrets.token_urlsafe(32))

    return Credentials(
        secret_key=password("secret_key"),
        # The pepper is 32 bytes, written in hex.
        api_key_pepper=kept(folder, "api_key_pepper", lambda: secrets.token_hex(32)),
        pod_key=password("pod_key"),
        postgres_superuser=password("postgres_superuser"),
        postgres_owner=password("postgres_owner"),
        postgres_app=password("postgres_app"),
        valkey=password("valkey"),
        s3_admin_secret=password("s3_admin_secret"),
        s3_secret=password("s3_secret"),
    )
