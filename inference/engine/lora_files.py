"""What a PEFT LoRA adapter may hold: its configuration and its safetensors header, checked against a base.

Format: https://huggingface.co/docs/safetensors (8 bytes of little-endian length, a JSON header, the tensors).
"""

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.faults import InvalidAdapter

_HEADER_BYTES = 8 << 20
_MAX_RANK = 512
_DTYPE_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_NAME = re.compile(
    r"base_model\.model\.model\.layers\.(\d{1,4})\.(?:self_attn|mlp)\.([a-z]+_proj)\.lora_([AB])\.weight"
)
# PEFT's module names and llama.cpp's tensor names of the llama architecture.
MODULES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


@dataclass(frozen=True)
class LoraTensor:
    """One matrix of an adapter; `begin` is its place in the file in bytes, `side` A or B."""

    target: str
    side: str
    dtype: str
    shape: tuple[int, int]
    begin: int
    size: int


def read_alpha(config: Path) -> tuple[int, float]:
    """Return rank and effective alpha (so that the scale is alpha / rank) of an `adapter_config.json`.

    Raises `InvalidAdapter` for anything but a plain LoRA.
    """
    try:
        given = json.loads(config.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise InvalidAdapter("adapter_config.json is not JSON") from fault
    if not isinstance(given, dict) or given.get("peft_type") != "LORA":
        raise InvalidAdapter("adapter_config.json does not describe a LoRA (`peft_type`)")
    for name in _MUST_BE_OFF:
        if given.get(name) not in _OFF:
            raise InvalidAdapter(f"adapter_config.json uses `{name}`, which this engine does not serve")
    rank, alpha = given.get("r"), given.get("lora_alpha")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 < rank <= _MAX_RANK:
        raise InvalidAdapter(f"`r` in adapter_config.json must be an integer from 1 to {_MAX_RANK}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        raise InvalidAdapter("`lora_alpha` in adapter_config.json must be a positive number")
    return rank, alpha * math.sqrt(rank) if given.get("use_rslora") else float(alpha)


_OFF: tuple[object, ...] = (None, False, "none", [], {})
_MUST_BE_OFF = (
    *("bias", "use_dora", "use_qalora", "lora_bias", "fan_in_fan_out", "modules_to_save"),
    *("rank_pattern", "alpha_pattern", "layer_replication", "trainable_token_indices", "target_parameters"),
)


def read_tensors(path: Path, shapes: dict[str, tuple[int, ...]], rank: int) -> list[LoraTensor]:
    """Return the matrices of a safetensors file, each a known module's and of a shape that fits the base.

    `shapes` are the base's, `{GGUF name: (out, in)}`. Raises `InvalidAdapter`, naming what is wrong.
    """
    header, begin = _header(path)
    header.pop("__metadata__", None)
    tensors = [_tensor(name, entry, begin) for name, entry in header.items()]
    _check_pairs(tensors)
    _check_layout(tensors, begin, path.stat().st_size)
    for tensor in tensors:
        _check_shape(tensor, shapes, rank)
    return tensors


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        raw = stream.read(min(size, _HEADER_BYTES))
    if not 2 <= size <= _HEADER_BYTES or len(raw) != size or not raw.startswith(b"{"):
        raise InvalidAdapter("adapter_model.safetensors is not a safetensors file")
    try:
        header = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as fault:
        raise InvalidAdapter("adapter_model.safetensors has a damaged header") from fault
    return dict(header), 8 + size


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name is given twice")
    return dict(pairs)


def _tensor(name: str, entry: Any, base: int) -> LoraTensor:
    match = _NAME.fullmatch(name)
    if match is None or match[2] not in MODULES:
        raise InvalidAdapter(f"tensor `{name[:200]}` is not a LoRA matrix of a module this base has")
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        size = math.prod(shape) * _DTYPE_BYTES[dtype]
    except (KeyError, TypeError, ValueError) as fault:
        raise InvalidAdapter(f"tensor `{name}` has an unknown type or a damaged entry") from fault
    if not whole or len(shape) != 2 or end - begin != size:
        raise InvalidAdapter(f"tensor `{name}` has offsets that do not match its shape")
    target = f"blk.{int(match[1])}.{MODULES[match[2]]}.weight"
    return LoraTensor(target, match[3], dtype, (shape[0], shape[1]), base + begin, size)


def _check_layout(tensors: list[LoraTensor], begin: int, end: int) -> None:
    if not tensors:
        raise InvalidAdapter("adapter_model.safetensors holds no tensors")
    for tensor in sorted(tensors, key=lambda tensor: tensor.begin):
        if tensor.begin != begin:
            raise InvalidAdapter("the tensors overlap or leave holes")
        begin += tensor.size
    if begin != end:
        raise InvalidAdapter("adapter_model.safetensors is cut short or has something behind its tensors")


def _check_pairs(tensors: list[LoraTensor]) -> None:
    counts = Counter((tensor.target, tensor.side) for tensor in tensors)
    for target, _ in counts:
        if counts[target, "A"] != 1 or counts[target, "B"] != 1:
            raise InvalidAdapter(f"the module of `{target}` has not exactly one lora_A and one lora_B")


def _check_shape(tensor: LoraTensor, shapes: dict[str, tuple[int, ...]], rank: int) -> None:
    if tensor.target not in shapes:
        raise InvalidAdapter(f"the base has no module of `{tensor.target}`")
    out, into = shapes[tensor.target]
    fitting = (rank, into) if tensor.side == "A" else (out, rank)
    if tensor.shape != fitting:
        raise InvalidAdapter(
            f"lora_{tensor.side} of `{tensor.target}` is {tensor.shape}; the base needs {fitting}"
        )
