"""Artifacts are named by their content and are whole or absent."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from training.recipes import artifact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    (made / "b.txt").write_text("two")
    (made / "deep" / "a.txt").write_text("one")
    return made


def test_the_digest_is_the_hash_of_sorted_paths_and_content_hashes(folder: Path) -> None:
    two, one = hashlib.sha256(b"two").hexdigest(), hashlib.sha256(b"one").hexdigest()
    canonical = f'{{"b.txt":"{two}","deep/a.txt":"{one}"}}'
    assert artifact.digest(folder) == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_digest_does_not_depend_on_place_or_dates_or_the_manifest(folder: Path, tmp_path: Path) -> None:
    before = artifact.digest(folder)
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    os.utime(copy / "b.txt", (0, 0))
    artifact.write_manifest(copy, {"name": "x"})
    assert artifact.digest(copy) == before


def test_the_digest_changes_with_content_and_with_names(folder: Path) -> None:
    before = artifact.digest(folder)
    (folder / "b.txt").rename(folder / "c.txt")
    renamed = artifact.digest(folder)
    (folder / "c.txt").write_text("three")
    assert len({before, renamed, artifact.digest(folder)}) == 3


def test_an_untouched_folder_verifies_and_returns_its_manifest(folder: Path) -> None:
    written = artifact.write_manifest(folder, {"name": "x"})
    assert artifact.verify(folder) == written
    assert written["digest"] == artifact.digest(folder)


@pytest.mark.parametrize("damage", ["change", "remove", "add", "no manifest", "forged digest"])
def test_any_damage_is_noticed(folder: Path, damage: str) -> None:
    manifest = artifact.write_manifest(folder, {})
    if damage == "change":
        (folder / "b.txt").write_text("twO")
    elif damage == "remove":
        (folder / "b.txt").unlink()
    elif damage == "add":
        (folder / "c.txt").touch()
    elif damage == "no manifest":
        (folder / artifact.MANIFEST).unlink()
    else:
        (folder / artifact.MANIFEST).write_text(json.dumps({**manifest, "digest": "0" * 64}))
    with pytest.raises(artifact.Incomplete):
        artifact.verify(folder)


def test_symbolic_links_are_refused(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(artifact.Incomplete):
        artifact.digest(folder)


def test_an_adapter_is_exactly_two_files(folder: Path) -> None:
    with pytest.raises(artifact.Incomplete, match=r"adapter_config\.json"):
        artifact.adapter_files(folder)
    for name in artifact.ADAPTER_FILES:
        (folder / name).touch()
    assert [path.name for path in artifact.adapter_files(folder)] == list(artifact.ADAPTER_FILES)


def test_a_failure_while_writing_leaves_nothing_and_keeps_what_was_there(folder: Path) -> None:
    before = artifact.digest(folder)
    with pytest.raises(RuntimeError), artifact.publishing(folder) as partial:  # noqa: PT012
        (partial / "half").touch()
        raise RuntimeError
    assert artifact.digest(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_a_publication_replaces_the_folder_as_a_whole(folder: Path) -> None:
    with artifact.publishing(folder) as partial:
        assert not (partial / "b.txt").exists()
        (partial / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_leftovers_of_a_crash_are_swept_and_nothing_else(folder: Path) -> None:
    leftover, other = folder.parent / ".made.partial-0123abcd", folder.parent / ".config"
    leftover.mkdir()
    other.mkdir()
    artifact.remove_leftovers(folder.parent)
    assert (leftover.exists(), other.exists(), folder.exists()) == (False, True, True)
