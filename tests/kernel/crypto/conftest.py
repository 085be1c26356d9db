"""Keepers of master keys that run while a test does."""

from collections.abc import Iterator

import pytest

from tests.kernel.crypto.keepers import FakeKms, FakeVault, kms_of_the_platform, vault_of_the_platform


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    """Vault, set up as the platform's; master keys are made where `KEY_PROVIDER` says."""
    with vault_of_the_platform() as keeper:
        yield keeper


@pytest.fixture
def kms() -> Iterator[FakeKms]:
    """AWS KMS, set up as the platform's."""
    with kms_of_the_platform() as keeper:
        yield keeper
