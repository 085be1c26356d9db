"""Keepers of master keys that run while a test does."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from kernel.crypto.cache import cache
from kernel.crypto.providers import chosen
from tests.kernel.crypto.keepers import TOKEN, FakeKms, FakeVault, serving


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    """Vault, set up as the platform's; master keys are made where `KEY_PROVIDER` says."""
    keeper = FakeVault()
    with serving(keeper), override_settings(VAULT_ADDRESS=keeper.url, VAULT_TOKEN=TOKEN, VAULT_TOKEN_FILE=""):
        yield keeper
    cache.forget()


@pytest.fixture
def kms() -> Iterator[FakeKms]:
    """AWS KMS, set up as the platform's."""
    keeper = FakeKms()
    with (
        serving(keeper),
        override_settings(
            AWS_KMS_ENDPOINT_URL=keeper.url,
            AWS_KMS_REGION="eu-central-1",
            AWS_KMS_ACCESS_KEY_ID="AKIA",
            AWS_KMS_SECRET_ACCESS_KEY="secret",
        ),
    ):
        chosen.aws_client.cache_clear()
        yield keeper
    chosen.aws_client.cache_clear()
    cache.forget()
