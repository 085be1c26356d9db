"""The local keyring: private, whole, never overwritten, and it says how to mend what is wrong."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from kernel.crypto.errors import CiphertextAltered, KeyringRefused, KeyUnavailable
from kernel.crypto.keyring import LocalKeyFile, WrappedKey, add_primary_key, create_local_keyring

KEY = bytes(range(32))
CONTEXT = {"organization_id": "a", "key_id": "1"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keyring.json"
    create_local_keyring(path)
    return path


def test_a_wrapped_key_comes_back_from_the_same_file(path: Path) -> None:
    wrapped = LocalKeyFile(path).wrap(KEY, CONTEXT)
    assert KEY not in wrapped.ciphertext
    assert LocalKeyFile(path).unwrap(wrapped, dict(reversed(CONTEXT.items()))) == KEY


def test_a_wrapped_key_belongs_to_its_context(path: Path) -> None:
    ring = LocalKeyFile(path)
    with pytest.raises(CiphertextAltered):
        ring.unwrap(ring.wrap(KEY, CONTEXT), {**CONTEXT, "organization_id": "b"})


def test_a_new_keyring_is_for_its_owner_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_new_keyring_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        create_local_keyring(tmp_path / "ring")
    finally:
        os.umask(before)
    assert LocalKeyFile(tmp_path / "ring").primary_key_id.startswith("local:")


def test_a_keyring_is_never_overwritten(path: Path) -> None:
    content = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_local_keyring(path)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_half_written_keyring_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        create_local_keyring(tmp_path / "ring")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o400])
def test_another_mode_is_refused_with_the_command_that_mends_it(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(KeyringRefused, match=f"mode {mode:04o}, not 0600. Run: chmod 600 {path}"):
        LocalKeyFile(path)


def test_another_owner_is_refused_with_the_command_that_mends_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(KeyringRefused, match=f"Run: chown {owner + 1} {path}"):
        LocalKeyFile(path)


def test_a_link_and_a_folder_and_nothing_are_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    for wrong in (link, tmp_path, tmp_path / "absent"):
        with pytest.raises(KeyringRefused, match=str(wrong)):
            LocalKeyFile(wrong)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "primary": "x", "keys": {}}',
        '{"format": 1, "primary": "x", "keys": {}}',
        '{"format": 1, "primary": "0197f0a0-0000-7000-8000-000000000000", "keys": {}}',
        '{"format": 1, "primary": "0197f0a0-0000-7000-8000-000000000000", '
        '"keys": {"0197f0a0-0000-7000-8000-000000000000": {"key": "c2hvcnQ="}}}',
    ],
)
def test_a_damaged_keyring_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(KeyringRefused, match="Restore it from a backup"):
        LocalKeyFile(path)


def test_a_refusal_does_not_show_the_keys(path: Path) -> None:
    document = json.loads(path.read_text())
    (entry,) = document["keys"].values()
    short = base64.b64encode(base64.b64decode(entry["key"])[:-1]).decode()
    entry["key"] = short
    path.write_text(json.dumps(document))
    with pytest.raises(KeyringRefused) as refusal:
        LocalKeyFile(path)
    assert short[:10] not in str(refusal.value)


def test_a_new_primary_wraps_and_the_old_one_still_unwraps(path: Path) -> None:
    old = LocalKeyFile(path).wrap(KEY, CONTEXT)
    primary = add_primary_key(path)
    ring = LocalKeyFile(path)
    assert ring.primary_key_id == primary
    assert ring.wrap(KEY, CONTEXT).provider_key_id == primary != old.provider_key_id
    assert ring.unwrap(old, CONTEXT) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_master_key_that_is_not_in_the_file_is_named(path: Path, tmp_path: Path) -> None:
    create_local_keyring(tmp_path / "other")
    foreign = LocalKeyFile(tmp_path / "other").wrap(KEY, CONTEXT)
    for wrapped in (foreign, WrappedKey("aws-kms:arn", foreign.ciphertext), WrappedKey("local:x", b"")):
        with pytest.raises(KeyUnavailable, match=wrapped.provider_key_id):
            LocalKeyFile(path).unwrap(wrapped, CONTEXT)
