"""The adapters a pod keeps on its disk: each checked, named by its digest, converted once."""

import asyncio
import json
import logging
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from inference.engine.adapter_archive import unpack
from inference.engine.base import Base
from inference.engine.faults import InvalidAdapter, InvalidInput, NotFound
from inference.engine.lora_files import read_alpha, read_tensors
from inference.engine.settings import Limits
from training.recipes import artifact

log = logging.getLogger(__name__)

_ID = re.compile(r"adapter-[0-9a-f]{64}")
_CONVERT_SECONDS = 120
IDENTICAL, DIFFERENT = "identical to base", "differs from base"


@dataclass
class Adapter:
    """One adapter on the pod's disk; `effect` is known once it was loaded."""

    adapter_id: str
    folder: Path
    bytes: int
    created_at: int
    effect: str | None = None

    @property
    def gguf(self) -> Path:
        return self.folder / "adapter.gguf"

    def body(self) -> dict[str, Any]:
        facts = {"adapter_id": self.adapter_id, "digest": self.adapter_id.removeprefix("adapter-")}
        return facts | {"bytes": self.bytes, "created_at": self.created_at, "effect": self.effect}


class Adapters:
    """Adapters by id, kept under one private folder so that a restarted pod still has them."""

    def __init__(self, folder: Path, base: Base, limits: Limits) -> None:
        self._folder, self._base, self._limits = folder, base, limits
        self._known: dict[str, Adapter] = {}
        self._installing = asyncio.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._find_kept()

    def __len__(self) -> int:
        return len(self._known)

    def all(self) -> list[Adapter]:
        return list(self._known.values())

    def require(self, adapter_id: str) -> Adapter:
        """Return the adapter; raise `InvalidInput` when this pod does not have it."""
        if (adapter := self._known.get(adapter_id)) is None:
            raise InvalidInput(f"adapter_id `{adapter_id[:100]}` is not loaded on this pod")
        return adapter

    async def put(self, adapter_id: str, body: AsyncIterator[bytes]) -> tuple[Adapter, bool]:
        """Store an uploaded adapter; return it and whether it is new. Putting it again changes nothing.

        Raises `InvalidAdapter`, naming what is wrong, `BodyTooLarge` from the body's own limit.
        """
        if not _ID.fullmatch(adapter_id):
            raise InvalidAdapter("its id must be `adapter-` and the 64 hexadecimal digits of its digest")
        incoming = self._folder / f".incoming-{secrets.token_hex(8)}"
        try:
            await asyncio.to_thread((incoming / "files").mkdir, parents=True, mode=0o700)
            await _receive(incoming / "body.tar", body)
            async with self._installing:
                return await asyncio.to_thread(self._install, adapter_id, incoming)
        finally:
            await asyncio.to_thread(shutil.rmtree, incoming, ignore_errors=True)

    def remove(self, adapter_id: str) -> None:
        """Forget an adapter and delete its files; raise `NotFound` when there is none."""
        if (adapter := self._known.pop(adapter_id, None)) is None:
            raise NotFound(f"There is no adapter {adapter_id[:100]}.")
        shutil.rmtree(adapter.folder, ignore_errors=True)

    def _install(self, adapter_id: str, incoming: Path) -> tuple[Adapter, bool]:
        files = incoming / "files"
        unpack(incoming / "body.tar", files, self._limits.adapter_bytes)
        self._check(files)
        if (found := artifact.digest(files)) != adapter_id.removeprefix("adapter-"):
            raise InvalidAdapter(f"its digest is {found}, not the one in its id")
        if adapter_id in self._known:
            return self._known[adapter_id], False
        if len(self._known) >= self._limits.max_adapters:
            raise InvalidAdapter(f"this pod already keeps {len(self._known)} adapters; delete one first")
        with artifact.publishing(self._folder / adapter_id) as folder:
            files.rename(folder / "files")
            self._convert(folder)
        adapter = self._known[adapter_id] = self._adapter(adapter_id)
        return adapter, True

    def _check(self, files: Path) -> None:
        rank, _ = read_alpha(files / artifact.ADAPTER_FILES[0])
        read_tensors(files / artifact.ADAPTER_FILES[1], self._base.tensors, rank)

    def _convert(self, folder: Path) -> None:
        task = {
            "adapter": str(folder / "files"),
            "output": str(folder / "adapter.gguf"),
            "tensors": self._base.tensors,
            "heads": self._base.heads,
            "kv_heads": self._base.kv_heads,
        }
        done = subprocess.run(
            [sys.executable, "-m", "inference.engine.lora_gguf"],
            input=json.dumps(task).encode() + b"\n",
            capture_output=True,
            check=False,
            timeout=_CONVERT_SECONDS,
        )
        if done.returncode != 0:
            log.error("conversion failed: %s", done.stderr.decode("utf-8", "replace")[-500:])
            raise InvalidAdapter(done.stdout.decode("utf-8", "replace") or "it cannot be converted")

    def _adapter(self, adapter_id: str) -> Adapter:
        folder = self._folder / adapter_id
        paths = artifact.adapter_files(folder / "files")
        size = sum(path.stat().st_size for path in paths)
        return Adapter(adapter_id, folder, size, int(min(time(), folder.stat().st_mtime)))

    def _find_kept(self) -> None:
        for path in self._folder.iterdir():
            if _ID.fullmatch(path.name) and self._whole(path):
                self._known[path.name] = self._adapter(path.name)
            else:
                log.warning("removing %s: it is not a whole adapter", path.name)
                shutil.rmtree(path, ignore_errors=True)

    def _whole(self, folder: Path) -> bool:
        try:
            found = artifact.digest(folder / "files")
        except (artifact.Incomplete, OSError):
            return False
        return found == folder.name.removeprefix("adapter-") and (folder / "adapter.gguf").is_file()


async def _receive(path: Path, body: AsyncIterator[bytes]) -> None:
    stream = await asyncio.to_thread(path.open, "xb")
    with stream:
        async for piece in body:
            stream.write(piece)
