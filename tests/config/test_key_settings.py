"""Settings of key providers: a wrong one stops the start with a sentence that names it."""

import os
import subprocess
import sys

import pytest

# Each starts an interpreter.
pytestmark = pytest.mark.services


def start(**variables: str) -> str:
    """What loading the settings ends with: nothing, or the last line of the fault."""
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"KEY_PROVIDER": "pkcs11"}, "KEY_PROVIDER must be one of local, aws-kms, vault, not 'pkcs11'."),
        ({"KEY_PROVIDER": "vault"}, "VAULT_ADDRESS must be an address"),
        (
            {"VAULT_ADDRESS": "https://v.example"},
            "VAULT_ADDRESS needs one of VAULT_TOKEN and VAULT_TOKEN_FILE.",
        ),
        (
            {"VAULT_ADDRESS": "https://v.example", "VAULT_TOKEN": "t", "VAULT_TOKEN_FILE": "/f"},
            "VAULT_ADDRESS needs one of",
        ),
        ({"VAULT_ADDRESS": "vault"}, "VAULT_ADDRESS must be an address"),
        ({"AWS_KMS_SHARED_KEY": "alias/ours"}, "AWS_KMS_SHARED_KEY must be a key's ARN, not 'alias/ours'."),
        ({"AWS_KMS_DELETION_DAYS": "3"}, "AWS_KMS_DELETION_DAYS must be from 7 to 30, not 3."),
        ({"AWS_KMS_ENDPOINT_URL": "kms"}, "AWS_KMS_ENDPOINT_URL must be an address"),
    ],
)
def test_a_wrong_setting_is_named(variables: dict[str, str], sentence: str) -> None:
    assert sentence in start(**variables)


def test_the_settings_of_each_provider_load() -> None:
    arn = "arn:aws:kms:eu-central-1:111122223333:key/0000-1111"
    assert start(KEY_PROVIDER="aws-kms", AWS_KMS_SHARED_KEY=arn) == ""
    assert start(KEY_PROVIDER="vault", VAULT_ADDRESS="https://v.example:8200", VAULT_TOKEN="t") == ""
