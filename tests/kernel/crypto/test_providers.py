"""AWS KMS and Vault transit as keepers of master keys: over the wire, and in every way in which they fail."""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import override_settings

from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyUnavailable
from kernel.crypto.providers import chosen
from kernel.crypto.providers.interface import KeyProvider
from tests.kernel.crypto.keepers import TOKEN, FakeKms, FakeVault

# It talks to key providers over HTTP, and waits for slow ones.
pytestmark = pytest.mark.services

KEY = bytes(range(32))
CONTEXT = {"organization_id": "a", "key_id": "1"}
PATIENCE_SECONDS = 12.0


def made(scheme: str) -> tuple[KeyProvider, str]:
    with override_settings(KEY_PROVIDER=scheme):
        provider = chosen.chosen()
    return provider, provider.make_root(f"{uuid4()}-content")


def goes_round(scheme: str) -> None:
    provider, root = made(scheme)
    assert root.startswith(f"{scheme}:")
    wrapped = provider.wrap(root, KEY, CONTEXT)
    assert KEY not in wrapped
    assert chosen.provider_of(root).unwrap(root, wrapped, dict(reversed(CONTEXT.items()))) == KEY
    with pytest.raises(CiphertextAltered):
        provider.unwrap(root, wrapped, {**CONTEXT, "organization_id": "b"})
    with pytest.raises(CiphertextAltered):
        provider.unwrap(root, wrapped[:-4] + bytes(4), CONTEXT)
    other = provider.make_root("another")
    with pytest.raises(CiphertextAltered):
        provider.unwrap(other, wrapped, CONTEXT)


def test_vault_wraps_and_unwraps(vault: FakeVault) -> None:
    goes_round("vault")


def test_kms_wraps_and_unwraps(kms: FakeKms) -> None:
    goes_round("aws-kms")


def is_gone(provider: KeyProvider, root: str) -> None:
    wrapped = provider.wrap(root, KEY, CONTEXT)
    provider.destroy_root(root)
    provider.destroy_root(root)
    with pytest.raises(KeyRefused):
        provider.unwrap(root, wrapped, CONTEXT)


def test_a_destroyed_master_key_in_vault_unwraps_nothing(vault: FakeVault) -> None:
    is_gone(*made("vault"))
    assert vault.keys == {}


def test_a_destroyed_master_key_in_kms_is_pending_deletion_and_unwraps_nothing(kms: FakeKms) -> None:
    provider, root = made("aws-kms")
    is_gone(provider, root)
    assert kms.states == {root.removeprefix("aws-kms:"): "PendingDeletion"}


def test_a_shared_key_in_kms_is_never_destroyed(kms: FakeKms) -> None:
    shared = kms.new_key()
    with override_settings(KEY_PROVIDER="aws-kms", AWS_KMS_SHARED_KEY=shared):
        provider = chosen.chosen()
        root = provider.make_root("one")
        assert root == provider.make_root("another") == f"aws-kms:{shared}"
        wrapped = provider.wrap(root, KEY, CONTEXT)
        provider.destroy_root(root)
        assert provider.unwrap(root, wrapped, CONTEXT) == KEY


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        (lambda vault: vault.tokens.clear(), KeyRefused),
        (lambda vault: vault.keys.clear(), KeyRefused),
        (lambda vault: setattr(vault, "is_sealed", True), KeyUnavailable),
        (lambda vault: setattr(vault, "status", 500), KeyUnavailable),
        (lambda vault: setattr(vault, "status", 429), KeyUnavailable),
        (lambda vault: setattr(vault, "status", 502), KeyUnavailable),
        (lambda vault: setattr(vault, "status", 418), KeyUnavailable),
    ],
)
def test_vault_says_no_or_is_away(
    vault: FakeVault, break_it: Callable[[FakeVault], None], fault: type[KeyUnavailable]
) -> None:
    provider, root = made("vault")
    wrapped = provider.wrap(root, KEY, CONTEXT)
    break_it(vault)
    for act in (lambda: provider.wrap(root, KEY, CONTEXT), lambda: provider.unwrap(root, wrapped, CONTEXT)):
        with pytest.raises(KeyUnavailable) as found:
            act()
        assert (type(found.value), found.value.code, found.value.status) == (fault, "key_unavailable", 503)


