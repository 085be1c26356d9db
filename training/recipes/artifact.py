"""Artifacts: folders of files named by the hash of what they hold, published whole or not at all."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_CHUNK_BYTES = 1 << 20


class Incomplete(Exception):
    """The folder is not what its manifest says: a file is missing, changed, or not a plain file."""


def adapter_files(folder: Path) -> list[Path]:
    """Return the paths of exactly the two files that make an adapter; raise `Incomplete` without them."""
    paths = [Path(folder) / name for name in ADAPTER_FILES]
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise Incomplete(f"The adapter has no plain file {path.name}.")
    return paths


def digest(folder: Path) -> str:
    """Return the hex SHA-256 that names the artifact in `folder`.

    It covers every file under `folder` but its own `manifest.json`, by relative path and content;
    dates, modes and the folder's name do not count. Raises `Incomplete` on symbolic links and devices.
    """
    return digest_of(file_hashes(folder))


def digest_of(files: Mapping[str, str]) -> str:
    """Return the hex SHA-256 of the canonical form of `{relative path: hex SHA-256 of content}`."""
    canonical = json.dumps(dict(files), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """Return `{relative POSIX path: hex SHA-256}` of each file under `folder`, its manifest left out."""
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    relative = {path.relative_to(folder).as_posix(): path for path in paths}
    relative.pop(MANIFEST, None)
    return {name: _hash_file(path) for name, path in relative.items()}


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write `manifest.json` into `folder`: `facts`, the hash of each file, and the digest. Return it."""
    files = file_hashes(folder)
    manifest = {**facts, "files": files, "digest": digest_of(files)}
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (Path(folder) / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Hash every file of `folder` again and return its manifest; raise `Incomplete` on any difference."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
        promised = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise Incomplete(f"{Path(folder).name} has no readable {MANIFEST}.") from fault
    found = file_hashes(folder)
    if not isinstance(promised, dict) or found != promised:
        raise Incomplete(f"{Path(folder).name} differs from its manifest: {_difference(promised, found)}.")
    if manifest.get("digest") != digest_of(found):
        raise Incomplete(f"The digest in the manifest of {Path(folder).name} is not that of its files.")
    return dict(manifest)


@contextlib.contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Yield an empty sibling folder to fill; on success it takes the name `folder` in one rename.

    Everything is on the disk before the rename, so a folder that has its name is complete, whatever
    crashed. On an exception the sibling is removed and whatever `folder` was stays as it was.
    """
    folder = Path(folder).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial-{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        yield partial
        _sync_tree(partial)
        _take_name(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (made if missing) among processes of this machine, waiting for it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(parent: Path) -> None:
    """Remove what crashed publications left in `parent`. Only its only writer may call this."""
    if not Path(parent).is_dir():
        return
    for path in Path(parent).iterdir():
        if re.fullmatch(r"\..+\.(partial|replaced)-[0-9a-f]{8}", path.name):
            shutil.rmtree(path, ignore_errors=True)


def _take_name(partial: Path, folder: Path) -> None:
    replaced = folder.with_name(f".{folder.name}.replaced-{secrets.token_hex(4)}")
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_file(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise Incomplete(f"{path.name} is not a plain file.")
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _difference(promised: Iterable[str], found: Iterable[str]) -> str:
    missing, extra = sorted(set(promised) - set(found)), sorted(set(found) - set(promised))
    if missing:
        return f"{missing[0]} is missing"
    if extra:
        return f"{extra[0]} does not belong to it"
    return "a file has other content"
