"""An uploaded adapter: a plain tar of exactly two plain files."""

import shutil
import tarfile
from pathlib import Path

from inference.engine.faults import InvalidAdapter
from training.recipes.artifact import ADAPTER_FILES

_CONFIG_BYTES = 64 << 10


def unpack(archive: Path, folder: Path, limit_bytes: int) -> None:
    """Write the two files of `archive` into `folder`.

    Raises `InvalidAdapter` for anything but one uncompressed tar with exactly `adapter_config.json`
    and `adapter_model.safetensors`, each a regular file within its limit.
    """
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for _ in ADAPTER_FILES:
                _unpack_next(tar, folder, limit_bytes)
            if (extra := tar.next()) is not None:
                raise InvalidAdapter(f"`{extra.name}` does not belong to an adapter")
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as fault:
        raise InvalidAdapter(f"the body is not an uncompressed tar: {fault}") from fault


def _unpack_next(tar: tarfile.TarFile, folder: Path, limit_bytes: int) -> None:
    member = tar.next()
    if member is None:
        raise InvalidAdapter(f"it needs {ADAPTER_FILES[0]} and {ADAPTER_FILES[1]}")
    # Never `extract`: names, links, devices and sparse files are not to be trusted.
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise InvalidAdapter(f"`{member.name}` is not a plain file")
    if member.name not in ADAPTER_FILES:
        raise InvalidAdapter(f"`{member.name}` does not belong to an adapter")
    if member.size > (_CONFIG_BYTES if member.name.endswith(".json") else limit_bytes):
        raise InvalidAdapter(f"`{member.name}` is too large")
    content = tar.extractfile(member)
    target = folder / member.name
    if content is None or target.exists():
        raise InvalidAdapter(f"`{member.name}` is given twice or is empty")
    with target.open("xb") as stream:
        shutil.copyfileobj(content, stream)
    if target.stat().st_size != member.size:
        raise InvalidAdapter(f"`{member.name}` is cut short")