@pytest.mark.parametrize(
    ("name", "status", "fault"),
    [
        ("AccessDeniedException", 400, KeyRefused),
        ("DisabledException", 400, KeyRefused),
        ("KMSInvalidStateException", 400, KeyRefused),
        ("NotFoundException", 400, KeyRefused),
        ("UnrecognizedClientException", 400, KeyRefused),
        ("ThrottlingException", 400, KeyUnavailable),
        ("LimitExceededException", 400, KeyUnavailable),
        ("DependencyTimeoutException", 503, KeyUnavailable),
        ("KMSInternalException", 500, KeyUnavailable),
    ],
)
def test_kms_says_no_or_is_away(kms: FakeKms, name: str, status: int, fault: type[KeyUnavailable]) -> None:
    provider, root = made("aws-kms")
    wrapped = provider.wrap(root, KEY, CONTEXT)
    kms.fault, kms.status = name, status
    for act in (lambda: provider.wrap(root, KEY, CONTEXT), lambda: provider.unwrap(root, wrapped, CONTEXT)):
        with pytest.raises(KeyUnavailable) as found:
            act()
        assert type(found.value) is fault


def test_a_disabled_key_and_one_pending_deletion_refuse(kms: FakeKms) -> None:
    provider, root = made("aws-kms")
    wrapped = provider.wrap(root, KEY, CONTEXT)
    for state in ("Disabled", "PendingDeletion", "PendingImport", "Unavailable"):
        kms.states[root.removeprefix("aws-kms:")] = state
        with pytest.raises(KeyRefused):
            provider.unwrap(root, wrapped, CONTEXT)
    kms.states.clear()
    assert provider.unwrap(root, wrapped, CONTEXT) == KEY


def is_not_waited_for(provider: KeyProvider, root: str) -> None:
    began = time.monotonic()
    with pytest.raises(KeyUnavailable) as found:
        provider.wrap(root, KEY, CONTEXT)
    assert not isinstance(found.value, KeyRefused)
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_slow_vault_is_not_waited_for(vault: FakeVault) -> None:
    provider, root = made("vault")
    vault.slow_seconds = 20
    is_not_waited_for(provider, root)


def test_a_slow_kms_is_not_waited_for(kms: FakeKms) -> None:
    provider, root = made("aws-kms")
    kms.slow_seconds = 20
    is_not_waited_for(provider, root)


def test_keepers_that_are_not_there_are_unavailable() -> None:
    nowhere = {
        "VAULT_ADDRESS": "http://127.0.0.1:9",
        "VAULT_TOKEN": TOKEN,
        "AWS_KMS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    chosen.aws_client.cache_clear()
    with override_settings(**nowhere, AWS_KMS_ACCESS_KEY_ID="A", AWS_KMS_SECRET_ACCESS_KEY="s"):
        for root in ("vault:name", "aws-kms:arn:aws:kms:eu-central-1:1:key/1"):
            is_not_waited_for(chosen.provider_of(root), root)
    chosen.aws_client.cache_clear()


def test_an_answer_that_is_none_of_vaults_is_no_answer(
    vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, root = made("vault")
    for content in (b"<html>", b"{}", b'{"data": null}', b'{"data": {"plaintext": "no base64"}}'):
        monkeypatch.setattr(vault, "reply", lambda *request, content=content: (200, content))
        with pytest.raises(KeyUnavailable):
            provider.unwrap(root, b"vault:v1:x", CONTEXT)


def test_a_token_is_read_from_its_file_each_time(vault: FakeVault, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("hvs.first\n")
    vault.tokens = {"hvs.first"}
    with override_settings(VAULT_TOKEN="", VAULT_TOKEN_FILE=str(file)):
        provider, root = made("vault")
        file.write_text("hvs.second\n")
        vault.tokens = {"hvs.second"}
        provider.wrap(root, KEY, CONTEXT)
        file.chmod(0o644)
        with pytest.raises(KeyUnavailable, match="chmod 600"):
            provider.wrap(root, KEY, CONTEXT)


def test_a_root_of_an_unknown_provider_is_unavailable() -> None:
    with pytest.raises(KeyUnavailable, match="pkcs11"):
        chosen.provider_of("pkcs11:slot")
    with override_settings(VAULT_ADDRESS=""), pytest.raises(KeyUnavailable, match="VAULT_ADDRESS"):
        chosen.provider_of("vault:name")
