"""Signatures: checked with the public keys alone, with the keys of before a rotation too."""

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.crypto import signing
from kernel.crypto.errors import KeyringRefused
from kernel.crypto.signatures import Signature, SignatureRefused, read_public_keys, verify
from kernel.crypto.signing_keys import SigningKeys, create_signing_keys, rotate_signing_key

DOCUMENT = b"a document\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "signing.json"
    create_signing_keys(path)
    return path


def test_the_platform_signs_with_the_configured_keys() -> None:
    signature = signing.sign(DOCUMENT)
    assert len(signature.value) == 64
    verify(DOCUMENT, signature, signing.public_keys())


@given(document=st.binary(), other=st.binary())
def test_a_signature_is_its_documents_only(document: bytes, other: bytes) -> None:
    signature = signing.sign(document)
    verify(document, signature, signing.public_keys())
    if other != document:
        with pytest.raises(SignatureRefused, match="is not that of the key"):
            verify(other, signature, signing.public_keys())


@given(at=st.integers(0, 63), by=st.integers(1, 255))
def test_an_altered_signature_is_refused(at: int, by: int) -> None:
    signature = signing.sign(DOCUMENT)
    altered = bytearray(signature.value)
    altered[at] ^= by
    with pytest.raises(SignatureRefused):
        verify(DOCUMENT, Signature(signature.key_id, bytes(altered)), signing.public_keys())


def test_a_key_that_is_not_given_or_called_something_else_is_refused(path: Path, tmp_path: Path) -> None:
    create_signing_keys(tmp_path / "other")
    ours, other = SigningKeys(path), SigningKeys(tmp_path / "other")
    with pytest.raises(SignatureRefused, match="not among those given"):
        verify(DOCUMENT, other.sign(DOCUMENT), ours.public)
    with pytest.raises(SignatureRefused, match="is another one"):
        verify(DOCUMENT, ours.sign(DOCUMENT), {ours.current: other.public[other.current]})


def test_after_a_rotation_old_signatures_hold_and_the_old_key_can_sign_no_more(path: Path) -> None:
    before = SigningKeys(path)
    old = before.sign(DOCUMENT)
    name = rotate_signing_key(path)
    after = SigningKeys(path)
    assert (name, after.current) == (after.current, name)
    assert name != before.current
    verify(DOCUMENT, old, after.public)
    verify(DOCUMENT, after.sign(DOCUMENT), after.public)
    kept = json.loads(path.read_text())["keys"]
    assert [kept[before.current]["private_key"], len(kept)] == [None, 2]


def test_the_file_is_for_its_owner_only_and_never_overwritten(path: Path) -> None:
    content = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_signing_keys(path)
    rotate_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() != content
    path.chmod(0o644)
    with pytest.raises(KeyringRefused, match=f"mode 0644, not 0600. Run: chmod 600 {path}"):
        SigningKeys(path)


def swapped(document: dict[str, object]) -> None:
    (entry,) = document["keys"].values()  # type: ignore[attr-defined]
    entry["private_key"] = base64.b64encode(bytes(32)).decode()


def renamed(document: dict[str, object]) -> None:
    (entry,) = document["keys"].values()  # type: ignore[attr-defined]
    document["keys"] = {"0" * 32: entry}


def of_another_format(document: dict[str, object]) -> None:
    document["format"] = 2


@pytest.mark.parametrize("damage", [swapped, renamed, of_another_format, dict.clear])
def test_a_damaged_file_is_refused_without_showing_the_keys(path: Path, damage: object) -> None:
    document = json.loads(path.read_text())
    damage(document)  # type: ignore[operator]
    path.write_text(json.dumps(document))
    with pytest.raises(KeyringRefused, match="Restore the file from a backup") as refusal:
        SigningKeys(path)
    assert "private" not in str(refusal.value)


def test_a_text_holds_any_number_of_public_keys(path: Path) -> None:
    rotate_signing_key(path)
    public = SigningKeys(path).public
    assert read_public_keys("# ours\n" + "\n".join(public.values())) == public
    with pytest.raises(ValueError, match="no public key"):
        read_public_keys("nothing")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_openssl_checks_a_signature_too(path: Path, tmp_path: Path) -> None:
    keys = SigningKeys(path)
    (tmp_path / "key.pem").write_text(keys.public[keys.current])
    (tmp_path / "document").write_bytes(DOCUMENT)
    (tmp_path / "signature").write_bytes(keys.sign(DOCUMENT).value)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
    files = ["-in", "document", "-sigfile", "signature"]
    done = subprocess.run([*command, *files], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Verified Successfully" in done.stdout
