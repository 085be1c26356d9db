"""The platform's own key providers, as the settings say."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from django.conf import settings

from kernel.crypto import keyfile
from kernel.crypto.errors import KeyringRefused, KeyUnavailable
from kernel.crypto.providers import keyring, kms, vault
from kernel.crypto.providers.interface import KeyProvider

LOCAL, AWS_KMS, VAULT = keyring.SCHEME, kms.SCHEME, vault.SCHEME


def chosen() -> KeyProvider:
    """Where new master keys are made (`KEY_PROVIDER`). Raises `KeyringRefused`: call it at start."""
    return _provider(settings.KEY_PROVIDER)


def shared_root() -> str:
    """The master key that wraps for every organization, where the operator wants that; else empty."""
    return f"{AWS_KMS}:{settings.AWS_KMS_SHARED_KEY}" if settings.AWS_KMS_SHARED_KEY else ""


def provider_of(root: str) -> KeyProvider:
    """Who keeps this root. Raises `KeyUnavailable` where that provider is not set up here."""
    scheme = root.partition(":")[0]
    if scheme not in {LOCAL, AWS_KMS, VAULT}:
        raise KeyUnavailable(f"No key provider keeps '{root}'.")
    try:
        return _provider(scheme)
    except KeyringRefused as fault:
        raise KeyUnavailable(str(fault)) from fault


def _provider(scheme: str) -> KeyProvider:
    if scheme == AWS_KMS:
        return kms.AwsKms(
            aws_client("kms", settings.AWS_KMS_REGION),
            shared_key=settings.AWS_KMS_SHARED_KEY,
            deletion_days=settings.AWS_KMS_DELETION_DAYS,
        )
    if scheme == VAULT:
        if not settings.VAULT_ADDRESS:
            raise KeyringRefused("Master keys are in Vault, and VAULT_ADDRESS is not set.")
        place = vault.VaultPlace(
            settings.VAULT_ADDRESS, settings.VAULT_MOUNT, settings.VAULT_NAMESPACE, settings.VAULT_CA_FILE
        )
        return vault.VaultTransit(place, _vault_token)
    return _key_file(Path(settings.KEYRING_FILE))


@lru_cache(maxsize=64)
def aws_client(service: str, region: str) -> Any:
    """A client of AWS, as the platform."""
    own = {
        "aws_access_key_id": settings.AWS_KMS_ACCESS_KEY_ID or None,
        "aws_secret_access_key": settings.AWS_KMS_SECRET_ACCESS_KEY or None,
    }
    return new_aws_client(service, region, own)


def new_aws_client(service: str, region: str, credentials: Mapping[str, str | None]) -> Any:
    """A client of AWS, with these credentials."""
    make: Any = boto3.session.Session().client
    endpoint = settings.AWS_KMS_ENDPOINT_URL or None
    return make(service, region_name=region, endpoint_url=endpoint, config=kms.CONFIG, **credentials)


@lru_cache(maxsize=4)
def _key_file(path: Path) -> KeyProvider:
    return keyring.LocalKeyFile(path)


def _vault_token() -> str:
    if not settings.VAULT_TOKEN_FILE:
        return str(settings.VAULT_TOKEN)
    try:
        return keyfile.read_private(Path(settings.VAULT_TOKEN_FILE)).decode().strip()
    except KeyringRefused as fault:
        raise KeyUnavailable(str(fault)) from fault
