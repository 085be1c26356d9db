"""The adapters a pod keeps on its disk."""

from pathlib import Path

from inference.engine.base import Base
from inference.engine.faults import InvalidInput
from inference.engine.settings import Limits


class Adapters:
    """Adapters by id, kept under one private folder so that a restarted pod still has them."""

    def __init__(self, folder: Path, base: Base, limits: Limits) -> None:
        self._folder, self._base, self._limits = folder, base, limits
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __len__(self) -> int:
        return 0

    def require(self, adapter_id: str) -> None:
        raise InvalidInput(f"adapter_id `{adapter_id}` is not loaded on this pod")

    def gguf(self, adapter_id: str) -> Path:
        return self._folder / adapter_id / "adapter.gguf"
