"""What the command line and the environment decide for one pod."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The bounds a pod works within; each is a flag of the command line or a constant of TGI's."""

    context_tokens: int = 8192
    max_concurrent_requests: int = 128
    max_instances: int = 4
    slots_per_instance: int = 8
    # With LoRA, llama.cpp's float kernels round differently for one row and for several: requests that
    # share a batch may then differ from each alone. One slot keeps greedy answers exact.
    adapter_slots: int = 1
    idle_seconds: float = 300.0
    grace_seconds: float = 20.0
    stall_seconds: float = 120.0
    start_seconds: float = 60.0
    max_adapters: int = 256
    adapter_bytes: int = 256 * MIB
    body_bytes: int = 2 * MIB
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    default_new_tokens: int = 1024

    # A character takes at most four byte tokens: three more than asked may be needed to name the last one.
    spare_tokens: int = 4

    @property
    def max_total_tokens(self) -> int:
        """What input and output may have together: what callers are told the context is."""
        return self.context_tokens

    @property
    def held_tokens(self) -> int:
        """The context that an instance is started with."""
        return self.context_tokens + self.spare_tokens


@dataclass(frozen=True)
class Settings:
    """Everything one pod needs to start."""

    model_dir: Path
    state_dir: Path
    host: str
    port: int
    key: str
    limits: Limits
