"""The local keyring: private, whole, never overwritten, and it says how to mend what is wrong."""

import base64
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from kernel.crypto.errors import CiphertextAltered, KeyRefused, KeyringRefused, KeyUnavailable
from kernel.crypto.providers.interface import canonical
from kernel.crypto.providers.keyring import LocalKeyFile, create_local_keyring
from kernel.crypto.values import KeyEncryptionKey, seal_value

KEY = bytes(range(32))
CONTEXT = {"organization_id": "a", "key_id": "1"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keyring.json"
    create_local_keyring(path)
    return path


def test_a_wrapped_key_comes_back_from_the_same_file(path: Path) -> None:
    ring = LocalKeyFile(path)
    root = ring.make_root("a-content")
    wrapped = ring.wrap(root, KEY, CONTEXT)
    assert KEY not in wrapped
    assert LocalKeyFile(path).unwrap(root, wrapped, dict(reversed(CONTEXT.items()))) == KEY


def test_a_wrapped_key_belongs_to_its_context(path: Path) -> None:
    ring = LocalKeyFile(path)
    root = ring.make_root("a-content")
    with pytest.raises(CiphertextAltered):
        ring.unwrap(root, ring.wrap(root, KEY, CONTEXT), {**CONTEXT, "organization_id": "b"})
    with pytest.raises(CiphertextAltered):
        ring.unwrap(ring.make_root("b-content"), ring.wrap(root, KEY, CONTEXT), CONTEXT)


def test_a_new_keyring_is_for_its_owner_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_new_keyring_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        create_local_keyring(tmp_path / "ring")
    finally:
        os.umask(before)
    assert LocalKeyFile(tmp_path / "ring").make_root("a") == "local:a"


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
        '{"format": 3, "roots": {}}',
        '{"format": 2, "keys": {}}',
        '{"format": 2, "roots": []}',
        '{"format": 2, "roots": {"a": {"key_id": "x", "key": ""}}}',
        '{"format": 2, "roots": {"a": {"key_id": "0197f0a0-0000-7000-8000-000000000000", "key": ""}}}',
        '{"format": 1, "keys": {"0197f0a0-0000-7000-8000-000000000000": {"key": "c2hvcnQ="}}}',
    ],
)
def test_a_damaged_keyring_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(KeyringRefused, match="Restore it from a backup"):
        LocalKeyFile(path)


def test_a_refusal_does_not_show_the_keys(path: Path) -> None:
    LocalKeyFile(path).make_root("a")
    document = json.loads(path.read_text())
    (entry,) = document["roots"].values()
    short = base64.b64encode(base64.b64decode(entry["key"])[:-1]).decode()
    entry["key"] = short
    path.write_text(json.dumps(document))
    with pytest.raises(KeyringRefused) as refusal:
        LocalKeyFile(path)
    assert short[:10] not in str(refusal.value)


def test_a_master_key_that_is_not_in_the_file_is_named(path: Path) -> None:
    for root in ("local:absent", "local:x"):
        with pytest.raises(KeyRefused, match=root):
            LocalKeyFile(path).unwrap(root, b"", CONTEXT)


def test_a_destroyed_master_key_is_gone_from_the_file_and_its_neighbours_stay(path: Path) -> None:
    ring, other = LocalKeyFile(path), LocalKeyFile(path)
    gone, stays = ring.make_root("a-content"), ring.make_root("b-content")
    wrapped = {root: ring.wrap(root, KEY, CONTEXT) for root in (gone, stays)}
    secret = json.loads(path.read_text())["roots"]["a-content"]["key"]
    ring.destroy_root(gone)
    ring.destroy_root(gone)
    assert secret not in path.read_text()
    for process in (ring, other, LocalKeyFile(path)):
        with pytest.raises(KeyRefused):
            process.unwrap(gone, wrapped[gone], CONTEXT)
        assert process.unwrap(stays, wrapped[stays], CONTEXT) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_root_is_made_once_however_many_ask(path: Path) -> None:
    rings = [LocalKeyFile(path) for _ in range(8)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        roots = set(pool.map(lambda ring: ring.make_root("a-content"), rings))
        others = set(pool.map(lambda place: rings[place].make_root(f"{place}-content"), range(8)))
    assert roots == {"local:a-content"}
    assert set(json.loads(path.read_text())["roots"]) == {"a-content"} | {
        root.removeprefix("local:") for root in others
    }
    wrapped = rings[0].wrap("local:a-content", KEY, CONTEXT)
    assert all(ring.unwrap("local:a-content", wrapped, CONTEXT) == KEY for ring in rings)


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o644), lambda path: path.unlink()])
def test_a_file_that_is_spoilt_while_a_process_runs_opens_nothing_more(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    ring = LocalKeyFile(path)
    root = ring.make_root("a-content")
    wrapped = ring.wrap(root, KEY, CONTEXT)
    spoil(path)
    with pytest.raises(KeyUnavailable):
        ring.unwrap(root, wrapped, CONTEXT)
    with pytest.raises(KeyUnavailable):
        ring.make_root("b-content")


def test_a_file_of_the_format_before_still_unwraps(path: Path) -> None:
    name = "0197f0a0-0000-7000-8000-000000000000"
    master = KeyEncryptionKey(UUID(name), b"m" * 32)
    entry = {"key": base64.b64encode(master.secret).decode(), "created_at": "2026-01-01T00:00:00+00:00"}
    path.write_text(json.dumps({"format": 1, "primary": name, "keys": {name: entry}}))
    ring, wrapped = LocalKeyFile(path), seal_value(master, KEY, canonical(CONTEXT))
    assert ring.unwrap(f"local:{name}", wrapped, CONTEXT) == KEY
    ring.make_root("a-content")
    assert LocalKeyFile(path).unwrap(f"local:{name}", wrapped, CONTEXT) == KEY
